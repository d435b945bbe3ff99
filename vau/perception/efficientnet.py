"""EfficientNet-Lite3, the embedded frame embedder (8-bit, trained on ImageNet), run by LiteRT.

It describes a frame's appearance by the pooled features before the classifier; it does not know motion or text.
Source: Tan and Le, EfficientNet, 2019; weights of the TensorFlow TPU models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vau.errors import PerceptionError
from vau.perception.litert import open_model
from vau.perception.models import check_images, unit_rows
from vau.types import Float32, UInt8
from vau.weights import locate

_FEATURES = "/head/Squeeze1"  # end of the name of the pooled features, (1, 1280)


class EfficientNetEmbedder:
    """Embeds whole frames, squeezed to the network's square so that nothing at the border is lost."""

    name = "efficientnet-lite3"

    def __init__(self, threads: int = 2, folder: Path | None = None) -> None:
        """Loads the network.

        Args:
            threads: number of threads.
            folder: where the weights are; None for the default.

        Raises:
            WeightsError: the weights are missing or not the expected ones.
        """
        self._model = open_model(locate(self.name, folder), threads, keep_tensors=True)
        entry = self._model.get_input_details()[0]
        self._input, self._side = entry["index"], int(entry["shape"][1])
        features = features_of(self._model)
        self._output, self._dim = features["index"], int(features["shape"][-1])
        # An 8-bit value stands for scale * (value - zero); the scale is lost in the norm.
        self._zero = int(features["quantization"][1])

    @property
    def dim(self) -> int:
        """Number of dimensions, 1280."""
        return self._dim

    def embed(self, images: UInt8) -> Float32:
        """Returns (N, 1280) float32 rows of unit norm for images (N, H, W, 3); raises PerceptionError."""
        if not len(check_images(images)):
            return np.zeros((0, self._dim), np.float32)
        return unit_rows(np.stack([self._embed_one(image) for image in images]), self.name)

    def _embed_one(self, image: UInt8) -> Float32:
        small = cv2.resize(image, (self._side, self._side), interpolation=cv2.INTER_AREA)
        try:
            self._model.set_tensor(self._input, small[None])
            self._model.invoke()
            features: Float32 = self._model.get_tensor(self._output)[0].astype(np.float32)
        except (ValueError, RuntimeError) as error:
            raise PerceptionError(f"{self.name} failed on an image {image.shape}: {error}") from error
        return features - np.float32(self._zero)


def features_of(model: Any) -> dict[str, Any]:
    """Returns the description of the pooled features inside the network; raises PerceptionError without them."""
    for tensor in model.get_tensor_details():
        if tensor["name"].endswith(_FEATURES):
            return dict(tensor)
    raise PerceptionError(f"{EfficientNetEmbedder.name} holds no tensor named *{_FEATURES}")
