"""The split rules, one file each."""
