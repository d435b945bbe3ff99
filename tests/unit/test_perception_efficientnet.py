from __future__ import annotations

import os

import pytest

from vau.errors import PerceptionError, WeightsError
from vau.perception.efficientnet import EfficientNetEmbedder, features_of
from vau.perception.litert import open_model, quiet_start


class _Tensors:
    def __init__(self, *names: str) -> None:
        self._names = names

    def get_tensor_details(self) -> list[dict[str, object]]:
        return [{"name": name, "index": i} for i, name in enumerate(self._names)]


def test_the_pooled_features_are_found_by_name():
    assert features_of(_Tensors("net/head/Squeeze", "net/head/Squeeze1", "Softmax"))["index"] == 1
    with pytest.raises(PerceptionError, match="Squeeze1"):
        features_of(_Tensors("net/head/Squeeze", "Softmax"))


def test_missing_weights_are_an_error(tmp_path):
    with pytest.raises(WeightsError, match="vau weights fetch"):
        EfficientNetEmbedder(folder=tmp_path)


def test_a_file_that_is_no_model_is_an_error(tmp_path):
    path = tmp_path / "junk.tflite"
    path.write_bytes(b"junk" * 100)
    with pytest.raises(PerceptionError, match=r"junk\.tflite"):
        open_model(path, threads=1)


def test_only_the_known_line_is_held_back(capfd):
    with quiet_start():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"ERROR: something else\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: something else\nafter\n"


def test_standard_error_comes_back_after_a_failure(capfd):
    with pytest.raises(ValueError, match="broken"), quiet_start():
        raise ValueError("broken")
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"
