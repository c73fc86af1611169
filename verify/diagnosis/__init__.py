"""The diagnosis floor: what the weights call for, held against config and vocabulary. Nothing here imports torch."""
