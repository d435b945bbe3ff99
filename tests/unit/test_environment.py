from __future__ import annotations

import importlib.metadata


def test_exactly_one_distribution_provides_cv2():
    """Two builds of OpenCV in one environment overwrite each other's files and crash in ways that name neither."""
    providers = set(importlib.metadata.packages_distributions()["cv2"])
    assert len(providers) == 1, f"cv2 comes from {sorted(providers)}; keep one of them"
