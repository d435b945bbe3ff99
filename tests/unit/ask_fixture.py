"""A sentence encoder without weights, for tests: hashed words, so that sentences that share words are alike."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence

import numpy as np

from vau.types import Float32


class WordEncoder:
    """Embeds a sentence as its set of words and pairs of words."""

    width = 2048

    def encode(self, texts: Sequence[str]) -> Float32:
        out = np.zeros((len(texts), self.width), np.float32)
        for row, text in enumerate(texts):
            words = re.findall(r"\w+", text.lower()) or [""]
            for part in {*words, *(" ".join(pair) for pair in itertools.pairwise(words))}:
                out[row, zlib.crc32(part.encode("utf-8", "replace")) % self.width] = 1.0
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True), np.float32)
