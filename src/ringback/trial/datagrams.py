"""Running datagram scripts, near half and far half. Label-blind: scripts and numbers are all there is to see.

Sends are handed to the driver a stretch of time at a time (STRETCH), so that a round can be stopped between
checkpoints without recalling much. The far half starts an exchange when any packet of it first arrives and takes that
packet's place in the script as the exchange's clock.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from itertools import compress
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from ringback.flow.script import DatagramScript
from ringback.record import DatagramOutcome, IcmpError, Lane
from ringback.trial.seam import Close, Command, Flow, Open, Received, Refused, Send, Sent
from ringback.verdict.arrivals import GRACE

STRETCH = 1.0  # seconds of sends handed over at a time
FAR_STRETCH = 0.2  # the same of the far half, which has many to look after and must not do all at once
LIMITED_STRETCH = 0.05  # the same towards an address not yet proven: each send is weighed against what came in
HEADERS = 28  # bytes, IPv4 and UDP
MAX_ICMP = 16
MAX_ANSWERS = 4


class Half:
    """What one side of one exchange sends and what it got from the other."""

    def __init__(self, script: DatagramScript, near: bool) -> None:
        ours, theirs = (script.near, script.far) if near else (script.far, script.near)
        self.script = script
        self.timed = [i for i, send in enumerate(ours) if send.after is None]
        self.replies: dict[int, list[int]] = {}
        for i, send in enumerate(ours):
            if send.after is not None:
                self.replies.setdefault(send.after, []).append(i)
        self.ours = ours
        self.next = 0  # index into `timed`
        self.theirs = theirs
        self.duplicates = 0
        self.corrupted = 0
        self.icmp: list[IcmpError] = []

    def refuse(self, event: Refused) -> None:
        note(event, self.icmp)

    def take_timed(self, start: float, until: float) -> Sequence[int]:
        """Which of our timed packets are due before `until` and were not taken before; both on the clock of `start`."""
        first, ours = self.next, self.ours
        self.next = bisect_left(self.timed, until, first, key=lambda i: start + ours[i].at)
        return self.timed[first : self.next]


def _known(at: float | None) -> bool:
    return at is not None


def note(event: Refused, errors: list[IcmpError]) -> None:
    """Keep an ICMP error, unless there are many already."""
    if len(errors) < MAX_ICMP:
        errors.append(IcmpError(event.at, event.type, event.code, event.source))


class NearDatagram(Half):
    """The participant's half of one exchange."""

    def __init__(
        self, flow: int, port: int, start: float, script: DatagramScript, ttls: Sequence[int | None] = ()
    ) -> None:
        """ttls: of each of our packets, None for the usual one; empty where all have that."""
        super().__init__(script, near=True)
        self.ttls = ttls or (None,) * len(script.near)
        self.flow = flow
        self.port = port
        self.start = start
        self.index = {send.data: i for i, send in enumerate(script.far)}
        self.sent: list[float | None] = [None] * len(script.near)
        self.received: list[float | None] = [None] * len(script.far)
        self.answers: list[bytes] = []
        self._besides = 0  # IP bytes of what came and counts as no arrival
        self.opened = False
        self.over = False

    def open(self, host: str, path: str) -> Command:
        self.opened = True
        return Open(self.flow, "udp", host, self.port, path)

    @property
    def end(self) -> float:
        return self.start + self.script.seconds + GRACE

    def due(self, until: float) -> Sequence[Command]:
        """Timed sends before `until` (same clock as `start`)."""
        flow, start, ours, ttls = self.flow, self.start, self.ours, self.ttls
        return [Send(flow, start + ours[i].at, ours[i].data, i, ttls[i]) for i in self.take_timed(start, until)]

    def take(self, event: Sent | Received) -> Sequence[Command]:
        """A packet of this flow went out or came in."""
        if type(event) is Sent:
            self.sent[event.index] = event.at
            return ()
        assert type(event) is Received
        i = self.index.get(event.data)
        if i is None:
            self.corrupted += 1
            self._besides += len(event.data) + HEADERS
            if len(self.answers) < MAX_ANSWERS:
                self.answers.append(event.data[:512])
            return ()
        if self.received[i] is not None:
            self.duplicates += 1
            self._besides += len(event.data) + HEADERS
            return ()
        self.received[i] = event.at
        if i in self.replies:
            return [Send(self.flow, event.at, self.ours[j].data, j, self.ttls[j]) for j in self.replies[i]]
        return ()

    @property
    def bytes(self) -> int:
        """Through the access link, both ways."""
        (_, ours), (_, theirs) = self._planned
        passed = [*compress(ours, map(_known, self.sent)), *compress(theirs, map(_known, self.received))]
        return self._besides + sum(passed) + HEADERS * len(passed)

    @cached_property
    def _planned(self) -> tuple[tuple[list[float], list[int]], tuple[list[float], list[int]]]:
        """When each packet is due and its size, of either side: the same in every outcome."""
        near, far = self.ours, self.theirs
        return ([s.at for s in near], [len(s.data) for s in near]), ([s.at for s in far], [len(s.data) for s in far])

    def outcome(self) -> DatagramOutcome:
        """The near half alone: the outward lane's arrivals and the inward lane's departures are the far half's."""
        (out_due, out_sizes), (in_due, in_sizes) = self._planned
        outward = Lane(out_due, out_sizes, list(self.sent), [None] * len(self.sent))
        inward = Lane(
            in_due, in_sizes, [None] * len(self.received), list(self.received), self.duplicates, self.corrupted
        )
        return DatagramOutcome(outward, inward, list(self.icmp), list(self.answers), "lost")


class FarDatagram(Half):
    """The peer's half of one exchange. `anchor`: far clock at the exchange's start, None until something came."""

    def __init__(self, number: int, port: int, script: DatagramScript) -> None:
        super().__init__(script, near=False)
        self.number = number
        self.port = port
        self.index = {send.data: i for i, send in enumerate(script.near)}
        self.sent = array("d", [nan]) * len(script.far)  # far clock, NaN for never
        self.received = array("d", [nan]) * len(script.near)
        self.flow: Flow | None = None
        self.anchor: float | None = None
        self.bytes_in = 0  # payload
        self.bytes_out = 0
        self.proven = False
        self.over = False  # its round was closed
        self.handed_to = 0.0  # far clock up to which timed sends were handed over

    def arrive(self, flow: Flow, i: int, size: int, at: float) -> Sequence[Command]:
        """Packet `i` of the near side came; `proven` says whether its source is known to be where it says."""
        if self.anchor is None:
            self.flow = flow
            self.anchor = at - self.script.near[i].at
        elif flow != self.flow:
            self.corrupted += 1
            return ()
        self.bytes_in += size
        if not isnan(self.received[i]):
            self.duplicates += 1
            return ()
        self.received[i] = at
        commands: list[Command] = []
        for j in self.replies.get(i, ()):
            self._send(j, at, commands)
        return commands

    @cached_property
    def expected(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds after the anchor at which near's and far's packets are due."""
        return np.array([send.at for send in self.theirs]), np.array([send.at for send in self.ours])

    def foreign(self, size: int) -> None:
        """A packet on this flow that is none of the script's."""
        self.corrupted += 1
        self.bytes_in += size

    def due(self, now: float) -> Sequence[Command]:
        start, ours, flow = self.anchor, self.ours, self.flow
        assert start is not None
        self.handed_to = until = now + (FAR_STRETCH if self.proven else LIMITED_STRETCH)
        taken = self.take_timed(start, until)
        if self.proven:  # nearly all: the same as `_send`
            self.bytes_out += sum([len(ours[i].data) for i in taken])
            return [Send(flow, max(start + ours[i].at, now), ours[i].data, i) for i in taken]
        commands: list[Command] = []
        for i in taken:
            self._send(i, max(start + ours[i].at, now), commands)
        return commands

    def refuse(self, event: Refused) -> None:
        """Not by the participant's own address: its machine says so of calls that it has ended."""
        if self.flow is not None and event.source != self.flow[1]:  # type: ignore[index]
            super().refuse(event)

    @property
    def exhausted(self) -> bool:
        return self.next >= len(self.timed)

    def _send(self, i: int, at: float, commands: list[Command]) -> None:
        data = self.ours[i].data
        if not self.proven and self.bytes_out + len(data) > self.bytes_in:
            return  # RFC 9000 8.1 in spirit, with a factor of one: an unproven address gets no more than it gave
        self.bytes_out += len(data)
        commands.append(Send(self.flow, at, data, i))


def close_all(flows: Sequence[Flow]) -> list[Command]:
    return [Close(flow) for flow in flows]
