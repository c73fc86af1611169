"""The commands, a file each: convert, verify, compare, judge, env."""
