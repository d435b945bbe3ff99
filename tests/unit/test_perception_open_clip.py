from __future__ import annotations

import sys

import pytest

from vau.errors import ConfigError, MissingExtraError
from vau.perception.open_clip import OpenClipEmbedder, check_known


class _Library:
    def list_models(self) -> list[str]:
        return ["RN50"]

    def list_pretrained_tags_by_model(self, model: str) -> list[str]:
        return ["openai", "cc12m"]


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtraError, match=r"vau\[clip\]"):
        OpenClipEmbedder("RN50", "")


def test_unknown_models_and_weights_are_echoed(tmp_path):
    with pytest.raises(ConfigError, match="'RN99'"):
        check_known(_Library(), "RN99", "")
    with pytest.raises(ConfigError, match="'mine'; known: openai, cc12m"):
        check_known(_Library(), "RN50", "mine")


def test_known_weights_random_ones_and_files_pass(tmp_path):
    path = tmp_path / "own.pt"
    path.write_bytes(b"")
    for pretrained in ("openai", "", str(path)):
        check_known(_Library(), "RN50", pretrained)
