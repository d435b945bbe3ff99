from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.text_space import ToyTower, seen
from vau import prompts
from vau.errors import InputError, ScoreError
from vau.scoring.definitions import (
    MAX_CHARACTERS,
    MAX_DEFINITIONS,
    Definitions,
    check_space,
    general_normals,
    prefixes,
    standard_banks,
)


def test_words_are_cleaned():
    found = Definitions(("  a person\twithout\na  helmet\x00\x1b[31m ",), ["people with\u200b helmets"])
    assert found.anomalies == ("a person without a helmet[31m",)
    assert found.normals == ("people with helmets",)


@pytest.mark.parametrize(
    ("anomalies", "normals", "message"),
    [
        ((), (), "no anomaly is defined"),
        (("",), (), "1 to 200 characters, got 0"),
        ((" \x07 ",), (), "got 0"),
        (("a" * (MAX_CHARACTERS + 1),), (), "got 201"),
        (("a" * 10**6,), (), "up to 200 characters"),
        (tuple(f"thing {n}" for n in range(MAX_DEFINITIONS + 1)), (), "at most 64 anomaly definitions"),
        (("fight", "Fight"), (), "'Fight' is given twice"),
        (("fight",), ("fight",), "given twice"),
        ("fight", (), "got the single text 'fight'"),
        ((3,), (), "must be a text"),
    ],
)
def test_what_cannot_be_a_definition_is_refused(anomalies, normals, message):
    with pytest.raises(InputError, match=message):
        Definitions(anomalies, normals)


@given(st.text(max_size=400))
def test_any_text_is_cleaned_or_refused(text):
    try:
        (found,) = Definitions((text,)).anomalies
    except InputError:
        return
    assert 0 < len(found) <= MAX_CHARACTERS and found.isprintable() and found == found.strip()


def test_embeddings_have_the_normal_first_and_unit_rows():
    tower = ToyTower()
    rows = Definitions(("a fight", "fire"), ("people walking", "an empty room")).embed(tower)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    swapped = Definitions(("fire", "a fight"), ("an empty room", "people walking")).embed(tower)
    np.testing.assert_allclose(swapped, rows[[0, 2, 1]], atol=1e-6)
    meanings = tower.encode(["people walking", "an empty room", "a fight", "fire"])
    assert (rows @ meanings.T).argmax(axis=1).tolist()[1:] == [2, 3]
    assert rows[0] @ meanings[0] == pytest.approx(rows[0] @ meanings[1], abs=0.1)
    assert rows[0] @ meanings[0] > 0.5 > abs(rows[0] @ meanings[2])


def test_without_normals_the_general_ones_stand_in():
    tower = ToyTower()
    one, other = Definitions(("fire",)), Definitions(("fire",), general_normals())
    np.testing.assert_allclose(one.embed(tower), other.embed(tower))
    assert one.banks() == other.banks()


def test_braces_in_a_definition_are_words_like_others():
    (bank,) = Definitions(("a {0.__class__} thing",)).banks()
    assert all("a {0.__class__} thing" in text for text in bank.anomalous)


def test_the_banks_are_whole_and_keep_their_sides_apart():
    table = prompts.load("definitions")
    banks = standard_banks()
    assert len(banks) >= 16 and len({bank.name for bank in banks}) == len(banks)
    everything = [text for bank in banks for text in bank.anomalous]
    assert len(set(everything)) == len(everything)
    for bank in banks:
        assert len(bank.anomalous) >= 3 and not set(bank.normal) & set(everything)
        for text in bank.anomalous + bank.normal:
            assert text == text.strip() and len(text) <= MAX_CHARACTERS and set(text) <= set(string.printable)
    assert all(template.count("{}") == 1 for template in table["templates"])
    assert prefixes() == ("Anomalous scene: ", "Normal scene: ")


@pytest.mark.parametrize("rows", [np.zeros((1, 4)), np.full((1, 4), np.nan), np.ones((2, 4)), np.ones(4)])
def test_a_broken_encoder_is_refused(rows):
    class Broken:
        name = "broken"

        def encode(self, texts):
            return np.concatenate([np.ones((len(texts) - 1, 4)), rows]) if rows.ndim == 2 else rows

    with pytest.raises(ScoreError):
        Definitions(("fire",)).embed(Broken())


def test_frames_of_another_model_are_refused():
    tower = ToyTower()
    with pytest.raises(ScoreError, match="2048 dimensions, the frames 64"):
        check_space(seen(tower, ["fire"]), tower, 2048)
    with pytest.raises(ScoreError, match="embedded by efficientnet-lite3"):
        check_space(seen(tower, ["fire"], models=("efficientnet-lite3",)), tower, 64)
    check_space(seen(tower, ["fire"], models=("ssd", tower.name)), tower, 64)
