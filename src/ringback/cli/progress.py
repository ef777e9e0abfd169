"""A bar on a terminal, and nothing where standard error is none."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[str, int, int], None]
"""(what, done, of)."""


@contextmanager
def progress(title: str) -> Iterator[Report | None]:
    """Hands out what to tell of progress, None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def report(_: str, done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield report
