"""What a device remembers of a flow, and the reassembly of a stream's opening."""

from ringback.lab.operator.opening import LIMIT, Label, Opening, read_opening

WINDOW = 1 << 32  # TCP's sequence space


class Reassembly:
    """The client's bytes from the first on, in whichever order the segments come."""

    __slots__ = ("_base", "_early", "_prefix", "seen")

    def __init__(self) -> None:
        self._base: int | None = None
        self._prefix = b""
        self._early: dict[int, bytes] = {}
        self.seen: Opening | None = None

    def start(self, seq: int) -> None:
        """The SYN's sequence number: data begins one after."""
        self._base = (seq + 1) % WINDOW

    def restarted(self, seq: int) -> bool:
        """Whether a SYN with this sequence number begins another connection than the one followed so far."""
        return self._base != (seq + 1) % WINDOW

    def add(self, seq: int, payload: bytes) -> bool:
        """Take a segment; True once the opening is decided (`seen` says how, None: given up)."""
        if self._base is None:
            self._base = seq
        at = (seq - self._base) % WINDOW
        if at < LIMIT:
            known = self._early.get(at, b"")
            self._early[at] = max(known, payload, key=len)
        grown = len(self._prefix)
        for at in sorted(self._early):
            if at > len(self._prefix):
                break
            self._prefix += self._early[at][len(self._prefix) - at :]
        if len(self._prefix) == grown:
            return False
        self.seen = read_opening(self._prefix)
        return self.seen is not None or len(self._prefix) >= LIMIT


class Flow:
    """One 5-tuple, both ways. local: the participant's side.

    packets, bytes: that reached the hop, both ways together; bytes of IP payload. matched: indices of the hop's rules
    that recognised it; waiting: of those that may yet, while `looking`; acting: of those that its packets have to pass,
    inwards and outwards. memory: what rules keep of it.
    """

    __slots__ = (
        "acting", "bytes", "host", "key", "label", "last", "local", "looked", "looking", "matched", "memory", "names",
        "opening", "packets", "remote", "session", "sni", "waiting",
    )  # fmt: skip

    def __init__(self, key: tuple[int, str, int, str, int], now: float) -> None:
        self.key = key
        self.local, self.remote = key[1], key[3]
        self.last = now
        self.packets = 0
        self.bytes = 0
        self.looking = False
        self.looked = 0
        self.matched: tuple[int, ...] = ()
        self.acting: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self.waiting: tuple[int, ...] = ()
        self.memory: dict[object, float] = {}
        self.opening: Reassembly | None = None
        self.session: bytes | None = None
        self.label: Label | None = None
        self.sni: str | None = None
        self.host: str | None = None
        self.names: set[str] = set()
