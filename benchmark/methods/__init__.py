"""The entrants, one file each."""
