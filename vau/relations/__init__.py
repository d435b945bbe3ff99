"""Relations: who does what to whom, measured from tracks, pose and flow."""
