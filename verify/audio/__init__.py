"""Sound without torch: clips, prompts, signal, VAD and MOS, the checks, transcription."""
