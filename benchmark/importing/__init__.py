"""From a user's files to a checked scene of the data root."""
