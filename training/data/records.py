"""One labelled video as a record, and the words that a set of records uses; read from and written to JSON lines.

The form is ours, after the proxy of CueBench (arXiv 2511.00613): times in seconds, what is unknown left out. A record
knows no task; `vau.training.data.tasks` asks it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vau.errors import InputError
from vau.files import replace_file
from vau.mllm import strict_json

MAX_LINE = 200_000  # characters
MAX_RECORDS = 2_000_000
NORMAL = "Normal"
Kind = Literal["none", "conditional", "absolute"]
_Words = Annotated[str, Field(max_length=200)]
_Text = Annotated[str, Field(max_length=8000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Asked(_Frozen):
    """A question with options, one of which is right."""

    question: Annotated[str, Field(min_length=1, max_length=1000)]
    options: Annotated[tuple[_Words | Annotated[str, Field(max_length=1000)], ...], Field(min_length=2, max_length=7)]
    right: int = Field(ge=0, lt=7)

    @model_validator(mode="after")
    def _within(self) -> Asked:
        if self.right >= len(self.options):
            raise ValueError(f"option {self.right} is right of only {len(self.options)}")
        return self


class Record(_Frozen):
    """What is known of one video."""

    id: Annotated[str, Field(min_length=1, max_length=300)]
    video: Annotated[str, Field(min_length=1, max_length=1000, description="path, or simulated:SCRIPT:SEED:KIND")]
    source: Annotated[str, Field(max_length=300, description="the recording; videos of one stay together")] = ""
    duration_s: float = Field(gt=0, le=48 * 3600)
    abnormal: bool
    spans_s: tuple[tuple[float, float], ...] | None = Field(None, description="none: normal; null: unknown")
    label: _Words = Field("", description="class of the anomaly, Normal for none")
    event: _Words = ""
    kind: Kind = "none"
    scene: _Words = ""
    attributes: tuple[_Words, ...] = Field((), max_length=32)
    questions: tuple[Asked, ...] = Field((), max_length=32)
    thought: _Text = Field("", description="reasoning to learn from")
    what: _Text = ""
    where: _Text = ""
    why: _Text = ""
    how: _Text = ""
    report: Annotated[str, Field(max_length=1000)] = Field("", description="JSON report of the video by vau analyze")

    @model_validator(mode="after")
    def _consistent(self) -> Record:
        spans = self.spans_s
        if spans is not None and bool(spans) is not self.abnormal:
            raise ValueError(f"{self.id}: abnormal videos have spans and normal ones none, got {spans}")
        if any(not 0 <= start < end <= self.duration_s + 0.5 for start, end in spans or ()):
            raise ValueError(
                f"{self.id}: spans must lie in [0, {self.duration_s:g}] with their begin first, got {spans}"
            )
        if self.abnormal is (self.kind == "none") and self.event:
            raise ValueError(f"{self.id}: the kind of an event is none just where it is normal, got {self.kind}")
        return self

    @property
    def origin(self) -> str:
        """The recording that it comes from; the video itself where none is named."""
        return self.source or self.video


class Vocabulary(_Frozen):
    """The words that answers are made of."""

    classes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    @classmethod
    def of(cls, records: Iterable[Record]) -> Vocabulary:
        """Returns all words of some records, sorted; Normal comes first among classes."""
        found: tuple[set[str], set[str], set[str], set[str]] = (set(), set(), set(), set())
        for record in records:
            for words, mine in zip(
                found, ((record.label,), (record.event,), (record.scene,), record.attributes), strict=True
            ):
                words.update(word for word in mine if word)
        classes = sorted(found[0], key=lambda name: (name != NORMAL, name))
        return cls(
            classes=tuple(classes),
            events=tuple(sorted(found[1])),
            scenes=tuple(sorted(found[2])),
            attributes=tuple(sorted(found[3])),
        )


def read_records(path: Path) -> Iterator[Record]:
    """Yields the records of a file of JSON lines; relative paths in it start at its folder.

    Raises:
        InputError: the file cannot be read, a line is no record, or an id comes twice; the message names the line.
    """
    known: set[str] = set()
    try:
        with path.open(encoding="utf-8") as lines:
            for number in range(1, MAX_RECORDS + 1):
                line = lines.readline(MAX_LINE + 1)
                if not line:
                    return
                if line.strip():
                    record = _record(path, number, line)
                    if record.id in known:
                        raise InputError(f"{path}, line {number}: the id {record.id!r} comes twice")
                    known.add(record.id)
                    yield record
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8") from error
    raise InputError(f"{path}: more than {MAX_RECORDS} lines")


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes records as JSON lines, whole or not at all; what has its default is left out."""
    lines = [record.model_dump_json(exclude_defaults=True) for record in records]
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())


def _record(path: Path, number: int, line: str) -> Record:
    try:
        record = Record.model_validate(strict_json.loads(line, MAX_LINE))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}, line {number}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise InputError(f"{path}, line {number}: {error}") from error
    changes = {
        name: str(path.parent / value)
        for name in ("video", "report")
        if (value := getattr(record, name)) and not value.startswith("simulated:")
    }
    return record.model_copy(update=changes)
