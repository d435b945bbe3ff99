"""Lessons for the tiny Qwen2.5-VL: a simulated scene as a few pictures, what can be asked of it, and batches of both.

Several questions about one scene share its pictures: each question and its answer sees the pictures and itself alone,
through the attention mask, so that what is learnt is just what a single question asks for later. It trains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vau.training.simulate.questions import Kind, Question, questions
from vau.training.simulate.scene import simulate
from vau.training.simulate.world import SCRIPTS, Script
from vau.training.tiny_sight import GRID, cells, see
from vau.training.tiny_vlm import SIZE, TinyVlm

FRAMES = 4  # as many as a decision of `transformers serve` may show
TOKENS = GRID[0] * GRID[1]  # of a picture
Branch = tuple[str, str]  # a question and what is answered
_MARK = "@@"
_PICTURE = "<|image_pad|>"
_JPEG = (int(cv2.IMWRITE_JPEG_QUALITY), 92)


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


def make_lesson(script: Script, seed: int, *, normal: bool, frames: int = FRAMES) -> Lesson:
    """Simulates a scene and takes frames from it at even distances."""
    scene = simulate(script, seed, normal=normal, rate=4.0, size=SIZE)
    batch = scene.at((np.arange(frames) + 0.5) / frames * scene.duration_s)
    jpegs = tuple(cv2.imencode(".jpg", image[..., ::-1], _JPEG)[1].tobytes() for image in batch.images)
    times_s = tuple(batch.times_s.tolist())
    return Lesson(jpegs, times_s, questions(scene), cells(scene, times_s))


def make_lessons(seeds: Sequence[int]) -> list[Lesson]:
    """Simulates every script and its twin for every seed, so that as many scenes are normal as are not."""
    return [
        make_lesson(script, seed, normal=normal) for seed in seeds for script in SCRIPTS for normal in (False, True)
    ]


def lettered(question: Question) -> Branch:
    """Returns a multiple-choice question in the words in which `transformers serve` puts a decision to a model."""
    letters = ascii_uppercase[: len(question.choices)]
    lines = [f"{letter}. {choice}" for letter, choice in zip(letters, question.choices, strict=True)]
    rule = f"Answer with the letter of the option that fits best (A to {letters[-1]}) only."
    return "\n".join([question.text, "", *lines, rule]), letters[question.choices.index(question.answer)]


def pack(
    tiny: TinyVlm,
    lessons: Sequence[Lesson],
    branches: Sequence[Sequence[Branch]],
    seen: torch.Tensor | None = None,
    *,
    decisions: bool = False,
) -> Packed:
    """Puts scenes with their branches into one batch.

    Args:
        tiny: for its processor.
        lessons: B scenes.
        branches: for each scene pairs of question and answer.
        seen: tokens of the pictures (B, tokens, D) where the eye has looked already, see `tiny_sight.look`.
        decisions: puts pictures on lines of their own, as our decisions of `transformers serve` have them, instead of
            one right after the other.
    """
    tokenizer = tiny.processor.tokenizer
    rows, pixels, grids = [], [], []
    for lesson, pairs in zip(lessons, branches, strict=True):
        content: list[dict[str, str]] = []
        before, after = (" ", "\n") if decisions else ("", "")
        for time_s in lesson.times_s:
            content += [{"type": "text", "text": f"<{time_s:.1f} seconds>{before}"}, {"type": "image"}]
            content.append({"type": "text", "text": after})
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
