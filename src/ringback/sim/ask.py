"""Requests to the peer as one small TCP stream each: both ways a nonce, a length and the masked body.

The mask keeps bodies from looking like anything a rule could recognise, as TLS would.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ringback.errors import BadInput
from ringback.sim.clock import Clock
from ringback.sim.packet import Packet
from ringback.sim.tcp import Connection
from ringback.trial.seam import Answer, Ask, Event, PeerEnd

TIMEOUT_S = 15.0
TIMED_OUT = "generic_timeout_error"
CUT_SHORT = "eof_error"
NONCE, LENGTH = 16, 4  # bytes
REFUSED = b"\x00"  # first byte of an answer whose request could not be met; the rest says why
MET = b"\x01"


def framed(body: bytes, nonce: bytes) -> bytes:
    """nonce, then the length and the body under its mask."""
    return nonce + _masked(len(body).to_bytes(LENGTH, "big") + body, nonce)


def unframed(received: bytes) -> bytes | None:
    """The body, or None while it is not all there."""
    if len(received) < NONCE + LENGTH:
        return None
    nonce, body = received[:NONCE], NONCE + LENGTH
    end = body + int.from_bytes(_masked(received[NONCE:body], nonce), "big")
    return _masked(received[NONCE:end], nonce)[LENGTH:] if len(received) >= end else None


def _masked(data: bytes, nonce: bytes) -> bytes:
    return (np.frombuffer(data, np.uint8) ^ np.frombuffer(_mask(nonce, len(data)), np.uint8)).tobytes()


@lru_cache(16)  # both ends of a request want the same one
def _mask(nonce: bytes, size: int) -> bytes:
    return hashlib.shake_128(nonce).digest(size)


class AskClient:
    """The participant's half: one request; `tell` gets its `Answer` once, after `TIMEOUT_S` at the latest."""

    def __init__(self, ask: Ask, tell: Callable[[Event], None], clock: Clock, rng: np.random.Generator) -> None:
        self._ask = ask
        self._tell = tell
        self._clock = clock
        self._nonce = rng.bytes(NONCE)
        self._received = bytearray()
        self._over = False
        self.connection: Connection | None = None
        clock.at(clock.now + TIMEOUT_S, self._expired)

    def opened(self, _: object = None) -> None:
        if self._over:
            return
        what = self._ask.what.encode()
        assert self.connection is not None
        self.connection.write(framed(bytes([len(what)]) + what + self._ask.body, self._nonce))

    def delivered(self, data: bytes) -> None:
        if self._over:
            return
        self._received += data
        body = unframed(bytes(self._received))
        if body is not None and body[:1] == MET:
            self._finish(body[1:], None)
        elif body is not None:
            self._finish(b"", f"unknown_failure: {body[1:].decode()}")

    def refused(self, error: Packet) -> None:
        pass

    def ended(self, failure: str | None) -> None:
        self._finish(b"", failure or CUT_SHORT)

    def _expired(self, _: None) -> None:
        self._finish(b"", TIMED_OUT)

    def _finish(self, body: bytes, failure: str | None) -> None:
        if not self._over:
            self._over = True
            assert self.connection is not None
            self.connection.close()
            self._tell(Answer(self._ask.number, self._clock.now, body, failure))


class AskServer:
    """The peer's half: the far end answers when the request has arrived. `source`: the address that asked. answered:
    called after each answer, which may have given the far end something to do."""

    def __init__(self, end: PeerEnd, source: str, clock: Clock, answered: Callable[[], None]) -> None:
        self._end = end
        self._source = source
        self._clock = clock
        self._told = answered
        self._received = bytearray()
        self._answered = False
        self.connection: Connection | None = None

    def opened(self, _: object = None) -> None:
        pass

    def delivered(self, data: bytes) -> None:
        self._received += data
        request = None if self._answered else unframed(bytes(self._received))
        if request is None:
            return
        self._answered = True
        split = 1 + request[0]
        try:
            answer = MET + self._end.answer(request[1:split].decode(), request[split:], self._source, self._clock.now)
        except BadInput as refusal:
            answer = REFUSED + str(refusal).encode()
        nonce = bytes(255 - byte for byte in self._received[:NONCE])
        assert self.connection is not None
        self.connection.write(framed(answer, nonce))
        self._told()

    def refused(self, error: Packet) -> None:
        pass

    def ended(self, failure: str | None) -> None:
        if failure is None and self.connection is not None:
            self.connection.close()
