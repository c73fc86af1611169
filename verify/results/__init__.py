"""The results of commands over several models, clips or checkpoints: a verdict, an exit status and the JSON of each."""
