"""The reports that the sentences of `claim_corpus.yaml` are about."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from tests.sample_report import sample_report
from tests.unit.account_scenes import SCENES, Built
from vau.types import Report


def report_of(built: Built) -> Report:
    """Returns the report that the pipeline would make of a built scene, without pictures."""
    graph, accounts = built.tell()
    return Report(
        video=built.info,
        config_digest="0" * 16,
        versions=(),
        models=(),
        scores=built.scores,
        segments=built.segments,
        events=built.events,
        keyframes=(),
        tracks=built.observations.tracks,
        relations=built.relations,
        changes=built.changes,
        graph=graph,
        accounts=accounts,
        timings_s=(),
    )


@cache
def _scene(name: str) -> Report:
    return report_of(SCENES[name]())


REPORTS: dict[str, Callable[[], Report]] = {
    "street": sample_report,
    **{name: partial(_scene, name) for name in SCENES},
}
