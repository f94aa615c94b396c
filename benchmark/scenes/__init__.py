"""The scenes, one self-describing file each."""
