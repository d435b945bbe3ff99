"""Perception: flow, models and trackers; frames in, Observations out."""
