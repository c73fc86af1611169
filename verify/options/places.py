"""Where an option belongs: the commands that take it, and the group that the help shows it in."""

# Which commands take an option.
MAIN = ("convert",)
ONE_MODEL = (*MAIN, "inspect", "verify")
ONE_OR_MORE = (*ONE_MODEL, "compare")
ALL_MODELS = (*ONE_OR_MORE, "sweep")
SPEAKING = (*MAIN, "verify", "compare", "sweep")
EVERY = (*ALL_MODELS, "judge", "explain", "env", "profiles", "demo", "ui")

# The groups in the help text.
MODEL, SPEECH, CHECKS = "which model", "what it says, and how", "what is checked"
OUTPUT, WORK, SHOWN = "what is written", "where the work goes on", "what is shown"
GROUPS = MODEL, SPEECH, CHECKS, OUTPUT, WORK, SHOWN
