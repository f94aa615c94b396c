"""The sweeps, one named question a file."""
