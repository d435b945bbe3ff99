"""The value types that the stages of `vau` exchange: frozen, validated on creation, with short reprs.

Times are float64 presentation timestamps in seconds from the first frame of the video and end in `_s`; boxes are
float32 xyxy in pixels of the source video; arrays are made read-only. N counts sampled frames, T the rows of one
track, D embedding dimensions, B motion channels, K score signals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from vau.checks import ShortRepr, check_rows, check_span, check_times, check_unit, own
from vau.narration import Narration

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

Phase = Literal["pre", "during", "post"]
RelationSource = Literal["geometry", "scene-graph", "model"]  # tracks and poses; a learned network; a language model
Role = Literal["title", "what", "who", "when", "where", "why", "cause", "effect", "limit"]


@dataclass(frozen=True, repr=False)
class VideoInfo(ShortRepr):
    """What is known of a video file.

    `duration_s` is the time from the first to the end of the last frame: declared by the container after probing,
    measured after a full decode. `n_frames` follows the same rule and is 0 where the container does not say.
    """

    source: str  # name to show, without its folder
    sha256: str  # of the file's content, hexadecimal
    duration_s: float
    width: int  # as displayed, after rotation
    height: int
    nominal_fps: float
    n_frames: int
    codec: str
    container: str
    variable_rate: bool = False
    truncated: bool = False
    rotation: int = 0  # clockwise degrees applied on decoding: 0, 90, 180, 270

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"width and height must be positive, got {self.width} x {self.height}")
        if not np.isfinite([self.duration_s, self.nominal_fps]).all() or self.duration_s < 0 or self.nominal_fps < 0:
            raise ValueError(f"duration and rate must be finite, got {self.duration_s!r} s, {self.nominal_fps!r} fps")


@dataclass(frozen=True, repr=False, eq=False)
class FrameBatch(ShortRepr):
    """Decoded frames in time order."""

    images: UInt8  # (N, H, W, 3) RGB
    times_s: Float64  # (N,)
    indices: Int64  # (N,) position of each frame in decoding order, from 0

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[-1] != 3 or self.images.dtype != np.uint8:
            raise ValueError(f"images must be uint8 (N, H, W, 3), got {self.images.dtype} {self.images.shape = }")
        object.__setattr__(self, "times_s", own(self.times_s, np.float64, 1, "times_s"))
        object.__setattr__(self, "indices", own(self.indices, np.int64, 1, "indices"))
        check_rows("FrameBatch", len(self.images), times_s=self.times_s, indices=self.indices)
        check_times(self.times_s, "times_s")

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, repr=False, eq=False)
class Detection(ShortRepr):
    """One object seen in one frame."""

    label: str  # a COCO class name, or "moving object" for a motion blob of unknown class
    confidence: float
    box: Float32  # (4,)
    source: str  # model that saw it
    keypoints: Float32 | None = None  # (17, 3) COCO order: x, y in pixels, confidence

    def __post_init__(self) -> None:
        check_unit("confidence", self.confidence)
        box = own(self.box, np.float32, 1, "box")
        if box.shape != (4,) or box[2] <= box[0] or box[3] <= box[1]:
            raise ValueError(f"box must be x0 < x1, y0 < y1, got {box}")
        object.__setattr__(self, "box", box)
        if self.keypoints is not None:
            object.__setattr__(self, "keypoints", own(self.keypoints, np.float32, 2, "keypoints"))


@dataclass(frozen=True, repr=False, eq=False)
class Track(ShortRepr):
    """One object followed through time.

    `confidence` says how surely this is one real object of that label: it grows with the number and the quality of
    its detections. `flow` holds, inside the box and relative to the camera: mean velocity x and y, mean speed of the
    parts relative to the body, all in body heights a second (the box's larger side), and the spread of directions in
    [0, 1].
    """

    track_id: int
    label: str
    confidence: float
    times_s: Float64  # (T,)
    boxes: Float32  # (T, 4)
    detected: Bool  # (T,) False where the tracker bridged a gap
    flow: Float32  # (T, 4)
    keypoints: Float32 | None = None  # (T, 17, 3), confidence 0 where no pose was seen

    def __post_init__(self) -> None:
        check_unit("confidence", self.confidence)
        object.__setattr__(self, "times_s", own(self.times_s, np.float64, 1, "times_s"))
        object.__setattr__(self, "boxes", own(self.boxes, np.float32, 2, "boxes"))
        object.__setattr__(self, "detected", own(self.detected, np.bool_, 1, "detected"))
        object.__setattr__(self, "flow", own(self.flow, np.float32, 2, "flow"))
        if self.keypoints is not None:
            object.__setattr__(self, "keypoints", own(self.keypoints, np.float32, 3, "keypoints"))
        rows = len(self.times_s)
        if rows == 0:
            raise ValueError("a track needs at least one row")
        points = None if self.keypoints is None else self.keypoints.shape[1:]
        if self.boxes.shape[1] != 4 or self.flow.shape[1] != 4 or points not in (None, (17, 3)):
            raise ValueError(
                f"a track needs {self.boxes.shape = } (T, 4), {self.flow.shape = } (T, 4), poses (T, 17, 3)"
            )
        check_rows("Track", rows, boxes=self.boxes, detected=self.detected, flow=self.flow, keypoints=self.keypoints)
        check_times(self.times_s, "times_s")

    @property
    def start_s(self) -> float:
        """Time of the first row."""
        return float(self.times_s[0])

    @property
    def end_s(self) -> float:
        """Time of the last row."""
        return float(self.times_s[-1])

    @property
    def name(self) -> str:
        """How the track is called in text and on pictures, such as ``person 3``."""
        return f"{self.label} {self.track_id}"


@dataclass(frozen=True, repr=False, eq=False)
class Detections(ShortRepr):
    """What was detected in N sampled frames, columnar: M detections in the order of their frames."""

    starts: Int64  # (N + 1,) frame i holds the detections starts[i] to starts[i + 1] - 1
    boxes: Float32  # (M, 4)
    confidences: Float32  # (M,)
    label_ids: Int64  # (M,) positions in `labels`
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", own(self.starts, np.int64, 1, "starts"))
        object.__setattr__(self, "boxes", own(self.boxes, np.float32, 2, "boxes"))
        object.__setattr__(self, "confidences", own(self.confidences, np.float32, 1, "confidences"))
        object.__setattr__(self, "label_ids", own(self.label_ids, np.int64, 1, "label_ids"))
        check_rows("Detections", len(self.boxes), confidences=self.confidences, label_ids=self.label_ids)
        starts, ids = self.starts, self.label_ids
        if not len(starts) or starts[0] != 0 or starts[-1] != len(self.boxes) or (np.diff(starts) < 0).any():
            raise ValueError(f"starts must rise from 0 to {len(self.boxes)}, got {starts.shape = }")
        if ids.size and not 0 <= ids.min() <= ids.max() < len(self.labels):
            raise ValueError(f"label_ids must lie in [0, {len(self.labels)}), got {ids.min()} to {ids.max()}")

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(cls, frames: Iterable[Sequence[Detection]]) -> Detections:
        """Builds the columns from one sequence of detections a frame; poses and sources are left out."""
        rows = [list(frame) for frame in frames]
        items = [item for row in rows for item in row]
        labels = tuple(sorted({item.label for item in items}))
        return cls(
            starts=np.cumsum([0, *map(len, rows)]),
            boxes=np.stack([item.box for item in items]) if items else np.zeros((0, 4), np.float32),
            confidences=np.array([item.confidence for item in items], np.float32),
            label_ids=np.array([labels.index(item.label) for item in items], np.int64),
            labels=labels,
        )

    @property
    def counts(self) -> Int64:
        """Number of detections in each frame (N,)."""
        return np.diff(self.starts)

    def at(self, frame: int) -> list[tuple[str, float, Float32]]:
        """Returns label, confidence and box (4,) of everything in one frame."""
        rows = range(int(self.starts[frame]), int(self.starts[frame + 1]))
        return [(self.labels[self.label_ids[row]], float(self.confidences[row]), self.boxes[row]) for row in rows]


@dataclass(frozen=True, repr=False, eq=False)
class Observations(ShortRepr):
    """All that perception saw, columnar: one row a sampled frame."""

    times_s: Float64  # (N,)
    embeddings: Float32  # (N, D), unit norm
    motion: Float32  # (N, B)
    motion_channels: tuple[str, ...]  # B names, see vau.perception.motion
    tracks: tuple[Track, ...]
    detections: Detections  # of N frames
    frame_size: tuple[int, int]  # width, height of the source in pixels
    duration_s: float
    models: tuple[str, ...] = ()  # names of the weights that were used

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_s", own(self.times_s, np.float64, 1, "times_s"))
        object.__setattr__(self, "embeddings", own(self.embeddings, np.float32, 2, "embeddings"))
        object.__setattr__(self, "motion", own(self.motion, np.float32, 2, "motion"))
        rows = len(self.times_s)
        check_rows("Observations", rows, embeddings=self.embeddings, motion=self.motion)
        if len(self.detections) != rows:
            raise ValueError(f"Observations.detections must have {rows} frames, got {len(self.detections)}")
        if self.motion.shape[1] != len(self.motion_channels):
            raise ValueError(f"{self.motion.shape = } does not fit {len(self.motion_channels)} channel names")
        check_times(self.times_s, "times_s")

    def __len__(self) -> int:
        return len(self.times_s)

    def channel(self, name: str) -> Float32:
        """Returns one motion channel as an array (N,)."""
        return self.motion[:, self.motion_channels.index(name)]


@dataclass(frozen=True, repr=False, eq=False)
class ScoreTrack(ShortRepr):
    """Anomaly score over time, with the share that each named signal has in it."""

    times_s: Float64  # (N,)
    scores: Float32  # (N,) in [0, 1]
    scorer: str
    contributions: Float32  # (N, K) >= 0, each row sums to its score
    signals: tuple[str, ...]  # K names

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_s", own(self.times_s, np.float64, 1, "times_s"))
        object.__setattr__(self, "scores", own(self.scores, np.float32, 1, "scores"))
        object.__setattr__(self, "contributions", own(self.contributions, np.float32, 2, "contributions"))
        rows = len(self.times_s)
        check_rows("ScoreTrack", rows, scores=self.scores, contributions=self.contributions)
        check_times(self.times_s, "times_s")
        if self.contributions.shape[1] != len(self.signals):
            raise ValueError(f"{self.contributions.shape = } does not fit {len(self.signals)} signal names")
        if rows and (self.scores.min() < 0 or self.scores.max() > 1):
            raise ValueError(f"scores must lie in [0, 1], got {self.scores.min()} to {self.scores.max()}")
        if rows and (self.contributions.min() < 0 or np.abs(self.contributions.sum(1) - self.scores).max() > 1e-3):
            raise ValueError("contributions must be non-negative and sum to the score in every row")

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True, repr=False, eq=False)
class Segments(ShortRepr):
    """A partition of [0, duration] at event boundaries."""

    edges_s: Float64  # (S + 1,) first 0, last the duration
    strengths: Float32  # (S + 1,) boundary strength, 0 at both ends

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges_s", own(self.edges_s, np.float64, 1, "edges_s"))
        object.__setattr__(self, "strengths", own(self.strengths, np.float32, 1, "strengths"))
        check_rows("Segments", len(self.edges_s), strengths=self.strengths)
        if len(self.edges_s) < 2:
            raise ValueError("a partition needs two edges")
        check_times(self.edges_s, "edges_s")

    def __len__(self) -> int:
        return len(self.edges_s) - 1


@dataclass(frozen=True)
class Event:
    """A span of time in which something abnormal happened."""

    event_id: str  # "E1", "E2", ... in time order
    start_s: float
    end_s: float
    peak_s: float
    score: float  # at the peak
    label: str | None = None
    start_strength: float = 0.0  # of the nearest event boundary, 0 where none is near
    end_strength: float = 0.0
    signals: tuple[tuple[str, float], ...] = ()  # mean contribution a signal within the event, largest first

    def __post_init__(self) -> None:
        check_span("Event", self.start_s, self.end_s)
        check_unit("score", self.score)
        if not self.start_s <= self.peak_s <= self.end_s:
            raise ValueError(f"peak_s must lie inside the event, got {self.peak_s!r}")


@dataclass(frozen=True, repr=False)
class Keyframe(ShortRepr):
    """A frame worth showing, at an exact time, with its place relative to an event."""

    keyframe_id: str  # "K1", "K2", ... in time order
    time_s: float
    phase: Phase
    event_id: str
    jpeg: bytes = b""  # the picture without drawings; empty until it is read
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Measure:
    """A measured quantity in plain units."""

    name: str
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Relation:
    """Subject, predicate, object over an interval; `object` is None for what one track does by itself."""

    relation_id: str  # "R1", ...
    subject: int | None  # track id; None where motion shows it but no track carries it
    predicate: str
    object: int | None
    start_s: float
    end_s: float
    confidence: float
    measures: tuple[Measure, ...] = ()
    source: RelationSource = "geometry"

    def __post_init__(self) -> None:
        check_span("Relation", self.start_s, self.end_s)
        check_unit("confidence", self.confidence)


@dataclass(frozen=True)
class RelationChange:
    """The moment at which a relation begins or ends."""

    change_id: str  # "C1", ...
    relation_id: str
    kind: Literal["begins", "ends"]
    time_s: float
    sharpness: float  # [0, 1]; 1 is from one sampled frame to the next

    def __post_init__(self) -> None:
        check_unit("sharpness", self.sharpness)


@dataclass(frozen=True, repr=False, eq=False)
class EvidenceGraph(ShortRepr):
    """Events and relations as nodes; edges typed `before`, `same-actor`, `enables`, `part-of`.

    Node attributes: `kind` ("event" or "relation"), `label`, `start_s`, `end_s`, `confidence`. Edge attributes:
    `kind`, `strength` in [0, 1].
    """

    graph: nx.DiGraph[Any] = field(default_factory=nx.DiGraph)


@dataclass(frozen=True)
class Claim:
    """One sentence with what it rests on."""

    text: str
    role: Role
    evidence: tuple[str, ...]  # ids of relations, events, tracks ("T3") and signals ("S:motion surprise")
    times_s: tuple[float, ...]  # moments at which a reader can check it
    confidence: float
    supported: bool = True

    def __post_init__(self) -> None:
        check_unit("confidence", self.confidence)


@dataclass(frozen=True)
class Account:
    """The causal account of one event, or of the whole video where `event_id` is None."""

    event_id: str | None
    claims: tuple[Claim, ...]
    threat_level: Literal[0, 1, 2]  # 0 normal, 1 unusual: look at it, 2 dangerous: act
    confidence: float

    def role(self, role: Role) -> str:
        """Returns the sentences of one role as running text."""
        return " ".join(claim.text for claim in self.claims if claim.role == role)

    @property
    def title(self) -> str:
        """The account's headline."""
        return self.role("title")


@dataclass(frozen=True, repr=False, eq=False)
class Report(ShortRepr):
    """The whole result for one video."""

    video: VideoInfo
    config_digest: str
    versions: tuple[tuple[str, str], ...]  # package, version
    models: tuple[str, ...]
    scores: ScoreTrack
    segments: Segments
    events: tuple[Event, ...]
    keyframes: tuple[Keyframe, ...]
    tracks: tuple[Track, ...]
    relations: tuple[Relation, ...]
    changes: tuple[RelationChange, ...]
    graph: EvidenceGraph
    accounts: tuple[Account, ...]  # first the whole video's, then one an event
    timings_s: tuple[tuple[str, float], ...]  # stage, seconds
    notes: tuple[str, ...] = ()  # warnings and disclosures a reader must see, such as staged footage
    narration: Narration | None = None  # what a language model told beside the accounts, None where none was asked

    def track(self, track_id: int) -> Track:
        """Returns the track with this id; KeyError where there is none."""
        for track in self.tracks:
            if track.track_id == track_id:
                return track
        raise KeyError(track_id)

    def account(self, event_id: str | None) -> Account:
        """Returns the account of an event, or of the whole video for None; KeyError where there is none."""
        for account in self.accounts:
            if account.event_id == event_id:
                return account
        raise KeyError(event_id)
