"""The command line: the only room that wires the others together."""

import os
import sys
from collections.abc import Sequence

from ringback.cli.exits import Exit
from ringback.errors import BadInput, Damaged, RingbackError

INTERRUPTED = 130  # 128 + SIGINT, as a shell would say it


def main(tokens: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code of the process. tokens: default the process's arguments."""
    from cyclopts import CycloptsError

    from ringback.cli.application import build

    try:
        done = build()(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        cause = _cause(error)
        if isinstance(cause, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(cause, BrokenPipeError):  # the reader of our output went away; nothing more can be said there
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.FAULT
        usage = isinstance(cause, (CycloptsError, BadInput)) and not isinstance(cause, Damaged)
        return _fault(cause, Exit.USAGE if usage else Exit.FAULT)
    return int(done) if isinstance(done, int) else Exit.VERDICT


def _cause(error: BaseException) -> BaseException:
    """Of what tasks side by side ended with the one that says most: bad input, what else was raised on purpose, any
    fault, and only then that somebody stopped it."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    kinds = (BadInput, RingbackError, Exception, BaseException)
    leaves = [_cause(each) for each in error.exceptions]
    return min(leaves, key=lambda leaf: next(i for i, kind in enumerate(kinds) if isinstance(leaf, kind)))


def _fault(error: BaseException, code: Exit) -> int:
    """One line for people; where it arose only on request."""
    if os.environ.get("RINGBACK_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    from ringback.words import harmless

    said = harmless(" ".join(str(error).split()))  # it repeats what files and other servers hold
    known = code == Exit.USAGE or isinstance(error, RingbackError)
    print(f"ringback: {said}" if known and said else f"ringback: {type(error).__name__}: {said}", file=sys.stderr)
    return int(code)
