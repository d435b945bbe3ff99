"""Teaches the eye of the tiny model: what stands in each cell of a picture, read from the scene's truth.

A model this small does not learn to see from answers alone in minutes (tried: after 400 steps it knew the priors and no
more), so its vision tower first names what is in each of its tokens. The layer that does so is thrown away afterwards,
and the tokens are brought to a size at which the layers of the language model can still add to them.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from vau.training.simulate.scene import Scene
from vau.training.simulate.tracks import tracks
from vau.training.simulate.world import COLOURS, Actor
from vau.training.tiny_vlm import SIZE, TinyVlm

CELL = 28  # pixels of a token: patches of 14, merged two by two
GRID = (SIZE[0] // CELL, SIZE[1] // CELL)  # columns, rows
_MARKED = ("restricted area", "counter flow lane", "training mat", "bus stop", "road")
NAMES = ("person", "vehicle", "bag", "lying", "vest", "smoke", "bench", "pole", "arrows", *_MARKED, *COLOURS)
_BODIES = ("person", "vehicle", "bag")
_RARE = ("lying", "vest", "bag", "smoke", "arrows", "pole")
_LEAST = 0.06  # of a cell that a body's box must cover
_PICTURES = 48  # a step
_SPREAD = 0.65  # standard deviation of the tokens' values; left alone it is about 3
_log = logging.getLogger(__name__)


class Shown(Protocol):
    """A lesson as far as the eye is concerned."""

    @property
    def jpegs(self) -> tuple[bytes, ...]:
        """Its pictures."""
        ...

    @property
    def cells(self) -> NDArray[np.bool_]:
        """What is in them (pictures, rows, columns, names)."""
        ...


def cells(scene: Scene, times_s: Sequence[float]) -> NDArray[np.bool_]:
    """Returns what is in each cell of frames (N, rows, columns, len(NAMES)).

    Args:
        scene: rendered at `SIZE`.
        times_s: (N,) times of frames.
    """
    ground = _ground(scene)
    shown = np.repeat(ground[None], len(times_s), 0)
    seen = tracks(scene, scene.rate)
    for row, time_s in enumerate(times_s):
        for track in seen:
            at = int(np.argmin(np.abs(track.times_s - time_s)))
            if abs(track.times_s[at] - time_s) < 0.5 / scene.rate:
                actor = scene.actor(track.track_id)
                lying = float(actor.motion.pitch[round(time_s * scene.rate)]) > 1.0
                covered = _covered(track.boxes[at])
                for name in _names(actor, lying=lying):
                    shown[row, covered, NAMES.index(name)] = True
        if scene.stage.smoke is not None and time_s > scene.stage.smoke.start_s:
            x, y = scene.camera.ground(*scene.stage.smoke.at, 1.4)
            shown[row, _covered(np.array([x - 14, y - 24, x + 14, y + 24])), NAMES.index("smoke")] = True
    return shown


def _names(actor: Actor, *, lying: bool) -> list[str]:
    kind = {"person": "person", "suitcase": "bag"}.get(actor.label, "vehicle")
    return [kind, actor.colour, *(["lying"] if lying else []), *(["vest"] if actor.vest else [])]


def _covered(box: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Returns the cells (rows, columns) that a box covers to a part."""
    left, top = np.arange(GRID[0]) * CELL, np.arange(GRID[1]) * CELL
    wide = np.clip(np.minimum(left + CELL, box[2]) - np.maximum(left, box[0]), 0, None)
    tall = np.clip(np.minimum(top + CELL, box[3]) - np.maximum(top, box[1]), 0, None)
    return np.asarray(tall[:, None] * wide[None] > _LEAST * CELL**2)


def _ground(scene: Scene) -> NDArray[np.bool_]:
    """Returns the marks of zones and props in each cell (rows, columns, names)."""
    shown = np.zeros((GRID[1], GRID[0], len(NAMES)), bool)
    for zone in scene.stage.zones:
        (x0, y0), (x1, y1) = np.min(zone.corners, 0), np.max(zone.corners, 0)
        x, y = np.meshgrid(np.linspace(max(x0, -12), min(x1, 12), 60), np.linspace(max(y0, 3), y1, 30))
        pixels, _ = scene.camera.project(np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3))
        column, row = np.floor(pixels / CELL).astype(int).T
        inside = (column >= 0) & (column < GRID[0]) & (row >= 0) & (row < GRID[1])
        if zone.kind in _MARKED:
            shown[row[inside], column[inside], NAMES.index(zone.kind)] = True
        if zone.one_way is not None:
            shown[row[inside], column[inside], NAMES.index("arrows")] = True
    for prop in scene.stage.props:
        if prop.kind in ("bench", "pole"):
            x0, y0 = scene.camera.ground(*prop.at, 0.3 if prop.kind == "bench" else 2.2)
            shown[_covered(np.array([x0 - 12, y0 - 6, x0 + 12, y0 + 6])), NAMES.index(prop.kind)] = True
    return shown


def told(shown: NDArray[np.bool_]) -> str:
    """Returns what is in a picture (rows, columns, names) in words: bodies with their colours, then everything else."""
    flat = shown.reshape(-1, len(NAMES))
    there = {name: flat[:, number] for number, name in enumerate(NAMES)}
    bodies = [
        f"{colour} {body}" for body in _BODIES for colour in COLOURS if (there[body] & there[colour]).any()
    ]  # fmt: skip
    others = [name for name in NAMES if name not in (*_BODIES, *COLOURS) and there[name].any()]
    return ", ".join([*bodies, *others]) + "."


def see(tiny: TinyVlm, jpegs: Sequence[bytes], *, flip: bool = False) -> torch.Tensor:
    """Returns the patches of pictures (N, patches, values) as the image processor makes them, mirrored or not."""
    images = [Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in jpegs]
    if flip:
        images = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for image in images]
    values: torch.Tensor = tiny.processor.image_processor(images, return_tensors="pt")["pixel_values"]
    return values.reshape(len(images), -1, values.shape[-1])


def teach(tiny: TinyVlm, lessons: Sequence[Shown], *, steps: int, seed: int = 0) -> list[float]:
    """Trains the vision tower to name what is in each of its tokens; returns the loss of every step.

    Args:
        tiny: its vision tower is trained in place.
        lessons: pictures and the truth about them.
        steps: of 48 pictures each, half of them mirrored.
        seed: of the choice; pictures with something rare in them are drawn three times as often.
    """
    random = np.random.default_rng(seed)
    pictures = [(jpeg, shown) for lesson in lessons for jpeg, shown in zip(lesson.jpegs, lesson.cells, strict=True)]
    wanted = torch.from_numpy(np.stack([shown for _, shown in pictures]))  # (pictures, rows, columns, names)
    drawn = 1.0 + 2.0 * wanted[..., [NAMES.index(name) for name in _RARE]].any(-1).flatten(1).any(1).numpy()
    share = wanted.float().mean((0, 1, 2))
    rarity = ((1 - share) / share.clamp_min(1e-3)).sqrt().clamp(1, 12)
    eye, names = tiny.model.model.visual, torch.nn.Linear(tiny.model.config.vision_config.out_hidden_size, len(NAMES))
    rate = 2e-3
    optimizer = torch.optim.AdamW([*eye.parameters(), *names.parameters()], lr=rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    losses: list[float] = []
    for _ in range(steps):
        some = random.choice(len(pictures), _PICTURES, p=drawn / drawn.sum()).tolist()
        plain, turned = some[::2], some[1::2]
        patches = torch.cat(
            [see(tiny, [pictures[i][0] for i in plain]), see(tiny, [pictures[i][0] for i in turned], flip=True)]
        )
        truth = torch.cat([wanted[plain], wanted[turned].flip(2)]).flatten(0, 2).float()
        with fast():
            said = names(_tokens(tiny, patches))
        loss = functional.binary_cross_entropy_with_logits(said.float(), truth, pos_weight=rarity)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(eye.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if len(losses) % 50 == 0:
            _log.info("eye, step %d, loss %.3f", len(losses), np.mean(losses[-50:]))
    with torch.no_grad():
        size = _SPREAD / _tokens(tiny, patches).std()
        for weight in eye.merger.mlp[-1].parameters():
            weight.mul_(size)
    return losses


def look(tiny: TinyVlm, lessons: Sequence[Shown], *, flip: bool = False) -> torch.Tensor:
    """Returns the tokens of all pictures (lessons, pictures * tokens, D) as the language model gets them."""
    with torch.no_grad(), fast():
        return torch.stack([_tokens(tiny, see(tiny, lesson.jpegs, flip=flip)).float() for lesson in lessons])


def _tokens(tiny: TinyVlm, patches: torch.Tensor) -> torch.Tensor:
    """Returns the tokens (N * tokens, D) of pictures given as patches (N, patches, values)."""
    grid = torch.tensor([[1, 2 * GRID[1], 2 * GRID[0]]]).repeat(len(patches), 1)
    seen: torch.Tensor = tiny.model.model.visual(patches.flatten(0, 1), grid_thw=grid).pooler_output
    return seen


def fast() -> torch.autocast:
    """Computes in bfloat16 where the processor has it, which takes 0.6 of the time; else nothing changes."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())
