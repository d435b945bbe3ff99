"""Staged demonstrations: an incident composited on real footage, with its ground truth.

Stands beside the pipeline and uses only its value types and the video room; `stage.stage` is the front door.
"""
