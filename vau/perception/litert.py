"""Opens a LiteRT (TensorFlow Lite) model for the adapters that run one: threads, input size, errors, a quiet start.

It knows nothing of what a model sees or returns.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from vau.errors import PerceptionError

_NOISE = b"INFO: Created TensorFlow Lite XNNPACK delegate"


def open_model(path: Path, threads: int, input_shape: tuple[int, ...] | None = None, keep_tensors: bool = False) -> Any:
    """Returns an interpreter that is ready to be invoked.

    Args:
        path: a ``.tflite`` file whose SHA-256 has been checked.
        threads: number of threads.
        input_shape: shape of the first input, where the model leaves it open.
        keep_tensors: keep tensors inside the network readable after a run.

    Raises:
        PerceptionError: the file cannot be loaded, or not with this shape.
    """
    try:
        with quiet_start(), warnings.catch_warnings():
            # The runtime warns that kept tensors cost memory; it is some 20 MB for the one model that does so.
            warnings.simplefilter("ignore", UserWarning)
            model = Interpreter(
                model_path=str(path), num_threads=threads, experimental_preserve_all_tensors=keep_tensors
            )
            if input_shape is not None:
                model.resize_tensor_input(model.get_input_details()[0]["index"], input_shape)
            model.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise PerceptionError(f"LiteRT cannot load {path.name}: {error}") from error
    return model


@contextmanager
def quiet_start() -> Iterator[None]:
    """Holds back the runtime's line of information on standard error; all else that was written is passed on after.

    The runtime has no call to set its log level and writes below Python, so the descriptor itself is turned aside.
    """
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed: nothing can be written to it
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not line.startswith(_NOISE):
                    os.write(2, line)
