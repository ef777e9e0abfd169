"""What a reader has to say of a capture besides its packets: counted, in words, once each."""

from collections import Counter


class Notes:
    """damaged: whether a part of the file could not be read."""

    def __init__(self) -> None:
        self.damaged = False
        self._damage: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._cut = 0

    def damage(self, what: str) -> None:
        """A part of the file that can't be read."""
        self.damaged = True
        self._damage[what] += 1

    def left_out(self, why: str, count: int = 1) -> None:
        """Packets that were read and not used."""
        self._left_out[why] += count

    def cut(self) -> None:
        """One datagram of which a part is missing."""
        self._cut += 1

    def lines(self) -> tuple[str, ...]:
        """One sentence for each kind, damage first."""
        told = [what if count == 1 else f"{what} ({count} times)" for what, count in self._damage.items()]
        told += [f"{count} packet{'s' * (count != 1)} left out: {why}" for why, count in sorted(self._left_out.items())]
        told += [f"{self._cut} packets are not whole in the capture: read as far as they go"] if self._cut else []
        return tuple(told)
