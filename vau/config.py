"""One typed, frozen configuration tree: YAML in, YAML out, every value checked, no environment variables.

An unknown key is an error that names the nearest known one. `Config()` is the embedded default.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vau.errors import ConfigError

MAX_CONFIG_BYTES = 1_000_000


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VideoConfig(_Section):
    """Parameters that control decoding."""

    reader: Literal["pyav", "torchcodec", "decord"] = "pyav"
    sample_fps: float = Field(4.0, gt=0, le=60, description="frames a second that the detectors see")
    motion_fps: float = Field(12.0, gt=0, le=60, description="frames a second between which flow is measured")
    max_side: int = Field(640, ge=64, le=4096, description="longer side in pixels to which frames are reduced")
    threads: int = Field(2, ge=1, le=64, description="decoder threads")
    max_pixels: int = Field(64_000_000, gt=0, description="refuse frames with more pixels than this")
    max_bytes: int = Field(64 * 2**30, gt=0, description="refuse files larger than this")
    max_duration_s: float = Field(48 * 3600.0, gt=0, description="stop decoding after this much video")
    max_frames: int = Field(20_000_000, gt=0, description="stop decoding after this many frames")


class PerceptionConfig(_Section):
    """Parameters that control what is looked for in frames, and with which models."""

    detector: Literal["ssd", "yolo"] = "ssd"
    embedder: Literal["efficientnet", "open_clip"] = "efficientnet"
    pose: bool = True
    min_confidence: float = Field(0.3, ge=0, le=1, description="detections below it are dropped")
    threads: int = Field(2, ge=1, le=64, description="threads of each model")
    yolo_weights: str = Field("", description="path of an Ultralytics model; empty: the packaged YOLOv8n")
    clip_model: str = "ViT-B-16"
    clip_pretrained: str = "openai"


class ScoringConfig(_Section):
    """Parameters that control the anomaly scorer."""

    method: Literal["signals", "themis", "nova", "flashback", "eventvad"] = Field(
        "signals",
        description="scorer without training; not used where a checkpoint is given; eventvad asks the model of the "
        "section mllm",
    )
    checkpoint: str = Field("", description="folder of a trained scorer; empty: score without training")
    anomalies: tuple[str, ...] = Field((), description="what counts as abnormal, in words, for scorers that read text")
    normals: tuple[str, ...] = Field((), description="what counts as normal, in words")
    sensitivity: float = Field(0.5, ge=0, le=1, description="0.5 balanced; higher reports weaker events")


class RecipeConfig(_Section):
    """Switches between our way of finding boundaries, the default, and EventVAD's as published (docs/events.md)."""

    motion: Literal["histogram", "mean"] = Field("histogram", description="of flow: all that moves, or its mean vector")
    motion_scale: Literal["robust", "fixed", "pixels"] = Field(
        "robust", description="the video's own spread; fixed: frame heights a second; pixels: a frame"
    )
    graph: Literal["band", "blocks"] = Field("band", description="blocks: the whole video, quadratic in its length")
    attention: Literal["weighted", "mask"] = Field("weighted", description="mask: edge weights do not take part")
    remove_mean: bool = Field(False, description="take the mean feature away after propagation")
    order: Literal["time", "insertion"] = Field("time", description="insertion: as the released code walks the nodes")
    scales: Literal["three", "two", "frames"] = Field(
        "three", description="neighbouring frames; two: and windows; three: and motion alone"
    )
    smoothing: Literal["gaussian", "savgol", "none"] = "gaussian"
    background: Literal["median", "trailing"] = Field("median", description="centred median; mean of the past window")
    threshold: Literal["prominence", "mad"] = Field("prominence", description="mad: median and unscaled MADs alone")
    keep: Literal["strongest", "last"] = Field("strongest", description="of boundaries that are close to each other")
    index: Literal["exact", "half_window"] = Field("exact", description="half_window: about half a window early")
    tail_s: float = Field(0.0, ge=0, le=60, description="another boundary so long after the last; 0: none")


class RelationsConfig(_Section):
    """Parameters that control which relations are looked for beside those that tracks and poses show."""

    scene_graph: str = Field("", description="folder of a learned scene-graph model; empty: none")
    open_vocabulary: bool = Field(False, description="ask the model of the section mllm for relations on keyframes")
    memory: str = Field("", description="file of the relations of normal footage; empty: the video's own past")


class EventsConfig(_Section):
    """Parameters that control event boundaries (EventVAD) and event spans."""

    alpha: float = Field(0.8, ge=0, le=1, description="weight of appearance; motion has the rest")
    band_s: float = Field(10.0, gt=0, le=600, description="half width of the graph's band in seconds")
    neighbours: int = Field(5, ge=1, le=64, description="edges kept a frame")
    decay: float = Field(1.5, ge=0, description="how fast edges fade, a second of distance")
    propagation: float = Field(0.5, ge=0, le=1, description="share of the neighbours' features; 0: no graph")
    window_s: float = Field(1.0, gt=0, le=60, description="time compared on each side of a boundary")
    background_s: float = Field(20.0, gt=0, le=3600, description="span of the running background level")
    deviations: float = Field(6.0, gt=0, description="scaled MADs by which a boundary exceeds the usual ratio")
    min_ratio: float = Field(2.5, gt=1, description="least ratio of a boundary to its background")
    min_segment_s: float = Field(2.0, gt=0, description="boundaries closer than this are merged")
    threshold: float = Field(0.5, gt=0, le=1, description="score at which an event begins")
    hold: float = Field(0.5, gt=0, le=1, description="share of the threshold above which an event lasts")
    snap_s: float = Field(1.0, ge=0, description="farthest boundary to which an event's start or end is moved")
    min_event_s: float = Field(0.5, gt=0)
    merge_gap_s: float = Field(6.0, ge=0, description="events closer than this are one")
    recipe: RecipeConfig = RecipeConfig()


class SamplingConfig(_Section):
    """Parameters that control keyframes (CAES)."""

    keyframes: int = Field(8, ge=1, le=64, description="keyframes an event")
    context_s: float = Field(8.0, ge=0, description="longest lead-up and aftermath to sample from")
    context_share: float = Field(0.25, ge=0, le=0.5, description="share of the keyframes for each of the two")
    tau: float = Field(0.1, gt=0, description="added to scores, so that quiet frames keep some mass")


class MllmConfig(_Section):
    """Parameters that control the multimodal language model that tells, judges and answers."""

    model: str = Field(
        "evidence",
        min_length=1,
        description="evidence: the embedded narrator; the http(s) address of an OpenAI-compatible server; or a folder "
        "or hub name of a model to load here",
    )
    name: str = Field("", description="the model's name at its server; empty: the one model that it has")
    api_key_file: str = Field("", description="file that holds the server's key alone on one line")
    ca_file: str = Field("", description="certificates of a private authority, PEM")
    adapter: str = Field("", description="folder of a LoRA adapter for a model loaded here")
    precision: Literal["bfloat16", "float16", "float32", "8bit", "4bit"] = Field(
        "bfloat16", description="of a model loaded here; 8bit and 4bit by bitsandbytes"
    )
    frames: int = Field(8, ge=1, le=64, description="pictures a call")
    image_side: int = Field(448, ge=28, le=4096, description="longer side in pixels of the pictures that it is shown")
    max_tokens: int = Field(768, ge=16, le=32_768, description="longest reply")
    timeout_s: float = Field(120.0, gt=0, le=86_400, description="of one call")
    deadline_s: float = Field(1800.0, gt=0, le=7 * 86_400, description="of all calls for one video")
    concurrency: int = Field(8, ge=1, le=256, description="calls at once")
    cache: str = Field("", description="file of kept replies; empty: in the user's cache folder; off: none")
    plot: bool = Field(False, description="show it the plot of the score curve too")
    site_notes: str = Field("", max_length=2000, description="what is normal at this camera, in words")

    @field_validator("cache", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        return "off" if value is False else value  # YAML takes a bare off for a truth value


class ReportConfig(_Section):
    """Parameters that control the report."""

    image_side: int = Field(640, ge=64, le=4096, description="longer side of pictures in pixels")
    jpeg_quality: int = Field(80, ge=1, le=100)
    keypoints: bool = Field(True, description="keep the poses of tracks in the JSON")
    pictures: bool = Field(False, description="write keyframes as files too, beside the JSON and the page")


class Config(_Section):
    """The whole configuration."""

    video: VideoConfig = VideoConfig()
    perception: PerceptionConfig = PerceptionConfig()
    scoring: ScoringConfig = ScoringConfig()
    relations: RelationsConfig = RelationsConfig()
    events: EventsConfig = EventsConfig()
    sampling: SamplingConfig = SamplingConfig()
    mllm: MllmConfig = MllmConfig()
    report: ReportConfig = ReportConfig()

    @classmethod
    def load(cls, path: Path) -> Config:
        """Reads a YAML file.

        Raises:
            ConfigError: the file is missing, too large, not YAML, or holds an unknown key or a wrong value.
        """
        try:
            if path.exists() and not path.is_file():  # a pipe or a device would never end
                raise ConfigError(f"{path}: a directory, pipe or device, not a file")
            if path.stat().st_size > MAX_CONFIG_BYTES:
                raise ConfigError(f"{path}: a configuration larger than {MAX_CONFIG_BYTES} bytes is refused")
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not readable as YAML: {error}") from error
        return cls.parse({} if data is None else data, name=str(path))

    @classmethod
    def parse(cls, data: object, name: str = "configuration") -> Config:
        """Builds a configuration from plain data; raises ConfigError as `load` does."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = [_explain(cls, dict(item)) for item in error.errors()]
            raise ConfigError(f"{name}: " + "; ".join(lines)) from error

    def with_overrides(self, overrides: dict[str, object]) -> Config:
        """Returns a copy with dotted keys such as ``video.sample_fps`` replaced; raises ConfigError."""
        data: dict[str, Any] = self.model_dump()
        for dotted, value in overrides.items():
            *sections, key = dotted.split(".")
            place = data
            for section in sections:
                place = place.setdefault(section, {})
                if not isinstance(place, dict):
                    raise ConfigError(f"{dotted}: {section} is a value, not a section")
            place[key] = value
        return type(self).parse(data)

    def to_yaml(self) -> str:
        """Returns the whole tree as YAML that `load` reads back."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False)

    def digest(self) -> str:
        """Returns the first 16 hexadecimal digits of a SHA-256 over all values."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()[:16]


def _short(value: object) -> str:
    """Returns a value for a message; containers only by their type, since YAML aliases let them unfold without end."""
    return f"<{type(value).__name__}>" if isinstance(value, dict | list) else repr(value)[:80]


def _explain(model: type[BaseModel], item: dict[str, Any]) -> str:
    location = tuple(str(part) for part in item["loc"])
    dotted = ".".join(location) or "the whole"
    if item["type"] != "extra_forbidden":
        return f"{dotted} = {_short(item['input'])}: {item['msg']}"
    section: type[BaseModel] = model
    for part in location[:-1]:
        annotation = section.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    near = difflib.get_close_matches(location[-1], section.model_fields, n=1, cutoff=0.0)
    return f"unknown key {dotted}" + (f"; did you mean {'.'.join((*location[:-1], near[0]))}?" if near else "")
