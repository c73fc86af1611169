"""The listening floor: make the model speak, and judge what it said."""
