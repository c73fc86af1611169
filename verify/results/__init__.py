"""What a command found over several models, clips or checkpoints: values with a verdict, an exit status and their JSON."""
