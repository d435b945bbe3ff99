"""Rewards by hand-made vectors: what each pays, what it refuses, where it does not apply."""

from __future__ import annotations

import json

import pytest

from tests.sample_report import sample_report
from vau.errors import ConfigError
from vau.training import rewards
from vau.training.rewards.answers import MAX_CHARS, read, read_levels, read_spans, said_answer, text_of
from vau.training.rewards.intervals import span_iou
from vau.training.rewards.regenerate import temporal_bonus

THINK = "<think>Two cars meet.</think>"


def pay(reward, text, **columns):
    """Calls a reward as TRL does, with a batch of one message list."""
    given = {"task": "vau_r1_qa", "think": True, "duration_s": 20.0, "sample_id": "one", "labels": None, **columns}
    batch = {name: [value] for name, value in given.items()}
    completions = [[{"role": "assistant", "content": text}]]
    found = reward(prompts=[[]], completions=completions, completion_ids=[[0] * 40], trainer_state=None, **batch)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("text", "paid"),
    [
        (f"{THINK}<answer>B</answer>", 1),
        (f"{THINK}\n\n<answer>B</answer>\n", 1),
        (f"  {THINK} <answer>B</answer>", 1),
        ("<think>Two cars meet.<answer>B</answer>", 0),  # no closing tag
        (f"{THINK}<answer>B</answer> Done.", 0),  # trailing text
        (f"Well. {THINK}<answer>B</answer>", 0),
        (f"{THINK}<answer>B</answer><answer>C</answer>", 0),
        ("<think></think><answer>B</answer>", 0),
        (f"{THINK}<answer> </answer>", 0),
        ("<answer>B</answer>", 0),
        ("<think>a <answer>B</answer></think><answer>B</answer>", 0),
        ("", 0),
    ],
)
def test_think_and_answer(text, paid):
    assert pay(rewards.fmt_think_answer, text) == paid


def test_without_thinking_the_answer_stands_alone():
    assert pay(rewards.fmt_think_answer, "<answer>B</answer>", think=False) == 1
    assert pay(rewards.fmt_think_answer, f"{THINK}<answer>B</answer>", think=False) == 0
    assert pay(rewards.fmt_think_answer, "<answer>B</answer>", task="vad_r1") is None


@pytest.mark.parametrize(
    ("times", "paid"),
    [("[5, 3]", 0), ("[-1.0,-1.0]", 1), ("[1,2,3]", 0), ("[1.5, 2]", 1), ("1, 2", 0), ("[1, 2], [3, 4]", 0), ("", 0)],
)
def test_think_answer_and_time(times, paid):
    text = f"{THINK}<answer>Anomaly</answer>\n<glue>{times}</glue>"
    assert pay(rewards.fmt_think_answer_time, text, task="vau_r1_grounding") == paid
    assert pay(rewards.fmt_think_answer_time, text + "x", task="vau_r1_grounding") == 0
    assert pay(rewards.fmt_think_answer_time, text) is None


@pytest.mark.parametrize(
    ("answer", "strict", "lenient"),
    [
        ("B", 1, 1),
        ("B.", 1, 1),
        ("(B)", 1, 1),
        ("b", 1, 1),
        ("The answer is B", 0, 1),
        ("A or B", 0, 0),
        ("A B C D", 0, 0),
        ("C", 0, 0),
        ("Because", 0, 0),
        ("", 0, 0),
    ],
)
def test_choice(answer, strict, lenient):
    text = f"{THINK}<answer>{answer}</answer>"
    assert pay(rewards.acc_choice, text, choice="B") == strict
    reward = rewards.build([("acc_choice", {"lenient": True})], TOOLS)[0]
    assert pay(reward, text, choice="B") == lenient
    assert pay(reward, text, choice=None) is None


@pytest.mark.parametrize(
    ("answer", "strict", "lenient"),
    [
        ("traffic accident", 1, 1),
        ("Traffic_Accident.", 1, 1),
        ("It is a traffic accident", 0, 1),
        ("Fighting", 0, 0),
        ("Fighting, traffic accident", 0, 0),
        ("accident", 0, 0),
        ("", 0, 0),
    ],
)
def test_label(answer, strict, lenient):
    columns = {"label": "Traffic_accident", "labels": ["Normal", "Traffic_accident", "Fighting"]}
    text = f"{THINK}<answer>{answer}</answer>"
    assert pay(rewards.acc_label, text, task="vau_r1_classify", **columns) == strict
    reward = rewards.build([("acc_label", {"lenient": True})], TOOLS)[0]
    assert pay(reward, text, task="vau_r1_classify", **columns) == lenient


def test_a_label_within_a_longer_one_is_not_named():
    columns = {"label": "fall", "labels": ["fall", "object fall"], "task": "vau_r1_classify"}
    reward = rewards.build([("acc_label", {"lenient": True})], TOOLS)[0]
    assert pay(reward, "<answer>an object fall</answer>", **columns) == 0
    assert pay(reward, "<answer>a fall</answer>", **columns) == 1


@pytest.mark.parametrize(
    ("said", "true", "iou"),
    [
        ((), (), 1),
        ((), ((1, 2),), 0),
        (((1, 2),), (), 0),
        (((0, 10),), ((5, 15),), 1 / 3),
        (((3, 3),), ((3, 3),), 0),
        (((0, 2), (4, 6)), ((0, 2), (4, 6)), 1),
        (((0, 6),), ((0, 2), (4, 6)), 4 / 6),
        (((0, 2), (1, 3)), ((0, 3),), 1),
        (((0, 1),), ((2, 3),), 0),
    ],
)
def test_interval_iou(said, true, iou):
    assert span_iou(said, true) == pytest.approx(iou)
    assert span_iou(true, said) == pytest.approx(iou)


def test_times_of_a_grounding():
    def paid(times, spans):
        text = f"{THINK}<answer>Anomaly</answer><glue>{times}</glue>"
        return pay(rewards.t_iou, text, task="vau_r1_grounding", spans_s=spans)

    assert paid("[-1.0, -1.0]", []) == 1
    assert paid("[-1, -1]", [[1.0, 2.0]]) == 0
    assert paid("[0, 10]", [[5.0, 15.0]]) == pytest.approx(1 / 3)
    assert paid("[0, 4], [6, 8]", [[0.0, 4.0], [6.0, 8.0]]) == 1
    assert paid("[5, 3]", [[3.0, 5.0]]) == 0
    assert paid("[nan, 3]", [[3.0, 5.0]]) == 0
    assert paid("[0, 1e9]", [[3.0, 5.0]]) == 0
    assert paid("[0, 1]", None) is None


def test_spans_are_read_strictly():
    assert read_spans("[1, 2]; [3, 4] and [5,6]") == ((1, 2), (3, 4), (5, 6))
    for text in ("[1, 2],", "from 1 to 2", "[1 2]", "[[1, 2]]", "[1,2]" * 17, "[1, 2]" + " " * 700, "[1,2] x"):
        assert read_spans(text) is None, text


PARTS = (
    "<which>Abnormal</which> <what>It fell.</what> <when>[0.25, 0.5]</when> "
    "<where>left</where> <why>a</why> <how>b</how>"
)
NORMAL_PARTS = "<which>Normal</which> <what>People walk.</what>"


def test_named_parts():
    def both(answer, **columns):
        text = f"{THINK}<answer>{answer}</answer>"
        return [pay(reward, text, task="vad_r1", **columns) for reward in (rewards.fmt_parts, rewards.detection)]

    assert both(PARTS, abnormal=True) == [1, 1]
    assert both(NORMAL_PARTS, abnormal=False) == [1, 1]
    assert both(NORMAL_PARTS, abnormal=True) == [1, 0]
    assert both(PARTS.replace("[0.25, 0.5]", "[4, 9]"), abnormal=True) == [0, 1]
    assert both(PARTS.replace("<how>b</how>", ""), abnormal=True) == [0, 1]
    assert both(PARTS + NORMAL_PARTS, abnormal=True) == [0, 0]
    assert both("<what>It fell.</what> <which>Normal</which>", abnormal=False) == [0, 1]  # another order
    text = f"{THINK}<answer>{PARTS}</answer>"
    assert pay(rewards.t_iou, text, task="vad_r1", spans_s=[[5.0, 10.0]]) == 1


def test_json_tasks():
    good = json.dumps({"anomalies": [{"what": "a fall", "span_s": [5, 10], "confidence": 0.9}]})
    for text, form, verdict, iou in (
        (good, 1, 1, 1),
        (f"{THINK}\n{good}", 1, 1, 1),
        ('{"anomalies": []}', 1, 0, 0),
        (good.replace("[5, 10]", "[10, 5]"), 0, 1, 0),
        ("[]", 0, 0, 0),
        (good[:-1], 0, 0, 0),
    ):
        assert pay(rewards.fmt_json, text, task="cue_detection") == form
        assert pay(rewards.detection, text, task="cue_detection", abnormal=True) == verdict
        assert pay(rewards.t_iou, text, task="cue_detection", spans_s=[[5.0, 10.0]]) == iou
    found = json.dumps({"found": True, "span_s": [5, 10]})
    assert pay(rewards.t_iou, found, task="cue_grounding", spans_s=[[5.0, 10.0]]) == 1
    assert pay(rewards.fmt_json, found.replace("true", "false"), task="cue_grounding") == 0
    assert pay(rewards.fmt_json, found) is None


def test_anticipation_pays_honest_probabilities_best():
    def paid(probability, abnormal):
        value = {"reason": "", "probability": probability, "event_type": "none", "event": "fall"}
        return pay(rewards.anticipation, json.dumps(value), task="cue_anticipation", abnormal=abnormal)

    assert paid(1.0, True) == 1 and paid(1.0, False) == 0 and paid(0.5, True) == 0.75
    assert paid(2.0, True) == 0  # out of range
    mean = {p: 0.7 * paid(p, True) + 0.3 * paid(p, False) for p in (0.0, 0.3, 0.5, 0.7, 0.9, 1.0)}
    assert max(mean, key=mean.get) == 0.7


def levels(**changes):
    return {"abnormal": True, "kind": "conditional", "event": "cliff climbing", "scene": "cliff",
            "attributes": ["no rope", "dusk"], **changes}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "paid"),
    [
        ("anomaly > conditional > cliff climbing > cliff > no rope, dusk", 1.0),
        ("Anomaly > Conditional > Cliff_climbing > cliff > dusk, No rope", 1.0),
        ("anomaly > absolute > cliff climbing > cliff > no rope, dusk", 0.2),  # no lucky leaf
        ("anomaly > conditional > swimming > cliff > no rope, dusk", 0.4),
        ("normal > none > cliff climbing > cliff > no rope, dusk", 0.0),
        ("anomaly > conditional > cliff climbing", 0.0),
        ("", 0.0),
    ],
)
def test_hierarchy(answer, paid):
    text = f"{THINK}<answer>{answer}</answer>"
    assert pay(rewards.hier, text, task="cue_r1", levels=levels()) == pytest.approx(paid)
    assert pay(rewards.hier, text, task="cue_r1", levels=None) is None


def test_context_counts_by_f1():
    text = f"{THINK}<answer>anomaly > conditional > cliff climbing > cliff > no rope</answer>"
    partly = pay(rewards.hier, text, task="cue_r1", levels=levels())
    assert 0.8 < partly < 1.0


def test_the_recipe_pays_what_its_specification_says():
    from vau.training.recipes import load_recipe

    recipe = load_recipe("cue_r1")
    built = rewards.build([(item.name, item.options) for item in recipe.rewards], TOOLS)

    def total(answer, frame=THINK + "<answer>{}</answer>"):
        columns = {
            "task": "cue_r1",
            "levels": levels(),
            "abnormal": True,
            "spans_s": None,
            "choice": None,
            "label": None,
        }
        paid = [pay(reward, frame.format(answer), **columns) for reward in built]
        return sum(item.weight * value for item, value in zip(recipe.rewards, paid, strict=True) if value is not None)

    exact = "anomaly > conditional > cliff climbing > cliff > no rope, dusk"
    assert total(exact) == pytest.approx(2.0)
    assert total("anomaly > absolute > swimming > pool > dusk") == pytest.approx(1.2)  # right binary only
    assert total(exact, "<answer>{}</answer>") == pytest.approx(1.0)  # malformed: the task's term alone


def test_flat_pays_for_the_whole_or_nothing():
    def paid(answer):
        return pay(rewards.flat, f"{THINK}<answer>{answer}</answer>", task="cue_r1", levels=levels())

    assert paid("anomaly > conditional > cliff climbing > beach > rain") == 1
    assert paid("anomaly > conditional > swimming > cliff > no rope, dusk") == 0


def test_length_band_has_inclusive_bounds():
    def paid(words, which="<which>Abnormal</which>"):
        return pay(rewards.len_band, f"<think>{'w ' * words}</think><answer>{which}</answer>", task="vad_r1")

    assert [paid(n) for n in (232, 233, 456, 457)] == [0, 0.2, 0.2, 0]
    assert [paid(n, "<which>Normal</which>") for n in (139, 140, 261, 262)] == [0, 0.2, 0.2, 0]
    assert pay(rewards.len_band, "no think block", task="vad_r1") == 0
    assert pay(rewards.len_band, "w", think=False) is None


def test_length_in_tokens_for_right_answers_of_a_group():
    reward = rewards.build(
        [
            (
                "len_band",
                {"unit": "tokens", "said_other": [3, 5], "said_normal": [3, 5], "needs_right": True, "least_right": 2},
            )
        ],
        TOOLS,
    )[0]

    def paid(letters, lengths, ids=None):
        count = len(letters)
        return reward(
            completions=[f"<answer>{letter}</answer>" for letter in letters],
            completion_ids=[[0] * length for length in lengths],
            sample_id=ids or ["one"] * count,
            task=["vau_r1_qa"] * count,
            think=[True] * count,
            choice=["B"] * count,
            label=[None] * count,
            labels=[None] * count,
            abnormal=[None] * count,
        )

    assert paid("BBCB", [3, 6, 4, 5]) == [0.2, 0, 0, 0.2]
    assert paid("BCCC", [4, 4, 4, 4]) == [0, 0, 0, 0]  # one right answer is not enough
    assert paid("BCBB", [4, 4, 4, 4], ["one", "one", "two", "two"]) == [0, 0, 0.2, 0.2]


def test_temporal_bonus():
    assert temporal_bonus([1, 1, 1, 0], [1, 1, 1, 0]) == [0.3, 0.3, 0.3, 0]  # .75 against .75, mu .8
    assert temporal_bonus([1, 0, 0, 0], [1, 0]) == [0, 0, 0, 0]
    assert temporal_bonus([0, 0], [0]) == [0, 0]
    assert temporal_bonus([0.1, 0.11], []) == [0, 0.3]


def conversation(images):
    content = [part for image in images for part in ({"type": "text", "text": "t"}, {"type": "image", "image": image})]
    return [{"role": "user", "content": content}]


def test_temporal_contrast_asks_half_as_often_on_shuffled_frames():
    asked = []

    def generate(conversations):
        asked.extend(conversations)
        return ["<answer>C</answer>"] * len(conversations)

    frames = list(range(12))
    rows = 4
    columns = {"choice": ["B"] * rows, "label": [None] * rows, "labels": [None] * rows, "abnormal": [None] * rows}
    found = rewards.temporal_contrast(
        completions=["<answer>B</answer>", "<answer>C</answer>", "<answer>B</answer>", "<answer>B</answer>"],
        prompts=[conversation(frames)] * rows,
        sample_id=["one"] * rows,
        generate=generate,
        accuracy=rewards.accuracy,
        task=["vau_r1_qa"] * rows,
        trainer_state=object(),
        **columns,
    )
    assert found == [0.3, 0, 0.3, 0.3]
    assert len(asked) == 2
    for one in asked:
        shown = [part["image"] for part in one[0]["content"] if part["type"] == "image"]
        assert sorted(shown) == frames and shown != frames


def verify(answer, reply, times=(2.5, 7.5, 12.5, 17.5)):
    asked = []

    def generate(conversations):
        asked.extend(conversations)
        return [reply] * len(conversations)

    found = pay(
        lambda **columns: rewards.ano_verify(
            generate=generate, rebuild=lambda task, row, images, kept: [list(kept)], **columns
        ),
        f"{THINK}<answer>{answer}</answer>",
        task="vad_r1",
        row="{}",
        images=["a"] * len(times),
        times_s=list(times),
    )
    return found, [kept for conversation in asked for kept in conversation]


def test_an_anomaly_is_verified_without_its_time():
    normal, abnormal = f"{THINK}<answer>{NORMAL_PARTS}</answer>", f"{THINK}<answer>{PARTS}</answer>"
    assert verify(PARTS, normal) == (0.5, [[2.5, 12.5, 17.5]])  # 5 to 10 s of 20 s are cut out
    assert verify(PARTS, abnormal)[0] == 0
    assert verify(PARTS, "nothing readable")[0] == 0
    paid, kept = verify(NORMAL_PARTS, abnormal)
    assert paid == -0.2 and 2 <= len(kept[0]) < 4
    assert verify(NORMAL_PARTS, normal)[0] == 0
    assert verify(PARTS.replace("[0.25, 0.5]", "[0, 1]"), normal) == (0, [])  # nothing would be left
    assert verify(PARTS.replace("[0.25, 0.5]", "[0.26, 0.3]"), normal) == (0, [])  # no frame is cut out
    assert verify(PARTS.replace("[0.25, 0.5]", "soon"), normal) == (0, [])
    assert verify("What?", normal) == (0, [])


def faithful(thought):
    return pay(
        lambda **columns: rewards.claim_faithfulness(load=lambda name: sample_report(), **columns),
        f"<think>{thought}</think><answer>Anomaly</answer>",
        report="report.json",
    )


def test_claims_are_held_against_the_report():
    told = [claim.text for claim in sample_report().accounts[0].claims if claim.role == "what"]
    honest = faithful(" ".join(told))
    assert 0 < honest <= 1
    assert faithful("A helicopter exploded at 0:05 and a horse attacked a person at 0:20.") == 0
    assert faithful("It may be so.") == 0 and faithful("") == 0
    assert faithful(" ".join([told[0]] * 30)) <= faithful(told[0])  # said again is not said more
    assert faithful(" ".join(f"Sentence {n} says nothing." for n in range(60))) == 0
    none = rewards.claim_faithfulness(
        completions=[""] * 2, report=[None, "r"], task=["vau_r1_qa"] * 2, think=[True, False], load=lambda name: None
    )
    assert none == [None, None]


def test_completions_are_read_as_trl_gives_them():
    parts = [
        {"role": "assistant", "content": [{"type": "text", "text": "<answer>"}, {"type": "text", "text": "B</answer>"}]}
    ]
    assert said_answer(text_of(parts)) == "B" and text_of([]) == "" and text_of("x" * (MAX_CHARS + 1)) == ""
    assert read_levels("a > b") is None
    with pytest.raises(ValueError, match="no task is called"):
        read("poem", "x")


def test_a_completion_beyond_all_bounds_says_nothing():
    thought = "so it is " * 9000
    assert pay(rewards.acc_choice, f"<think>{thought}</think><answer>B</answer>", choice="B") == 0


def test_recipes_cannot_misname_rewards_or_options():
    for name, options in (
        ("poem", {}),
        ("t_iou", {"mu": 1}),
        ("ano_verify", {"generate": 1}),
        ("hier", {"tasks": ["x"]}),
    ):
        with pytest.raises(ConfigError, match=name):
            rewards.build([(name, options)], TOOLS)
    only = rewards.build([("t_iou", {"tasks": ["vau_r1_grounding"]})], TOOLS)[0]
    assert only.__name__ == "t_iou"
    assert pay(only, "x", task="cue_detection", spans_s=[]) is None
    assert pay(only, "x", task="vau_r1_grounding", spans_s=[]) == 0


TOOLS = rewards.Tools(lambda conversations: [], lambda *_: [], lambda name: sample_report())
