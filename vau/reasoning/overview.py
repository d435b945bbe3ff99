"""The account of a whole video: the verdict, a line an event, and what normally goes on.

Counts are of tracks, and one object may carry several tracks in turn, so they read "about"; a quiet video is told
calmly and without inventing. Only the two levels of telling (video and event) follow HIVAU-70k and VADER.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vau.reasoning.evidence import part_of, usable
from vau.reasoning.findings import Findings
from vau.reasoning.language import capital, clock, duration, hedge, join_words, plural, pluralize, sentence, span
from vau.reasoning.limits import sight, video_limits
from vau.reasoning.phrases import Names, clause, gather
from vau.reasoning.scene import CAMERA_MOVES, VEHICLES, Scene, most_at_once
from vau.types import Account, Claim, Event, Relation, Segments, Track

_MOST_EVENTS = 10
_MOST_PHASES = 4
_HIGH = 0.45  # score that a reader would ask about
_EVERYDAY = 0.15  # severity up to which a relation is an everyday one
_ENOUGH = 12  # samples outside events without which nothing is called usual
_STILL = 0.01  # share of the picture that moves
_FIXED = 0.15  # box sizes
_SURELY_SOMEONE = 0.9  # confidence of a track
_VISIBLE = 0.05  # mean change of the picture's grey values, of full scale; a person who passes makes less
_FIXED_S = 2.0
_CLEAR = 0.72  # strength from which a boundary is visible to a viewer
_ONE_WAY = 0.75  # share of all motion
_WAYS = {"left": (0, 7), "up": (1, 2), "right": (3, 4), "down": (5, 6)}  # sectors of the direction histogram


def survey(
    scene: Scene, found: Sequence[Findings], accounts: Sequence[Account], relations: Sequence[Relation], parts: Segments
) -> Account:
    """Tells the whole video.

    Args:
        scene: the video.
        found: the evidence on each event.
        accounts: the accounts of the events, in the same order.
        relations: all of the video.
        parts: its segments.
    """
    claims = [*_verdict(scene, accounts), *_lines([item.event for item in found], accounts)]
    if not found:
        claims += _rare(scene, relations)
    claims += _usual(scene, relations)
    claims += _tracked(scene, relations)
    claims += _phases(scene, parts)
    claims += [Claim(item.text, "limit", (), item.times_s, 1.0) for item in video_limits(scene)]
    if accounts:
        level = max(account.threat_level for account in accounts)
        return Account(None, tuple(claims), level, max(account.confidence for account in accounts))
    return Account(None, tuple(claims), 0, claims[0].confidence)


def _verdict(scene: Scene, accounts: Sequence[Account]) -> list[Claim]:
    length = duration(scene.info.duration_s)
    ids = tuple(account.event_id for account in accounts if account.event_id is not None)
    if ids:
        surest = max(account.confidence for account in accounts)
        heading = accounts[0].title if len(ids) == 1 else _heading(accounts)
        text = sentence(
            f"{plural(len(ids), 'unusual event')} {'was' if len(ids) == 1 else 'were'} found in {length} of video"
        )
        times = tuple(claim.times_s[0] for account in accounts for claim in account.claims[:1])
        return [Claim(heading, "title", ids, times, surest), Claim(text, "what", ids, times[:_MOST_EVENTS], surest)]
    scores = scene.scores
    peak = int(scores.scores.argmax()) if len(scores) else 0
    top = float(scores.scores[peak]) if len(scores) else 0.0
    calm = min(max(1.0 - top, 0.0), 1.0) * sight(scene)
    text = f"No anomalous event was found in {length} of video"
    times = ()
    if top >= 0.05:
        moment = clock(float(scores.times_s[peak]))
        if top >= _HIGH:
            text += f"; the score reaches {top:.1f} of 1 at {moment}, but too briefly to count as one"
        else:
            text += f"; the score is highest at {moment}, with {top:.1f} of 1"
        times = (float(scores.times_s[peak]),)
    ids = tuple(f"S:{name}" for name in scores.signals)
    return [
        Claim("No anomalous event found", "title", ids, times, calm),
        Claim(sentence(text), "what", ids, times, calm),
    ]


def _heading(accounts: Sequence[Account]) -> str:
    """Returns ``Two unusual events; the gravest: fight between two people``."""
    gravest = max(accounts, key=lambda account: (account.threat_level, account.confidence))
    title = gravest.title
    return f"{capital(plural(len(accounts), 'unusual event'))}; the gravest: {title[:1].lower()}{title[1:]}"


def _lines(events: Sequence[Event], accounts: Sequence[Account]) -> list[Claim]:
    """Returns one line an event; of many the most dangerous and surest, in order of time."""
    pairs = list(zip(events, accounts, strict=True))
    kept = sorted(pairs, key=lambda item: (-item[1].threat_level, -item[0].score, item[0].start_s))[:_MOST_EVENTS]
    claims = []
    for event, account in sorted(kept, key=lambda item: item[0].start_s):
        heading = account.claims[0]
        text = f"Measured {span(event.start_s, event.end_s)}: {heading.text[:1].lower() + heading.text[1:]}"
        text = sentence(f"{text} (threat level {account.threat_level} of 2)")
        claims.append(Claim(text, "what", heading.evidence, heading.times_s, heading.confidence))
    if len(pairs) > len(kept):
        more = f"{plural(len(pairs) - len(kept), 'more event')} of less weight"
        kept_ids = {event.event_id for event, _ in kept}
        rest = [event for event, _ in pairs if event.event_id not in kept_ids]
        ids = tuple(event.event_id for event in rest)
        score = min(event.score for event in rest)
        text = sentence(f"{more} {'is' if len(rest) == 1 else 'are'} told further on")
        claims.append(Claim(text, "what", ids, tuple(event.peak_s for event in rest[:_MOST_EVENTS]), score))
    return claims


def _tracked(scene: Scene, relations: Sequence[Relation]) -> list[Claim]:
    tracks = scene.present(0.0, scene.info.duration_s)
    people = [track for track in tracks if scene.label(track.track_id) == "person"]
    vehicles = [track for track in tracks if scene.label(track.track_id) in VEHICLES]
    doubtful = sum(track not in tracks for track in scene.observations.tracks)
    if not people and not vehicles:
        text = "no person and no vehicle was tracked with confidence"
        if doubtful:
            text += f"; {plural(doubtful, 'track')} {'was' if doubtful == 1 else 'were'} too uncertain to count"
        return [Claim(sentence(text), "who", (), (), 0.7)]
    groups = [
        (group, noun, *most_at_once(group)) for group, noun in ((people, "person"), (vehicles, "vehicle")) if group
    ]
    # One object may carry several tracks in turn; only what was seen at the same time is counted for certain.
    counts = [
        f"{'no more than ' if most < len(group) else ''}{plural(most, noun)}"
        f"{f' at once ({clock(at)})' if most > 1 else ' at a time' if most < len(group) else ''}"
        for group, noun, most, at in groups
    ]
    several = sum(most for _, _, most, _ in groups) > 1
    text = f"{join_words(counts)} {'were' if several else 'was'} tracked with confidence"
    more = [
        f"{len(group)} tracks labelled as {pluralize(noun)}" for group, noun, most, _ in groups if most < len(group)
    ]
    if more:
        text += f"; there are {join_words(more)} in all, and one object may have several"
    if doubtful:
        text += f"; {plural(doubtful, 'further track')} {'was' if doubtful == 1 else 'were'} too uncertain to count"
    members: list[Track] = [*people, *vehicles]
    times = tuple(at for _, _, most, at in groups if most > 1) or (members[0].start_s,)
    ids = tuple(f"T{track.track_id}" for track in members[:200])
    claims = [Claim(sentence(text), "who", ids, times, scene.confidence(track.track_id for track in members))]
    # Small detectors take posts, stumps and stacked goods for people; who never moves may be one of those.
    # From a moving camera nothing keeps its place, and one who lies is told of by the relation.
    lying = {item.subject for item in relations if item.predicate == "lying"}
    steady = scene.level("camera_speed", 0.0, scene.info.duration_s) <= CAMERA_MOVES
    fixed = [track for track in people if steady and track.track_id not in lying and _keeps_still(track)]
    if fixed:
        which = "one track labelled as a person keeps its place and may be a thing"
        if len(fixed) > 1:
            which = f"{plural(len(fixed), 'track')} labelled as people keep their places and may be things"
        text = sentence(f"{which} rather than {'someone' if len(fixed) == 1 else 'people'}")
        still = tuple(f"T{track.track_id}" for track in fixed[:200])
        claims.append(Claim(text, "limit", still, (fixed[0].start_s,), 0.7))
    return claims


def _keeps_still(track: Track) -> bool:
    """Says whether a doubtful box never leaves its place."""
    if track.end_s - track.start_s < _FIXED_S or track.confidence >= _SURELY_SOMEONE:
        return False
    size = float(np.median(np.max(track.boxes[:, 2:] - track.boxes[:, :2], axis=1)))
    middle = (track.boxes[:, :2] + track.boxes[:, 2:]) / 2
    away = np.hypot(*(middle - np.median(middle, axis=0)).T)
    return bool(np.quantile(away, 0.9) < _FIXED * size and away.max() < 2 * _FIXED * size)


def _rare(scene: Scene, relations: Sequence[Relation]) -> list[Claim]:
    """Returns the gravest relations of a video without events, said with what they did not amount to."""
    facts = [
        fact
        for fact in gather(relations, scene)
        if fact.predicate.severity > _EVERYDAY and hedge(fact.confidence) != "possibly"
    ]
    if not facts:
        return []
    names = Names(scene)
    facts = sorted(facts[:2], key=lambda fact: fact.start_s)
    text = f"{join_words([clause(fact, names) for fact in facts])}, which did not amount to an event"
    ids = scene.existing(name for fact in facts for name in fact.evidence)
    times = tuple(fact.start_s for fact in facts)
    return [Claim(sentence(text), "what", ids, times, min(fact.confidence for fact in facts))]


def _usual(scene: Scene, relations: Sequence[Relation]) -> list[Claim]:
    """Returns what goes on outside the events: how much moves, which way, and the everyday relations."""
    claims = []
    observed = scene.observations
    if motion := _motion(scene):
        middle = observed.times_s[len(observed) // 2]
        claims.append(Claim(sentence(motion), "what", (), (float(middle),), 0.8))
    calm = [item for item in usable(relations) if not any(part_of(item, event) for event in scene.events)]
    facts = [fact for fact in gather(calm, scene) if fact.predicate.severity <= _EVERYDAY and fact.confidence >= 0.5]
    # The vocabulary calls what is near "people".
    facts = [f for f in facts if f.predicate.name != "near" or {scene.label(item) for item in f.actors} == {"person"}]
    # Whether boxes that touch are people who touch is too doubtful to be counted.
    facts = [fact for fact in facts if fact.predicate.name != "in contact"]
    counts = Counter(fact.predicate.noun for fact in facts)
    if counts:
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
        where = " outside the events" if scene.events else ""
        named = [f"{noun} ({_often(count)})" for noun, count in common]
        told = [fact for fact in facts if fact.predicate.noun in dict(common)][:20]
        text = sentence(f"Everyday relations measured between tracks{where}:", join_words(named))
        ids = tuple(name for fact in told for name in fact.ids)
        claims.append(
            Claim(text, "what", ids, tuple(fact.start_s for fact in told[:5]), min(f.confidence for f in told))
        )
    return claims


def _often(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def _motion(scene: Scene) -> str:
    observed = scene.observations
    channels = {f"direction_{i}" for i in range(8)} | {"moving_fraction"}
    if not len(observed) or not channels <= set(observed.motion_channels):
        return ""
    outside = np.ones(len(observed), bool)
    for event in scene.events:
        outside &= (observed.times_s < event.start_s) | (observed.times_s > event.end_s)
    if outside.sum() < _ENOUGH:
        return ""
    moving = observed.channel("moving_fraction")[outside]
    if float(np.median(moving)) < _STILL:
        return (
            f"for most of the time{' outside the events' if scene.events else ''} only small parts of the picture move"
        )
    if scene.level("camera_speed", 0.0, scene.info.duration_s) > CAMERA_MOVES:
        return ""  # directions would be the camera's
    sums = {
        way: sum(float(observed.channel(f"direction_{sector}")[outside].sum()) for sector in sectors)
        for way, sectors in _WAYS.items()
    }
    total = sum(sums.values())
    if total <= 0:
        return ""
    place = " outside the events" if scene.events else ""
    way = max(sums, key=lambda name: sums[name])
    if sums[way] >= _ONE_WAY * total:
        direction = f"to the {way}" if way in ("left", "right") else f"{way}wards"
        return f"most of the motion in the picture{place} goes {direction}"
    if sums["left"] + sums["right"] >= 0.75 * total:
        return f"the motion in the picture{place} goes both to the left and to the right"
    return ""


def _is_busy(scene: Scene, time_s: float) -> bool:
    """Says whether the picture changes at a time visibly, and more than it does in nine tenths of the video."""
    observed = scene.observations
    if "frame_difference" not in observed.motion_channels or not len(observed):
        return False
    change = observed.channel("frame_difference")
    near = change[np.abs(observed.times_s - time_s) <= 0.5]
    return bool(len(near) and near.max() >= max(_VISIBLE, float(np.quantile(change, 0.9))))


def _phases(scene: Scene, parts: Segments) -> list[Claim]:
    """Returns when the scene changed sharply, where it has a few clear boundaries."""
    inner = list(zip(parts.edges_s[1:-1].tolist(), parts.strengths[1:-1].tolist(), strict=True))
    inner = [item for item in inner if item[1] >= _CLEAR and _is_busy(scene, item[0])]
    if not inner or len(inner) > 2 * _MOST_PHASES:
        return []
    kept = sorted(sorted(inner, key=lambda item: (-item[1], item[0]))[:_MOST_PHASES])
    times = tuple(time_s for time_s, _ in kept)
    moments = join_words([clock(time_s) for time_s in times])
    text = f"By picture and motion together, the scene changes sharply at {moments}"
    return [Claim(sentence(text), "when", (), times, 0.7)]
