"""A tiny Qwen2.5-VL that reads simulated scenes: taught here, served on loopback, asked over HTTP and in this process.

The brief recipe takes minutes. What it asserts of reading is modest, since its scenes are few; what it asserts of the
server and the local backend is that they say the same.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("torchvision")
pytest.importorskip("accelerate")

from vau.mllm.interface import Message, Picture, Sampling, TimedFrame  # noqa: E402
from vau.mllm.local import LocalMllm  # noqa: E402
from vau.mllm.local_load import LocalModel  # noqa: E402
from vau.mllm.openai_client import OpenAiClient  # noqa: E402
from vau.mllm.serve import Server  # noqa: E402
from vau.mllm.serve_plan import ServeOptions, plan  # noqa: E402
from vau.training import tiny_lessons, tiny_school, tiny_vlm  # noqa: E402
from vau.training.simulate.world import SCRIPTS  # noqa: E402

EXAMINED_SEEDS = range(9600, 9607)  # of 18 scenes each; none of them is learnt from
ASKED_SEED = 9600
START_S = 120.0
TOLERANCE = 1e-3  # of a log probability among candidates; measured below 1e-5 with both in float32


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Teaches a model by the brief recipe, about 380 s of one core: two threads that share cores with others spin."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    tiny = tiny_vlm.build()
    tiny_school.train(tiny, tiny_lessons.make_lessons(range(tiny_school.BRIEF.seeds)), tiny_school.BRIEF)
    torch.set_num_threads(before)
    path = tmp_path_factory.mktemp("tiny")
    tiny.save(path)
    return path


@pytest.fixture(scope="module")
def local(folder) -> LocalMllm:
    return LocalMllm(LocalModel(str(folder), precision="float32", device="cpu", offline=True))


@pytest.fixture(scope="module")
def client(folder) -> Iterator[OpenAiClient]:
    program = shutil.which("transformers", path=str(Path(sys.executable).parent))
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package, reason="`transformers serve` needs it: pip install 'vau[serve]'")
    if program is None:
        pytest.skip("the command `transformers` is not installed beside this Python")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    planned = plan(
        ServeOptions(
            str(folder), "transformers", port=port, dtype="float32", executable=Path(program), extra=("--device", "cpu")
        )
    )
    with Server(planned, "127.0.0.1", port) as server:
        server.wait_ready(START_S)
        with OpenAiClient(planned.url, planned.name) as asked:
            yield asked


@pytest.fixture(scope="module")
def lessons() -> list[tiny_lessons.Lesson]:
    return [
        tiny_lessons.make_lesson(script, ASKED_SEED, normal=normal)
        for script in (SCRIPTS[0], SCRIPTS[8])
        for normal in (False, True)
    ]


def ask(lesson: tiny_lessons.Lesson, question: str) -> tuple[Message, ...]:
    frames = [TimedFrame(jpeg, time_s) for jpeg, time_s in zip(lesson.jpegs, lesson.times_s, strict=True)]
    return (Message.of("user", *frames, question),)


def test_it_reads_scenes_that_it_has_never_seen(folder):
    """Twins share everything but their meaning: without looking, half of these answers are right."""
    tiny, unseen = tiny_vlm.load(folder), tiny_lessons.make_lessons(EXAMINED_SEEDS)
    own, other = (
        {mark.kind: mark for mark in tiny_school.examine(tiny, unseen, ("class", "abnormal"), pictures=pictures)}
        for pictures in ("own", "other")
    )
    for kind in ("class", "abnormal"):
        assert own[kind].interval[0] > own[kind].baseline, f"{own[kind]}"
        assert other[kind].interval[0] <= other[kind].baseline, f"with pictures of other scenes, {other[kind]}"


def test_descriptions_and_answers_are_the_same_over_http(client, local, lessons):
    words = Sampling(max_tokens=40)
    for lesson in lessons:
        for question in ("What happens in the video?", "Which kind of event is it?", "Who does it?"):
            asked = ask(lesson, question)
            here, there = local.generate(asked, sampling=words), client.generate(asked, sampling=words)
            assert there.text == here.text != ""
            assert there.usage.completion_tokens > 0 and there.usage.images == here.usage.images == tiny_lessons.FRAMES
            assert "".join(client.stream(asked, sampling=words)).strip() == here.text.strip()


def test_it_speaks_of_what_was_taught(local, lessons):
    said = local.generate(ask(lessons[0], "Does anything abnormal happen?"), sampling=Sampling(max_tokens=8))
    assert said.text in ("yes", "no") and said.finish_reason == "stop"
    described = local.generate(ask(lessons[0], "What happens in the video?"), sampling=Sampling(max_tokens=40))
    assert described.text.endswith(".") and len(described.text.split()) > 3


@pytest.mark.parametrize("kind", ["abnormal", "class", "part"])
def test_decisions_of_the_server_are_the_likelihoods_of_their_letters(client, local, lessons, kind):
    """The server compares letters; the local backend is asked for those letters after the very same words."""
    assert client.dialect == "transformers"
    for lesson in lessons:
        question = lesson.question(kind)
        there = client.likelihood(ask(lesson, question.text), question.choices)
        letters = tuple("ABCDEFGHIJ"[: len(question.choices)])
        here = local.likelihood((decision(lesson, tiny_lessons.lettered(question)[0]),), letters)
        assert not there.exact and here.exact
        among = here.log_probs - np.logaddexp.reduce(here.log_probs)
        np.testing.assert_allclose(there.log_probs, among, atol=TOLERANCE)
        assert there.candidates.index(there.best) == here.candidates.index(here.best)


def decision(lesson: tiny_lessons.Lesson, text: str) -> Message:
    """Returns the very words and pictures of a decision: a blank before each picture, a line end after it."""
    parts: list[Picture | str] = []
    for jpeg, time_s in zip(lesson.jpegs, lesson.times_s, strict=True):
        parts += [f"<{time_s:.1f} seconds> ", Picture(jpeg), "\n"]
    return Message.of("user", *parts, text)
