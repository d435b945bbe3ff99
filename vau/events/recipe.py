"""Two ways to find boundaries, as settings: ours, and EventVAD's as its paper and its released code have it.

Each departure is one field; docs/events.md lists them with what they do to the boundaries of real videos.
"""

from __future__ import annotations

from vau.config import EventsConfig, RecipeConfig

DEFAULT = EventsConfig()

# Settings of the released code, times in seconds where it counts frames at 30 a second; frames in the order of time.
FAITHFUL = EventsConfig(
    alpha=0.8,
    decay=1.5,
    propagation=0.5,
    window_s=2.0,
    deviations=3.0,
    min_segment_s=2.0,
    recipe=RecipeConfig(
        motion="mean",
        motion_scale="pixels",
        graph="blocks",
        attention="mask",
        remove_mean=True,
        scales="frames",
        smoothing="savgol",
        background="trailing",
        threshold="mad",
        keep="last",
        index="half_window",
        tail_s=2.0,
    ),
)
