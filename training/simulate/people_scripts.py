"""Scripts among people: fight, fall, taking, abandoned object, crowd flight, intrusion; each with its innocent twin.

A twin shares seed, ground, camera, cast and paces with the abnormal scene; what differs is what it means.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vau.training.simulate.director import Director
from vau.training.simulate.stages import KERB_Y, LANES_Y, off, rectangle, square, street
from vau.training.simulate.world import Happening, Prop, Smoke, Zone


def fight(d: Director, normal: bool) -> Happening:
    """Two people strike each other; in the twin they spar on a training mat and bow to each other."""
    rng, side = d.rng, d.side
    d.stage = square(rng)
    at_s = d.duration_s * float(rng.uniform(0.25, 0.55))
    lasts_s = float(rng.uniform(4.0, 6.0))
    x, y = float(rng.uniform(-1.5, 1.5)), float(rng.uniform(7.4, 8.6))
    phases = rng.uniform(0, 2 * np.pi, 2)
    pace = 1.3
    paths = []
    for sign, phase in zip((-side, side), phases, strict=True):
        way = 4.5
        path = d.course(x + sign * (way + 0.45), y, at_s - way / pace - (0.9 if normal else 0.0), 0.0)
        path.go((x + sign * 0.45, y), pace)
        if normal:
            path.bow(0.9, 0.35)
        paths.append(path.strike(lasts_s, float(phase)))
    first, second = paths
    end_s = at_s + lasts_s
    if normal:
        mat = Zone("training mat", rectangle(x - 2.2, x + 2.2, y - 1.5, y + 1.5), "people spar here")
        d.stage = replace(d.stage, zones=(*d.stage.zones, mat))
        for path, sign in ((first, -side), (second, side)):
            path.bow(0.9, 0.35).go((x + sign * 2.0, y + 0.3), 1.2)
        a, b = d.person(first, "spars"), d.person(second, "spars")
        d.passers(1, (11.0, 12.0))
        return Happening(
            "fight", False, at_s, end_s, (a.actor_id, b.actor_id), f"{a.name} and {b.name} sparred on a training mat",
            "it was training: they bowed to each other and nobody was hurt", "they had come to train",
            "both stepped back unhurt", "they bowed to each other", "they bowed and stepped apart",
        )  # fmt: skip
    second.turn(0.0 if side > 0 else np.pi).fall(0.6)
    first.turn(np.pi if side > 0 else 0.0).go((x - side * off(y), y + 0.2), 4.2)
    a, b = d.person(first, "attacks", stays=False), d.person(second, "is beaten")
    d.passers(1, (11.0, 12.0))
    d.deed(a, "fighting", at_s, end_s, b)
    d.deed(a, "in contact", at_s, end_s, b)
    d.deed(b, "fell", end_s, end_s + 0.6)
    return Happening(
        "fight", True, at_s, min(end_s + 0.6, d.duration_s), (a.actor_id, b.actor_id), f"{a.name} fought with {b.name}",
        "two people struck each other", "they came up to each other and began to strike",
        f"{b.name} fell to the ground and {a.name} ran away", f"{a.name} and {b.name} walked towards each other",
        f"{a.name} ran away",
    )  # fmt: skip


def fall(d: Director, normal: bool) -> Happening:
    """A walking person falls and lies still; in the twin the person lies down on a bench."""
    rng, side = d.rng, d.side
    d.stage = square(rng)
    at_s = d.duration_s * float(rng.uniform(0.25, 0.75))
    x, y = float(rng.uniform(-1.5, 1.5)), float(rng.uniform(7.2, 8.6))
    pace = float(rng.uniform(1.1, 1.4))
    far = off(y)
    path = d.course(-side * far, y, at_s - (far + side * x) / pace).go((x, y), pace)
    if normal:
        d.stage = replace(d.stage, props=(*d.stage.props, Prop("bench", (x + side * 0.9, y))))
        path.lie_down(1.7, 0.42)
        end_s = path.now_s
        person = d.person(path, "rests")
        d.passers(2, (10.6, 11.6))
        return Happening(
            "fall", False, at_s, min(end_s + 4, d.duration_s), (person.actor_id,), f"{person.name} lay down on a bench",
            "the person lay down slowly and on purpose, on a bench", "the person wanted to rest",
            "the person lay on the bench", "the person came walking", "the person lay on the bench",
        )  # fmt: skip
    path.fall(0.6, (side * 0.3, 0.0))
    person = d.person(path, "falls")
    d.deed(person, "fell", at_s, at_s + 0.6)
    helper = (
        d.course(side * 4.2, y + 2.6, 0.0, -np.pi / 2).until(at_s + 1.5).go((x + side * 1.2, y + 0.9), 2.0).bow(2.0)
    )
    d.person(helper, "helps")
    d.passers(1, (10.6, 11.6))
    return Happening(
        "fall", True, at_s, min(at_s + 5.0, d.duration_s), (person.actor_id,), f"{person.name} fell to the ground",
        "the person went down suddenly and lay still on the ground", "the person lost balance while walking",
        f"{person.name} lay on the ground and someone came to help", "the person came walking",
        "someone came to help",
    )  # fmt: skip


def taking(d: Director, normal: bool) -> Happening:
    """A stranger grabs a bag and runs, its owner after him; in the twin two friends run for a waiting bus with it."""
    rng, side = d.rng, d.side
    d.stage = street(rng)
    at_s = d.duration_s * float(rng.uniform(0.42, 0.78))
    x, y = -side * float(rng.uniform(2.7, 3.4)), float(rng.uniform(7.4, 8.6))
    pace = float(rng.uniform(3.9, 4.3))
    far = off(y)
    lies = (x + side * 0.75, y - 0.1)
    owner = d.course(-side * far, y + 0.1, at_s - 6.5 - (far + side * x) / 1.35).go((x, y), 1.35)
    put_s = owner.now_s + 0.5
    owner.bow(1.0).turn(np.pi / 2)
    taker = d.course(lies[0] + side * 0.4, y - 0.2, 0.0)
    if normal:
        taker = d.course(-side * (far + 1.2), y - 0.5, at_s - 6.5 - (far + side * x) / 1.35).go(
            (lies[0] + side * 0.4, y - 0.3), 1.35
        )
        taker.turn(np.pi / 2).until(at_s - 0.5).bow(1.0, 0.8)
    else:
        taker = d.course(side * far, y - 0.4, at_s - 0.5 - (far - side * (lies[0] + side * 0.4)) / 1.3)
        taker.go((lies[0] + side * 0.4, y - 0.3), 1.3).until(at_s - 0.5).bow(1.0, 0.8)
    lane = LANES_Y[0]
    stop_x = side * 4.6
    end = (stop_x, KERB_Y + 0.2) if normal else (side * far, y - 0.3)
    run_s = taker.now_s
    taker.go(end, pace)
    owner.until(at_s + 0.6).go((end[0], end[1] + (0.2 if not normal else 0.0)), pace * 0.95)
    a, b = d.person(taker, "takes the bag", stays=False), d.person(owner, "owns the bag", stays=False)
    bag = d.bag("is taken", [(b, 0.0, put_s), (a, at_s, d.duration_s)], lies)
    if normal:
        bus = d.course(stop_x + side * 2, lane, 0.0, 0.0 if side > 0 else np.pi).until(owner.now_s + 1.2)
        d.vehicle(bus.go((side * (off(lane) + 5), lane), 3.0, 9.0, gait=False), "waits", "bus", stays=False)
        d.stage = replace(d.stage, props=(*d.stage.props, Prop("pole", (stop_x - side * 0.8, KERB_Y - 0.3))))
        return Happening(
            "taking", False, at_s, min(taker.now_s, d.duration_s), (a.actor_id, b.actor_id),
            f"{a.name} and {b.name} ran for the bus with their {bag.colour} bag",
            "they had come together and ran for a bus that was waiting", "a bus was about to leave",
            "both got on the bus", "they came walking together", "the bus drove away",
        )  # fmt: skip
    d.deed(b, "chasing", at_s + 1.2, at_s + 3.0, a)
    return Happening(
        "taking", True, at_s, min(run_s + 2.5, d.duration_s), (a.actor_id, b.actor_id),
        f"{a.name} took the {bag.colour} bag of {b.name} and ran away",
        "someone took a bag that another had put down and ran", f"{b.name} had put the bag on the ground",
        f"{b.name} ran after {a.name}", f"{b.name} put down a bag", f"{b.name} ran after {a.name}",
    )  # fmt: skip


def abandoned(d: Director, normal: bool) -> Happening:
    """Someone puts a bag down and goes away for good; in the twin he comes back for it."""
    rng, side = d.rng, d.side
    d.stage = square(rng)
    at_s = d.duration_s * float(rng.uniform(0.2, 0.4))
    x, y = float(rng.uniform(-1.5, 1.5)), float(rng.uniform(7.4, 8.8))
    pace = 1.4
    far = off(y)
    path = d.course(-side * far, y, at_s - 0.5 - (far + side * x) / pace).go((x, y), pace).bow(1.0).wait(0.8)
    leaves_s = path.now_s
    if normal:
        path.go((x + side * 4.5, y + 0.4), pace).wait(1.0).go((x, y), pace)
        back_s = path.now_s + 0.5
        path.bow(1.0).go((side * far, y), pace)
        person = d.person(path, "puts down a bag", stays=False)
        bag = d.bag("is left for a moment", [(person, 0.0, at_s), (person, back_s, d.duration_s)], (x, y))
        d.passers(2, (11.2, 12.2))
        return Happening(
            "abandoned object", False, at_s, min(back_s, d.duration_s), (person.actor_id, bag.actor_id),
            f"{person.name} put down a {bag.colour} bag and took it again", "the owner came back for the bag",
            "the person looked for the way", "the person took the bag and left", "the person came with a bag",
            "the person left with the bag",
        )  # fmt: skip
    path.go((side * far, y + 0.4), pace)
    person = d.person(path, "leaves a bag", stays=False)
    bag = d.bag("is left behind", [(person, 0.0, at_s)], (x, y))
    d.passers(1, (11.2, 12.2))
    alone_s = leaves_s + 2.2
    d.deed(bag, "left behind", alone_s, d.duration_s)
    return Happening(
        "abandoned object", True, alone_s, d.duration_s, (person.actor_id, bag.actor_id),
        f"{person.name} left a {bag.colour} bag behind", "a bag lay alone and its owner did not come back",
        f"{person.name} put the bag down and walked away", "the bag lay there until the end",
        f"{person.name} put the bag down", "the bag lay alone",
    )  # fmt: skip


def crowd_flight(d: Director, normal: bool) -> Happening:
    """A crowd scatters from smoke; in the twin the same people run for a bus."""
    rng, side = d.rng, d.side
    d.stage = street(rng)
    at_s = d.duration_s * float(rng.uniform(0.2, 0.75))
    x, y = float(rng.uniform(-1.0, 1.0)), 8.0
    count = int(rng.integers(6, 9))
    angles = 2 * np.pi * (np.arange(count) + rng.uniform(0, 0.6, count)) / count
    paces, delays = rng.uniform(3.3, 4.2, count), rng.uniform(0.0, 0.5, count)
    ids, ends = [], []
    lane, stop_x = LANES_Y[0], side * 4.5
    for angle, pace, delay in zip(angles, paces, delays, strict=True):
        place = (x + 1.5 * np.cos(angle), y + 1.1 * np.sin(angle))
        path = d.course(place[0] * 1.9, place[1], 0.0).go(place, 0.6).turn(float(angle + np.pi)).until(at_s + delay)
        goal = (x + 16 * np.cos(angle), y + 2.4 * np.sin(angle))
        if normal:
            goal = (stop_x + float(rng.uniform(-0.8, 0.8)), KERB_Y + 0.2)
        person = d.person(path.go(goal, float(pace)), "runs", stays=False)
        ids.append(person.actor_id)
        ends.append(path.now_s)
    end_s = min(at_s + 3.5, d.duration_s)
    if normal:
        far = off(lane) + 5
        bus = d.course(side * far, lane, at_s - 2.2, np.pi if side > 0 else 0.0).go(
            (stop_x, lane), 7.0, 0.8, gait=False
        )
        bus.until(max(ends) + 0.8).go((-side * far, lane), 3.0, 9.0, gait=False)
        d.vehicle(bus, "picks up", "bus", stays=False)
        d.stage = replace(d.stage, props=(*d.stage.props, Prop("pole", (stop_x - side, KERB_Y - 0.3))))
        return Happening(
            "crowd flight", False, at_s, end_s, tuple(ids), f"{count} people ran for the bus",
            "they all ran to a bus that had come", "the bus came", "they got on the bus", "the people stood together",
            "the bus drove away",
        )  # fmt: skip
    d.stage = replace(d.stage, smoke=Smoke((x, y), at_s - 0.4))
    for number in ids:
        d.deed(d.actors[number - 1], "dispersing", at_s, end_s)
    return Happening(
        "crowd flight", True, at_s, end_s, tuple(ids), f"{count} people ran away in all directions",
        "the whole crowd fled at once", "smoke rose among the people", "the place was empty",
        "the people stood together", "smoke rose from an empty place",
    )  # fmt: skip


def intrusion(d: Director, normal: bool) -> Happening:
    """Someone walks into a closed area; in the twin it is staff in an orange vest."""
    rng, side = d.rng, d.side
    d.stage = square(rng)
    at_s = d.duration_s * float(rng.uniform(0.25, 0.55))
    y = float(rng.uniform(7.4, 8.6))
    near, far_x = sorted((side * 0.6, side * 4.4))
    area = Zone("restricted area", rectangle(near, far_x, y - 1.2, y + 2.6), "only staff in an orange vest may enter")
    posts = tuple(Prop("post", corner) for corner in area.corners)
    d.stage = replace(d.stage, zones=(*d.stage.zones, area), props=(*d.stage.props, *posts))
    pace = float(rng.uniform(1.2, 1.5))
    far = off(y)
    path = d.course(-side * far, y, at_s - (far + 0.6) / pace).go((side * 3.2, y + 0.2), pace).wait(1.5)
    path.go((side * 2.6, y + 1.8), 0.8).bow(1.2, 0.8).wait(1.0)
    out_s = path.now_s + 2.0 / pace
    path.go((side * 0.4, y), pace).go((-side * far, y), pace)
    person = d.person(path, "enters the restricted area", vest=normal, stays=False)
    d.passers(2, (11.2, 12.2))
    return Happening(
        "intrusion", not normal, at_s, min(out_s, d.duration_s), (person.actor_id,),
        f"{person.name} worked in the restricted area" if normal else f"{person.name} went into the restricted area",
        "staff in an orange vest may enter" if normal else "only staff in an orange vest may enter; this one wore none",
        f"{person.name} walked across the line", f"{person.name} left the area again", "the person came walking",
        "the person walked away",
    )  # fmt: skip
