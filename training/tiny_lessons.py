"""Teaches the tiny Qwen2.5-VL to read simulated scenes, and examines it on scenes that it has never seen.

Several questions about one scene share its pictures: each question and its answer sees the pictures and itself alone,
through the attention mask, so that what is learnt is just what a single question asks for later.

    python -m vau.training.tiny_lessons OUT --steps 800
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vau.training.simulate.questions import Kind, Question, questions
from vau.training.simulate.scene import simulate
from vau.training.simulate.world import SCRIPTS
from vau.training.tiny_sight import GRID, cells, look, see, teach
from vau.training.tiny_vlm import SIZE, TinyVlm, build, load

FRAMES = 6
EXAMINED: tuple[Kind, ...] = ("class", "abnormal", "part", "colour")
_OFTEN: tuple[Kind, ...] = ("class", "abnormal", "part", "colour", "who")
_SOMETIMES: tuple[Kind, ...] = ("what", "why", "when", "cause", "effect")
_MARK = "@@"
_PICTURE = "<|image_pad|>"
TOKENS = GRID[0] * GRID[1]  # of a picture
_JPEG = (int(cv2.IMWRITE_JPEG_QUALITY), 92)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One scene as the model sees it, and what can be asked about it."""

    jpegs: tuple[bytes, ...]
    times_s: tuple[float, ...]
    asked: tuple[Question, ...]
    cells: NDArray[np.bool_]  # (frames, rows, columns, names), see `tiny_sight`

    def question(self, kind: Kind) -> Question | None:
        """Returns the first question of a kind."""
        return next((item for item in self.asked if item.kind == kind), None)


@dataclass(frozen=True)
class Mark:
    """How many questions of one kind were answered rightly."""

    kind: Kind
    right: int
    asked: int
    majority: int  # right if the commonest answer of the examined scenes were always given

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / max(self.asked, 1)

    @property
    def baseline(self) -> float:
        """Share of right answers of the majority baseline."""
        return self.majority / max(self.asked, 1)

    def __str__(self) -> str:
        return f"{self.kind}: {self.accuracy:.3f} of {self.asked} right, majority baseline {self.baseline:.3f}"


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of scenes (B), each with its branches of question and answer behind the pictures; L tokens."""

    ids: torch.Tensor  # (B, L)
    mask: torch.Tensor  # (B, 1, L, L) True where a token may look
    positions: torch.Tensor  # (3, B, L)
    kinds: torch.Tensor  # (B, L) 1 at the tokens of pictures
    answers: torch.Tensor  # (B, L) number of the branch at the tokens of its answer, 0 elsewhere
    grids: torch.Tensor  # (all pictures, 3)
    pixels: torch.Tensor | None  # patches of all pictures; None where their tokens are given
    seen: torch.Tensor | None  # tokens of all pictures (tokens, D) where the eye has looked already


def make_lesson(script: str, seed: int, *, normal: bool, frames: int = FRAMES) -> Lesson:
    """Simulates a scene and takes frames from it at even distances."""
    scene = simulate(script, seed, normal=normal, rate=4.0, size=SIZE)  # type: ignore[arg-type]
    batch = scene.at((np.arange(frames) + 0.5) / frames * scene.duration_s)
    jpegs = tuple(cv2.imencode(".jpg", image[..., ::-1], _JPEG)[1].tobytes() for image in batch.images)
    times_s = tuple(batch.times_s.tolist())
    return Lesson(jpegs, times_s, questions(scene), cells(scene, times_s))


def make_lessons(seeds: Sequence[int]) -> list[Lesson]:
    """Simulates every script and its twin for every seed."""
    return [
        make_lesson(script, seed, normal=normal) for seed in seeds for script in SCRIPTS for normal in (False, True)
    ]


def pack(
    tiny: TinyVlm,
    lessons: Sequence[Lesson],
    branches: Sequence[Sequence[tuple[str, str]]],
    seen: torch.Tensor | None = None,
) -> Packed:
    """Puts scenes with their branches into one batch.

    Args:
        tiny: for its processor.
        lessons: B scenes.
        branches: for each scene pairs of question and answer.
        seen: tokens of the pictures (B, tokens, D) where the eye has looked already, see `tiny_sight.look`.
    """
    tokenizer = tiny.processor.tokenizer
    rows, pixels, grids = [], [], []
    for lesson, pairs in zip(lessons, branches, strict=True):
        content: list[dict[str, str]] = []
        for time_s in lesson.times_s:
            content += [{"type": "text", "text": f"<{time_s:.1f} seconds>"}, {"type": "image"}]
        content.append({"type": "text", "text": _MARK})
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        shown, asked = chat.split(_MARK)
        if seen is None:
            pixels.append(see(tiny, lesson.jpegs).flatten(0, 1))
        ids = tokenizer(shown.replace(_PICTURE, _PICTURE * TOKENS), add_special_tokens=False, return_tensors="pt")
        kinds = (ids.input_ids == tiny.model.config.image_token_id).int()
        grid = torch.tensor([[1, 2 * GRID[1], 2 * GRID[0]]]).repeat(len(lesson.jpegs), 1)
        places, _ = tiny.model.model.get_rope_index(ids.input_ids, kinds, image_grid_thw=grid)
        row = _Row(ids.input_ids[0].tolist(), places[:, 0], kinds[0])
        for question, answer in pairs:
            row.add(
                tokenizer(question + asked, add_special_tokens=False).input_ids,
                tokenizer(answer, add_special_tokens=False).input_ids,
            )
        rows.append(row)
        grids.append(grid)
    patches = torch.cat(pixels) if seen is None else None
    return _stack(rows, int(tokenizer.pad_token_id), torch.cat(grids), patches, seen)


class _Row:
    """Token ids, branches and positions of one scene while it is packed."""

    def __init__(self, ids: list[int], places: torch.Tensor, kinds: torch.Tensor) -> None:
        self.ids, self.kinds = ids, kinds
        self.branch, self.answer = [0] * len(ids), [0] * len(ids)
        self.places = [places]
        self._next = int(places.max()) + 1
        self._count = 0

    def add(self, question: list[int], answer: list[int]) -> None:
        self._count += 1
        length = len(question) + len(answer)
        self.ids = self.ids + question + answer
        self.branch += [self._count] * length
        self.answer += [0] * len(question) + [self._count] * len(answer)
        self.places.append((self._next + torch.arange(length)).expand(3, -1))


def _stack(
    rows: Sequence[_Row], pad: int, grids: torch.Tensor, pixels: torch.Tensor | None, seen: torch.Tensor | None
) -> Packed:
    widest = max(len(row.ids) for row in rows)
    size = (len(rows), widest)
    ids, kinds = torch.full(size, pad), torch.zeros(size, dtype=torch.long)
    branch, answers = torch.full(size, -1), torch.zeros(size, dtype=torch.long)
    positions = torch.zeros((3, *size), dtype=torch.long)
    for number, row in enumerate(rows):
        length = len(row.ids)
        ids[number, :length] = torch.tensor(row.ids)
        kinds[number, : len(row.kinds)] = row.kinds
        branch[number, :length] = torch.tensor(row.branch)
        answers[number, :length] = torch.tensor(row.answer)
        positions[:, number, :length] = torch.cat(row.places, 1)
    before = torch.ones(widest, widest, dtype=torch.bool).tril()
    same = (branch[:, None, :] == branch[:, :, None]) | (branch[:, None, :] == 0)
    tokens = None if seen is None else seen.flatten(0, 1)
    return Packed(ids, (before & same)[:, None], positions, kinds, answers, grids, pixels, tokens)


def answer_log_probs(tiny: TinyVlm, packed: Packed) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the log probability of every token of an answer (M,) and its place in the batch (M, 2)."""
    given = {"input_ids": packed.ids, "pixel_values": packed.pixels, "mm_token_type_ids": packed.kinds}
    if packed.seen is not None:
        words = tiny.model.get_input_embeddings()(packed.ids)
        pictures = (packed.ids == tiny.model.config.image_token_id)[..., None]
        given = {"inputs_embeds": words.masked_scatter(pictures, packed.seen.to(words.dtype))}
    else:
        given["image_grid_thw"] = packed.grids
    hidden = tiny.model.model(
        **given, attention_mask=packed.mask, position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    where = packed.answers.nonzero()
    logits = tiny.model.lm_head(hidden[where[:, 0], where[:, 1] - 1])
    loss = functional.cross_entropy(logits.float(), packed.ids[where[:, 0], where[:, 1]], reduction="none")
    return -loss, where


def train(
    tiny: TinyVlm,
    lessons: Sequence[Lesson],
    *,
    eye_steps: int,
    steps: int,
    batch: int = 8,
    rate: float = 1.5e-3,
    seed: int = 0,
) -> list[float]:
    """Trains the eye, then the language model on what the eye sees; returns the loss of every step of the latter.

    Args:
        tiny: trained in place.
        lessons: what to learn from; each is seen mirrored too.
        eye_steps: of `tiny_sight.teach`.
        steps: of the language model by AdamW with a warm-up and a cosine; the rate falls to its fiftieth over them.
        batch: scenes a step.
        rate: highest learning rate.
        seed: of the order, the choice of questions and the mirroring.
    """
    random = np.random.default_rng(seed)
    tiny.model.train()
    teach(tiny, lessons, steps=eye_steps, seed=seed)
    tokens = torch.cat([look(tiny, lessons, flip=flip) for flip in (False, True)])
    optimizer = _optimizer(tiny, rate)
    losses: list[float] = []
    begun = time.monotonic()
    order = _order(random, len(lessons))
    for step in range(steps):
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 40) * (0.02 + 0.98 * cosine)
        numbers = [next(order) for _ in range(batch)]
        chosen = [lessons[number] for number in numbers]
        branches = [_choose(lesson, random, tiny.processor.tokenizer.eos_token) for lesson in chosen]
        shown = torch.tensor(numbers) + len(lessons) * torch.from_numpy(random.integers(0, 2, batch))
        packed = pack(tiny, chosen, branches, tokens[shown])
        with torch.autocast("cpu", torch.bfloat16):  # 1.7 times as fast on a CPU that has it
            log_probs, where = answer_log_probs(tiny, packed)
        # Every answer counts alike, however many words it has.
        branch = packed.answers[where[:, 0], where[:, 1]] + where[:, 0] * (packed.answers.max() + 1)
        _, position, count = branch.unique(return_inverse=True, return_counts=True)
        loss = -(log_probs / count[position]).sum() / len(count)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tiny.model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) % 25 == 0:
            _log.info("step %d, %.0f s, loss %.3f", len(losses), time.monotonic() - begun, np.mean(losses[-25:]))
    tiny.model.eval()
    return losses


def _optimizer(tiny: TinyVlm, rate: float) -> torch.optim.AdamW:
    """Returns an optimizer of the language model alone, which decays matrices and no norms."""
    weights = list(tiny.model.model.language_model.parameters())
    decayed, others = ([w for w in weights if (w.ndim > 1) == matrix] for matrix in (True, False))
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def _order(random: np.random.Generator, count: int) -> Iterator[int]:
    while True:
        yield from random.permutation(count).tolist()


def _choose(lesson: Lesson, random: np.random.Generator, end: str) -> list[tuple[str, str]]:
    kinds = [*_OFTEN, str(random.choice(_SOMETIMES))]
    asked = [lesson.question(kind) for kind in kinds]  # type: ignore[arg-type]
    return [(question.text, question.answer + end) for question in asked if question is not None]


def examine(tiny: TinyVlm, lessons: Sequence[Lesson], kinds: Sequence[Kind] = EXAMINED) -> list[Mark]:
    """Asks multiple-choice questions and takes the likeliest of their choices as the answer."""
    right: Counter[str] = Counter()
    truth: dict[Kind, Counter[str]] = {kind: Counter() for kind in kinds}
    for lesson in lessons:
        asked = [question for kind in kinds if (question := lesson.question(kind)) is not None]
        pairs = [(question.text, choice) for question in asked for choice in question.choices]
        packed = pack(tiny, [lesson], [pairs])
        with torch.no_grad():
            log_probs, where = answer_log_probs(tiny, packed)
        totals = torch.zeros(len(pairs)).index_add_(0, packed.answers[0, where[:, 1]] - 1, log_probs)
        for question in asked:
            own, totals = totals[: len(question.choices)], totals[len(question.choices) :]
            truth[question.kind][question.answer] += 1
            right[question.kind] += question.choices[int(own.argmax())] == question.answer
    return [Mark(kind, right[kind], truth[kind].total(), max(truth[kind].values(), default=0)) for kind in kinds]


def main() -> None:
    """Trains on one thread, examines, saves and reads back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the trained model")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--eye-steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=60, help="scenes of every script and twin to learn from")
    parser.add_argument("--held-out", type=int, default=12, help="the same, to examine on")
    parser.add_argument("--from", dest="start", type=Path, help="a model to go on training")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    learnt, unseen = make_lessons(range(given.seeds)), make_lessons(range(10_000, 10_000 + given.held_out))
    tiny = build() if given.start is None else load(given.start)
    _log.info("%d weights, %d scenes to learn from, %d to examine on", tiny.parameters, len(learnt), len(unseen))
    losses = train(tiny, learnt, eye_steps=given.eye_steps, steps=given.steps)
    tiny.save(given.out)
    again = load(given.out)
    _log.info("%d steps, last loss %.3f", len(losses), np.mean(losses[-25:]))
    for name, lessons in (("learnt", learnt[: len(unseen)]), ("held out", unseen)):
        for mark in examine(again, lessons):
            _log.info("%s %s", name, mark)


if __name__ == "__main__":
    main()
