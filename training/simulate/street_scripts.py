"""Scripts that need a road: accident, wrong way, loitering at the kerb; each with its innocent twin.

A twin shares seed, ground, camera, cast and paces with the abnormal scene; what differs is what it means.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vau.training.simulate.director import Director
from vau.training.simulate.stages import KERB_Y, LANES_Y, off, rectangle, square, street
from vau.training.simulate.world import Happening, Prop, Zone

_CAR_SPEED = 8.5


def accident(d: Director, normal: bool) -> Happening:
    """A car strikes someone who crosses; in the twin it brakes as hard and stops short."""
    rng, side = d.rng, d.side
    d.stage = street(rng)
    lane = LANES_Y[0]
    at_s = d.duration_s * float(rng.uniform(0.3, 0.72))
    x = float(rng.uniform(-1.2, 1.2))
    pace = float(rng.uniform(1.3, 1.6))
    kerb_s = at_s - (lane - KERB_Y + 0.6) / pace
    walker = d.course(x, KERB_Y - 0.6, 0.0, np.pi / 2).until(kerb_s).go((x, lane), pace)
    gap = 2.1 + 0.25  # from the car's middle to its front, and the walker's half width
    far = off(lane)
    way = far + side * x - gap  # how far the car drives until its front is at the walker
    stop_m = 3.0
    car = d.course(-side * far, lane, at_s - way / _CAR_SPEED, 0.0 if side > 0 else np.pi)
    if normal:
        clear = 1.6
        start_s = at_s - (way - stop_m - clear) / _CAR_SPEED - 2 * stop_m / _CAR_SPEED
        car = d.course(-side * far, lane, start_s, 0.0 if side > 0 else np.pi)
        car.go((x - side * (gap + stop_m + clear), lane), _CAR_SPEED, gait=False)
        brakes_s = car.now_s
        car.go((x - side * (gap + clear), lane), _CAR_SPEED, 0.05, gait=False).wait(2.6)
        car.go((side * far, lane), 3.0, 8.0, gait=False)
        walker.go((x, 18.2), pace)
        person, vehicle = d.person(walker, "crosses", stays=False), d.vehicle(car, "brakes", stays=False)
        d.passers(1, (7.0, 9.0))
        return Happening(
            "road accident", False, max(0.0, brakes_s), at_s + 2.4, (vehicle.actor_id, person.actor_id),
            f"{vehicle.name} braked hard and stopped before {person.name}, who crossed the road",
            "nobody was struck: the car gave way", "a person crossed the road before the car",
            "the person crossed and the car drove on", "the car drove along the road", "the car drove on",
        )  # fmt: skip
    car.go((x - side * gap, lane), _CAR_SPEED, gait=False).go((x + side * (stop_m - gap), lane), 5.0, 0.05, gait=False)
    walker.turn(0.0 if side > 0 else np.pi).fall(0.5, (side * 2.6, 0.5))
    person, vehicle = d.person(walker, "is struck"), d.vehicle(car, "strikes")
    helper = d.course(-side * 3.5, 9.2, 0.0, np.pi / 2).until(at_s + 0.8)
    helper.go((x + side * 1.4, lane - 0.6), 3.6).bow(1.0, 0.5)
    d.person(helper, "helps")
    d.deed(vehicle, "hit", at_s, at_s + 0.5, person)
    d.deed(person, "fell", at_s, at_s + 0.5)
    return Happening(
        "road accident", True, max(0.0, at_s - 0.5), min(at_s + 4.0, d.duration_s),
        (vehicle.actor_id, person.actor_id),
        f"{vehicle.name} struck {person.name}", "a vehicle struck a person on the road",
        f"{person.name} crossed the road and {vehicle.name} did not brake in time",
        f"{person.name} was thrown to the ground and lay on the road", f"{person.name} crossed the road",
        f"{person.name} lay on the road",
    )  # fmt: skip


def wrong_way(d: Director, normal: bool) -> Happening:
    """One goes against all others; in the twin a marked lane or an open place allows it."""
    if bool(d.rng.random() < 0.5):
        return _wrong_vehicle(d, normal)
    return _wrong_walker(d, normal)


def _wrong_vehicle(d: Director, normal: bool) -> Happening:
    rng, side = d.rng, d.side
    ahead = 0.0 if side > 0 else np.pi
    d.stage = street(rng, one_way=ahead)
    near, far_lane = LANES_Y
    far = off(far_lane)
    at_s = d.duration_s * float(rng.uniform(0.2, 0.7))
    pace = 6.5
    count = 9
    for number in range(count):
        start_s = d.duration_s * (number - 1.2 + float(rng.uniform(0, 0.3))) / (count - 1)
        lane = far_lane if normal or abs(start_s - at_s) < 6 else near
        d.passer(d.course(-side * far, lane, start_s, ahead).go((side * far, lane), pace, gait=False), "car")
    wrong = d.vehicle(
        d.course(side * far, near, at_s).go((-side * far, near), pace, gait=False), "goes against the flow", stays=False
    )
    if normal:
        strip = Zone(
            "counter flow lane", rectangle(-40, 40, KERB_Y, (near + far_lane) / 2), "this lane runs the other way",
            np.pi - ahead,
        )  # fmt: skip
        d.stage = replace(d.stage, zones=(*d.stage.zones, strip))
    return _against(
        d, normal, wrong.actor_id, wrong.name, at_s, 2 * far / pace, "vehicles", "a marked counter flow lane"
    )


def _wrong_walker(d: Director, normal: bool) -> Happening:
    rng, side = d.rng, d.side
    ahead = 0.0 if side > 0 else np.pi
    d.stage = square(rng, kind="pedestrian zone") if normal else square(rng, kind="pedestrian zone", one_way=ahead)
    at_s = d.duration_s * float(rng.uniform(0.15, 0.5))
    pace = 1.5
    for number in range(10):
        y = float(rng.uniform(7.2, 10.6))
        start_s = d.duration_s * (number - 4.5 + float(rng.uniform(0, 0.6))) / 10
        d.passer(d.course(-side * off(y), y, start_s, ahead).go((side * off(y), y), float(rng.uniform(1.2, 1.6))))
    y = float(rng.uniform(8.4, 9.2))
    path = d.course(side * (off(y) - 3), y, at_s - 1).go((-side * off(y), y), pace)
    wrong = d.person(path, "goes against the flow", stays=False)
    return _against(d, normal, wrong.actor_id, wrong.name, at_s, 8.0, "people", "an open pedestrian zone")


def _against(
    d: Director, normal: bool, who: int, name: str, at_s: float, lasts_s: float, others: str, place: str
) -> Happening:
    actor = d.actors[who - 1]
    d.deed(actor, "against the flow", at_s, at_s + lasts_s)
    return Happening(
        "wrong way", not normal, at_s, min(at_s + lasts_s, d.duration_s), (who,),
        f"{name} went in {place}" if normal else f"{name} went against the direction of all others",
        f"it is allowed there: {place}" if normal else "the arrows show that only one direction is allowed",
        f"{name} came from the other end", f"{name} passed the other {others}", f"{others} went their way",
        f"{others} went their way",
    )  # fmt: skip


def loitering(d: Director, normal: bool) -> Happening:
    """Someone paces beside a parked car for long; in the twin beside a bus stop, until the bus comes."""
    rng, side = d.rng, d.side
    d.stage = street(rng)
    y, x = KERB_Y - 1.6, float(rng.uniform(-1.5, 1.5))
    come_s = float(rng.uniform(0.5, 2.0))
    path = d.course(-side * off(y), y, come_s).go((x - side * 2.0, y), 1.4)
    begins_s = path.now_s
    leave_s = d.duration_s - 6.5
    near = 1.0
    while path.now_s < leave_s:
        path.go((x + side * near * float(rng.uniform(1.2, 2.4)), y + float(rng.uniform(-0.5, 0.5))), 0.9)
        path.wait(float(rng.uniform(0.6, 2.4)))
        near = -near
    ends_s = path.now_s
    d.passers(2, (6.8, 7.6))
    lane = LANES_Y[0]
    if not normal:
        person = d.person(path.go((-side * off(y), y), 1.4), "loiters", stays=False)
        d.vehicle(d.course(x, lane, 0.0, 0.0 if side > 0 else np.pi), "parked")
        d.deed(person, "loitering", begins_s, ends_s)
        return Happening(
            "loitering", True, begins_s, ends_s, (person.actor_id,),
            f"{person.name} paced up and down beside a parked car",
            "the person stayed beside a parked car for long without a visible reason", "a car stood there unattended",
            "the person left in the end", "the person came walking", "the person walked away",
        )  # fmt: skip
    stop = Zone("bus stop", rectangle(x - 3, x + 3, KERB_Y - 2.4, KERB_Y), "people wait here for the bus")
    d.stage = replace(
        d.stage, zones=(*d.stage.zones, stop), props=(*d.stage.props, Prop("pole", (x + 2.8, KERB_Y - 0.3)))
    )
    bus = d.course(-side * (off(lane) + 5), lane, ends_s - 2.8, 0.0 if side > 0 else np.pi)
    bus.go((x - side * 4, lane), 9.0, gait=False).go((x, lane), 6.0, 0.2, gait=False).until(ends_s + 2.6)
    bus.go((side * (off(lane) + 5), lane), 3.0, 9.0, gait=False)
    path.until(ends_s + 0.8).go((x, KERB_Y + 0.3), 1.4)
    person = d.person(path, "waits for the bus", stays=False)
    d.vehicle(bus, "picks up", "bus", stays=False)
    return Happening(
        "loitering", False, begins_s, ends_s, (person.actor_id,),
        f"{person.name} waited at the bus stop and took the bus", "people wait for a bus at a bus stop",
        "the bus had not come yet", "the person got on the bus", "the person came walking",
        "the bus took the person away",
    )  # fmt: skip
