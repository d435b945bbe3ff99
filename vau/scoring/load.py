"""From the configuration's scoring section to a scorer: a checkpoint's own kind, else the named method.

Each scorer's module is imported only where it is the one asked for, since most need more than NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vau.config import PerceptionConfig, ScoringConfig
from vau.errors import CheckpointError, ConfigError, MissingExtraError
from vau.scoring.checkpoint import Card, read_checkpoint
from vau.scoring.definitions import TextEncoder
from vau.scoring.scorer import Scorer
from vau.types import Float32


def load_scorer(config: ScoringConfig, perception: PerceptionConfig | None = None) -> Scorer:
    """Returns the scorer that a configuration describes.

    Args:
        config: a checkpoint's folder, or a method without training.
        perception: which embedder looks at the frames; scorers that read text need its text tower.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ConfigError: definitions are given to a scorer that reads none, or a text scorer lacks an embedder with words.
        MissingExtraError: torch or OpenCLIP is not installed.
    """
    perception = perception or PerceptionConfig()
    if config.checkpoint:
        return from_checkpoint(Path(config.checkpoint), config, perception)
    if config.method in ("nova", "flashback"):
        return _text_scorer(config, perception)
    _no_definitions(config, f"the scorer {config.method!r}")
    if config.method == "themis":
        from vau.scoring.themis import Themis

        return Themis(sensitivity=config.sensitivity)
    from vau.scoring.training_free import SignalScorer

    return SignalScorer(config.sensitivity)


def from_checkpoint(folder: Path, config: ScoringConfig, perception: PerceptionConfig) -> Scorer:
    """Returns the scorer of a checkpoint; raises as `load_scorer` does."""
    from vau.scoring.camera.load import KINDS as CAMERA_KINDS
    from vau.scoring.camera.load import camera_scorer
    from vau.scoring.kernel import KIND, KernelModel
    from vau.scoring.learned import LearnedScorer

    card, arrays = read_checkpoint(folder)
    if card.kind in CAMERA_KINDS:
        _no_definitions(config, f"{folder}, a scorer of kind {card.kind},")
        return camera_scorer(card, arrays)
    if card.kind == KIND:
        _no_definitions(config, f"{folder}, a scorer of kind {card.kind},")
        return LearnedScorer(card, KernelModel.of(arrays, card.dims), sensitivity=config.sensitivity)
    return LearnedScorer(card, _network(card, arrays, config, perception), sensitivity=config.sensitivity)


def _network(card: Card, arrays: dict[str, NDArray[Any]], config: ScoringConfig, perception: PerceptionConfig) -> Any:
    try:
        from vau.scoring.head_model import KINDS, OPEN_KINDS, HeadModel
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"A scorer of kind {card.kind}", "scorers") from error
    if card.kind not in KINDS:
        raise CheckpointError(
            f"a checkpoint of kind {card.kind!r} scores no video by itself; known: {', '.join(KINDS)}"
        )
    text = None
    if config.anomalies or config.normals:
        if card.kind not in OPEN_KINDS:
            _no_definitions(config, f"a scorer of kind {card.kind}")
        text = _definitions(config).embed(text_tower(perception, expected=card.embedder))
    return HeadModel.of(card, arrays, text)


def _text_scorer(config: ScoringConfig, perception: PerceptionConfig) -> Scorer:
    from vau.scoring.definitions import standard_banks
    from vau.scoring.flashback import FlashbackScorer
    from vau.scoring.nova import NovaScorer

    tower = text_tower(perception)
    banks = _definitions(config).banks() if config.anomalies or config.normals else standard_banks()
    kind = NovaScorer if config.method == "nova" else FlashbackScorer
    return kind(banks, tower, sensitivity=config.sensitivity)


def _definitions(config: ScoringConfig) -> Any:
    from vau.scoring.definitions import Definitions

    return Definitions(config.anomalies, config.normals)


def _no_definitions(config: ScoringConfig, who: str) -> None:
    if config.anomalies or config.normals:
        raise ConfigError(
            f"{who} reads no text, but {(config.anomalies + config.normals)[0]!r} was defined; choose scoring.method "
            "nova or flashback, or a checkpoint of kind lagovad"
        )


def class_texts(perception: PerceptionConfig) -> Callable[[Sequence[str]], Float32]:
    """Returns what embeds the names of classes, the normal one first, for the training of a scorer that reads text.

    Raises:
        ConfigError: the embedder has no text tower.
        MissingExtraError: OpenCLIP is not installed.
    """
    tower = text_tower(perception)

    def embed(names: Sequence[str]) -> Float32:
        from vau.scoring.definitions import Definitions

        return Definitions(tuple(names[1:])).embed(tower)

    return embed


def text_tower(perception: PerceptionConfig, expected: str = "") -> TextEncoder:
    """Loads the text tower of the configured embedder.

    Args:
        perception: which embedder.
        expected: name that it must have; empty: any.

    Raises:
        ConfigError: the embedder has no text tower, or is another than expected.
        MissingExtraError: OpenCLIP is not installed.
    """
    if perception.embedder != "open_clip":
        raise ConfigError(
            f"perception.embedder {perception.embedder!r} has no text tower; a scorer that reads text needs open_clip "
            "(--set perception.embedder=open_clip)"
        )
    from vau.perception.open_clip import OpenClipEmbedder

    tower = OpenClipEmbedder(perception.clip_model, perception.clip_pretrained)
    if expected and tower.name != expected:
        raise ConfigError(f"the checkpoint was trained on {expected!r}, but the configured embedder is {tower.name!r}")
    return tower
