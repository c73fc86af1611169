"""The training of the demo model: `python -m recipe OUT` repeats it."""
