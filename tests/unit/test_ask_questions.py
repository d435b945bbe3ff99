from __future__ import annotations

import pytest

from tests.sample_report import quiet_report, sample_report
from tests.unit.ask_fixture import WordEncoder
from vau import prompts
from vau.reasoning.lexicon import lexicon
from vau.reasoning.questions import Focus, QuestionParser
from vau.reasoning.times import TimeSpan
from vau.relations.vocabulary import PREDICATES
from vau.types import Report


@pytest.fixture(scope="module")
def report() -> Report:
    return sample_report()


@pytest.fixture(scope="module")
def parser() -> QuestionParser:
    return QuestionParser(WordEncoder())


def test_every_predicate_can_be_asked_for() -> None:
    asked = {name for _, concept in lexicon().concepts for name in concept.predicates}
    assert asked == set(PREDICATES)


def test_intents_are_those_with_an_answer() -> None:
    from vau.reasoning.answer import _ANSWERS

    assert set(prompts.load("questions")["intents"]) == set(_ANSWERS)


def test_cues_add_to_known_intents_only() -> None:
    intents = set(prompts.load("questions")["intents"])
    assert {intent for cue in lexicon().cues for intent, _ in cue.adds} <= intents


def test_the_file_has_its_header_and_others_are_refused() -> None:
    data = prompts.load("questions")
    assert all(data[key] for key in prompts.HEADER)
    with pytest.raises(FileNotFoundError):
        prompts.load("nothing")


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("is there a fight", "fight"),
        ("any punch-up?", "fight"),
        ("did they come to blows", "fight"),
        ("figth", "fight"),
        ("did the two cars crash", "collision"),
        ("any colision?", "collision"),
        ("has he fallen over", "fall"),
        ("is anyone on the ground", "lying"),
        ("sombody runing away", "run"),
        ("a bag left unattended", "abandon"),
        ("is anyone following him", "follow"),
        ("was he followed by a man", "follow"),
        ("driving the wrong way", "wrong_way"),
        ("do they touch", "contact"),
        ("is anyone loitring", "loiter"),
        ("a chase", "chase"),
    ],
)
def test_concepts_by_word(text: str, concept: str) -> None:
    words = lexicon()
    assert concept in {item.name for item in words.find_concepts(words.mend(text))}


@pytest.mark.parametrize(
    "text",
    [
        "what followed",
        "the following scene",
        "run me through it",
        "total running time",
        "a fright",
        "what happened",
        "the right side",
    ],
)
def test_words_that_only_look_like_a_concept(text: str) -> None:
    words = lexicon()
    assert not words.find_concepts(words.mend(text))


@pytest.mark.parametrize(
    ("text", "matter"),
    [
        ("did he have a gun", "a weapon"),
        ("weapns", "a weapon"),
        ("what is his name", "a person's identity"),
        ("what did they say", "sound or speech"),
        ("was it stolen", "a theft"),
        ("any smoke", "fire or smoke"),
        ("how old is she", "age, sex or origin"),
        ("lisence plate", "a number plate or other writing"),
    ],
)
def test_unknowable_matters_by_word(text: str, matter: str) -> None:
    words = lexicon()
    assert matter in {item.name for item in words.find_unknowable(words.mend(text))}


def test_turns_of_phrase_are_not_taken_by_their_words() -> None:
    assert not lexicon().find_unknowable("talk me through it, would you say so, what do you think")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("tell me about person 3", (3,)),
        ("what did car #4 do", (4,)),
        ("did persons 1 and 2 fight", (1, 2)),
        ("track 2?", (2,)),
        ("t3", (3,)),
        ("person two", (2,)),
        ("did person 1 hit person 2", (1, 2)),
        ("are there 3 people", ()),
        ("one person", ()),
    ],
)
def test_track_ids(parser: QuestionParser, report: Report, text: str, ids: tuple[int, ...]) -> None:
    assert parser.parse(text, report).track_ids == ids


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("what happened in event 2", "E2"),
        ("event two", "E2"),
        ("the second event", "E2"),
        ("the last incident", "E2"),
        ("e1?", "E1"),
        ("event 9", "E9"),
        ("fifth event", "E5"),
        ("compare event 1 and event 2", None),
        ("what happened", None),
    ],
)
def test_event_ids(parser: QuestionParser, report: Report, text: str, event: str | None) -> None:
    assert parser.parse(text, report).event_id == event


def test_the_last_event_of_none_is_no_event(parser: QuestionParser) -> None:
    assert parser.parse("what happened in the last event", quiet_report()).event_id is None


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("What happened?", "overview"),
        ("How many people are there?", "count"),
        ("how many people are there at 0:12", "count"),
        ("What happened at 0:12?", "moment"),
        ("what happened before 0:12", "before"),
        ("What happened after 0:12?", "after"),
        ("Is there a fight?", "check"),
        ("is there a brawl at 0:12?", "check"),
        ("Is there a car?", "presence"),
        ("Did he have a gun?", "unknowable"),
        ("Show me the fall.", "show"),
        ("How long is the video?", "video"),
        ("How long did it last?", "duration"),
        ("Compare the events.", "compare"),
    ],
)
def test_structure_decides_the_intent(parser: QuestionParser, report: Report, text: str, intent: str) -> None:
    assert parser.parse(text, report).intent == intent


def test_parts_of_one_question(parser: QuestionParser, report: Report) -> None:
    question = parser.parse("Didn't person 2 fall between 0:10 and 0:14?", report)
    assert question.times == TimeSpan(10.0, 14.0)
    assert question.track_ids == (2,)
    assert question.concept is not None
    assert question.concept.name == "fall"
    assert question.negated
    assert question.intent == "check"


def test_a_follow_up_takes_over_what_the_last_answer_was_about(parser: QuestionParser, report: Report) -> None:
    class Told:
        focus = Focus("E2", (19.8, 24.0), (4,))

    assert parser.parse("Why?", report, [Told()]).focus == Told.focus
    assert parser.parse("What happened in the video?", report, [Told()]).focus == Focus()
    assert parser.parse("Did he fall?", report, [Told()]).focus == Focus(track_ids=(4,))
    assert parser.parse("Did anyone fall?", report, [Told()]).focus == Focus()
    assert parser.parse("Why?", report).focus == Focus()


@pytest.mark.parametrize(
    "text", ["", "   ", "🤺🔥🚓", "?!", "发生了什么事？", "что произошло на видео", "\x00\x07\x1b", "\ud800", "<b></b>"]
)
def test_what_cannot_be_read_is_out_of_scope(parser: QuestionParser, report: Report, text: str) -> None:
    assert parser.parse(text, report).intent == "out_of_scope"


def test_a_long_text_is_read_up_to_its_cap(parser: QuestionParser, report: Report) -> None:
    question = parser.parse("what happened " * 1000, report)
    assert len(question.text) <= 500
