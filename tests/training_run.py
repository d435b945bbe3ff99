"""A small training on planted bags for tests; to be killed, run ``python -m tests.training_run DIR STEPS PAUSE_S``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from vau.scoring.head_model import build_head
from vau.training.scorer.bags import Bag, collate
from vau.training.scorer.judge import auc
from vau.training.scorer.objectives import Settings
from vau.training.scorer.objectives.topk import TopKObjective
from vau.training.scorer.trainer import Plan, Training, balanced

SETTINGS = Settings("adam", learning_rate=0.01, steps=60, bags_a_side=4)
ARGUMENTS = {"input_size": 6, "hidden": [12, 6], "dropout": 0.5}


def bags(seed: int, count: int = 16) -> list[Bag]:
    """Returns bags of 6 features; abnormal ones hold a run of three rows that lie apart."""
    random = np.random.default_rng(seed)
    found = []
    for index in range(count):
        rows = random.normal(size=(int(random.integers(10, 20)), 6)).astype(np.float32)
        if index % 2:
            rows[4:7, :2] += 3
        found.append(Bag(f"v{index}", rows, index % 2))
    return found


def judged(head) -> float:
    batch = collate(bags(1))
    with torch.inference_mode():
        logits = head(batch.features, batch.mask).logits.masked_fill(~batch.mask, -torch.inf)
    return auc(logits.amax(1).numpy().astype(float), batch.labels.numpy() > 0)


def run(folder: Path, *, steps: int, seed: int = 0, patience: int = 99, identity: str = "", judge=judged) -> Training:
    torch.manual_seed(seed)
    head = build_head("sultani", ARGUMENTS)
    plan = Plan(steps, validate_every=5, patience=patience, save_every=5, seed=seed)
    draw = balanced(bags(0), SETTINGS.bags_a_side)
    return Training(head, TopKObjective(), SETTINGS, plan, draw, judge, folder, identity=identity)


if __name__ == "__main__":
    training = run(Path(sys.argv[1]), steps=int(sys.argv[2]))
    pause_s = float(sys.argv[3])
    training.run(report=lambda stage, done: time.sleep(pause_s))
    from safetensors.torch import save_file

    save_file(training.head.state_dict(), Path(sys.argv[1]) / "final.safetensors")
