"""Scoring: Observations and relations in, ScoreTrack out."""
