"""The pseudolabel sources, one file each."""
