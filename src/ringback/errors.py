"""The one error hierarchy: what Ringback raises on purpose and a caller may catch. Every `str()` is one line."""


def _one_line(text: str) -> str:
    return " ".join(text.split())


class RingbackError(Exception):
    """Base of every error that Ringback raises on purpose."""


class BadInput(RingbackError):
    """Input that can't be used.

    `what` says what is wrong with it, `where` which part it is: `file:line`, or the path of a field. None where the
    input has no parts.
    """

    def __init__(self, what: str, where: str | None = None) -> None:
        super().__init__(what, where)
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return _one_line(f"{self.where}: {self.what}" if self.where else self.what)


class Damaged(BadInput):
    """What Ringback keeps itself is missing or broken: a fault, whatever was asked. `where` is the file."""


class Unavailable(RingbackError):
    """This machine or installation lacks something.

    `reason` says what is missing, `remedy` how to get it or what to use instead; None where there is no remedy.
    """

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return _one_line(f"{self.reason} ({self.remedy})" if self.remedy else self.reason)
