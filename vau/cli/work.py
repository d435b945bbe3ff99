"""What several commands do: read the configuration's options, analyse one video, write its files."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vau.cli.inputs import result_folder
from vau.cli.progress import stages
from vau.errors import ConfigError

if TYPE_CHECKING:
    from vau.config import Config
    from vau.mllm.open import OpenMllm
    from vau.perception.observe import Models
    from vau.scoring.scorer import Scorer
    from vau.types import Report

DEFAULT_OUT = Path("reports")


@dataclass(frozen=True)
class Result:
    """A report and the files that hold it."""

    report: Report
    json: Path
    html: Path


def configuration(
    path: Path | None, settings: Sequence[str], sample_fps: float | None = None, sensitivity: float | None = None
) -> Config:
    """Returns the configuration that the options describe; the more particular option wins.

    Args:
        path: of a YAML file, or None.
        settings: ``section.key=value`` strings; values are read as YAML.
        sample_fps: frames a second that the detectors see, or None.
        sensitivity: of the scorer in [0, 1], or None.

    Raises:
        ConfigError: a file, key or value is wrong.
    """
    from vau.config import Config

    overrides = dict(_setting(text) for text in settings)
    if sample_fps is not None:
        overrides["video.sample_fps"] = sample_fps
    if sensitivity is not None:
        overrides["scoring.sensitivity"] = sensitivity
    config = Config() if path is None else Config.load(path)
    return config.with_overrides(overrides) if overrides else config


def with_scorer(config: Config, folder: Path | None, anomalies: Sequence[str], normals: Sequence[str]) -> Config:
    """Returns the configuration with a scorer's checkpoint and definitions in words, where they are given.

    Definitions without a checkpoint choose a scorer that reads text, unless the configuration names one already.

    Raises:
        ConfigError: a definition is blank.
    """
    for option, texts in (("--anomaly", anomalies), ("--normal", normals)):
        blank = next((text for text in texts if not text.strip()), None)
        if blank is not None:
            raise ConfigError(
                f'{option} {blank!r} is blank; say it in words, such as {option} "a person climbs a wall"'
            )
    overrides: dict[str, object] = {}
    if folder is not None:
        overrides["scoring.checkpoint"] = str(folder)
    if anomalies or normals:
        overrides |= {"scoring.anomalies": tuple(anomalies), "scoring.normals": tuple(normals)}
        reads_text = config.scoring.method in ("nova", "flashback") or folder is not None or config.scoring.checkpoint
        if not reads_text:
            overrides["scoring.method"] = "nova"
    return config.with_overrides(overrides) if overrides else config


def with_mllm(config: Config, model: str | None) -> Config:
    """Returns the configuration with another language model, where one is given; raises ConfigError."""
    return config if model is None else config.with_overrides({"mllm.model": model})


def _setting(text: str) -> tuple[str, object]:
    import yaml

    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ConfigError(f"--set {text!r}: write section.key=value, such as video.sample_fps=8")
    try:
        return key.strip(), yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"--set {text!r}: the value is not readable as YAML") from error


def produce(
    video: Path,
    config: Config,
    out: Path,
    *,
    quiet: bool,
    models: Models | None = None,
    scorer: Scorer | None = None,
    mllm: OpenMllm | None = None,
    notes: tuple[str, ...] = (),
) -> Result:
    """Analyses one video and writes its report below `out`.

    Args:
        video: the file.
        config: all settings.
        out: folder of reports; the video's own is made inside.
        quiet: whether to show no progress.
        models: loaded models, to use again for many videos; None loads them.
        scorer: a loaded scorer, to use again; None loads it.
        mllm: an opened language model, to use again; None opens the one that `config` names.
        notes: what a reader must know beforehand.

    Raises:
        VauError: whatever the stages raise.
    """
    from vau import pipeline
    from vau.report import write_all
    from vau.weights import FILES

    with stages(video.name, quiet) as progress:
        report = pipeline.analyze(
            video, config, models=models, scorer=scorer, mllm=mllm, progress=progress, notes=notes
        )
    folder = result_folder(out, video, report.video.sha256)
    licences = {file.model: file.licence for file in FILES}
    if not config.scoring.checkpoint:  # a trained scorer has the licence that its maker gives it
        licences[report.scores.scorer] = "Apache-2.0, part of vau"
    files = write_all(
        report,
        folder,
        video_href=_relative(video, folder),
        licences=licences,
        keypoints=config.report.keypoints,
        pictures=config.report.pictures,
    )
    return Result(report, files["report.json"], files["report.html"])


def _relative(video: Path, folder: Path) -> str | None:
    """Returns the way from a report to its video; None where there is none, as between drives."""
    try:
        return os.path.relpath(video.resolve(), folder.resolve())
    except ValueError:
        return None


def log_to_stderr(debug: bool) -> None:
    """Sends log records to standard error: warnings, or everything when debugging."""
    handler = logging.StreamHandler()
    if not debug:
        # A failed download is our own error, in one line; libraries tell every retry, and some log to the root itself.
        logging.getLogger("huggingface_hub.utils._http").setLevel(logging.CRITICAL)
        handler.addFilter(lambda record: record.name != "root")
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        handlers=[handler],
    )
