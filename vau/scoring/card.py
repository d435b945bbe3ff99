"""The card of a trained scorer: what it is, what it reads, what it learned from and how well it did, typed and checked.

The card is what makes a checkpoint usable by itself and honest: features of other extractors are refused by it, and a
metric stands beside the data and the split that gave it. The idea is Mitchell et al., "Model Cards for Model
Reporting" (FAT* 2019); the fields are ours.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

FEW_SOURCES = 10  # ours: intervals that resample fewer groups of videos are too narrow


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _visible(cls, value: Any) -> Any:
        return _printable(value)


class Metric(_Part):
    """A measured figure with its interval."""

    name: str = Field(max_length=200)  # such as "AUC over videos"
    value: float
    low: float | None = None  # bounds of the 95 % interval, where one could be measured
    high: float | None = None
    data: str = Field("", max_length=500)  # what it was measured on, such as "validation split"
    count: int | None = None  # how many videos or frames
    sources: int | None = None  # how many groups of videos the interval resamples, where 0.5 is chance

    def __str__(self) -> str:
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"


class DataInfo(_Part):
    """What a scorer learned from."""

    name: str = Field("", max_length=200)  # how a report calls it
    digest: str = Field("", max_length=64)  # of names, labels and contents of all videos
    videos: int = Field(0, ge=0)
    abnormal: int = Field(0, ge=0)
    sources: int = Field(0, ge=0)  # groups of videos that are alike, such as cuts from one recording
    duration_s: float = Field(0.0, ge=0)
    skipped: tuple[str, ...] = ()  # videos that could not be used, and why


class SplitInfo(_Part):
    """Which videos were used for what."""

    rule: str = Field("", max_length=1000)
    training: int = Field(0, ge=0)
    validation: int = Field(0, ge=0)


class Calibration(_Part):
    """The map from a head's own score to the report's, in which 0.5 is the level of an event.

    In logits: ``(logit - threshold) / scale``, then the logistic function.
    """

    threshold: float = 0.0
    scale: float = Field(1.0, gt=0)
    rule: str = Field("", max_length=500)  # how the threshold was chosen, and on what


class Card(_Part):
    """All that is known of a trained scorer besides its arrays."""

    kind: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")  # which code reads the arrays
    arguments: dict[str, Any] = {}  # of the head's constructor
    parts: tuple[str, ...] = ()  # feature parts, in order
    dims: tuple[int, ...] = ()  # columns of each part
    window_s: float = Field(0.0, ge=0, le=3600)  # length of the window that a row describes; 0: the frame itself
    features_version: int = 0  # of the columns' code
    embedder: str = Field("", max_length=200)  # name of the weights that made the embeddings; empty: none are read
    models: tuple[str, ...] = ()  # names of all perception weights
    perception: dict[str, Any] = {}  # settings that change the features, such as sample_fps
    classes: tuple[str, ...] = ()  # row 0 is normal
    data: DataInfo = DataInfo()
    split: SplitInfo = SplitInfo()
    metrics: tuple[Metric, ...] = ()
    calibration: Calibration = Calibration()
    settings: dict[str, Any] = {}  # of the training
    seed: int = 0
    versions: dict[str, str] = {}  # package, version
    created: str = Field("", max_length=40)  # ISO 8601
    limits: tuple[str, ...] = ()  # what a user must not expect of it


def doubt(card: Card) -> str:
    """Returns in one sentence why the figures say little, empty where they do not."""
    measured = [metric for metric in card.metrics if metric.sources is not None]
    chance = [metric.name for metric in measured if metric.low is None or metric.low <= 0.5]
    fewest = min((metric.sources or 0 for metric in measured), default=FEW_SOURCES)
    reasons = [f"{' and '.join(chance)} may be chance, since the interval reaches 0.5"] if chance else []
    if fewest < FEW_SOURCES:
        reasons.append(f"the figures rest on {fewest} sources, and below {FEW_SOURCES} no interval can be relied on")
    return f"{'; '.join(reasons)}: give more videos of more sources" if reasons else ""


def readme(card: Card) -> str:
    """Returns the card as Markdown for people."""
    lines = [
        f"# Anomaly scorer `{card.kind}`",
        "",
        f"Trained on {_cell(card.data.name) or 'data without a name'}. Use: `vau analyze VIDEO --scorer THIS_FOLDER`.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in _facts(card)),
        "",
    ]
    if card.metrics:
        lines += ["## Measured", "", "| figure | value, 95 % interval | on |", "|---|---|---|"]
        lines += [f"| {_cell(m.name)} | {m} | {_cell(_where(m))} |" for m in card.metrics] + [""]
    if doubt(card):
        lines += [f"**Warning:** {_cell(doubt(card))}.", ""]
    if card.limits:
        lines += ["## Limits", "", *(f"- {_cell(limit)}" for limit in card.limits), ""]
    if card.data.skipped:
        lines += ["## Videos left out", "", *(f"- {_cell(item)}" for item in card.data.skipped), ""]
    return "\n".join(lines)


def _facts(card: Card) -> list[tuple[str, object]]:
    data, split = card.data, card.split
    facts: list[tuple[str, object]] = [
        ("data", f"{data.videos} videos ({data.abnormal} abnormal) of {data.sources} sources, {data.duration_s:.0f} s"),
        ("split", f"{split.training} training, {split.validation} validation; {split.rule}"),
        ("features", " + ".join(f"{p} ({d})" for p, d in zip(card.parts, card.dims, strict=False))),
        ("embedder", card.embedder),
        ("perception", ", ".join(card.models)),
        ("classes", ", ".join(card.classes)),
        ("level of an event", card.calibration.rule),
        ("settings", ", ".join(f"{name} {value}" for name, value in card.settings.items())),
        ("seed", card.seed),
        ("versions", ", ".join(f"{name} {value}" for name, value in card.versions.items())),
        ("created", card.created),
    ]
    return [(name, value) for name, value in facts if value not in ("", "; ")]


def _where(metric: Metric) -> str:
    return metric.data + (f" ({metric.count})" if metric.count is not None else "")


def _printable(value: Any) -> Any:
    """Returns a field's value without control and formatting characters, at any depth; line ends become spaces."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in value)
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return type(value)(map(_printable, value)) if type(value) in (list, tuple) else value


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|").replace("<", "&lt;")
