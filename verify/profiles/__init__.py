"""Profiles of the programs that run XTTS: which files each needs in a model folder."""
