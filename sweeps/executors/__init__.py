"""The ways to run a plan, one file each."""
