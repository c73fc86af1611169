"""From training keys to inference keys: the key map, the ledger, dtypes, the torch zip and the formats."""
