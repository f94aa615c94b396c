"""The error of the report room that a user can cause or mend."""


class ReportError(Exception):
    """One line that names the value, the rule and the remedy."""
