import numpy as np
import pytest

from vau.mllm.interface import CandidateScores, Message, Picture, Sampling, Text, TimedFrame, Usage
from vau.mllm.thinking import ThinkFilter, split_thinking

JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"


def test_time_of_a_frame_is_text_and_stays_exact() -> None:
    frame = TimedFrame(JPEG, 12.3456)
    assert frame.time_text == "<12.3 seconds>"
    assert frame.time_s == 12.3456
    assert "picture" not in repr(frame)


@pytest.mark.parametrize("time_s", [-0.1, float("nan"), float("inf")])
def test_frame_needs_a_time(time_s: float) -> None:
    with pytest.raises(ValueError, match="time_s"):
        TimedFrame(JPEG, time_s)


def test_frame_must_be_a_jpeg() -> None:
    with pytest.raises(ValueError, match="JPEG"):
        TimedFrame(b"http://example.org/a.jpg", 0.0)
    with pytest.raises(ValueError, match="bytes"):
        TimedFrame(JPEG + bytes(17 * 2**20), 0.0)
    with pytest.raises(ValueError, match="JPEG"):
        Picture(b"\x89PNG")


def test_a_picture_has_no_time() -> None:
    picture = Picture(JPEG)
    assert not hasattr(picture, "time_text")
    assert picture != TimedFrame(JPEG, 0.0)


def test_only_the_user_shows_pictures() -> None:
    message = Message.of("user", "look", TimedFrame(JPEG, 1.0), Picture(JPEG))
    assert message.parts[0] == Text("look")
    assert [type(part) for part in message.pictures] == [TimedFrame, Picture]
    with pytest.raises(ValueError, match="system"):
        Message.of("system", TimedFrame(JPEG, 1.0))
    with pytest.raises(ValueError, match="assistant"):
        Message.of("assistant", Picture(JPEG))
    with pytest.raises(ValueError, match="at least one part"):
        Message("user", ())


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"temperature": -1.0}, {"temperature": float("nan")}])
def test_sampling_is_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_usage_adds_up() -> None:
    assert Usage(1, 2, 3) + Usage(10, 20, 30) == Usage(11, 22, 33)


def test_candidate_scores() -> None:
    scores = CandidateScores(("0", "5", "9"), np.log([0.1, 0.2, 0.1]))
    np.testing.assert_allclose(scores.probabilities, [0.25, 0.5, 0.25])
    assert scores.best == "5"
    assert scores.expectation([0.0, 0.5, 1.0]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="values"):
        scores.expectation([1.0])
    with pytest.raises(ValueError, match="read-only"):
        scores.log_probs[0] = 0.0


def test_candidate_without_probability() -> None:
    scores = CandidateScores(("yes", "no"), np.array([-1.0, -np.inf]), exact=False)
    np.testing.assert_array_equal(scores.probabilities, [1.0, 0.0])


@pytest.mark.parametrize("values", [[0.5, -1.0], [np.nan, -1.0], [-np.inf, -np.inf], [-1.0]])
def test_candidate_scores_refuse_what_is_no_log_probability(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"log_probs|fit"):
        CandidateScores(("yes", "no"), np.array(values))


@pytest.mark.parametrize("candidates", [(), ("a", "a"), ("a", "")])
def test_candidates_must_differ(candidates: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="candidates"):
        CandidateScores(candidates, np.zeros(len(candidates)))


@pytest.mark.parametrize(
    ("text", "thinking", "rest"),
    [
        ("plain", "", "plain"),
        ("<think>hm\nhm</think>\n\nsaid", "hm\nhm", "said"),
        ("template opened it</think> said", "template opened it", "said"),
        ("<think>never ends", "never ends", ""),
        ('{"quote": "</think>"}', "", '{"quote": "</think>"}'),
        ("<think></think>said", "", "said"),
    ],
)
def test_think_block_is_kept_apart(text: str, thinking: str, rest: str) -> None:
    assert split_thinking(text) == (thinking, rest)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>a < b</thin k></think>\n\n the answer </think> stays", "the answer </think> stays"),
        ("  no block <think> here", "  no block <think> here"),
        ("<thi", "<thi"),
        ("<think>never ends", ""),
        ("<think>x</think>", ""),
    ],
)
def test_think_filter_does_not_depend_on_the_pieces(text: str, shown: str, size: int) -> None:
    think = ThinkFilter()
    pieces = [think.feed(text[i : i + size]) for i in range(0, len(text), size)]
    assert "".join(pieces) + think.finish() == shown
