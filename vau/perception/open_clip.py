"""Adapter of OpenCLIP encoders (extra ``clip``): frames and texts as vectors of one space.

Pretrained weights are downloaded by the library itself, by its own means.
Source: Radford et al., CLIP, 2021; Ilharco et al., OpenCLIP, 2021.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from vau.errors import ConfigError, MissingExtraError, PerceptionError, WeightsError
from vau.perception.models import check_images, unit_rows
from vau.types import Float32, UInt8

_BATCH = 16
_TEXT_BATCH = 128
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # names under which the library looks
_PATIENCE_S = 5.0


class OpenClipEmbedder:
    """Embeds frames and texts with one OpenCLIP model. Frames are squeezed to its square, so no border is lost."""

    def __init__(self, model: str = "ViT-B-16", pretrained: str = "openai", device: str = "cpu") -> None:
        """Loads the model.

        Args:
            model: name of an OpenCLIP architecture.
            pretrained: name of its weights or path of a file; empty for random ones, of use in tests only.
            device: a torch device.

        Raises:
            MissingExtraError: OpenCLIP is not installed.
            ConfigError: OpenCLIP knows no such model or weights.
            WeightsError: the weights cannot be downloaded or read.
        """
        self._torch, library = _import_library()
        check_known(library, model, pretrained)
        check_reachable(library, model, pretrained)
        try:
            built = library.create_model_and_transforms(
                model, pretrained=pretrained or None, device=device, image_resize_mode="squash"
            )
            self._tokenizer = library.get_tokenizer(model)
        except (OSError, RuntimeError, ValueError) as error:
            raise WeightsError(f"OpenCLIP cannot load the weights {pretrained!r} of {model}: {error}") from error
        self._model, self._transform = built[0].eval(), built[2]
        self._device = device
        self._name = f"open_clip {model} {pretrained or 'random'}"
        self._dim = int(self._encode_texts(["a"]).shape[1])

    @property
    def name(self) -> str:
        """Architecture and weights."""
        return self._name

    @property
    def dim(self) -> int:
        """Number of dimensions of both frames and texts."""
        return self._dim

    def embed(self, images: UInt8) -> Float32:
        """Returns (N, D) float32 rows of unit norm for images (N, H, W, 3); raises PerceptionError."""
        check_images(images)
        parts = [self._encode_images(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
        return unit_rows(np.concatenate(parts), self.name) if parts else np.zeros((0, self._dim), np.float32)

    def encode(self, texts: Sequence[str]) -> Float32:
        """Returns (N, D) float32 rows of unit norm; a text longer than the model's context is cut.

        Raises:
            PerceptionError: the model failed.
        """
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        parts = [self._encode_texts(texts[i : i + _TEXT_BATCH]) for i in range(0, len(texts), _TEXT_BATCH)]
        return unit_rows(np.concatenate(parts), self.name)

    def _encode_images(self, images: UInt8) -> Float32:
        from PIL import Image

        batch = self._torch.stack([self._transform(Image.fromarray(image)) for image in images])
        return self._run(self._model.encode_image, batch)

    def _encode_texts(self, texts: Sequence[str]) -> Float32:
        return self._run(self._model.encode_text, self._tokenizer(list(texts)))

    def _run(self, encode: Any, batch: Any) -> Float32:
        try:
            with self._torch.inference_mode():
                features: Float32 = encode(batch.to(self._device)).float().cpu().numpy()
        except RuntimeError as error:
            raise PerceptionError(f"{self.name} failed: {error}") from error
        return features


def check_known(library: Any, model: str, pretrained: str) -> None:
    """Raises ConfigError unless OpenCLIP knows the architecture and its weights, or the weights are a file."""
    if model not in library.list_models():
        raise ConfigError(f"OpenCLIP knows no model {model!r}; see open_clip.list_models()")
    tags = library.list_pretrained_tags_by_model(model)
    if pretrained and pretrained not in tags and not Path(pretrained).is_file():
        raise ConfigError(f"{model} has no weights {pretrained!r}; known: {', '.join(tags) or 'none'}; or give a file")


def check_reachable(library: Any, model: str, pretrained: str) -> None:
    """Raises WeightsError at once where weights must be downloaded and their hub cannot be reached.

    The library itself tries for more than a minute. Behind a proxy nothing is tried here.
    """
    source = "" if Path(pretrained).is_file() else library.get_pretrained_cfg(model, pretrained).get("hf_hub", "")
    if not source:
        return
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, file = source.rpartition("/")
    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in (file, *_WEIGHTS) if name):
        return
    address = urlsplit(constants.ENDPOINT)
    if getproxies().get(address.scheme):
        return
    host = address.hostname or ""
    try:
        socket.create_connection((host, address.port or 443), timeout=_PATIENCE_S).close()
    except OSError as error:
        raise WeightsError(
            f"the weights {pretrained!r} of {model} are not on this machine, and {host} cannot be reached to download "
            f"them ({error.strerror or error}): connect once, or fetch a weights file of {repository} elsewhere and "
            "give it by --set perception.clip_pretrained=FILE"
        ) from error


def _import_library() -> tuple[Any, Any]:
    try:
        import open_clip
        import torch
    except ImportError as error:
        raise MissingExtraError("The OpenCLIP embedder", "clip") from error
    return torch, open_clip
