"""The evidence narrator: the causal account of one event, told from relations, tracks and signals alone.

It stands where VADER (Cheng et al., WACV 2026) has a language model and keeps its shape: what, why, cause and effect
from changes of relations before, during and after the event. Every rule here is ours. It cannot know intent, identity
or guilt and does not guess them; what no relation, track or signal says is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from vau.reasoning import signal_words, signals
from vau.reasoning.evidence import AFTER_S, GAP_S, causal_chain
from vau.reasoning.findings import TELLING, Findings, at_motion, motion_place, title
from vau.reasoning.language import LIKELY, SURE, article, clock, duration, join_words, plural, sentence, shorten_list
from vau.reasoning.limits import event_limits
from vau.reasoning.phrases import Fact, Names, clause, gather, measured
from vau.reasoning.scene import VEHICLES, Scene, region
from vau.reasoning.threat import threat_level
from vau.types import Account, Claim, EvidenceGraph, Role, Track

_SHORTLY_S = 3.0
_AFTERMATH = frozenset({"fell", "lying", "dispersing", "gathering", "stopped on the road", "left behind", "running"})
_ALL = 0.95  # share of the score that is as good as all of it
_ROOM = 7  # claims, title included, after which a comparison would make the account too long
_END_S = 2.0  # an event this close to the end of the video has no visible aftermath


@dataclass
class _Telling:
    """Claims of one account as they are told, and what has been said already."""

    found: Findings
    scene: Scene
    graph: EvidenceGraph
    names: Names
    claims: list[Claim] = field(default_factory=list)
    told: set[str] = field(default_factory=set)  # ids of relations

    def say(self, role: Role, text: str, evidence: Iterable[str], times_s: Iterable[float], confidence: float) -> None:
        last = max(self.scene.info.duration_s, 0.0)
        moments = dict.fromkeys(round(min(max(time_s, 0.0), last), 3) for time_s in times_s)
        ids = self.scene.existing(evidence)
        self.claims.append(Claim(text, role, ids, tuple(moments), min(max(confidence, 0.0), 1.0)))

    @property
    def signal_ids(self) -> tuple[str, ...]:
        return tuple(f"S:{name}" for name, _ in self.found.shares if name in self.scene.scores.signals)


def narrate(found: Findings, scene: Scene, graph: EvidenceGraph) -> Account:
    """Tells one event: title, what, who, when, where, why, cause, effect, limit; at most ten sentences and a title."""
    telling = _Telling(found, scene, graph, Names(scene))
    event = found.event
    if found.main is None:
        ids = (event.event_id, *telling.signal_ids)
        confidence = event.score
    else:
        ids = (event.event_id, *found.main.evidence)
        confidence = found.main.confidence
        if found.down is not None:
            ids = (*ids, found.down.relation_id)
    telling.say("title", title(found, scene), ids, [event.peak_s], confidence)
    chain = _chain(telling)
    _what(telling, chain)
    _who(telling)
    _when(telling)
    _where(telling)
    _why(telling)
    _cause(telling, chain)
    _effect(telling)
    for limit in event_limits(event, scene, found.actors):
        telling.say("limit", limit.text, (event.event_id,), limit.times_s, 1.0)
    return Account(event.event_id, tuple(telling.claims), threat_level(found.danger), found.confidence)


def _chain(telling: _Telling) -> list[Fact]:
    """Returns what came before the main fact as single facts in order, without the main fact."""
    main = telling.found.main
    if main is None:
        return []
    path = causal_chain(telling.graph, telling.found.event.event_id, main.ids[0])
    steps = [item for name in path[:-1] for item in telling.found.relations if item.relation_id == name]
    return [gather([item], telling.scene)[0] for item in steps][-3:]


def _what(telling: _Telling, chain: Sequence[Fact]) -> None:
    found, event = telling.found, telling.found.event
    if found.main is None:
        start = f"Between {clock(event.start_s)} and {clock(event.end_s)}"
        text = sentence(start, signals.deed(found.signal, event.score) + _unknown(telling))
        telling.say("what", text, (event.event_id, *telling.signal_ids), [event.start_s, event.peak_s], event.score)
    else:
        main = found.main
        telling.say("what", sentence(clause(main, telling.names)), main.evidence, _times(main), main.confidence)
        telling.told.update(main.ids)
    telling.told.update(name for fact in chain for name in fact.ids)
    rest = [fact for fact in found.beside if fact.confidence >= LIKELY and not telling.told & set(fact.ids)]
    rest = [fact for fact in rest if found.main is None or not _goes_with(fact, found.main)][:2]
    if rest:
        lead = "In the same event," if found.main is not None else "At that time,"
        text = sentence(lead, join_words([clause(fact, telling.names) for fact in rest]))
        ids = [name for fact in rest for name in fact.evidence]
        times = [time_s for fact in rest for time_s in _times(fact)]
        telling.say("what", text, ids, times, min(fact.confidence for fact in rest))
        telling.told.update(name for fact in rest for name in fact.ids)


def _unknown(telling: _Telling) -> str:
    """Returns what is not known of an event that only a signal tells of, as the end of its sentence."""
    found, scene = telling.found, telling.scene
    if not signal_words.words(found.signal).moving:
        return "; why is not known"
    if scene.picture_moves(found.event.start_s, found.event.end_s):
        return "; most of the picture moved at once, which may be the camera"
    return "" if at_motion(found, scene) else "; the detectors could not tell who or what"


def _goes_with(fact: Fact, main: Fact) -> bool:
    """Says whether a fact is told elsewhere: as a consequence of the main one, or as contained in a chase."""
    shared = bool(set(fact.actors) & set(main.actors))
    if main.predicate.name == "chasing" and fact.predicate.name == "running" and shared:
        return True
    later = fact.predicate.name in _AFTERMATH and fact.start_s > main.start_s
    return later and (shared or fact.predicate.name == "dispersing")


def _times(fact: Fact) -> list[float]:
    if fact.predicate.momentary:
        return [(start + end) / 2 for start, end in fact.spans[:4]]
    return [start for start, _ in fact.spans[:4]]


def _who(telling: _Telling) -> None:
    found, scene, event = telling.found, telling.scene, telling.found.event
    if found.main is None or not found.main.actors:
        _who_was_there(telling)
        return
    known = [scene.tracks[item] for item in found.main.actors if item in scene.tracks]
    if not known:
        return
    seen = [(telling.names.call(item.track_id), f"from {clock(item.start_s)} to {clock(item.end_s)}") for item in known]
    clauses = [f"{name} was tracked {span}" if i == 0 else f"{name} {span}" for i, (name, span) in enumerate(seen)]
    others = [t for t in scene.present(event.peak_s, event.peak_s) if t.track_id not in found.main.actors]
    text = join_words(shorten_list(clauses, 3))
    if others:
        text += f"; {_count(others, scene, other=True)} {'was' if len(others) == 1 else 'were'} tracked at the peak"
    ids = [f"T{item.track_id}" for item in (*known, *others)]
    telling.say("who", sentence(text), ids, [event.peak_s], scene.confidence(t.track_id for t in known))


def _who_was_there(telling: _Telling) -> None:
    found, scene, event = telling.found, telling.scene, telling.found.event
    near = at_motion(found, scene)
    place = motion_place(found, scene)
    if near and place is not None:
        text = sentence(
            join_words([telling.names.call(item.track_id) for item in near]),
            "was" if len(near) == 1 else "were",
            f"at the place of this motion at {clock(place[0])}; what part",
            "it" if len(near) == 1 else "they",
            "had in the event was not measured",
        )
        ids = [f"T{item.track_id}" for item in near]
        telling.say("who", text, ids, [place[0]], scene.confidence(item.track_id for item in near))
        return
    present = scene.present(event.peak_s, event.peak_s)
    if present:
        text = f"{_count(present, scene)} {'was' if len(present) == 1 else 'were'} tracked at the peak"
        ids = [f"T{item.track_id}" for item in present]
        telling.say(
            "who",
            sentence(text, f"; whether {'they' if len(present) > 1 else 'this one'} took part was not measured"),
            ids,
            [event.peak_s],
            scene.confidence(item.track_id for item in present),
        )
    else:
        telling.say(
            "who",
            "Nobody and nothing was surely tracked in the picture at the peak.",
            (event.event_id,),
            [event.peak_s],
            event.score,
        )


def _count(tracks: Sequence[Track], scene: Scene, *, other: bool = False) -> str:
    """Returns ``three other people and a car`` and the like."""
    labels = [scene.label(item.track_id) for item in tracks]
    people, vehicles = labels.count("person"), sum(label in VEHICLES for label in labels)
    rest = len(labels) - people - vehicles
    word = "other " if other else ""
    parts = [(people, f"{word}person"), (vehicles, f"{word}vehicle"), (rest, f"{word}object")]
    return join_words([plural(count, noun) for count, noun in parts if count])


def _when(telling: _Telling) -> None:
    event = telling.found.event
    # Of the rounded times, so that a reader who subtracts them finds the same.
    length = duration(round(event.end_s, 1) - round(event.start_s, 1))
    text = f"It was measured for {length}, from {clock(event.start_s)} to {clock(event.end_s)}"
    if telling.found.main is None:
        text = f"It was measured for {length}"
    text += f", most unusual at {clock(event.peak_s)}"
    times = [event.start_s, event.peak_s, event.end_s]
    telling.say("when", sentence(text), (event.event_id,), times, event.score)


def _where(telling: _Telling) -> None:
    found, scene = telling.found, telling.scene
    if found.main is not None and found.main.actors:
        time_s = _times(found.main)[0]
        places = [(item, scene.centre(item, time_s)) for item in found.main.actors]
        seen = [(item, place) for item, place in places if place is not None]
        if not seen:
            return
        x, y = (sum(place[axis] for _, place in seen) / len(seen) for axis in (0, 1))
        ids = [f"T{item}" for item, _ in seen]
        verb = "It took place" if found.main.predicate.momentary else "When first measured, it was"
        text = f"{verb} {region(x, y)}{_depth(seen[0][0], time_s, scene)}"
        telling.say("where", sentence(text), ids, [time_s], scene.confidence(item for item, _ in seen))
        return
    place = motion_place(found, scene)
    if place is not None and not scene.picture_moves(found.event.start_s, found.event.end_s):
        text = f"The motion that stands out most is {region(place[1], place[2])}"
        telling.say("where", sentence(text), (found.event.event_id, *telling.signal_ids[:1]), [place[0]], SURE)


def _depth(track_id: int, time_s: float, scene: Scene) -> str:
    size = scene.size(track_id, time_s)
    if size is None or scene.label(track_id) != "person":
        return ""
    share = size / scene.observations.frame_size[1]
    return ", right in front of the camera" if share > 0.6 else ", far from the camera" if share < 0.12 else ""


def _why(telling: _Telling) -> None:
    found, event = telling.found, telling.found.event
    if found.shares:
        text = _reason_alone(found) if found.main is None else _reason(found)
        telling.say("why", sentence(text), (event.event_id, *telling.signal_ids), [event.peak_s], event.score)
    if found.main is not None and (values := measured(found.main.relations[0].measures)):
        text = sentence("Measured:", ", ".join(values))
        telling.say("why", text, found.main.ids[:1], _times(found.main)[:1], found.main.confidence)
    _why_dangerous(telling)
    for name, _ in found.shares:
        compared = signals.comparison(name, event, telling.scene)
        if compared is not None and len(telling.claims) <= _ROOM:
            ids = (event.event_id, *(item for item in telling.signal_ids if item == f"S:{name}"))
            text = sentence(f"At {clock(compared[1])}", compared[0])
            telling.say("why", text, ids, [compared[1]], event.score)
            break


def _reason(found: Findings) -> str:
    """Returns which signals make the event stand out."""
    reasons = [signal_words.words(name).reason for name, _ in found.shares]
    if found.main is not None:
        noun = found.main.predicate.noun
        named = f"{article(noun)} was measured, which is rare in ordinary scenes"
        reasons = [
            named if name == "relation surprise" else reason
            for reason, (name, _) in zip(reasons, found.shares, strict=True)
        ]
    text = f"It stands out because {reasons[0]}{_weight(found.shares[0][1])}"
    return f"{text}, and because {join_words(reasons[1:])}" if len(reasons) > 1 else text


def _reason_alone(found: Findings) -> str:
    """Returns the same where signals are all there is, and the strongest has been told as what happened."""
    name, share = found.shares[0]
    others = [signal_words.words(other).reason for other, _ in found.shares[1:]]
    text = f"It rests on the signal {signal_words.plain(name)}{_weight(share)}, not on a relation that could be named"
    return f"{text}; it stands out as well because {join_words(others)}" if others else text


def _weight(share: float) -> str:
    return f" ({round(share, 1) * 100:.0f} percent of the score)" if share < _ALL else ""


def _why_dangerous(telling: _Telling) -> None:
    """Says why an event is dangerous, unless its main fact says it already."""
    danger, main = telling.found.danger, telling.found.main
    if danger is None or (len(danger.relations) == 1 and main is not None and danger.relations[0] in main.relations):
        return
    text = f"It is rated dangerous, threat level 2 of 2, because {danger.reason}"
    last = gather(danger.relations[-1:], telling.scene)[0]
    if last.predicate.name != "lying" and not telling.told & set(last.ids):
        text += f": {clause(last, telling.names)}"
        telling.told.update(last.ids)
    ids = [item.relation_id for item in danger.relations]
    telling.say("why", sentence(text), ids, [item.start_s for item in danger.relations], danger.confidence)


def _cause(telling: _Telling, chain: Sequence[Fact]) -> None:
    found, event = telling.found, telling.found.event
    if chain:
        _tell_row(telling, "cause", "Before that,", _until(chain, event.start_s), "")
        return
    shared = set(found.actors) or {track.track_id for track in at_motion(found, telling.scene)}
    start_s = event.peak_s if found.main is None else found.main.start_s
    earlier = [
        item
        for item in found.relations
        if item.start_s < start_s and start_s - GAP_S <= item.end_s and not {item.relation_id} & telling.told
    ]
    linked = [fact for fact in gather(earlier, telling.scene) if shared & set(fact.actors) or not fact.actors]
    loose = [
        fact
        for fact in gather(earlier, telling.scene)
        if fact.predicate.severity >= TELLING and start_s - fact.end_s <= _SHORTLY_S
    ]
    steps = sorted((linked or loose)[:2], key=lambda fact: fact.start_s)
    if steps:
        _tell_row(
            telling, "cause", "Shortly before,", _until(steps, event.start_s), "; whether this led to it is not known"
        )
        return
    telling.say("cause", "No cause was measured.", (event.event_id,), [event.start_s], event.score)


def _until(facts: Sequence[Fact], end_s: float) -> list[Fact]:
    """Returns facts with the parts of their spans that lie before a time, as far as that leaves any."""
    cut = []
    for fact in facts:
        spans = tuple((start, min(end, end_s)) for start, end in fact.spans if start < end_s)
        cut.append(replace(fact, spans=spans) if spans and not fact.predicate.momentary else fact)
    return cut


def _tell_row(telling: _Telling, role: Role, lead: str, facts: Sequence[Fact], tail: str) -> None:
    texts = []
    previous = ""
    for fact in facts:
        alone = f"{telling.scene.label(fact.subjects[0])} {fact.subjects[0]}" if len(fact.subjects) == 1 else ""
        texts.append(clause(fact, telling.names, repeat=previous))
        previous = alone
    ids = [name for fact in facts for name in fact.evidence]
    times = [time_s for fact in facts for time_s in _times(fact)[:1]]
    confidence = min(fact.confidence for fact in facts)
    telling.say(role, sentence(lead, ", then ".join(texts), tail), ids, times, confidence)
    telling.told.update(name for fact in facts for name in fact.ids)


def _effect(telling: _Telling) -> None:
    found, scene, event = telling.found, telling.scene, telling.found.event
    since = event.peak_s if found.main is None else found.main.start_s
    shared = set(found.actors)
    later = [
        item
        for item in (*found.during, *found.after)
        if item.start_s > since and item.predicate in _AFTERMATH and item.relation_id not in telling.told
    ]
    facts = [
        fact
        for fact in gather(later, scene)
        if set(fact.actors) & shared or fact.predicate.name in ("dispersing", "gathering") or not shared
    ]
    facts = sorted(facts[:2], key=lambda fact: fact.start_s)
    if facts:
        tail = "" if shared else "; whether this is a consequence is not known"
        _tell_row(telling, "effect", "After that,", facts, tail)
        return
    left_s = scene.info.duration_s - event.end_s
    following = [item.start_s for item in scene.events if item.start_s > event.end_s]
    if left_s < 0.3:
        text = "The event lasts until the end of the video, so what came of it is not recorded."
    elif left_s < _END_S:
        text = f"The video ends {duration(left_s)} later, so what came of it is not recorded."
    elif following and following[0] - event.end_s < left_s:
        text = f"No consequence was measured before the next event at {clock(following[0])}."
    else:
        text = f"No consequence was measured in the {duration(min(left_s, AFTER_S))} after it."
    telling.say("effect", text, (event.event_id,), [event.end_s], 0.8)
