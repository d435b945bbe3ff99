"""The methods that `vau train scorer` knows: which network, which objective, whose settings, and on what bags.

One entry a published method, with its own optimiser; sizes follow the features. Ours: the length to which bags are
cut, the same for training videos of all kinds, and that MIL losses without a network of their own use Sultani's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch

from vau.errors import InputError
from vau.scoring.head_model import TEXT_KINDS, build_head
from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Bag
from vau.training.scorer.objectives import Objective, Settings
from vau.training.scorer.segments import SEGMENTS, to_segments
from vau.training.scorer.trainer import Draw, balanced
from vau.types import Float32

Method = Literal["mil", "topk", "rtfm", "ur-dmu", "gs-moe", "vadclip", "lagovad"]
METHODS: tuple[str, ...] = get_args(Method)
TEXT_METHODS = TEXT_KINDS  # methods whose networks read class texts


@dataclass(frozen=True, eq=False)
class Recipe:
    """One method on features of a known size."""

    method: str
    kind: str  # of the network
    arguments: dict[str, Any]  # JSON-able
    objective: Objective
    settings: Settings
    longest: int  # rows of a training bag; longer videos are averaged to it
    exactly: bool = False  # shorter ones are stretched to it too
    synthetic: bool = False  # whether steps see videos put together from clips

    def head(self, seed: int) -> Head:
        """Builds the network with weights from a seed."""
        torch.manual_seed(seed)
        return build_head(self.kind, self.arguments)

    def bags(self, bags: Sequence[Bag]) -> list[Bag]:
        """Returns the training bags at the method's length; frame labels, which training does not read, are dropped."""
        return [
            Bag(bag.video, to_segments(bag.features, self.longest, unit=False), bag.label)
            if self.exactly or len(bag.features) > self.longest
            else Bag(bag.video, bag.features, bag.label)
            for bag in bags
        ]

    def draw(self, bags: list[Bag]) -> Draw:
        """Returns how the bags of a step are chosen."""
        return _synthetic(bags, self) if self.synthetic else balanced(bags, self.settings.bags_a_side)


def recipe(method: str, *, dim: int, classes: int, text: Float32 | None = None) -> Recipe:
    """Returns a method's recipe.

    Args:
        method: out of `METHODS`.
        dim: D of the features.
        classes: C, anomaly classes.
        text: (1 + C, E) unit rows of the class texts, for methods that read them.

    Raises:
        InputError: the method is unknown, or needs texts.
    """
    if method in TEXT_METHODS:
        if text is None or len(text) != 1 + classes:
            raise InputError(f"{method} needs a text for each of the {1 + classes} classes")
        return _with_text(method, dim, text)
    from vau.training.scorer.objectives import gs_moe, rtfm, sultani, topk, ur_dmu

    plain = {"input_size": dim}
    match method:
        case "mil":  # deep multiple-instance ranking of Sultani et al.
            return Recipe(
                method, "sultani", plain, sultani.SultaniObjective(), sultani.SETTINGS, SEGMENTS, exactly=True
            )
        case "topk":
            return Recipe(method, "sultani", plain, topk.TopKObjective(), rtfm.SETTINGS, 200)
        case "rtfm":
            return Recipe(method, "sultani", plain, rtfm.RtfmObjective(), rtfm.SETTINGS, SEGMENTS, exactly=True)
        case "ur-dmu":
            return Recipe(method, "ur-dmu", plain, ur_dmu.UrDmuObjective(), ur_dmu.SETTINGS, 200)
        case "gs-moe":
            arguments: dict[str, Any] = {"classes": classes, "base": plain}
            return Recipe(method, "gs-moe", arguments, gs_moe.GsMoeObjective(), gs_moe.SETTINGS, 200)
    raise InputError(f"no method is called {method!r}; choose from {', '.join(METHODS)}")


def _with_text(method: str, dim: int, text: Float32) -> Recipe:
    from vau.training.scorer.objectives import lagovad, vadclip

    rows = torch.from_numpy(np.array(text, np.float32))
    arguments = {"dim": dim, "text_dim": int(rows.shape[1])}
    if method == "vadclip":
        return Recipe(method, "vadclip", arguments, vadclip.VadClipObjective(rows), vadclip.SETTINGS, 256)
    # The published fusion hardly heeds the definitions that a user writes; a match with their texts does.
    arguments |= {"width": 256, "matched": True}
    objective = lagovad.LaGoVadObjective(lagovad.DefinitionBank(rows))
    return Recipe(method, "lagovad", arguments, objective, lagovad.SETTINGS, 512, synthetic=True)


def _synthetic(bags: list[Bag], recipe: Recipe) -> Draw:
    """Dynamic video synthesis around as many abnormal bags as a step has."""
    from vau.training.scorer.synthesis import nearest_normal, synthesise

    normal, abnormal = ([bag for bag in bags if (bag.label > 0) is kind] for kind in (False, True))
    near = nearest_normal([*normal, *abnormal])  # the normal ones come first, so that places stay what they are
    count = min(recipe.settings.bags_a_side, len(abnormal))

    def draw(generator: torch.Generator) -> list[Bag]:
        picks = torch.randperm(len(abnormal), generator=generator)[:count].tolist()
        anchors = [abnormal[index] for index in picks]
        neighbours = [*near[: len(normal)], *(near[len(normal) + index] for index in picks)]
        return synthesise([*normal, *anchors], generator, neighbours=neighbours, longest=recipe.longest)

    return draw
