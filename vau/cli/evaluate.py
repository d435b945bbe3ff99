"""`vau eval`: scores of any system against a data set's protocol, and what a local copy of a data set lacks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vau.cli.failures import guard
from vau.cli.show import clean, console, name_of, print_json
from vau.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vau.eval.align import Aligned
    from vau.eval.check import Inventory
    from vau.eval.metrics.bootstrap import Estimate
    from vau.eval.metrics.tables import GroupRow
    from vau.eval.result import FrameResult
    from vau.eval.truth import Truth

evaluate = typer.Typer(help="Evaluate scores on the field's benchmarks.", no_args_is_help=True)

_SETS = "ucf-crime, xd-violence, shanghaitech, avenue, ped1, ped2, ubnormal, msad, tad, dota or lad."
_STYLES = {"ready": "green", "differs": "yellow", "missing": "red"}


class Resample(StrEnum):
    """How scores on a coarser grid become a score a frame."""

    HOLD = "hold"
    LINEAR = "linear"


Name = Annotated[str, typer.Option("--dataset", help=_SETS)]
AnnotationFile = Annotated[Path | None, typer.Option(help="The annotation file, where the folder holds several.")]
LengthsFile = Annotated[Path | None, typer.Option(help="csv, json or npz with the frames of each video.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the result as JSON here; - for standard output.")]
Debug = Annotated[bool, typer.Option(help="Show tracebacks.")]


@evaluate.command()
def frame(
    dataset: Name,
    data: Annotated[Path, typer.Option(help="Folder with the annotation of the data set.")],
    scores: Annotated[Path, typer.Option(help="Scores of all test videos, .jsonl or .npz.")],
    protocol: Annotated[str | None, typer.Option(help="One of the data set's; none: its first.")] = None,
    annotations: AnnotationFile = None,
    lengths: LengthsFile = None,
    resample: Annotated[Resample, typer.Option(help="How coarser scores become a score a frame.")] = Resample.HOLD,
    fps: Annotated[float | None, typer.Option(min=0.01, max=1000, help="Frames a second, for scores at times.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Score the videos that have scores, and say so.")] = False,
    resamples: Annotated[int, typer.Option(min=0, max=100_000, help="Of the confidence intervals; 0: none.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals and of the random prior.")] = 0,
    out: JsonFile = None,
    debug: Debug = False,
) -> None:
    """Frame-level AUC and AP of a score file, beside what trivial scores reach on the same data."""
    with guard(debug):
        from vau.eval.align import align
        from vau.eval.protocols import find_dataset
        from vau.eval.result import evaluate_frames
        from vau.eval.scorefile import read_scores
        from vau.eval.truth import load_truth

        chosen = find_dataset(dataset)
        _check_out(out, data, scores, annotations, lengths)
        truth = load_truth(chosen, chosen.protocol(protocol), data, annotations=annotations, lengths=lengths)
        given = read_scores(scores)
        aligned = align(truth, given, rule=resample.value, fps=fps, allow_partial=partial, where=scores)
        result = evaluate_frames(
            aligned.videos, expected=aligned.expected, allow_partial=partial, resamples=resamples, seed=seed
        )
        _write(_frame_record(truth, aligned, result, scores), out)
        if out is None or str(out) != "-":
            _show_frame(truth, aligned, result, console())


@evaluate.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Folder with a local copy.")],
    dataset: Name,
    annotations: AnnotationFile = None,
    lengths: LengthsFile = None,
    out: JsonFile = None,
    debug: Debug = False,
) -> None:
    """Says what a local copy of a data set holds, what is missing and where it comes from.

    Exit code 2, and a line that says so, where no protocol can be evaluated with it.
    """
    with guard(debug):
        from vau.eval.check import take_stock
        from vau.eval.protocols import find_dataset

        _check_out(out, folder, annotations, lengths)
        found = take_stock(find_dataset(dataset), folder, annotations=annotations, lengths=lengths)
        _write(_check_record(found), out)
        if out is None or str(out) != "-":
            _show_check(found, console())
        if not found.usable:
            states = ", ".join(f"{verdict.protocol.name} {verdict.state}" for verdict in found.verdicts)
            raise InputError(f"{folder}: no protocol of {dataset} can be evaluated as it is stated ({states})")


def _check_out(out: Path | None, data: Path, *read: Path | None) -> None:
    """Makes sure, before the work, that a result can be written and replaces nothing that it is made from.

    Args:
        out: where the result goes; None or ``-``: to no file.
        data: folder of which any file may be read; a result that lies there already may be replaced.
        read: other files that are read.

    Raises:
        InputError: it is a folder, cannot be written, or would replace such a file.
    """
    if out is None or str(out) == "-":
        return
    try:
        if out.is_dir():
            raise InputError(f"--json {out}: a folder; name a file in it, such as {out / 'result.json'}")
        if out.exists():
            own = any(path is not None and path.exists() and out.samefile(path) for path in read)
            within = out.resolve().is_relative_to(data.resolve())
            if own or (within and not _is_result(out)):
                raise InputError(f"--json {out}: holds data that this command reads; write the result elsewhere")
        place = out if out.exists() else next(parent for parent in out.absolute().parents if parent.exists())
        if not os.access(place, os.W_OK) or (place != out and not place.is_dir()):
            raise InputError(f"--json {out}: {place} cannot be written; choose another place")
    except OSError as error:
        raise InputError(f"--json {out}: {error.strerror or error}") from error


def _is_result(path: Path) -> bool:
    from vau.eval.files import json_value

    try:
        record = json_value(path)
    except InputError:
        return False
    return isinstance(record, dict) and {"vau", "dataset"} <= record.keys()


def _write(record: dict[str, Any], out: Path | None) -> None:
    if out is None:
        return
    if str(out) == "-":
        print_json(record)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--json {out}: {error.strerror or error}") from error


def _frame_record(truth: Truth, aligned: Aligned, result: FrameResult, scores: Path) -> dict[str, Any]:
    from vau import __version__

    return {
        "vau": __version__,
        "dataset": truth.dataset.name,
        "protocol": truth.protocol.name,
        "source": truth.protocol.source,
        "scores": name_of(scores),
        "grid": aligned.grid,
        "annotation": name_of(truth.annotation_from),
        "lengths": name_of(truth.lengths_from),
        "repairs": [asdict(repair) for repair in truth.repairs],
        "deviations": list(truth.deviations),
        **result.to_dict(),
    }


def _check_record(found: Inventory) -> dict[str, Any]:
    from vau import __version__

    return {
        "vau": __version__,
        "dataset": found.dataset.name,
        "usable": found.usable,
        "terms": found.dataset.terms,
        "videos_from": found.dataset.videos_from,
        "parts": [{**asdict(part), "found": name_of(part.found)} for part in found.parts],
        "protocols": [
            {"name": verdict.protocol.name, "state": verdict.state, "detail": name_of(verdict.detail)}
            for verdict in found.verdicts
        ],
    }


def _show_frame(truth: Truth, aligned: Aligned, result: FrameResult, out: Console) -> None:
    out.print(f"{truth.dataset.title}, protocol {truth.protocol.name}", style="bold")
    out.print(f"  {truth.protocol.source}", style="dim")
    if truth.protocol.note:
        out.print(f"  {truth.protocol.note}", style="dim")
    out.print(f"  Annotation: {clean(truth.annotation_from)}; lengths: {clean(truth.lengths_from)}", style="dim")
    out.print(f"  Scores: {aligned.grid}", style="dim")
    used = f"n used / n expected: {result.used} / {result.expected} videos"
    out.print(Text(f"  {used}", style="green" if result.complete else "bold red"), end="")
    out.print(
        f"; {result.frames:,} frames, {result.abnormal_frames:,} abnormal; {result.abnormal_videos} abnormal videos"
    )
    for repair in truth.repairs:
        out.print(f"  Repaired, {repair.rule}: {repair.count:,} {repair.what}", style="yellow")
    for deviation in truth.deviations:
        out.print(f"  Not the protocol's totals: {deviation}", style="bold yellow")
    out.print()
    out.print(_figures(result))
    padded = _percent(result.padded_macro_auc_inflated)
    out.print(
        f"Per cent. _A: abnormal videos only. Macro AUC: mean over the {result.mixed_videos} videos with both kinds of "
        f"frame; padded over all videos, which inflates it: {padded}. Intervals resample whole videos; the columns "
        "after them never saw a frame.",
        style="dim",
    )
    _show_groups("class", result.by_category, out)
    _show_groups("length", result.by_length, out)


def _figures(result: FrameResult) -> Table:
    """Returns a row a figure: these scores, their interval, and what each prior reaches."""
    table = Table(box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column("these\nscores", justify="right", no_wrap=True)
    table.add_column(f"{100 * result.level:g} %\ninterval", justify="right", no_wrap=True)
    for name in result.priors:
        heading = name.replace(" / ", "/").replace(" x ", " x\N{NO-BREAK SPACE}").replace("-", " ")
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    rows = {
        "AUC": "auc",
        "AP step": "ap_step",
        "AP trapezoid": "ap_trapezoid",
        "AUC_A": "auc_abnormal_only",
        "AP_A step": "ap_step_abnormal_only",
        "AP_A trapez.": "ap_trapezoid_abnormal_only",
        "macro AUC": "macro_auc",
    }
    for title, figure in rows.items():
        own: Estimate = getattr(result, figure)
        span = "-" if own.low is None or own.high is None else f"{100 * own.low:.1f}-{100 * own.high:.1f}"
        priors = [_percent(getattr(prior, figure)) for prior in result.priors.values()]
        table.add_row(title, Text(_percent(own.value), style="bold"), span, *priors)
    return table


def _show_groups(by: str, rows: Sequence[GroupRow], out: Console) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, title=f"\nBy {by}", title_justify="left", title_style="bold")
    table.add_column(by, no_wrap=True)
    for heading in ("videos", "frames", "abnormal", "AUC", "AP\nstep", "AUC\nwith\nnormal", "AP\nwith\nnormal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        counts = (f"{row.videos:,}", f"{row.frames:,}", f"{row.abnormal_frames:,}")
        areas = (row.auc, row.ap_step, row.auc_with_normal, row.ap_step_with_normal)
        table.add_row(clean(row.group), *counts, *(_percent(area) for area in areas))
    out.print(table)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _show_check(found: Inventory, out: Console) -> None:
    out.print(found.dataset.title, style="bold")
    out.print(f"  Videos: {found.dataset.videos_from}", soft_wrap=True)
    out.print(f"  Terms: {found.dataset.terms}\n", soft_wrap=True)
    parts = Table.grid(padding=(0, 2))
    parts.add_column(no_wrap=True)
    parts.add_column(overflow="fold")
    for part in found.parts:
        here = Text(clean(part.found), style="green") if part.found else Text("missing", style="yellow")
        here.append(f"\ncomes as {part.origin}", style="dim")
        parts.add_row(Text(part.name), here)
    out.print(parts)
    verdicts = Table(box=None, pad_edge=False)
    for heading in ("\nprotocol", "\nstate", "\ntotals, or what is wrong"):
        verdicts.add_column(heading, overflow="fold")
    for verdict in found.verdicts:
        state = Text(verdict.state, style=_STYLES[verdict.state])
        verdicts.add_row(verdict.protocol.name, state, clean(verdict.detail))
    out.print(verdicts)
