"""Prints how the claim check and the injection flag stand on their corpora: ``python -m tests.unit.claim_figures``.

With ``--minilm`` the injection flag compares by meaning as well, which needs the packaged weights.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from tests.unit.claim_reports import REPORTS
from vau.reasoning.claimcheck import check
from vau.reasoning.injection import Orders, suspect

VERDICTS = ("supported", "unsupported", "contradicted", "not checkable")


def _corpus(name: str) -> dict:
    data = yaml.safe_load((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return {part: entries for part, entries in data.items() if part != "version"}


def claims() -> Table:
    table = Table("part", "sentences", "right", *(f"{verdict} P / R" for verdict in VERDICTS), title="claim check")
    for part, scenes in _corpus("claim_corpus.yaml").items():
        counts: Counter[tuple[str, str]] = Counter()
        for scene, verdicts in scenes.items():
            for want, sentences in verdicts.items():
                counts.update((want, check(REPORTS[scene](), text).sentences[0].verdict) for text in sentences)
        total = sum(counts.values())
        right = sum(counts[verdict, verdict] for verdict in VERDICTS)
        cells = []
        for verdict in VERDICTS:
            given = sum(counts[other, verdict] for other in VERDICTS)
            wanted = sum(counts[verdict, other] for other in VERDICTS)
            cells.append(
                f"{counts[verdict, verdict] / max(given, 1):.2f} / {counts[verdict, verdict] / max(wanted, 1):.2f}"
            )
        table.add_row(part, str(total), f"{right / total:.3f}", *cells)
    return table


def injections(orders: Orders | None) -> Table:
    table = Table("part", "attacks found", "innocent flagged", title="injection flag")
    for part, texts in _corpus("injection_corpus.yaml").items():
        hits = [sum(suspect(text, "x", orders=orders) is not None for text in texts[kind]) for kind in texts]
        sizes = [len(texts[kind]) for kind in texts]
        table.add_row(part, *(f"{hit} of {size}" for hit, size in zip(hits, sizes, strict=True)))
    return table


def main() -> None:
    orders = None
    if "--minilm" in sys.argv:
        from vau.reasoning.minilm import MiniLM
        from vau.weights import locate

        orders = Orders(MiniLM(locate("all-minilm-l6-v2"), locate("all-minilm-l6-v2-tokenizer")))
    console = Console(width=140)
    console.print(claims(), injections(orders))


if __name__ == "__main__":
    main()
