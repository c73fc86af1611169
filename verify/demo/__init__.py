"""The demo: a training run of a tiny model that speaks, and its conversion."""
