"""Scorers that learned what one fixed camera usually sees; trained by `vau.training.camera`."""
