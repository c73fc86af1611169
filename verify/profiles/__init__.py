"""The programs that run XTTS, and what each wants in a model folder."""
