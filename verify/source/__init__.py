"""What belongs to a run: which checkpoint, its config, vocabulary, base model, voices and clips."""
