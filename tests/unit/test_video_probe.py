"""What is refused before anything is decoded, and what a header says."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.video_clips import cut, number_of, write_clip, write_sound
from vau.config import VideoConfig
from vau.errors import VideoError, VideoLimitError, VideoOpenError
from vau.video import open_stream, probe

CONFIG = VideoConfig()


def test_declared_figures(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    info = probe(path, CONFIG)
    assert (info.source, info.width, info.height, info.rotation) == ("a.mp4", 160, 120, 0)
    assert (info.n_frames, info.nominal_fps, info.codec) == (60, 30.0, "h264")
    assert info.duration_s == pytest.approx(2.0)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("turn", "clockwise", "size"), [(90, 270, (120, 160)), (180, 180, (160, 120)), (-90, 90, (120, 160))]
)
def test_rotation_gives_the_displayed_size(tmp_path, turn, clockwise, size):
    info = probe(write_clip(tmp_path / "r.mp4", frames=3, rotation=turn), CONFIG)
    assert ((info.width, info.height), info.rotation) == (size, clockwise)


def test_pixel_aspect_gives_the_displayed_size(tmp_path):
    info = probe(write_clip(tmp_path / "s.mp4", frames=3, aspect=Fraction(2, 1)), CONFIG)
    assert (info.width, info.height) == (320, 120)


def _missing(folder: Path) -> Path:
    return folder / "none.mp4"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("This is not a video.\n" * 500)
    return folder / "text.mp4"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def _no_index(folder: Path) -> Path:
    return cut(write_clip(folder / "cut.mp4"), 0.5)  # the index stands at the end


def _noise(folder: Path) -> Path:
    (folder / "noise.mp4").write_bytes(hashlib.shake_128(b"noise").digest(100_000))
    return folder / "noise.mp4"


def _picture(folder: Path) -> Path:
    return write_clip(folder / "picture.gif", frames=5, codec="gif", pix_fmt="rgb8")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_missing, "No such file"),
        (_empty, "empty"),
        (_text, "not a video"),
        (_pipe, "not a regular file"),
        (lambda folder: folder, "not a regular file"),
        (lambda folder: Path("/dev/null"), "not a regular file"),
        (lambda folder: Path("a\0b.mp4"), "cannot be opened"),
        (_no_index, "not a video"),
        (_noise, "not a video"),
        (_picture, "not a video"),
        (lambda folder: write_sound(folder / "sound.mp4"), "no video stream"),
    ],
)
def test_refused_with_path_and_reason(tmp_path, make, reason):
    path = make(tmp_path)
    with pytest.raises(VideoOpenError, match=reason) as caught:
        probe(path, CONFIG)
    assert repr(str(path)) in str(caught.value)
    with pytest.raises(VideoOpenError):
        open_stream(path, CONFIG, fps=4)


def test_control_characters_of_a_name_are_escaped(tmp_path):
    with pytest.raises(VideoOpenError) as caught:
        probe(tmp_path / "a\x1b[2J.mp4", CONFIG)
    assert "\x1b" not in str(caught.value)


def test_file_size_limit(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=3)
    with pytest.raises(VideoLimitError, match="max_bytes"):
        probe(path, VideoConfig(max_bytes=1000))


def test_pixel_limit(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=3)
    with pytest.raises(VideoLimitError, match=r"160 x 120 .*max_pixels"):
        probe(path, VideoConfig(max_pixels=160 * 120 - 1))
    assert probe(path, VideoConfig(max_pixels=160 * 120)).width == 160


def test_frames_that_claim_to_be_huge_are_not_allocated(tmp_path):
    path = write_clip(tmp_path / "a.avi", frames=5, codec="mjpeg", pix_fmt="yuvj420p")
    content = path.read_bytes()
    small, huge = struct.pack(">HH", 120, 160), struct.pack(">HH", 60_000, 60_000)
    patched = content.replace(b"\xff\xc0\x00\x11\x08" + small, b"\xff\xc0\x00\x11\x08" + huge)
    assert patched != content
    path.write_bytes(patched)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VideoError):
        probe(path, CONFIG)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "<?xml version='1.0'?><MPD type='static'><Period><AdaptationSet mimeType='video/mp4'>"
        "<Representation id='1' bandwidth='1'><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    ],
    ids=["m3u8", "concat", "sdp", "mpd"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".sdp", ".mpd"])
def test_playlists_are_refused_and_open_nothing(tmp_path, text, suffix):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.01)
        path = tmp_path / f"list{suffix}"
        path.write_text(text.format(url=f"http://127.0.0.1:{canary.getsockname()[1]}/a.ts"))
        with pytest.raises(VideoOpenError):
            probe(path, CONFIG)
        with pytest.raises(TimeoutError):
            canary.accept()


def test_names_that_look_like_addresses_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.mp4", frames=3).rename(tmp_path / "concat:a.mp4")
    assert probe(Path("concat:a.mp4"), CONFIG).n_frames == 3


def test_the_content_decides_not_the_extension(tmp_path):
    path = write_clip(tmp_path / "a.mkv", frames=3).rename(tmp_path / "a.mp4")
    assert probe(path, CONFIG).container.startswith("matroska")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _with_external_reference(content: bytes, target: bytes) -> bytes:
    """Rewrites the data reference of an mp4, whose index stands last, into a Macintosh alias of another file."""
    record = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12) + bytes([5]) + b"x.mp4".ljust(63, b"\0")
    record += bytes(36) + struct.pack(">HH", 2, len(target)) + target + b"\0" * (len(target) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    reference = _box(b"dref", bytes(4) + struct.pack(">I", 1) + _box(b"alis", bytes(4) + record))

    def rewrite(data: bytes) -> bytes:
        out, at = b"", 0
        while at < len(data):
            length, kind = struct.unpack(">I4s", data[at : at + 8])
            body = data[at + 8 : at + length]
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
                body = rewrite(body)
            out += reference if kind == b"dref" else _box(kind, body)
            at += length
        return out

    return rewrite(content)


def test_external_data_references_are_not_followed(tmp_path):
    """The same file, opened without the guard and with references enabled, shows the other file's frames."""
    raw = {"frames": 5, "codec": "rawvideo", "pix_fmt": "rgb24"}  # equal lengths, so that offsets fit both files
    other = write_clip(tmp_path / "other.mov", first=100, **raw)
    path = write_clip(tmp_path / "a.mov", **raw)
    path.write_bytes(_with_external_reference(path.read_bytes(), str(other).encode()))
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        leaked = number_of(next(container.decode(video=0)).to_ndarray(format="rgb24"))
    assert leaked == 100, "the control does not leak, so this test proves nothing"
    with pytest.raises(VideoOpenError, match="no frame"):
        probe(path, CONFIG)
