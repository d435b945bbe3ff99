"""The shape of a report on disk, version 1.1: the one definition behind reading, writing and the published JSON Schema.

Knows field names, units and limits; knows nothing of files or of how a report is shown. `schema/report-1.1.json` is
`json_schema()` written out, and a test keeps the two equal. A report of version 1.0 is one of 1.1 without `narration`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = "1.1"
SCHEMA_ID = "urn:vau:report:1.1"
READABLE = ("1.0", "1.1")

TEXT_LIMIT = 20_000  # characters; writing cuts there, reading refuses more
NAME_LIMIT = 500

Text = Annotated[str, Field(max_length=TEXT_LIMIT)]
Name = Annotated[str, Field(max_length=NAME_LIMIT)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Unit = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1.01)]  # sums of float32 may pass 1 by a rounding error
Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
Number = Annotated[float, Field(ge=-3e38, le=3e38)]
TrackId = Annotated[int, Field(ge=0, le=2**53 - 1)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Box = Annotated[list[Pixels], Field(min_length=4, max_length=4)]
Flow = Annotated[list[Number], Field(min_length=4, max_length=4)]
Point = Annotated[list[Number], Field(min_length=3, max_length=3)]
Pose = Annotated[list[Point], Field(min_length=17, max_length=17)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class VideoPart(_Part):
    """What is known of the video file."""

    source: Name = Field(description="base name of the file, without its folder")
    sha256: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")] = Field(description="of the file's content")
    duration_s: Seconds = Field(description="seconds from the first to the end of the last frame")
    width: int = Field(gt=0, le=1_000_000, description="pixels, as displayed")
    height: int = Field(gt=0, le=1_000_000, description="pixels, as displayed")
    nominal_fps: float = Field(ge=0, le=1e6, description="frames a second that the container declares")
    n_frames: int = Field(ge=0, le=2**53 - 1, description="frames; 0 where unknown")
    codec: Name
    container: Name
    variable_rate: bool = Field(description="true where frames are not evenly spaced")
    truncated: bool = Field(description="true where the file ended before its declared end")
    rotation: Literal[0, 90, 180, 270] = Field(description="clockwise degrees applied on decoding")


class ScoresPart(_Part):
    """Anomaly score over time; N samples, K signals."""

    scorer: Name
    signals: list[Name] = Field(max_length=256, description="K names of signals")
    times_s: list[Seconds] = Field(description="N sample times in seconds, strictly increasing")
    scores: list[Unit] = Field(description="N scores in [0, 1]")
    contributions: list[list[Share]] = Field(description="N rows of K shares; each row sums to its score")


class SegmentsPart(_Part):
    """A partition of the video at event boundaries."""

    edges_s: list[Seconds] = Field(min_length=2, description="S + 1 edges in seconds, strictly increasing")
    strengths: list[Number] = Field(min_length=2, description="S + 1 boundary strengths, 0 at both ends")


class SignalPart(_Part):
    """A named signal's mean share within an event."""

    name: Name
    mean: Number = Field(description="mean contribution to the score, in [0, 1]")


class EventPart(_Part):
    """A span of time in which something abnormal happened."""

    event_id: Name
    start_s: Seconds = Field(description="seconds")
    end_s: Seconds = Field(description="seconds")
    peak_s: Seconds = Field(description="seconds; when the score is highest")
    score: Unit = Field(description="score at the peak, in [0, 1]")
    label: Name | None = Field(description="name of the kind of event, or null")
    start_strength: Number = Field(description="strength of the boundary nearest to the start, 0 where none is near")
    end_strength: Number = Field(description="strength of the boundary nearest to the end, 0 where none is near")
    signals: list[SignalPart] = Field(max_length=256, description="largest first")


class KeyframePart(_Part):
    """A frame worth showing."""

    keyframe_id: Name
    time_s: Seconds = Field(description="seconds")
    phase: Literal["pre", "during", "post"] = Field(description="place relative to the event")
    event_id: Name = Field(description="the event it belongs to; empty where it belongs to none")
    jpeg: str = Field(max_length=64 * 2**20, description="the picture as base64 of a JPEG file; may be empty")
    width: int = Field(ge=0, le=1_000_000, description="pixels of the picture")
    height: int = Field(ge=0, le=1_000_000, description="pixels of the picture")


class TrackPart(_Part):
    """One object followed through time; T rows. Boxes are rounded to 0.1 pixel."""

    track_id: TrackId
    label: Name
    confidence: Unit = Field(description="certainty that this is one real object of that label, in [0, 1]")
    times_s: list[Seconds] = Field(min_length=1, description="T times in seconds, strictly increasing")
    boxes: list[Box] = Field(min_length=1, description="T boxes x0, y0, x1, y1 in pixels of the source video")
    detected: Annotated[str, Field(pattern=r"^[01]+$")] = Field(
        description="T characters: 1 seen, 0 bridged by the tracker"
    )
    flow: list[Flow] = Field(
        min_length=1,
        description="T rows: mean velocity x and y, mean speed of the parts (body heights a second), spread of "
        "directions in [0, 1]",
    )
    keypoints: list[Pose | None] | None = Field(
        default=None,
        description="T poses of 17 COCO keypoints (x, y in pixels, confidence), null where no pose was seen; "
        "null as a whole where poses were left out",
    )


class MeasurePart(_Part):
    """A measured quantity in plain units."""

    name: Name
    value: Number
    unit: Name


class RelationPart(_Part):
    """Subject, predicate, object over an interval."""

    relation_id: Name
    subject: TrackId | None = Field(description="track id, or null where motion shows it but no track carries it")
    predicate: Name
    object: TrackId | None = Field(description="track id, or null for what one track does by itself")
    start_s: Seconds = Field(description="seconds")
    end_s: Seconds = Field(description="seconds")
    confidence: Unit
    measures: list[MeasurePart] = Field(max_length=64)


class ChangePart(_Part):
    """The moment at which a relation begins or ends."""

    change_id: Name
    relation_id: Name
    kind: Literal["begins", "ends"]
    time_s: Seconds = Field(description="seconds")
    sharpness: Unit = Field(description="1 is from one sampled frame to the next")


class NodePart(_Part):
    """A node of the evidence graph."""

    id: Name
    kind: Name = Field(description="event or relation")
    label: Name
    start_s: Seconds = Field(description="seconds")
    end_s: Seconds = Field(description="seconds")
    confidence: Unit


class EdgePart(_Part):
    """A directed edge of the evidence graph."""

    source: Name
    target: Name
    kind: Name = Field(description="before, same-actor, enables or part-of")
    strength: Unit


class GraphPart(_Part):
    """What led to what."""

    nodes: list[NodePart]
    edges: list[EdgePart]


class ClaimPart(_Part):
    """One sentence with what it rests on."""

    text: Text
    role: Literal["title", "what", "who", "when", "where", "why", "cause", "effect", "limit"]
    evidence: list[Name] = Field(max_length=1000, description='ids such as "R1", "E1", "T3", "S:motion surprise"')
    times_s: list[Seconds] = Field(max_length=1000, description="seconds at which a reader can check it")
    confidence: Unit
    supported: bool = Field(description="false where the claim check found no evidence for it")


class AccountPart(_Part):
    """The causal account of one event, or of the whole video where `event_id` is null."""

    event_id: Name | None
    threat_level: Literal[0, 1, 2] = Field(description="0 normal, 1 unusual: look at it, 2 dangerous: act")
    confidence: Unit
    claims: list[ClaimPart] = Field(max_length=1000)


class NarratedSentencePart(_Part):
    """One sentence of a language model's, checked against the evidence."""

    text: Text
    role: Literal["what", "why", "cause", "effect"]
    verdict: Literal["supported", "unsupported", "contradicted", "not checkable"]
    reasons: list[Text] = Field(min_length=1, max_length=100, description="for the verdict, in plain English")
    evidence: list[Name] = Field(max_length=1000, description="ids that the check found or that the model named")
    times_s: list[Seconds] = Field(max_length=1000, description="seconds at which a reader can look")


class NarrationFailurePart(_Part):
    """A part that the language model did not tell."""

    role: Literal["what", "why", "cause", "effect"]
    reason: Text
    raw: Text = Field(description="the beginning of a reply that could not be read; empty where there was none")


class SuspectedPart(_Part):
    """Words that look like orders to a machine; no score, event or account depends on them."""

    source: Name = Field(description="where they were read")
    quote: Text
    signs: list[Name] = Field(max_length=100, description="kinds of signs that were found")


class EventNarrationPart(_Part):
    """What a language model told of one event, or of the whole video where `event_id` is null."""

    event_id: Name | None
    checkable: Count = Field(description="sentences that state something which the evidence could show")
    faithfulness: Unit | None = Field(description="supported by checkable sentences; null where none is checkable")
    sentences: list[NarratedSentencePart] = Field(max_length=1000)
    failures: list[NarrationFailurePart] = Field(max_length=100)
    suspected: list[SuspectedPart] = Field(max_length=100)


class NarrationPart(_Part):
    """All that a language model told. Scores, events and accounts do not depend on it."""

    model: Name
    prompts: list[Name] = Field(max_length=100, description="name and version of each prompt")
    checkable: Count = Field(description="of all events together")
    faithfulness: Unit | None = Field(description="of all events together")
    events: list[EventNarrationPart]
    suspected: list[SuspectedPart] = Field(max_length=100, description="in what the user gave the model")
    paid: Count = Field(description="calls that the model answered")
    cached: Count = Field(description="calls answered out of the cache")
    failed: Count = Field(description="calls that brought no answer")
    prompt_tokens: Count = Field(description="of the calls that were paid for, as far as the model's server counts")
    completion_tokens: Count = Field(description="likewise")
    images: Count = Field(description="pictures shown in these calls")


class VersionPart(_Part):
    """A package that took part."""

    package: Name
    version: Name


class TimingPart(_Part):
    """Time that a stage took."""

    stage: Name
    seconds: float = Field(ge=0, le=1e9, description="seconds")


class ReportPart(_Part):
    """The whole result of analysing one video. Times are seconds from the first frame, boxes pixels of the source."""

    schema_version: Literal["1.1"]
    video: VideoPart
    config_digest: Name = Field(description="first hexadecimal digits of a SHA-256 over the configuration")
    versions: list[VersionPart] = Field(max_length=1000)
    models: list[Name] = Field(max_length=1000, description="names of the weights that were used")
    notes: list[Text] = Field(max_length=1000, description="warnings and disclosures a reader must see")
    accounts: list[AccountPart] = Field(description="first the whole video's, then one an event")
    events: list[EventPart]
    scores: ScoresPart
    segments: SegmentsPart
    keyframes: list[KeyframePart]
    tracks: list[TrackPart]
    relations: list[RelationPart]
    changes: list[ChangePart]
    graph: GraphPart
    timings_s: list[TimingPart] = Field(max_length=1000)
    narration: NarrationPart | None = Field(default=None, description="null where no language model was asked")


def json_schema() -> dict[str, Any]:
    """Returns the published schema: JSON Schema draft 2020-12, closed (no additional properties)."""
    body = ReportPart.model_json_schema()
    body["title"] = f"vau report {SCHEMA_VERSION}"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **body}
