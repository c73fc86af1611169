"""How results over several models, clips or checkpoints are shown: compare, sweep and votes, on the terminal and as pages to listen through."""
