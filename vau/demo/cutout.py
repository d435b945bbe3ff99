"""Cuts walking people out of fixed-camera footage: background, foreground blobs, soft mattes, height by position.

Plain array maths on frames that others decode; knows nothing of files, scenarios or truth. The background is the
temporal median, a matte is the distance to it turned into an opacity, and the colour under a soft edge is solved from
the compositing equation I = aF + (1 - a)B (Porter and Duff, 1984).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, exclusive at the far end

FOREGROUND = 22.0  # grey levels of the largest channel difference above which a pixel is foreground
MATTE_RANGE = (10.0, 34.0)  # differences at which a pixel is wholly background and wholly foreground
UPRIGHT = (1.7, 4.2)  # height over width of a standing or walking person
MIN_BLOB_HEIGHT = 20  # pixels
RIM = 12.0  # grey levels by which a sharpening halo outshines the body beside it
STATURE = (0.82, 1.22)  # height over what the perspective expects
MIN_FRAMES, MAX_FRAMES = 9, 40  # of a walker: a gait cycle, and enough for a varied walk
PAD = 6  # pixels of margin around a cut-out


@dataclass(frozen=True, eq=False)
class Blob:
    """One foreground component of one frame."""

    index: int  # frame
    box: Box
    area: int  # pixels of the cleaned mask
    solid: float  # share of the cleaned mask that differed from the background by itself, [0, 1]
    alone: bool  # nothing else near and not at the frame's edge
    crop: UInt8 | None = None  # (h, w, 4) colour and opacity with PAD pixels of margin; None where it is not wanted

    @property
    def height(self) -> int:
        """Height of the box in pixels."""
        return self.box[3] - self.box[1]

    @property
    def upright(self) -> bool:
        """Whether the box has the shape of a standing person."""
        return UPRIGHT[0] <= self.height / (self.box[2] - self.box[0]) <= UPRIGHT[1]


@dataclass(frozen=True)
class Perspective:
    """Height of a standing person in pixels as a linear function of the image row of the feet."""

    offset: float
    slope: float

    def height(self, foot_y: float) -> float:
        """Returns the height in pixels for feet at this row, never below 8."""
        return max(8.0, self.offset + self.slope * foot_y)


@dataclass(frozen=True, eq=False)
class Walker:
    """A person cut out of consecutive frames.

    The anchor of a frame is where the smoothed path of the feet passes through its crop; the real sway and bob of the
    walk stay in the pictures around it.
    """

    frames: tuple[UInt8, ...]  # (h, w, 4) colour and opacity
    anchors: Float64  # (n, 2) x, y in each crop
    heights: Float64  # (n,) standing height in source pixels at that place
    velocity: tuple[float, float]  # image x, y in own heights a frame
    first_index: int  # source frame
    score: float  # how usable the cut-out is, higher is better

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def colours(self) -> Float64:
        """Mean colour of upper and lower body (6,), to tell two people apart."""
        picture = self.frames[len(self.frames) // 2]
        middle = picture.shape[0] // 2
        halves = []
        for half in (picture[:middle], picture[middle:]):
            inside = half[..., 3] > 200
            halves.append(half[inside][:, :3].mean(0) if inside.any() else np.zeros(3))
        return np.concatenate(halves).astype(np.float64)


def median_background(frames: Sequence[UInt8]) -> UInt8:
    """Returns the per-pixel temporal median (H, W, 3) of frames spread over the clip."""
    return np.asarray(np.median(np.stack(frames), axis=0), dtype=np.uint8)


def difference(frame: UInt8, background: UInt8) -> Float32:
    """Returns how far each pixel lies from the background (H, W) in grey levels, after a light blur against noise."""
    red, green, blue = cv2.split(
        cv2.absdiff(cv2.GaussianBlur(frame, (3, 3), 0), cv2.GaussianBlur(background, (3, 3), 0))
    )
    return np.asarray(cv2.max(cv2.max(red, green), blue), dtype=np.float32)


def foreground(distance: Float32) -> UInt8:
    """Returns a cleaned 0/1 mask: gaps in a body closed and specks removed."""
    mask = (distance > FOREGROUND).astype(np.uint8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 5), np.uint8))
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), dtype=np.uint8)


def cast_shadow(frame: UInt8, background: UInt8) -> Bool:
    """Returns where the frame is the background made evenly darker or lighter (H, W): shade or a sharpening halo."""
    near = cv2.GaussianBlur(frame, (3, 3), 0).astype(np.float32) + 4.0
    far = cv2.GaussianBlur(background, (3, 3), 0).astype(np.float32) + 4.0
    ratio = near / far
    even = ratio.max(axis=2) - ratio.min(axis=2) < 0.16
    level = ratio.mean(axis=2)
    return np.asarray(even & (level > 0.55) & (level < 1.6), dtype=np.bool_)


def matte(frame: UInt8, background: UInt8, distance: Float32, body: UInt8) -> UInt8:
    """Returns colour and opacity (h, w, 4) of one body: opaque inside, soft at the rim, rim colours unmixed.

    Holes are filled above the knees, where they are clothes that look like the background; below, they are the ground
    between the legs. Shade around the feet belongs to the place, not to the body, and is left out.
    """
    rows = np.flatnonzero(body.any(axis=1))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    knees = top + int(0.62 * (bottom - top))
    contours, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.asarray(cv2.drawContours(body.copy(), contours, -1, 1, cv2.FILLED), dtype=np.uint8)
    shape = body.copy()
    shape[:knees] = filled[:knees]
    shaded = cast_shadow(frame, background)
    shaded[:knees] = False
    shape[shaded | ((distance <= FOREGROUND) & (np.arange(len(body)) >= knees)[:, None])] = 0
    opened = cv2.morphologyEx(shape, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    shape = _largest(np.asarray(opened, dtype=np.uint8))
    # the camera's sharpening leaves a bright rim one pixel wide, so the matte ends inside it
    inside = cv2.erode(shape, np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(np.maximum(inside.astype(np.float32), 0.35 * shape), (3, 3), 0)[..., None]
    low, high = MATTE_RANGE
    alpha = alpha * np.maximum(np.clip((distance - low) / (high - low), 0.0, 1.0), inside)[..., None]
    behind = background.astype(np.float32)
    solved = behind + (frame.astype(np.float32) - behind) / np.maximum(alpha, 0.5)
    colour = _without_rim(np.clip(np.where(inside[..., None] > 0, frame, solved), 0, 255), shape)
    return np.asarray(np.dstack([colour, alpha * 255]).round(), dtype=np.uint8)


def _without_rim(colour: Float32, shape: UInt8) -> Float32:
    """Replaces pixels of the outline that are much brighter than the body next to them by the body's colour."""
    core = cv2.erode(shape, np.ones((5, 5), np.uint8))
    if not core.any():
        return colour
    _, labels = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    order = np.zeros(int(labels.max()) + 1, np.intp)
    order[labels[core > 0]] = np.flatnonzero(core)
    nearest = colour.reshape(-1, 3)[order[labels]]
    halo = (colour.mean(axis=2) - nearest.mean(axis=2) > RIM) & (core == 0)
    return np.where(halo[..., None], nearest, colour)


def _largest(shape: UInt8) -> UInt8:
    """Keeps the largest component, with what a gap of two pixels parts from it, such as a foot."""
    joined = cv2.dilate(shape, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    if count < 2:
        return shape
    return np.asarray(shape * (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())), dtype=np.uint8)


def find_blobs(index: int, frame: UInt8, background: UInt8, *, crops_above: float = np.inf) -> list[Blob]:
    """Returns the blobs of one frame; lone upright ones taller than `crops_above` pixels come with their cut-out."""
    distance = difference(frame, background)
    mask = foreground(distance)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    rows, cols = mask.shape
    blobs = []
    for label in range(1, count):
        x, y, w, h, area = (int(value) for value in stats[label])
        if h < MIN_BLOB_HEIGHT or area < 0.15 * w * h:
            continue
        x0, y0, x1, y1 = x - PAD, y - PAD, x + w + PAD, y + h + PAD
        window = (slice(max(y0, 0), min(y1, rows)), slice(max(x0, 0), min(x1, cols)))
        body = (labels[window] == label).astype(np.uint8)
        inside_frame = x0 >= 0 and y0 >= 0 and x1 <= cols and y1 <= rows
        alone = inside_frame and int(mask[window].sum()) - area <= 0.03 * area
        solid = float(((distance[window] > FOREGROUND) & (body > 0)).sum() / max(int(body.sum()), 1))
        blob = Blob(index, (x, y, x + w, y + h), area, solid, alone)
        if alone and blob.upright and h >= crops_above:
            crop = matte(frame[window], background[window], distance[window], body)
            blob = Blob(index, blob.box, area, solid, alone, crop)
        blobs.append(blob)
    return blobs


def fit_perspective(blobs: Iterable[Blob]) -> Perspective:
    """Fits standing height against foot row over lone upright blobs by trimmed least squares.

    Raises:
        ValueError: with fewer than 20 such blobs.
    """
    rows = np.array([(b.box[3], b.height) for b in blobs if b.alone and b.upright], dtype=np.float64).reshape(-1, 2)
    if len(rows) < 20:
        raise ValueError(f"20 lone upright blobs are needed to fit the perspective, got {len(rows)}")
    kept = rows
    offset, slope = float(np.median(rows[:, 1])), 0.0
    for _ in range(6):
        if np.ptp(kept[:, 0]) < 0.05 * rows[:, 0].max():  # everyone walks along one row: height is constant there
            offset, slope = float(np.median(kept[:, 1])), 0.0
            break
        slope, offset = (float(value) for value in np.polyfit(kept[:, 0], kept[:, 1], 1))
        error = np.abs(rows[:, 1] - offset - slope * rows[:, 0])
        kept = rows[error <= max(2.0, 2.0 * float(np.median(error)))]
    return Perspective(offset, slope)


def _follows(previous: Blob, blob: Blob) -> bool:
    ax0, ay0, ax1, ay1 = previous.box
    bx0, by0, bx1, by1 = blob.box
    width, height = min(ax1, bx1) - max(ax0, bx0), min(ay1, by1) - max(ay0, by0)
    if width <= 0 or height <= 0:
        return False
    union = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - width * height
    steady = 0.85 < blob.height / previous.height < 1.18 and 0.7 < blob.area / previous.area < 1.43
    return steady and width * height / union > 0.3


def link(blobs: Iterable[Blob]) -> list[list[Blob]]:
    """Links cut-outs of consecutive frames into sequences; a merge, an occlusion or a jump ends a sequence."""
    done: list[list[Blob]] = []
    live: list[list[Blob]] = []
    by_frame: dict[int, list[Blob]] = {}
    for blob in blobs:
        if blob.crop is not None:
            by_frame.setdefault(blob.index, []).append(blob)
    for index in sorted(by_frame):
        fresh = list(by_frame[index])
        kept = []
        for chain in live:
            match = next((b for b in fresh if chain[-1].index == index - 1 and _follows(chain[-1], b)), None)
            if match is None:
                done.append(chain)
            else:
                fresh.remove(match)
                kept.append([*chain, match])
        live = kept + [[blob] for blob in fresh]
    return done + live


def make_walker(chain: Sequence[Blob], perspective: Perspective) -> Walker | None:
    """Turns a sequence of cut-outs into a walker: its best stretch, a smoothed path and a quality score.

    Returns None where too little of it has the size of one person.
    """
    stature = float(np.median([b.height / perspective.height(b.box[3]) for b in chain]))
    if not STATURE[0] <= stature <= STATURE[1]:
        return None  # two people, or half a one
    runs: list[list[Blob]] = [[]]
    for blob in chain:
        if abs(blob.height / (stature * perspective.height(blob.box[3])) - 1.0) < 0.09:
            runs[-1].append(blob)
        elif runs[-1]:
            runs.append([])  # something stuck to the body in this frame
    longest = max(runs, key=len)
    if len(longest) < MIN_FRAMES:
        return None
    starts = range(0, max(1, len(longest) - MAX_FRAMES + 1), 5)
    stretches = [_stretch(longest[start : start + MAX_FRAMES], perspective, stature) for start in starts]
    return max(stretches, key=lambda walker: walker.score)


def _stretch(chain: Sequence[Blob], perspective: Perspective, stature: float) -> Walker:
    crops = tuple(blob.crop for blob in chain if blob.crop is not None)
    boxes = np.array([blob.box for blob in chain], dtype=np.float64)
    # the centre of the upper body moves evenly; feet swing, and would drag the anchor along with them
    centres = np.array([_torso_x(crop) for crop in crops]) + boxes[:, 0] - PAD
    window = min(15, len(chain) - 1 + len(chain) % 2)  # about one gait cycle at 10 frames a second; must be odd
    path_x = savgol_filter(centres, window, 1)
    path_y = savgol_filter(boxes[:, 1] - PAD + np.array([_soles(crop) for crop in crops]), window, 1)
    heights = np.array([stature * perspective.height(y) for y in path_y])
    anchors = np.stack([path_x - boxes[:, 0] + PAD, path_y - boxes[:, 1] + PAD], axis=1)
    steps = np.stack([np.diff(path_x), np.diff(path_y)], axis=1) / heights[1:, None]
    velocity = (float(steps[:, 0].mean()), float(steps[:, 1].mean()))
    straight = float(np.hypot(*velocity) / max(float(np.hypot(steps[:, 0], steps[:, 1]).mean()), 1e-6))
    areas = np.array([blob.area for blob in chain], dtype=np.float64) / heights**2
    steady = float(np.clip(1.0 - 2.0 * areas.std() / areas.mean(), 0.05, 1.0))
    solid = float(np.mean([blob.solid for blob in chain]))
    tall = float(np.clip(heights.mean() / 120.0, 0.2, 1.0))
    score = solid**2 * steady * straight * min(len(chain) / 25.0, 1.0) * tall
    return Walker(crops, anchors, heights, velocity, chain[0].index, score)


def _soles(crop: UInt8) -> int:
    """Row just below the lowest opaque pixels of a cut-out."""
    rows = np.flatnonzero((crop[..., 3] > 128).sum(axis=1) >= 2)
    return int(rows[-1]) + 1 if rows.size else crop.shape[0]


def _torso_x(crop: UInt8) -> float:
    upper = crop[: int(0.55 * crop.shape[0]), :, 3].astype(np.float64).sum(0)
    return float((upper * np.arange(len(upper))).sum() / max(upper.sum(), 1.0))
