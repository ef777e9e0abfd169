"""How options look in all commands."""

from cyclopts import Parameter


def _default(value: object) -> object:
    """A default as the help shows it: nothing for a switch."""
    return None if value is False else value


SWITCHES = Parameter(negative=(), show_default=_default)
"""A switch has no `--no-` twin."""
