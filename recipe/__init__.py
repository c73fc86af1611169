"""How the model that speaks was made: `python -m recipe OUT` trains it again."""
