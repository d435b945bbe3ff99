"""A trained network as a function of NumPy arrays: features in, logits out, chunk by chunk, with each part's effect.

Needs torch, and is imported only where a checkpoint of a network is loaded. Chunks follow each other without overlap,
as the published evaluators do; what a network has no limit for is cut at 1,024 rows all the same, since attention over
an hour would fill the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vau.errors import CheckpointError, ConfigError
from vau.scoring.card import Card
from vau.scoring.heads.base import Head
from vau.scoring.kernel import columns_of
from vau.types import Float32, Float64

TEXT_KINDS = ("vadclip", "lagovad")  # networks that read class texts
OPEN_KINDS = ("lagovad",)  # those whose definitions may be changed after training
KINDS = ("sultani", "ur-dmu", "gs-moe", *TEXT_KINDS)
_LONGEST = 1024
_ROWS = 2048  # of one pass, several whole chunks; more only fills the memory
_PREFIX = "head."


def build_head(kind: str, arguments: dict[str, Any]) -> Head:
    """Builds an untrained network.

    Raises:
        CheckpointError: the kind is unknown, or the arguments are not its own.
    """
    from vau.scoring.heads.gs_moe import GsMoeHead
    from vau.scoring.heads.lagovad import LaGoVad
    from vau.scoring.heads.sultani import SultaniHead
    from vau.scoring.heads.ur_dmu import UrDmuHead
    from vau.scoring.heads.vadclip import VadClip

    classes: dict[str, type[Head]] = {
        "sultani": SultaniHead,
        "ur-dmu": UrDmuHead,
        "gs-moe": GsMoeHead,
        "vadclip": VadClip,
        "lagovad": LaGoVad,
    }
    if kind not in classes:
        raise CheckpointError(f"no network is called {kind!r}; known: {', '.join(classes)}")
    try:
        return classes[kind](**arguments)
    except (TypeError, ValueError, RuntimeError, MemoryError, OverflowError, AttributeError) as error:
        raise CheckpointError(f"{kind}: arguments {str(arguments)[:200]} do not build it: {error}") from error


def head_arrays(head: Head, mean: Float64, std: Float64, text: Float32 | None) -> dict[str, NDArray[Any]]:
    """Returns what a checkpoint of a network stores."""
    arrays = {_PREFIX + name: tensor.detach().cpu().numpy() for name, tensor in head.state_dict().items()}
    return arrays | {"mean": mean, "std": std} | ({} if text is None else {"text": text})


class HeadModel:
    """A network with the scaling of its features."""

    def __init__(
        self, head: Head, mean: Float64, std: Float64, dims: Sequence[int], text: NDArray[Any] | None = None
    ) -> None:
        """Takes the network as it is.

        Args:
            head: the network; it is put into evaluation mode.
            mean: (D,) of the features.
            std: (D,) positive.
            dims: columns of each part.
            text: (1 + C, E) for networks that read texts.
        """
        self._head = head.eval()
        self._mean, self._std, self._dims = mean.astype(np.float32), std.astype(np.float32), tuple(dims)
        self._text = None if text is None else torch.from_numpy(np.array(text, np.float32))
        self._chunk = min(head.chunk or _LONGEST, _LONGEST)

    def logits(self, features: Float32) -> Float64:
        """Returns (N,) logits of "abnormal" for features (N, D)."""
        return self._run(features)

    def explain(self, features: Float32) -> tuple[Float64, Float64]:
        """Returns logits (N,), and how much they fall where one part after the other is set to its mean (N, P)."""
        logits = self._run(features)
        if len(self._dims) == 1:
            return logits, logits[:, None]
        effects = [logits - self._run(features, without=columns) for columns in columns_of(self._dims)]
        return logits, np.stack(effects, axis=1)

    def _run(self, features: Float32, without: slice | None = None) -> Float64:
        """Scores chunk by chunk, several whole chunks as one batch; what is scaled and copied stays small."""
        found, at = np.empty(len(features)), 0
        with torch.inference_mode():
            while at < len(features):
                left = len(features) - at
                length = min(self._chunk, left)
                count = min(left, _ROWS) // length
                scaled = (features[at : at + count * length] - self._mean) / self._std
                if without is not None:
                    scaled[:, without] = 0.0
                rows = torch.from_numpy(scaled.astype(np.float32, copy=False)).reshape(count, length, -1)
                output = self._head(rows, torch.ones(count, length, dtype=torch.bool), self._text)
                found[at : at + count * length] = output.logits.double().numpy().ravel()
                at += count * length
        return found

    @classmethod
    def of(cls, card: Card, arrays: dict[str, NDArray[Any]], text: Float32 | None = None) -> HeadModel:
        """Builds the network of a checkpoint.

        Args:
            card: says which network.
            arrays: its weights and scaling.
            text: (1 + C, E) that replace the texts it was trained with.

        Raises:
            CheckpointError: the arrays do not fit the network.
            ConfigError: `text` is given for a network that reads none, or whose classes are fixed.
        """
        if text is not None and card.kind not in OPEN_KINDS:
            raise ConfigError(f"a scorer of kind {card.kind} reads no definitions of yours; {OPEN_KINDS[0]} does")
        weights = {name.removeprefix(_PREFIX): torch.from_numpy(array) for name, array in arrays.items() if "." in name}
        _check_size(card.arguments)
        with torch.device("meta"):  # shapes only, so that a stranger's sizes cost nothing before they fit the weights
            shapes = {name: value.shape for name, value in build_head(card.kind, card.arguments).state_dict().items()}
        if shapes != {name: value.shape for name, value in weights.items()}:
            raise CheckpointError(f"{card.kind}: the weights do not fit the arguments {str(card.arguments)[:200]}")
        head = build_head(card.kind, card.arguments)
        head.load_state_dict(weights)
        mean, std = arrays.get("mean"), arrays.get("std")
        total = sum(card.dims)
        if mean is None or std is None or mean.shape != (total,) or std.shape != (total,) or not (std > 0).all():
            raise CheckpointError(f"the checkpoint needs mean and positive std of {total} features")
        texts = arrays.get("text") if text is None else text
        if card.kind in TEXT_KINDS and (texts is None or texts.ndim != 2 or len(texts) < 2):
            raise CheckpointError(f"a checkpoint of kind {card.kind} needs the array 'text' (1 + C, E)")
        model = cls(head, mean, std, card.dims, texts)
        try:
            model.logits(np.zeros((2, total), np.float32))
        except (RuntimeError, ValueError, IndexError) as error:
            raise CheckpointError(f"{card.kind}: the network does not fit {total} features: {error}") from error
        return model


def _check_size(arguments: object) -> None:
    """Refuses sizes in a stranger's card that would fill the memory before the weights are compared."""
    if isinstance(arguments, dict):
        for value in arguments.values():
            _check_size(value)
    elif isinstance(arguments, list | tuple):
        for value in arguments:
            _check_size(value)
    elif isinstance(arguments, int | float) and abs(arguments) > 2**16:
        raise CheckpointError(f"an argument of the network is {arguments}; more than {2**16} is refused")
