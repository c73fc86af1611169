"""Other Pythons in which the model is to run: find each, let it load and speak, judge what comes back."""
