"""Simulated surveillance scenes with their full truth, for training and tests; never to be presented as real footage.

Every picture says SIMULATED in its corner, every file in its metadata. `scene.simulate` is the front door.
"""
