"""Learning what is normal for one fixed camera from minutes of its own footage."""
