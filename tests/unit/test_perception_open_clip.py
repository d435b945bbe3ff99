from __future__ import annotations

import sys

import pytest

from vau.errors import ConfigError, MissingExtraError, WeightsError
from vau.perception import open_clip
from vau.perception.open_clip import OpenClipEmbedder, check_known, check_reachable


class _Library:
    def list_models(self) -> list[str]:
        return ["RN50"]

    def list_pretrained_tags_by_model(self, model: str) -> list[str]:
        return ["openai", "cc12m"]

    def get_pretrained_cfg(self, model: str, tag: str) -> dict[str, str]:
        return {"hf_hub": "somebody/nothing-of-this-name/"} if tag == "openai" else {}


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


def _offline(*_args, **_options):
    raise OSError("no network")


def test_weights_that_cannot_be_downloaded_are_named_at_once(monkeypatch):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(open_clip.socket, "create_connection", _offline)
    monkeypatch.setattr(open_clip, "getproxies", dict)
    with pytest.raises(WeightsError, match=r"'openai' of RN50 are not on this machine.*clip_pretrained=FILE"):
        check_reachable(_Library(), "RN50", "openai")


def test_nothing_is_tried_behind_a_proxy_or_for_other_weights(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(open_clip.socket, "create_connection", _offline)
    monkeypatch.setattr(open_clip, "getproxies", lambda: {"https": "http://proxy:3128"})
    check_reachable(_Library(), "RN50", "openai")
    monkeypatch.setattr(open_clip, "getproxies", dict)
    (tmp_path / "own.pt").touch()
    for pretrained in ("cc12m", "", str(tmp_path / "own.pt")):
        check_reachable(_Library(), "RN50", pretrained)
