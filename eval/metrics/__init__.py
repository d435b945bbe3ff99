"""Metrics as pure functions: no files, no data sets, no state."""
