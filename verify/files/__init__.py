"""Any file, here or at a URL: open, read in ranges, lock, stage, publish, upload, and what may become an output."""
