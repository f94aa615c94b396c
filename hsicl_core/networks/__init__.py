"""Networks of the supervised entrants: one architecture per file."""
