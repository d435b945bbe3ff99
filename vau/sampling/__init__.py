"""Keyframe selection: which frames of an event, its lead-up and its aftermath are worth showing.

Scores, events and relation changes in, times of keyframes out; pictures are read elsewhere.
"""

from vau.sampling.baselines import ats, top_k, uniform
from vau.sampling.caes import caes, overview

__all__ = ["ats", "caes", "overview", "top_k", "uniform"]
