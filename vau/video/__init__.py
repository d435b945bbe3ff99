"""Opening, probing and decoding of video files: the only room of `vau` that reads them.

`probe` says what a file is, `open_stream` decodes it once at a sampling rate, `read_at` reads single frames again.
"""

from vau.video.prefetch import prefetch
from vau.video.probe import probe
from vau.video.seek import read_at
from vau.video.stream import FrameStream, open_stream

__all__ = ["FrameStream", "open_stream", "prefetch", "probe", "read_at"]
