"""The errors of the results room that a user can cause or mend."""


class ResultsError(Exception):
    """Base: one line that names the value, the rule and the remedy."""


class StoreError(ResultsError, OSError):
    """A store that cannot be opened, read or written."""

    def __str__(self) -> str:
        return " ".join(str(argument) for argument in self.args)


class SchemaError(ResultsError, ValueError):
    """Rows whose columns are not those of any known schema version."""


def one_line(text: object, limit: int | None = 300) -> str:
    """Return ``text`` without line breaks, cut to ``limit`` characters; None for all of it."""
    line = " ".join(str(text).split())
    return line if limit is None or len(line) <= limit else f"{line[: limit - 3]}..."
