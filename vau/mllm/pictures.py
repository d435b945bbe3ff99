"""Pictures as a model is shown them: JPEG, and no larger than it is asked to look at."""

from __future__ import annotations

import io

from PIL import Image

from vau.jpeg import encode

QUALITY = 85


def small(jpeg: bytes, longest: int) -> bytes | None:
    """Returns a picture whose longer side has at most so many pixels, the same bytes where it has them already.

    None stands for what is no picture, as a damaged report may hold it.
    """
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            if max(image.size) <= longest:
                return jpeg
            image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
            return encode(image, QUALITY)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
