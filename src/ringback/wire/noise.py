"""WhatsApp's text connection up to its first encrypted message: prologue, then Noise XX messages in frames.

Opening: `WA`, two version bytes (6 and a dictionary version), then frames of a 3-byte big-endian length and a protobuf
HandshakeMessage: 2 = client hello, 3 = server hello, 4 = client finish (as open clients write it). An optional routing
preface `ED 00 01`, 3-byte length, data may precede `WA`. The keys are opaque bytes here: nobody decrypts them.
"""

from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire import protobuf
from ringback.wire.malformed import Malformed

PROLOGUE = b"WA"
ROUTING_PREFACE = b"ED\x00\x01"
MAX_FRAME = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client sends first. version: 2 bytes; ephemeral: 32-byte X25519 key; routing: None without a preface."""

    version: bytes
    ephemeral: bytes
    routing: bytes | None = None


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The server's answer: 32-byte ephemeral key, encrypted static key (48 bytes) and certificate chain."""

    ephemeral: bytes
    static: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class ClientFinish:
    """The client's last handshake message: encrypted static key (48 bytes) and encrypted client payload."""

    static: bytes
    payload: bytes


_CLIENT_HELLO, _SERVER_HELLO, _CLIENT_FINISH = 2, 3, 4


def looks_like(data: bytes) -> bool:
    return data.startswith((PROLOGUE, ROUTING_PREFACE))


def frame(message: bytes) -> bytes:
    """The message behind its 3-byte length."""
    if len(message) > MAX_FRAME:
        raise BadInput(f"message of {len(message)} bytes, more than {MAX_FRAME}", "noise.frame")
    return len(message).to_bytes(3, "big") + message


def unframe(buffer: bytes) -> tuple[bytes, int] | Malformed:
    """The first frame of a stream and the bytes that it took; `truncated` until it is whole."""
    if len(buffer) < 3 or len(buffer) < 3 + (length := int.from_bytes(buffer[:3], "big")):
        return Malformed("truncated", len(buffer))
    return buffer[3 : 3 + length], 3 + length


def encode_opening(opening: Opening) -> bytes:
    if len(opening.version) != 2 or len(opening.ephemeral) != 32:
        raise BadInput("version must have 2 bytes and the ephemeral key 32", "noise.encode_opening")
    preface = b"" if opening.routing is None else ROUTING_PREFACE + frame(opening.routing)
    hello = protobuf.encode((protobuf.data(1, opening.ephemeral),))
    return preface + PROLOGUE + opening.version + frame(protobuf.encode((protobuf.data(_CLIENT_HELLO, hello),)))


def decode_opening(data: bytes) -> tuple[Opening, int] | Malformed:
    """The opening at the start of a stream and the bytes that it took.

    Clients of before 2021 opened with the same two letters but an older handshake: `not a client hello`.
    """
    at, routing = 0, None
    if data[:4] == ROUTING_PREFACE[: len(data)] and data:
        preface = unframe(data[4:])
        if isinstance(preface, Malformed):
            return Malformed("truncated", len(data))
        routing, used = preface
        at = 4 + used
    if data[at : at + 2] != PROLOGUE[: max(len(data) - at, 0)]:
        return Malformed("no prologue", at)
    framed = unframe(data[at + 4 :])
    if len(data) < at + 4 or isinstance(framed, Malformed):
        return Malformed("truncated", len(data))
    message, used = framed
    hello = _inner(message, _CLIENT_HELLO)
    if hello is None or len(ephemeral := hello.get(1, b"")) != 32 or len(hello) > 1:
        return Malformed("not a client hello", at + 7)
    return Opening(data[at + 2 : at + 4], ephemeral, routing), at + 4 + used


def encode_server_hello(hello: ServerHello) -> bytes:
    """The framed answer."""
    fields = (hello.ephemeral, hello.static, hello.payload)
    return _framed(_SERVER_HELLO, fields)


def encode_client_finish(finish: ClientFinish) -> bytes:
    """The framed message."""
    return _framed(_CLIENT_FINISH, (finish.static, finish.payload))


def decode_handshake(message: bytes) -> ServerHello | ClientFinish | Malformed:
    """One unframed handshake message that follows the opening."""
    hello = _inner(message, _SERVER_HELLO)
    if hello is not None and hello.keys() == {1, 2, 3}:
        return ServerHello(hello[1], hello[2], hello[3])
    finish = _inner(message, _CLIENT_FINISH)
    if finish is not None and finish.keys() == {1, 2}:
        return ClientFinish(finish[1], finish[2])
    return Malformed("not a handshake message", 0)


def _framed(kind: int, values: tuple[bytes, ...]) -> bytes:
    inner = protobuf.encode(protobuf.data(index, value) for index, value in enumerate(values, 1))
    return frame(protobuf.encode((protobuf.data(kind, inner),)))


def _inner(message: bytes, kind: int) -> dict[int, bytes] | None:
    """The byte fields of the only submessage, when it has this number."""
    outer = protobuf.decode(message)
    if isinstance(outer, Malformed) or len(outer) != 1 or outer[0].number != kind:
        return None
    value = outer[0].value
    inner = protobuf.decode(value) if isinstance(value, bytes) else Malformed("not bytes", 0)
    if isinstance(inner, Malformed):
        return None
    return {field.number: field.value for field in inner if isinstance(field.value, bytes)}
