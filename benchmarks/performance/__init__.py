"""Measure this project beside what people use now; `python -m benchmarks.performance RUN` writes docs/performance.md."""
