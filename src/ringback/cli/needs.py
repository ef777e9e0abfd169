"""What an installation for participants alone does not have."""

from collections.abc import Iterator
from contextlib import contextmanager

from ringback.errors import Unavailable


@contextmanager
def observatory() -> Iterator[None]:
    """Around imports that need the extra `observatory`: raises Unavailable where it is not installed."""
    try:
        yield
    except ImportError as error:
        raise Unavailable(f"{error.name} is not installed", "pip install 'ringback[observatory]'") from error
