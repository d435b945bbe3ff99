"""From the configuration's scoring section to a scorer: a checkpoint's own kind, else the named method.

Each scorer's module is imported only where it is the one asked for, since most need more than NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from vau.config import EventsConfig, MllmConfig, PerceptionConfig, ScoringConfig, VideoConfig
from vau.errors import CheckpointError, ConfigError, MissingExtraError
from vau.scoring.checkpoint import CARD, MODEL, README, Card, read_checkpoint
from vau.scoring.definitions import TextEncoder
from vau.scoring.scorer import Scorer
from vau.types import Float32

if TYPE_CHECKING:
    from vau.mllm.open import OpenMllm

# Settings that change what a scorer reads, by section; a card names those that count for it.
_SHARED = {
    "video": ("sample_fps",),
    "perception": ("detector", "embedder", "pose", "min_confidence", "clip_model", "clip_pretrained"),
}


def load_scorer(
    config: ScoringConfig,
    perception: PerceptionConfig | None = None,
    video: VideoConfig | None = None,
    *,
    mllm: MllmConfig | None = None,
    events: EventsConfig | None = None,
    model: OpenMllm | None = None,
) -> Scorer:
    """Returns the scorer that a configuration describes.

    Args:
        config: a checkpoint's folder, or a method without training.
        perception: which embedder looks at the frames; scorers that read text need its text tower.
        video: how the frames will be sampled; None: not known yet, hence not held against the checkpoint's card.
        mllm: the model that the method eventvad asks, and how.
        events: how that method partitions a video.
        model: that model where it is open already, to be closed by whoever opened it; else it is opened for good.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ConfigError: definitions are given to a scorer that reads none, a text scorer lacks an embedder with words,
            a checkpoint was trained with other settings, or eventvad has no model to ask.
        InputError: a definition is blank.
        MissingExtraError: torch or OpenCLIP is not installed.
        VauError: the model cannot be opened, see `vau.mllm.open.open_mllm`.
    """
    perception = perception or PerceptionConfig()
    if config.checkpoint:
        return from_checkpoint(Path(config.checkpoint), config, perception, video)
    if config.method in ("nova", "flashback"):
        return _text_scorer(config, perception)
    _no_definitions(config, f"the scorer {config.method!r}")
    if config.method == "themis":
        from vau.scoring.themis import Themis

        return Themis(sensitivity=config.sensitivity)
    if config.method == "eventvad":
        return _judge(config, mllm or MllmConfig(), events or EventsConfig(), model)
    from vau.scoring.training_free import SignalScorer

    return SignalScorer(config.sensitivity)


def from_checkpoint(
    folder: Path, config: ScoringConfig, perception: PerceptionConfig, video: VideoConfig | None = None
) -> Scorer:
    """Returns the scorer of a checkpoint; raises as `load_scorer` does."""
    from vau.scoring.camera.load import KINDS as CAMERA_KINDS
    from vau.scoring.camera.load import camera_scorer
    from vau.scoring.kernel import KIND, KernelModel
    from vau.scoring.learned import LearnedScorer

    if folder.name in (MODEL, CARD, README) and folder.is_file():
        raise CheckpointError(f"{folder}: one file of a checkpoint; give its folder, {folder.parent}")
    card, arrays = read_checkpoint(folder)
    _check_settings(folder, card, {"perception": perception, "video": video})
    if card.kind in CAMERA_KINDS:
        _no_definitions(config, f"{folder}, a scorer of kind {card.kind},")
        return camera_scorer(card, arrays)
    if card.kind == KIND:
        _no_definitions(config, f"{folder}, a scorer of kind {card.kind},")
        return LearnedScorer(card, KernelModel.of(arrays, card.dims), sensitivity=config.sensitivity)
    return LearnedScorer(card, _network(card, arrays, config, perception), sensitivity=config.sensitivity)


def _check_settings(folder: Path, card: Card, sections: Mapping[str, PerceptionConfig | VideoConfig | None]) -> None:
    """Raises ConfigError where frames would be looked at in another way than in training, before any is."""
    other = []
    for name, keys in _SHARED.items():
        section = sections[name]
        for key in keys if section is not None else ():
            used, told = getattr(section, key), card.perception.get(key)
            # Which CLIP it would be does not matter where another embedder is in use.
            unused = key.startswith("clip_") and card.perception.get("embedder") != "open_clip"
            if told is not None and told != used and not unused:
                other.append((f"{name}.{key}", _plain(told), _plain(used)))
    if other:
        told = ", ".join(f"{key} {then} (now {now})" for key, then, now in other)
        options = " ".join(f"--set {key}={then}" for key, then, _ in other)
        raise ConfigError(f"{folder} was trained with {told}; scores would mean nothing: add {options}, or train again")


def _plain(value: object) -> str:
    return (str(value).lower() if isinstance(value, bool) else str(value))[:80]


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


def _judge(config: ScoringConfig, mllm: MllmConfig, events: EventsConfig, model: OpenMllm | None) -> Scorer:
    from vau.mllm.open import is_evidence, open_mllm
    from vau.scoring.eventvad import EventVadScorer

    if model is None and is_evidence(mllm):
        raise ConfigError(
            "scoring.method eventvad needs a model that sees pictures, but mllm.model is 'evidence', the embedded "
            "narrator; name the address of a server (--set mllm.model=http://localhost:8000) or the folder of a model"
        )
    return EventVadScorer(model or open_mllm(mllm), mllm=mllm, events=events, sensitivity=config.sensitivity)


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
