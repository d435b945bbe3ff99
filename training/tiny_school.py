"""Trains the tiny Qwen2.5-VL to read simulated scenes, and examines it on scenes that it has never seen.

The eye learns first (`tiny_sight`), then the language model on what the eye sees; both learn from the scenes' truth.
That it looks at the pictures at all is shown by two controls: grey pictures, and those of another scene. The recipe is
ours, made for a processor. What it learns holds for the simulator's drawings and for nothing else.

    python -m vau.training.tiny_school OUT --brief

On 162 held-out scenes the brief recipe named the class of 0.74 and told the abnormal from the normal in 0.77 (0.50 is
the best guess without pictures; 0.42 and 0.56 with those of another scene). The longer recipe, which also asks for the
colour and the part, has not been measured.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import torch

from vau.training.simulate.questions import Kind
from vau.training.tiny_lessons import TOKENS, Branch, Lesson, Packed, answer_log_probs, lettered, make_lessons, pack
from vau.training.tiny_sight import fast, look, teach, told
from vau.training.tiny_vlm import SIZE, TinyVlm, build, load

EXAMINED: tuple[Kind, ...] = ("class", "abnormal", "part", "colour")
HELD_OUT = 9500  # first seed of the scenes to examine on
Pictures = Literal["own", "grey", "other"]
_SOMETIMES: tuple[Kind, ...] = ("who", "what", "why", "when", "cause", "effect")
_DECISIONS = 0.3  # of the steps
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How much is learnt: from scenes of so many seeds, in so many steps of the eye and of the language model."""

    seeds: int = 150
    eye_steps: int = 500
    picture_steps: int = 500  # of the language model on single pictures
    steps: int = 900  # of the language model on whole scenes
    batch: int = 12  # scenes a step
    rate: float = 2e-3
    kinds: tuple[Kind, ...] = EXAMINED  # asked of every scene in every step


BRIEF = Recipe(seeds=40, eye_steps=220, picture_steps=60, steps=360, kinds=("class", "abnormal"))


@dataclass(frozen=True)
class Mark:
    """How many questions of one kind were answered rightly."""

    kind: Kind
    right: int
    asked: int
    guessed: int  # right by the best guess that knows the question and the times of the pictures, see `examine`

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / max(self.asked, 1)

    @property
    def baseline(self) -> float:
        """Share of right answers of the best guess."""
        return self.guessed / max(self.asked, 1)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy by Wilson's formula."""
        n, share, z = max(self.asked, 1), self.accuracy, 1.96
        middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.kind}: {self.accuracy:.3f} [{low:.3f}, {high:.3f}] of {self.asked}, best guess {self.baseline:.3f}"
        )


def train(tiny: TinyVlm, lessons: Sequence[Lesson], recipe: Recipe, *, seed: int = 0) -> list[float]:
    """Trains the eye, then the language model on what the eye sees; returns the loss of every step of the latter.

    The language model learns by AdamW with a warm-up and a cosine. It says first what is in single pictures, where a
    body is one token of a few and not one of a hundred. Then it answers questions about scenes, which each step puts
    either as a chat does or as the decisions of `transformers serve` do.

    Args:
        tiny: trained in place.
        lessons: what to learn from; each is seen mirrored too.
        recipe: steps, batch and highest learning rate.
        seed: of the order, the choice of questions and the mirroring.
    """
    random = np.random.default_rng(seed)
    tiny.model.train()
    teach(tiny, lessons, steps=recipe.eye_steps, seed=seed)
    tokens = torch.cat([look(tiny, lessons, flip=flip) for flip in (False, True)])
    optimizer, order = _optimizer(tiny, recipe.rate), _order(random, len(lessons))
    losses: list[float] = []
    begun, count = time.monotonic(), recipe.picture_steps + recipe.steps
    for step in range(count):
        cosine = 0.5 * (1 + math.cos(math.pi * step / count))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * min(1.0, (step + 1) / 40) * (0.02 + 0.98 * cosine)
        single = step < recipe.picture_steps
        numbers = [next(order) for _ in range(recipe.batch * (len(lessons[0].jpegs) if single else 1))]
        shown = tokens[torch.tensor(numbers) + len(lessons) * torch.from_numpy(random.integers(0, 2, len(numbers)))]
        some = [lessons[number] for number in numbers]
        packed = _pictures(tiny, some, shown, random) if single else _scenes(tiny, some, shown, random, recipe.kinds)
        with fast():
            log_probs, where = answer_log_probs(tiny, packed)
        # A long answer counts for more than a short one, but not by all its length.
        branch = packed.answers[where[:, 0], where[:, 1]] + where[:, 0] * (packed.answers.max() + 1)
        _, position, words = branch.unique(return_inverse=True, return_counts=True)
        loss = -(log_probs / words[position].sqrt()).sum() / len(words)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tiny.model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) % 50 == 0:
            _log.info("step %d, %.0f s, loss %.3f", len(losses), time.monotonic() - begun, np.mean(losses[-50:]))
    tiny.model.eval()
    return losses


def _pictures(tiny: TinyVlm, lessons: Sequence[Lesson], tokens: torch.Tensor, random: np.random.Generator) -> Packed:
    """Draws one picture of each scene and asks for what is in it; tokens are those of all pictures (B, tokens, D)."""
    drawn = random.integers(0, len(lessons[0].jpegs), len(lessons)).tolist()
    single = [
        replace(lesson, jpegs=(lesson.jpegs[one],), times_s=(lesson.times_s[one],), cells=lesson.cells[one : one + 1])
        for lesson, one in zip(lessons, drawn, strict=True)
    ]
    seen = tokens.unflatten(1, (-1, TOKENS))[torch.arange(len(lessons)), torch.tensor(drawn)]
    return pack(tiny, single, [[_content(tiny, lesson, 0)] for lesson in single], seen)


def _scenes(
    tiny: TinyVlm, lessons: Sequence[Lesson], tokens: torch.Tensor, random: np.random.Generator, kinds: Sequence[Kind]
) -> Packed:
    """Draws questions about scenes, as a chat or as decisions put them; tokens are those of their pictures."""
    decisions = bool(random.random() < _DECISIONS)
    branches = [_choose(tiny, lesson, random, kinds, decisions=decisions) for lesson in lessons]
    return pack(tiny, lessons, branches, tokens, decisions=decisions)


def _optimizer(tiny: TinyVlm, rate: float) -> torch.optim.AdamW:
    """Returns an optimizer of the language model alone, which decays matrices and no norms."""
    weights = list(tiny.model.model.language_model.parameters())
    decayed, others = ([w for w in weights if (w.ndim > 1) == matrix] for matrix in (True, False))
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def _order(random: np.random.Generator, count: int) -> Iterator[int]:
    while True:
        yield from random.permutation(count).tolist()


def _choose(
    tiny: TinyVlm, lesson: Lesson, random: np.random.Generator, kinds: Sequence[Kind], *, decisions: bool
) -> list[Branch]:
    """Draws what is asked of a scene in one step; the content of one picture always is, since it teaches reading."""
    end = str(tiny.processor.tokenizer.eos_token)
    asked = [question for kind in kinds if (question := lesson.question(kind)) is not None]
    pairs = [lettered(item) if decisions else (item.text, item.answer) for item in asked]
    if not decisions and (more := lesson.question(_SOMETIMES[int(random.integers(0, len(_SOMETIMES)))])) is not None:
        pairs.append((more.text, more.answer))
    content = _content(tiny, lesson, int(random.integers(0, len(lesson.times_s))))
    return [*((question, answer + end) for question, answer in pairs), content]


def _content(tiny: TinyVlm, lesson: Lesson, one: int) -> Branch:
    """Returns the question what is seen in one picture, and all that is."""
    answer = told(lesson.cells[one]) + str(tiny.processor.tokenizer.eos_token)
    return f"What is seen at {lesson.times_s[one]:.1f} s?", answer


def examine(
    tiny: TinyVlm, lessons: Sequence[Lesson], kinds: Sequence[Kind] = EXAMINED, *, pictures: Pictures = "own"
) -> list[Mark]:
    """Asks multiple-choice questions and takes the likeliest of their choices as the answer.

    Beside the marks stands the best guess without pictures: the commonest answer among the examined scenes with the
    same question and the same times. It is fitted to the truth of just these scenes, and so a little too good.

    Args:
        tiny: the model.
        lessons: scenes that it has not learnt from.
        kinds: of questions with choices.
        pictures: those of the scene; as controls grey ones, or those of another scene under the times of this one.
    """
    right: Counter[str] = Counter()
    truth: dict[Kind, dict[tuple[str, float], Counter[str]]] = {kind: defaultdict(Counter) for kind in kinds}
    for lesson in _shown(lessons, pictures):
        asked = [question for kind in kinds if (question := lesson.question(kind)) is not None]
        pairs = [(question.text, choice) for question in asked for choice in question.choices]
        packed = pack(tiny, [lesson], [pairs])
        with torch.no_grad():
            log_probs, where = answer_log_probs(tiny, packed)
        totals = torch.zeros(len(pairs)).index_add_(0, packed.answers[0, where[:, 1]] - 1, log_probs)
        for question in asked:
            own, totals = totals[: len(question.choices)], totals[len(question.choices) :]
            truth[question.kind][question.text, lesson.times_s[-1]][question.answer] += 1
            right[question.kind] += question.choices[int(own.argmax())] == question.answer
    return [
        Mark(
            kind,
            right[kind],
            sum(group.total() for group in truth[kind].values()),
            sum(max(group.values()) for group in truth[kind].values()),
        )
        for kind in kinds
    ]


def _shown(lessons: Sequence[Lesson], pictures: Pictures) -> list[Lesson]:
    if pictures == "own":
        return list(lessons)
    if pictures == "grey":
        grey = cv2.imencode(".jpg", np.full((SIZE[1], SIZE[0], 3), 128, np.uint8))[1].tobytes()
        return [replace(lesson, jpegs=(grey,) * len(lesson.jpegs)) for lesson in lessons]
    order = np.random.default_rng(0).permutation(len(lessons))
    others = dict(zip(order, np.roll(order, 1), strict=True))  # nobody keeps its own
    return [replace(lesson, jpegs=lessons[others[number]].jpegs) for number, lesson in enumerate(lessons)]


def main() -> None:
    """Trains, saves, reads back and examines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the trained model")
    parser.add_argument("--brief", action="store_true", help="fewer scenes, steps and kinds of question: minutes")
    parser.add_argument("--held-out", type=int, default=20, help="seeds to examine on, 18 scenes each")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    recipe, tiny = BRIEF if given.brief else Recipe(), build()
    begun = time.monotonic()
    learnt = make_lessons(range(recipe.seeds))
    _log.info("%d weights, %d scenes to learn from, %.0f s", tiny.parameters, len(learnt), time.monotonic() - begun)
    losses = train(tiny, learnt, recipe)
    tiny.save(given.out)
    _log.info("learnt in %.0f s, last loss %.3f", time.monotonic() - begun, np.mean(losses[-25:]))
    again, unseen = load(given.out), make_lessons(range(HELD_OUT, HELD_OUT + given.held_out))
    for pictures in get_args(Pictures):
        for mark in examine(again, unseen, recipe.kinds, pictures=pictures):
            _log.info("%s pictures, %s", pictures, mark)


if __name__ == "__main__":
    main()
