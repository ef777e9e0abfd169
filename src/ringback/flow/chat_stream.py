"""A messenger's own text protocol over TCP: WhatsApp's Noise, Telegram's obfuscated MTProto; and their controls."""

import itertools

from ringback.catalogue import FunctionEntry
from ringback.flow.keystream import Keystream
from ringback.flow.script import StreamScript, Turn
from ringback.record import ExchangeSpec
from ringback.wire import Malformed, mtproto
from ringback.wire import noise as wire_noise

ROUTING = b"\x08\x00"  # which front end the client was sent to before; here the first
VERSION = b"\x06\x03"  # 6, and the version of the token dictionary
SERVER_OVERHEAD, FINISH_OVERHEAD = 93, 58  # keys, lengths and field numbers around certificate and payload
DATA_CENTRE = {"text": 2, "media": -2}  # its media servers have the negative number
YEAR_2026 = 1_767_225_600
PART = 131_072  # bytes of a file that the app asks for or sends at once


def noise(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> StreamScript:
    """Noise XX between WhatsApp's client and server (Noise protocol framework, section 7.5): ephemeral key; ephemeral,
    static and certificate; static and payload; then frames both ways."""
    shape = entry.streams[spec.form]
    finish_size, *frames = _sizes(keystream, shape.turns)
    free = keystream.block("handshake", 32 + 80 + 48 + shape.server_bytes + finish_size)
    certificate, payload = shape.server_bytes - SERVER_OVERHEAD, finish_size - FINISH_OVERHEAD
    hello = wire_noise.ServerHello(free[32:64], free[64:112], free[160 : 160 + certificate])
    finish = wire_noise.ClientFinish(free[112:160], free[160 + certificate : 160 + certificate + payload])
    turns = [
        Turn(True, wire_noise.encode_opening(wire_noise.Opening(VERSION, free[:32], ROUTING))),
        Turn(False, wire_noise.encode_server_hello(hello)),
        Turn(True, wire_noise.encode_client_finish(finish)),
    ]
    for i, size in enumerate(frames):
        turns.append(Turn(i % 2 == 1, wire_noise.frame(keystream.block(f"frame {i}", size - 3))))
    return StreamScript(tuple(turns), spec.seconds or shape.timeout_s)


def obfuscated(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> StreamScript:
    """MTProto's obfuscated transport: 64 bytes that hold the keys, then everything in AES-256-CTR; within, the key
    exchange's first request and answer, then messages that stand for encrypted ones. Media: an upload of spec.upload
    with the last of them, then a download of spec.size."""
    shape = entry.streams[spec.form]
    tag = mtproto.INTERMEDIATE
    openings = (
        mtproto.build_opening(keystream.block(f"opening {draw}", 64), tag, DATA_CENTRE[spec.function])
        for draw in itertools.count()
    )
    opening = next(one for one in openings if one is not None)
    up, down = mtproto.Obfuscation(opening, client=True), mtproto.Obfuscation(opening, client=False)
    free = keystream.block("key exchange", 40)
    stamp = (YEAR_2026 + keystream.number("time", 16)) << 32  # a message id: seconds since 1970, and a fraction
    fingerprints = tuple(keystream.number(f"fingerprint {i}", 64) for i in range(3))
    ask = mtproto.ReqPq(stamp, free[:16])
    answer = mtproto.ResPq(stamp | 1, free[:16], free[16:32], free[32:40], fingerprints)
    turns = [
        Turn(True, opening.wire + up.seal(mtproto.frame(tag, mtproto.encode(ask)))),
        Turn(False, down.seal(mtproto.frame(tag, mtproto.encode(answer)))),
    ]
    for i, size in enumerate(_sizes(keystream, shape.turns)):
        message = mtproto.frame(tag, keystream.block(f"message {i}", (size - 4) & ~3))
        turns.append(Turn(i % 2 == 0, (up if i % 2 == 0 else down).seal(message)))
    if spec.function == "media":
        asks = turns.pop()
        turns.append(Turn(True, asks.data + up.seal(_parts(spec.upload, "sent part", tag, keystream))))
        turns.append(Turn(False, down.seal(_parts(spec.size, "part", tag, keystream))))
    return StreamScript(tuple(turns), spec.seconds or shape.timeout_s)


def _parts(size: int, label: str, tag: bytes, keystream: Keystream) -> bytes:
    """A file of about `size` bytes in the messages that carry it."""
    return b"".join(
        mtproto.frame(tag, keystream.block(f"{label} {i}", max(4, (min(PART, size - at) - 4) & ~3)))
        for i, at in enumerate(range(0, size, PART))
    )


def control_of(script: StreamScript, keystream: Keystream) -> StreamScript:
    """Random bytes in turns of equal size, in which no chat protocol begins by accident."""
    draws = (keystream.block(f"opening control {draw}", len(script.turns[0].data)) for draw in itertools.count())
    first = Turn(True, next(data for data in draws if _meaningless(data)))
    rest = (Turn(t.by_near, keystream.block(f"control {i}", len(t.data))) for i, t in enumerate(script.turns[1:]))
    return StreamScript((first, *rest), script.timeout)


def _meaningless(data: bytes) -> bool:
    """Whether nothing known begins like this: no STUN, TLS, letter (readable protocols, `WA`) or high byte (WebSocket,
    RTP) at first, and no opening of MTProto's."""
    return 0x18 <= data[0] < 0x40 and isinstance(mtproto.parse_opening(data), Malformed)


def _sizes(keystream: Keystream, turns: tuple[tuple[int, int], ...]) -> list[int]:
    return [keystream.sizes(f"turn {i}", 1, *bounds)[0] for i, bounds in enumerate(turns)]
