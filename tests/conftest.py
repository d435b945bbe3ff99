"""Fixtures shared by all tests: where the real clips and the packaged weights are, or a reason to skip."""

from __future__ import annotations

from pathlib import Path

import pytest

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "videos"


@pytest.fixture(scope="session")
def clips_dir() -> Path:
    if not CLIPS.is_dir():
        pytest.skip(f"real clips are not at {CLIPS}")
    return CLIPS


@pytest.fixture(scope="session")
def weights() -> Path:
    """Returns the folder of packaged weights; the tests fail, not skip, where it is empty: `make test` fetches them."""
    from vau.weights import default_dir

    return default_dir()
