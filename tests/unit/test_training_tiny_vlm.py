"""The tiny Qwen2.5-VL and its lessons: small, loadable, and taught what a single question later asks."""

from __future__ import annotations

import io
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from vau.training import tiny_lessons, tiny_school, tiny_sight, tiny_vlm  # noqa: E402
from vau.training.simulate.scene import simulate  # noqa: E402
from vau.training.simulate.tracks import tracks  # noqa: E402

TEXTS = ["Does anything abnormal happen?", "yes", "no", "early", "late", "<12.3 seconds>", "the person in red"] * 3


@pytest.fixture(scope="module")
def tiny():
    torch.set_num_threads(1)
    return tiny_vlm.build(seed=0, texts=TEXTS)


@pytest.fixture(scope="module")
def lessons():
    return [tiny_lessons.make_lesson("fall", 3, normal=normal, frames=3) for normal in (False, True)]


def test_it_is_small_and_any_text_survives_its_tokenizer(tiny):
    assert tiny.parameters < 20e6
    tokenizer = tiny.processor.tokenizer
    for text in ("fell from 3.2 s to 12.75 s.", "naïve – 日本 \n\t{}", "<1.0 seconds>"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_weights_depend_on_the_seed_alone(tiny):
    same, other = tiny_vlm.build(seed=0, texts=TEXTS), tiny_vlm.build(seed=1, texts=TEXTS)
    first, again, different = (item.model.state_dict()["lm_head.weight"] for item in (tiny, same, other))
    assert torch.equal(first, again) and not torch.equal(first, different)


def test_saved_and_read_back_it_says_the_same(tiny, lessons, tmp_path):
    tiny.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".md", ".jinja"}
    assert "knows nothing of real video" in (tmp_path / "README.md").read_text(encoding="utf-8")
    again = tiny_vlm.load(tmp_path)
    with torch.no_grad():
        packed = [tiny_lessons.pack(item, lessons, [[("Which?", "yes")]] * 2) for item in (tiny, again)]
        first, second = (
            tiny_lessons.answer_log_probs(item, row)[0] for item, row in zip((tiny, again), packed, strict=True)
        )
    torch.testing.assert_close(first, second)


def test_branches_do_not_see_each_other(tiny, lessons):
    pairs = [("Does anything abnormal happen?", "yes"), ("Who?", "the person in red"), ("When?", "late")]
    with torch.no_grad():
        packed = tiny_lessons.pack(tiny, lessons, [pairs, pairs[:1]])
        log_probs, where = tiny_lessons.answer_log_probs(tiny, packed)
        for number, pair in enumerate(pairs, start=1):
            alone, _ = tiny_lessons.answer_log_probs(tiny, tiny_lessons.pack(tiny, lessons[:1], [[pair]]))
            mine = (where[:, 0] == 0) & (packed.answers[where[:, 0], where[:, 1]] == number)
            torch.testing.assert_close(log_probs[mine], alone, atol=2e-5, rtol=1e-4)


def test_packed_positions_are_those_of_the_chat(tiny, lessons):
    """One question through the chat template and the plain model gives the same as a branch."""
    lesson = lessons[0]
    content = []
    for jpeg, time_s in zip(lesson.jpegs, lesson.times_s, strict=True):
        content += [
            {"type": "text", "text": f"<{time_s:.1f} seconds>"},
            {"type": "image", "image": Image.open(io.BytesIO(jpeg)).convert("RGB")},
        ]
    content.append({"type": "text", "text": "Which?"})
    inputs = tiny.processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    answer = tiny.processor.tokenizer("yes").input_ids
    with torch.no_grad():
        plain = torch.log_softmax(tiny.model(**inputs).logits[0, -1], -1)[answer[0]]
        branch, _ = tiny_lessons.answer_log_probs(tiny, tiny_lessons.pack(tiny, [lesson], [[("Which?", "yes")]]))
    assert float(branch[0]) == pytest.approx(float(plain), abs=2e-5)


def test_the_local_backend_scores_as_the_lessons_do(tiny, lessons, tmp_path):
    pytest.importorskip("accelerate")
    from vau.mllm.interface import Message, TimedFrame
    from vau.mllm.local import LocalMllm
    from vau.mllm.local_load import LocalModel

    tiny.save(tmp_path)
    local = LocalMllm(LocalModel(str(tmp_path), precision="float32", device="cpu", offline=True))
    lesson, choices = lessons[1], ("yes", "no", "the person in red")
    frames = [TimedFrame(jpeg, time_s) for jpeg, time_s in zip(lesson.jpegs, lesson.times_s, strict=True)]
    scores = local.likelihood((Message.of("user", *frames, "Which?"),), choices)
    with torch.no_grad():
        packed = tiny_lessons.pack(tiny, [lesson], [[("Which?", choice) for choice in choices]])
        log_probs, where = tiny_lessons.answer_log_probs(tiny, packed)
    totals = torch.zeros(3).index_add_(0, packed.answers[0, where[:, 1]] - 1, log_probs)
    np.testing.assert_allclose(scores.log_probs, totals, atol=1e-3)


def test_it_learns_one_scene_by_heart():
    torch.set_num_threads(1)
    lesson = tiny_lessons.make_lesson("fall", 3, normal=False, frames=1)
    recipe = tiny_school.Recipe(eye_steps=2, picture_steps=5, steps=60, batch=1)
    losses = tiny_school.train(tiny_vlm.build(seed=2), [lesson], recipe)
    assert len(losses) == 65 and np.mean(losses[-3:]) < 0.6 * losses[5]


def test_marks_know_the_best_guess_and_their_interval(tiny, lessons):
    marks = {mark.kind: mark for mark in tiny_school.examine(tiny, lessons, ("class", "abnormal"))}
    assert marks["class"].asked == 2 and marks["class"].guessed == 1 and marks["abnormal"].baseline == 0.5
    assert "best guess" in str(marks["class"])
    low, high = tiny_school.Mark("class", 81, 100, 50).interval  # by R's prop.test without correction
    assert (low, high) == (pytest.approx(0.7222, abs=1e-3), pytest.approx(0.8749, abs=1e-3))


def test_controls_change_the_pictures_alone(lessons):
    grey, other = (tiny_school._shown(lessons, pictures) for pictures in ("grey", "other"))
    assert len({jpeg for lesson in grey for jpeg in lesson.jpegs}) == 1
    assert [lesson.jpegs for lesson in other] == [lesson.jpegs for lesson in lessons[::-1]]
    for changed in (grey, other):
        assert [lesson.times_s for lesson in changed] == [lesson.times_s for lesson in lessons]
        assert [lesson.asked for lesson in changed] == [lesson.asked for lesson in lessons]


@pytest.mark.skipif(find_spec("transformers.decision") is None, reason="this transformers has no decisions")
def test_lessons_put_decisions_as_the_server_does(tiny, lessons):
    """Token by token what `transformers serve` makes of our own decision requests."""
    from transformers.decision import DecisionConfig, prepare_inputs

    from vau.mllm.candidates import decision_body
    from vau.mllm.interface import Message, TimedFrame

    lesson = lessons[0]
    question = lesson.question("part")
    frames = [TimedFrame(jpeg, time_s) for jpeg, time_s in zip(lesson.jpegs, lesson.times_s, strict=True)]
    body = decision_body("tiny", (Message.of("user", *frames, question.text),), question.choices)
    processor = tiny_vlm.build(seed=0, texts=TEXTS).processor  # a copy: the library adds tokens to it
    ((inputs, _),) = prepare_inputs(DecisionConfig(), body, processor)
    branch = tiny_lessons.lettered(question)
    packed = tiny_lessons.pack(tiny, [lesson], [[branch]], decisions=True)
    assert packed.ids[0].tolist() == [*inputs["input_ids"][0].tolist(), *tiny.processor.tokenizer(branch[1]).input_ids]


def test_the_eye_learns_to_name_what_it_sees(lessons):
    pupil = tiny_vlm.build(seed=4, texts=TEXTS)
    losses = tiny_sight.teach(pupil, lessons[:1], steps=12)
    assert losses[-1] < 0.8 * losses[0]


def test_cells_hold_what_the_truth_says():
    scene = simulate("fall", 3, rate=4.0, size=tiny_vlm.SIZE)
    person = next(track for track in tracks(scene) if track.track_id == scene.happening.actors[0])
    actor = scene.actor(person.track_id)
    late = float(person.times_s[-1])
    shown = tiny_sight.cells(scene, [late])[0]
    x, y = (person.boxes[-1, :2] + person.boxes[-1, 2:]) / 2
    cell = shown[int(y // tiny_sight.CELL), int(x // tiny_sight.CELL)]
    here = {name for name, there in zip(tiny_sight.NAMES, cell, strict=True) if there}
    assert {"person", "lying", actor.colour} <= here and "vehicle" not in here
    assert shown[..., tiny_sight.NAMES.index("person")].sum() < shown.shape[0] * shown.shape[1] / 2
    shut = tiny_sight.cells(simulate("intrusion", 0, rate=4.0, size=tiny_vlm.SIZE), [0.0])
    assert shut[..., tiny_sight.NAMES.index("restricted area")].any()


def test_tokens_that_were_looked_at_before_say_the_same(tiny, lessons):
    with torch.no_grad():
        fresh, _ = tiny_lessons.answer_log_probs(tiny, tiny_lessons.pack(tiny, lessons, [[("Which?", "yes")]] * 2))
        known = tiny_lessons.pack(tiny, lessons, [[("Which?", "yes")]] * 2, tiny_sight.look(tiny, lessons))
        again, _ = tiny_lessons.answer_log_probs(tiny, known)
    torch.testing.assert_close(fresh, again, atol=2e-5, rtol=1e-4)


def test_a_picture_is_told_by_bodies_with_their_colours():
    shown = np.zeros((2, 3, len(tiny_sight.NAMES)), bool)
    for name in ("person", "red", "lying"):
        shown[0, 1, tiny_sight.NAMES.index(name)] = True
    shown[1, 2, tiny_sight.NAMES.index("bench")] = True
    assert tiny_sight.told(shown) == "red person, lying, bench."


def test_taught_tokens_have_the_size_of_words_in_the_language_model(lessons):
    pupil = tiny_vlm.build(seed=4, texts=TEXTS)
    tiny_sight.teach(pupil, lessons[:1], steps=3)
    assert 0.3 < float(tiny_sight.look(pupil, lessons[:1]).std()) < 1.3
