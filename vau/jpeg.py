"""Pictures as JPEG files in memory, as reports hold them and models are shown them."""

from __future__ import annotations

import io

from PIL import Image


def encode(picture: Image.Image, quality: int) -> bytes:
    """Returns the file; `quality` as Pillow takes it, 1 to 100."""
    out = io.BytesIO()
    picture.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()
