"""Training: scorers, cameras. Stands above `vau`; nothing in the pipeline imports it."""
