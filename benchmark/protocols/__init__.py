"""The ways to score an embedding, one file each."""
