"""The one error hierarchy: what Ringback raises and a caller may catch."""


class RingbackError(Exception):
    """Base of every error that Ringback raises on purpose."""


class BadInput(RingbackError):
    """Input that can't be used. `what` is wrong with it, and `where` (file, key or line; may be empty)."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where}: {what}" if where else what)
        self.what = what
        self.where = where
