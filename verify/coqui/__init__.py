"""All that imports torch and coqui-tts: build, load, speak, compare, named voices, self-test."""
