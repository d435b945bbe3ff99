"""The card of a fine-tuned model: what it was made of and how, what was measured, what to beware of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from vau.files import replace_file
from vau.training.data.dataset import summary
from vau.training.data.simulated import is_simulated
from vau.training.tuning.figures import numbers
from vau.training.tuning.run import Order, Prepared

CARD = "card.json"
_PACKAGES = ("vau", "torch", "transformers", "trl", "peft", "accelerate")
_SHOWN = ("reward", "loss", "entropy", "kl", "completions/mean_length", "frac_reward_zero_std", "mean_token_accuracy")


def write_card(
    order: Order,
    prepared: Prepared,
    history: Sequence[Mapping[str, Any]],
    warnings: Mapping[str, str],
    folders: Sequence[Path],
) -> dict[str, Any]:
    """Writes ``card.json`` and ``README.md`` into folders and returns the card.

    Args:
        order: what was trained.
        prepared: on what.
        history: what the trainer logged.
        warnings: of the gates, by name.
        folders: of the exported model and of the adapter; those that are missing are passed over.
    """
    told = card(order, prepared, history, warnings)
    for folder in folders:
        if folder.is_dir():
            replace_file(folder / CARD, json.dumps(told, indent=1).encode())
            replace_file(folder / "README.md", _page(told).encode())
    return told


def card(
    order: Order, prepared: Prepared, history: Sequence[Mapping[str, Any]], warnings: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the card as plain data."""
    recipe = order.recipe
    simulated = sum(is_simulated(record.video) for record in prepared.records)
    return {
        "recipe": recipe.model_dump(mode="json"),
        "base": order.model,
        "data": {
            "files": [Path(name).name for name in order.data],
            "videos": len(prepared.records),
            "abnormal": sum(record.abnormal for record in prepared.records),
            "recordings": len({record.origin for record in prepared.records}),
            "simulated": simulated,
            "rows": summary(prepared.rows),
            "digest": prepared.digest(),
            "compared_with_held_out": prepared.held_out,
        },
        "figures": _figures(history),
        "steps": max((int(row.get("step", 0)) for row in history), default=0),
        "warnings": dict(warnings),
        "versions": _versions(),
    }


def _figures(history: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Returns the means over the first and the last tenth of the logged steps, at least one, of what is shown."""
    found = {}
    keys = [
        key for row in history for key in row if key in _SHOWN or (key.startswith("rewards/") and key[-5:] == "/mean")
    ]
    for key in dict.fromkeys(keys):
        values = numbers(history, key)
        tenth = max(1, len(values) // 10)
        if values:
            found[key] = [round(sum(part) / len(part), 4) for part in (values[:tenth], values[-tenth:])]
    return found


def _page(told: Mapping[str, Any]) -> str:
    recipe, data = told["recipe"], told["data"]
    lines = [
        f"# {recipe['name']}: fine-tuned by vau",
        "",
        f"{recipe['about']} Source: {recipe['source']}.",
        "",
        f"* Base model: {told['base']}",
        f"* Method: {recipe['method']}, {told['steps']} steps, seed {recipe['seed']}",
        f"* Data: {data['videos']} videos ({data['abnormal']} abnormal) of {data['recordings']} recordings, rows "
        + ", ".join(f"{name} {count}" for name, count in data["rows"].items())
        + f", digest {data['digest']}",
        f"* Compared with {data['compared_with_held_out']} held-out names: none was trained on"
        if data["compared_with_held_out"]
        else "* Not compared with any held-out list: do not report figures on public test sets without doing so",
    ]
    if data["simulated"]:
        lines.append(f"* {data['simulated']} of the videos are simulated drawings: nothing here speaks of real video")
    if recipe["rewards"]:
        lines.append("* Rewards: " + ", ".join(f"{item['name']} x {item['weight']:g}" for item in recipe["rewards"]))
    lines += ["", "| logged | first tenth of the steps | last tenth |", "|---|---|---|"]
    lines += [f"| {name} | {first:g} | {last:g} |" for name, (first, last) in told["figures"].items()]
    lines += ["", "These are figures of training, not of a test.", ""]
    lines += [f"* Warning: {text}" for text in told["warnings"].values()]
    lines += ["", "Versions: " + ", ".join(f"{name} {number}" for name, number in told["versions"].items()), ""]
    return "\n".join(lines)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
