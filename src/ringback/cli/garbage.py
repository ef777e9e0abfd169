"""Python's search for circular garbage, while sessions run in virtual time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 50_000  # new objects between two searches: about what a default session leaves in circles


@contextmanager
def seldom_sought() -> Iterator[None]:
    """Leave what was imported out of the search and look less often: saves some 3 % of a session in virtual time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
