"""Event boundaries after EventVAD, and event spans from anomaly scores.

Takes observations and score tracks, gives segments and events; knows nothing of pixels or models.
"""

from vau.events.boundaries import segment
from vau.events.spans import find_events

__all__ = ["find_events", "segment"]
