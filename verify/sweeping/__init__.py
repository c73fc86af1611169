"""The floor of the sweep: which checkpoints, what is kept of each, and whose hands do the work."""
