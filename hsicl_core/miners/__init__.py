"""The negative miners, one file each."""
