"""The reporting floor: the verdict for a terminal and as JSON."""
