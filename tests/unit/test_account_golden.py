"""The accounts of six built scenes, word for word, and the rules that single sentences must obey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.account_scenes import SCENES, as_text, build, rel, track
from vau.types import Account, Event, Relation

GOLDENS = Path(__file__).parent / "account_goldens"


@pytest.mark.parametrize("name", SCENES)
def test_account_reads_as_agreed(name: str) -> None:
    accounts = SCENES[name]().tell()[1]
    assert as_text(accounts) == (GOLDENS / f"{name}.txt").read_text(encoding="utf-8")


def _event(relations: list[Relation], signals: tuple[tuple[str, float], ...] = (("motion surprise", 0.5),)) -> Account:
    tracks = [track(number, "person", 0.0, 29.0) for number in (1, 2)]
    event = Event("E1", 10.0, 14.0, 11.0, 0.8, signals=signals)
    return build(30.0, tracks, relations, [event]).tell()[1][1]


def test_first_account_is_the_videos_and_the_others_follow_the_events() -> None:
    accounts = SCENES["fight"]().tell()[1]
    assert [account.event_id for account in accounts] == [None, "E1", "E2"]


def test_quiet_video_has_no_threat_and_no_event() -> None:
    graph, accounts = SCENES["quiet"]().tell()
    assert len(accounts) == 1 and accounts[0].threat_level == 0 and not graph.graph.nodes
    assert accounts[0].title == "No anomalous event found"


@pytest.mark.parametrize(
    ("relations", "level"),
    [
        ([], 1),
        ([rel(1, 1, "running", None, 10, 12, 0.9)], 1),
        ([rel(1, 1, "hit", 2, 11, 11.2, 0.5)], 2),
        ([rel(1, 1, "hit", 2, 11, 11.2, 0.49)], 1),
        ([rel(1, 1, "fell", None, 11, 12, 0.9)], 1),
        ([rel(1, 1, "fell", None, 11, 12, 0.9), rel(2, 1, "lying", None, 12, 15, 0.6)], 2),
        ([rel(1, 1, "fell", None, 11, 12, 0.9), rel(2, 1, "lying", None, 12, 13, 0.6)], 1),
        ([rel(1, 1, "fell", None, 11, 12, 0.9), rel(2, 2, "lying", None, 12, 15, 0.6)], 1),
        ([rel(1, 1, "chasing", 2, 11, 13, 0.7)], 1),
        ([rel(1, 1, "chasing", 2, 11, 13, 0.7), rel(2, 2, "in contact", 1, 15, 16, 0.7)], 2),
        ([rel(1, 1, "hit", 2, 2, 2.2, 0.9)], 1),
    ],
)
def test_threat_level_follows_its_rule(relations: list[Relation], level: int) -> None:
    assert _event(relations).threat_level == level


def test_both_directions_of_a_fight_are_told_once() -> None:
    account = _event([rel(1, 1, "fighting", 2, 10, 13), rel(2, 2, "fighting", 1, 10, 13)])
    assert account.role("what") == "Person 1 fought with person 2 from 0:10 to 0:13."


def test_what_several_did_is_one_sentence() -> None:
    account = _event([rel(1, 1, "running", None, 10, 13), rel(2, 2, "running", None, 11, 13.5)])
    assert account.title == "Two people moved at running speed"
    assert account.role("what") == "Person 1 and person 2 moved at running speed between 0:10 and 0:13.5."


def test_cause_is_silent_where_nothing_came_before() -> None:
    assert _event([rel(1, 1, "fell", None, 11, 12)]).role("cause") == "No cause was measured."


def test_cause_without_shared_actor_is_not_called_a_cause() -> None:
    account = _event([rel(1, 2, "running", None, 7, 9), rel(2, 1, "fell", None, 11, 12)])
    assert account.role("cause").endswith("; whether this led to it is not known.")


def test_grave_but_doubtful_relation_does_not_silence_a_sure_one() -> None:
    account = _event([rel(1, 1, "fell", None, 11, 12, 0.3), rel(2, 2, "running", None, 10, 13, 0.95)])
    assert account.title == "A person moved at running speed"


def test_runner_beside_a_change_of_light_is_not_the_event() -> None:
    account = _event([rel(1, 1, "running", None, 10, 12)], signals=(("light change", 0.6), ("motion surprise", 0.1)))
    assert account.title == "Unusual change of the light, cause not identified"
    assert "At that time, person 1 moved at running speed from 0:10 to 0:12." in account.role("what")


def test_motion_without_a_track_is_told_without_inventing_one() -> None:
    account = _event([rel(1, None, "fighting", None, 10, 13, 0.6)])
    assert account.title == "Probable fight"
    assert account.role("what") == ("Some people probably fought with each other from 0:10 to 0:13.")


def test_relation_with_a_track_that_is_not_there_does_not_fail() -> None:
    account = _event([rel(1, 77, "fell", None, 11, 12)])
    assert account.role("what") == "Object 77 fell at 0:11.5."
    assert all("T77" not in claim.evidence for claim in account.claims)


def test_end_of_the_video_leaves_the_effect_open() -> None:
    built = SCENES["signals_only"]()
    last = replace(built.events[0], end_s=11.5)
    account = replace(built, events=(last,)).tell()[1][1]
    assert account.role("effect") == "The video ends 0.5 seconds later, so what came of it is not recorded."


def test_chain_of_the_chase_leads_from_following_to_running_after() -> None:
    from vau.reasoning.evidence import causal_chain

    graph, _ = SCENES["chase"]().tell()
    assert causal_chain(graph, "E1", "R3") == ("R2", "R3")
    assert causal_chain(graph, "E9") == ()
