"""Measuring: metrics and benchmark protocols. Stands above `vau`; nothing in the pipeline imports it."""
