"""Every checkpoint of every run through the main job: candidates, workers, what is kept of each."""
