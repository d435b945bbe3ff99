from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.errors import InputError
from vau.live.address import Address, masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:geheim@10.0.0.2:554/stream1", "rtsp://***@10.0.0.2:554/stream1"),
        ("RTSP://admin:geheim@cam/stream1", "rtsp://***@cam/stream1"),
        ("http://cam/video?user=admin&pwd=geheim", "http://cam/video?***"),
        ("https://geheim@cam/video#geheim", "https://***@cam/video#***"),
        ("rtsp://admin:ge/heim@cam/1", "rtsp://***"),
        ("rtsp://admin:ge?heim@cam/1", "rtsp://***"),
        ("rtsp://admin:ge#heim@cam/1", "rtsp://***"),
        ("rtsp://admin:ge@heim@cam/1", "rtsp://***@cam/1"),
        ("  rtsp://admin:geheim@cam/1", "rtsp://***@cam/1"),
        ("rtsp://[::1]:554/1", "rtsp://[::1]:554/1"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("videos/a@b?c.mp4", "videos/a@b?c.mp4"),
    ],
)
def test_what_is_secret_is_masked(text, shown):
    assert masked(text) == shown


def test_an_address_shows_what_is_not_secret_and_a_password_that_hides_the_host_is_refused():
    address = Address("rtsp://admin:geheim@cam/1")
    assert address.shown == "rtsp://***@cam/1"
    assert "geheim" not in repr(address) and "admin" not in repr(address)
    with pytest.raises(InputError, match="no usable address") as caught:
        Address("rtsp://admin:ge/heim@cam/1")
    assert "heim" not in str(caught.value)


@settings(deadline=None)
@given(st.text("ab:/?#@[]%&=. ", max_size=12), st.text("ab:/?#@[]%&=.", max_size=12))
def test_no_password_is_ever_shown(before, after):
    assert "s3cret" not in masked(f"rtsp://{before}s3cret{after}@cam/stream")


@pytest.mark.parametrize("text", ["concat:/etc/passwd", "file:///etc/passwd", "ftp://cam/1", "gopher://x/", "data:/x"])
def test_other_schemes_are_refused(text):
    with pytest.raises(InputError, match="rtsp, rtsps, http, https"):
        Address(text)


@pytest.mark.parametrize("text", ["rtsp://", "http:///video", "rtsp://cam:0/1", "rtsp://cam:99999/1", "http://[::1/x"])
def test_addresses_without_a_host_are_refused(text):
    with pytest.raises(InputError, match="no usable address"):
        Address(text)


@pytest.mark.parametrize("text", ["", " ", "rtsp://cam/\n1", "a\x00b"])
def test_control_characters_and_blanks_are_refused(text):
    with pytest.raises(InputError, match="not blank"):
        Address(text)


def test_an_error_does_not_show_the_password():
    with pytest.raises(InputError) as caught:
        Address("ftp://admin:geheim@cam/1")
    assert "geheim" not in str(caught.value)


def test_protocols_are_those_that_the_scheme_needs_and_playlists_are_not_read():
    for text in ("rtsp://cam/1", "rtsps://cam/1", "http://cam/1", "https://cam/1"):
        options = Address(text).options()
        allowed = set(options["protocol_whitelist"].split(","))
        assert text.partition(":")[0] in allowed and not {"file", "concat", "data", "pipe"} & allowed
        assert not {"hls", "dash", "concat"} & set(options["format_whitelist"].split(","))
    assert Address("rtsp://cam/1").options()["rtsp_transport"] == "tcp"


def test_certificates_are_checked(tmp_path):
    assert Address("https://cam/1").options()["tls_verify"] == Address("rtsps://cam/1").options()["tls_verify"] == "1"
    assert Address("https://cam/1").options(tmp_path / "own.pem")["ca_file"] == str(tmp_path / "own.pem")
    assert "tls_verify" not in Address("http://cam/1").options()


def test_a_path_is_a_file():
    path = Address("videos/a.mp4").path
    assert path is not None and path.name == "a.mp4"
    assert Address("rtsp://cam/1").path is None
