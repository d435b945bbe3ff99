"""Every signal that a scorer can name is spoken of truthfully, and a name that is no plain text is never repeated."""

import pytest

from vau.reasoning.signal_words import plain, words
from vau.reasoning.signals import deed, heading
from vau.scoring.camera import features, heat
from vau.scoring.signals import SIGNALS

CAMERA = [f"unlike this camera: {name}" for name in (*features.SIGNALS, *heat.SIGNALS)]


@pytest.mark.parametrize("signal", [*SIGNALS, *CAMERA, "learned motion (clips)", "text match: a person falls"])
def test_every_signal_has_words_of_its_own(signal):
    assert words(signal) != words(None)
    assert plain(signal) == f'"{signal}"'
    for confidence in (0.2, 0.5, 0.9):
        text = deed(signal, confidence) + heading(signal, confidence)
        assert "{" not in text and "  " not in text


@pytest.mark.parametrize("signal", CAMERA)
def test_a_camera_is_compared_with_its_own_footage(signal):
    assert "camera" in words(signal).deed and "camera" in words(signal).reason


def test_a_definition_is_quoted_and_not_claimed():
    found = words("text match: a person is shot")
    assert found.deed == 'the picture was {hedge} like the description "a person is shot"'


@pytest.mark.parametrize("signal", ["unlike this camera: \x1b[31m", "text match: a\nb", "learned x (y)", "<b>", ""])
def test_a_strange_name_is_not_repeated(signal):
    assert words(signal) == words(None)
    assert plain(signal) == "without a name"
