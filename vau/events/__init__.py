"""Event boundaries after EventVAD, as a whole or while a video runs, and event spans from anomaly scores.

Takes observations and score tracks, gives segments and events; knows nothing of pixels or models.
"""

from vau.events.boundaries import segment
from vau.events.spans import find_events
from vau.events.stream import Boundary, Segmenter, segment_causal

__all__ = ["Boundary", "Segmenter", "find_events", "segment", "segment_causal"]
