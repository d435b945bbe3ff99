"""Files at their own pace, and a camera's server on this machine that dies, refuses and comes back."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.video_clips import number_of, write_clip
from vau.config import VideoConfig
from vau.errors import VideoOpenError
from vau.live.address import Address
from vau.live.stream import Begun, Connecting, Frame, Gap, Lost, Stream
from vau.video import open_stream

CONFIG = VideoConfig(motion_fps=30.0)
QUICK = Connecting(first_s=0.1, longest_s=0.2, give_up_s=1.5, open_s=5.0, silent_s=2.0)
FRAMES = 60  # of 30 a second
Play = Callable[["Camera"], None]


class Camera(BaseHTTPRequestHandler):
    """Answers every request as the next play in the server's list says."""

    server: Any

    def do_GET(self) -> None:
        with self.server.lock:
            play = self.server.plays.pop(0) if self.server.plays else refuse
            self.server.asked.append(self.path)
        with suppress(OSError):  # the other side hung up
            play(self)
        self.close_connection = True

    def start(self, kind: str = "video/mp2t") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def whole(camera: Camera) -> None:
    camera.start()
    camera.wfile.write(camera.server.content)


def part(camera: Camera) -> None:
    """Dies in the middle."""
    camera.start()
    camera.wfile.write(camera.server.content[: len(camera.server.content) * 6 // 10])


def refuse(camera: Camera) -> None:
    camera.send_error(503)


def elsewhere(camera: Camera) -> None:
    camera.send_response(302)
    camera.send_header("Location", "file:///etc/hostname")
    camera.end_headers()


def another_host(camera: Camera) -> None:
    camera.send_response(302)
    camera.send_header("Location", f"http://localhost:{camera.server.server_port}/there")
    camera.end_headers()


def playlist(camera: Camera) -> None:
    camera.start("application/vnd.apple.mpegurl")
    camera.wfile.write(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n")


def silent(camera: Camera) -> None:
    """Sends half of it and then nothing, without hanging up."""
    camera.start()
    camera.wfile.write(camera.server.content[: len(camera.server.content) // 2])
    camera.wfile.flush()
    camera.server.stopped.wait(20)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    return write_clip(folder / "a.ts", frames=FRAMES, options={"bf": "0", "g": "10"})


@pytest.fixture
def camera(clip) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    server.content, server.plays, server.asked = clip.read_bytes(), [], []
    server.lock, server.stopped = threading.Lock(), threading.Event()
    server.url = f"http://user:geheim@127.0.0.1:{server.server_port}/live.ts?token=geheim"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.stopped.set()
    server.shutdown()
    server.server_close()


def stream_of(camera: Any, how: Connecting = QUICK) -> Stream:
    return Stream(Address(camera.url), CONFIG, connecting=how)


def kinds(items: list[Any]) -> list[str]:
    """Returns the kinds of items, runs of frames once."""
    names = [type(item).__name__ for item in items]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def test_a_file_gives_the_frames_that_analysis_sees(clip):
    begun, *frames = list(Stream(Address(str(clip)), CONFIG, speed=0))
    assert isinstance(begun, Begun) and begun.info.width == 160
    batches = list(open_stream(clip, CONFIG, fps=30.0, max_side=CONFIG.max_side))
    assert [frame.time_s for frame in frames] == np.concatenate([batch.times_s for batch in batches]).tolist()
    assert (frames[7].image == batches[0].images[7]).all()


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 2.0), (4.0, 0.5)])
def test_a_file_keeps_its_pace(clip, speed, seconds):
    started = time.monotonic()
    assert len(list(Stream(Address(str(clip)), CONFIG, speed=speed))) == FRAMES + 1
    assert seconds * 0.9 < time.monotonic() - started < seconds + 1.5


def test_a_file_can_be_left(clip):
    stream = Stream(Address(str(clip)), CONFIG, speed=1.0)
    items = iter(stream)
    next(items), next(items)
    stream.close()
    assert list(items) == []


def test_a_file_that_is_none_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    for name in ("a.mp4", "none.mp4"):
        with pytest.raises(VideoOpenError):
            list(Stream(Address(str(tmp_path / name)), CONFIG))


def test_a_stream_that_dies_comes_back_after_a_gap_that_is_told(camera, caplog):
    caplog.set_level(logging.DEBUG)
    camera.plays += [part, refuse, refuse, whole]
    stream = stream_of(camera)
    items = list(stream)
    assert kinds(items) == ["Begun", "Frame", "Lost", "Gap", "Begun", "Frame", "Lost", "Gap"]
    lost, gap = next(item for item in items if isinstance(item, Lost)), next(i for i in items if isinstance(i, Gap))
    before = [item for item in items[: items.index(lost)] if isinstance(item, Frame)]
    after = [item for item in items[items.index(gap) :] if isinstance(item, Frame)]
    assert 20 <= len(before) < FRAMES and number_of(before[0].image) == 0
    assert lost.time_s == gap.start_s == pytest.approx(before[-1].time_s, abs=0.1)
    assert 0.15 < gap.end_s - gap.start_s < 10  # of the clock on the wall
    assert after[0].time_s == pytest.approx(gap.end_s, abs=0.05) and number_of(after[0].image) == 0
    times = [item.time_s for item in before + after]
    assert times == sorted(set(times)) and len(after) + stream.left_out >= FRAMES - 3
    assert items[-1].reason.endswith("given up")
    assert stream.connections == 2
    told = repr(items) + caplog.text
    assert "geheim" not in told and "token" not in told and "http://***@127.0.0.1" in told


def test_a_stream_that_falls_silent_counts_as_lost(camera):
    camera.plays += [silent]
    started = time.monotonic()
    items = list(stream_of(camera, Connecting(first_s=0.1, give_up_s=0.5, open_s=3.0, silent_s=1.0)))
    assert kinds(items) == ["Begun", "Frame", "Lost", "Gap"]
    assert time.monotonic() - started < 15


def test_another_host_is_not_gone_to(camera):
    camera.plays = [another_host, whole]
    with pytest.raises(VideoOpenError):
        list(stream_of(camera))
    assert "/there" not in camera.asked


@pytest.mark.parametrize("play", [refuse, elsewhere, playlist])
def test_what_cannot_be_watched_at_all_is_an_error_without_secrets(camera, play):
    camera.plays += [play] * 5
    with pytest.raises(VideoOpenError, match=r"http://\*\*\*@127\.0\.0\.1.*cannot be watched") as caught:
        list(stream_of(camera))
    assert "geheim" not in str(caught.value) and caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_it_is_named(camera, tmp_path):
    own = tmp_path / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "key.pem")]
    command += ["-out", str(own), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, tmp_path / "key.pem")
    camera.socket = context.wrap_socket(camera.socket, server_side=True)
    camera.plays += [whole]
    address = Address(f"https://user:geheim@localhost:{camera.server_port}/live.ts")
    with pytest.raises(VideoOpenError, match="--ca-file"):
        list(Stream(address, CONFIG, connecting=QUICK))
    items = list(Stream(address, CONFIG, connecting=replace(QUICK, ca_file=own)))
    assert kinds(items) == ["Begun", "Frame", "Lost", "Gap"]


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(VideoOpenError, match="cannot be watched"):
        list(Stream(Address("http://127.0.0.1:9/a.ts"), CONFIG, connecting=QUICK))


def test_a_video_served_whole_is_over_at_its_end(camera, tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=30, mux={"movflags": "faststart"})
    camera.content = path.read_bytes()
    camera.plays += [whole]
    items = list(stream_of(camera))
    assert kinds(items) == ["Begun", "Frame"] and len(camera.asked) == 1


def test_a_slow_watcher_loses_frames_but_not_the_news(camera):
    camera.plays += [whole]
    stream, items = stream_of(camera), []
    for item in stream:
        items.append(item)
        if isinstance(item, Frame) and len(items) < 8:
            time.sleep(0.2)
    assert kinds(items) == ["Begun", "Frame", "Lost", "Gap"]
    assert sum(isinstance(item, Frame) for item in items) + stream.left_out >= FRAMES - 3


def test_a_stream_can_be_left_while_it_is_lost(camera):
    camera.plays += [part]
    stream = stream_of(camera, Connecting(first_s=30.0, open_s=3.0, silent_s=3.0))
    items = []
    for item in stream:
        items.append(item)
        if isinstance(item, Lost):
            break
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 1 and kinds(items) == ["Begun", "Frame", "Lost"]


def test_pauses_grow_to_their_limit_with_jitter():
    how = Connecting(first_s=1.0, longest_s=60.0)
    for tried in (0, 1, 5, 6, 20, 10_000):
        whole_s = min(2.0 ** min(tried, 30), 60.0)
        drawn = {how.pause_s(tried) for _ in range(50)}
        assert whole_s / 2 <= min(drawn) < max(drawn) <= whole_s


@pytest.mark.parametrize("speed", [-1.0, float("nan"), 1e6])
def test_a_speed_out_of_range_is_refused(speed):
    with pytest.raises(ValueError, match="speed"):
        Stream(Address("a.mp4"), CONFIG, speed=speed)
