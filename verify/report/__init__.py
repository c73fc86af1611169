"""How results are shown: terminal, page, notebook. Nothing is computed here."""
