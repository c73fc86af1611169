"""The checkpoint floor: find, read, map, write and publish. Nothing here imports torch."""
