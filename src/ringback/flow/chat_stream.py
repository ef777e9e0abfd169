"""A messenger's own text protocol over TCP: WhatsApp's Noise, Telegram's obfuscated MTProto; and their controls."""

import itertools
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from ringback.catalogue import FunctionEntry
from ringback.flow.keystream import Keystream
from ringback.flow.script import StreamScript, Turn
from ringback.record import ExchangeSpec
from ringback.wire import noise as wire_noise

VERSION = b"\x06\x03"  # 6, and the version of the token dictionary
SERVER_OVERHEAD, FINISH_OVERHEAD = 93, 58  # keys, lengths and field numbers around certificate and payload
TAG = b"\xee\xee\xee\xee"  # MTProto's intermediate framing
TAGS = (b"\xef\xef\xef\xef", TAG, b"\xdd\xdd\xdd\xdd")
READABLE = (b"HEAD", b"POST", b"GET ", b"OPTI", TAG, b"\xdd\xdd\xdd\xdd", b"\x16\x03\x01\x02")
REQ_PQ_MULTI, RES_PQ, VECTOR = 0xBE7E8EF1, 0x05162463, 0x1CB5C415


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
        Turn(True, wire_noise.encode_opening(wire_noise.Opening(VERSION, free[:32]))),
        Turn(False, wire_noise.encode_server_hello(hello)),
        Turn(True, wire_noise.encode_client_finish(finish)),
    ]
    for i, size in enumerate(frames):
        turns.append(Turn(i % 2 == 1, wire_noise.frame(keystream.block(f"frame {i}", size - 3))))
    return StreamScript(tuple(turns), spec.seconds or shape.timeout_s)


def obfuscated(spec: ExchangeSpec, entry: FunctionEntry, keystream: Keystream) -> StreamScript:
    """MTProto's obfuscated transport: 64 bytes that hold the keys, then everything in AES-256-CTR; within, the key
    exchange's first request and answer, then encrypted messages (core.telegram.org/mtproto/mtproto-transports)."""
    shape = entry.streams[spec.form]
    start = _opening(keystream, dc=2)
    up, down = _ciphers(start)
    nonce = keystream.block("nonces", 32)
    stamp = (1_767_225_600 + keystream.number("time", 16)) << 32
    # Unencrypted messages: key id 0, message id, length; the request with its nonce (core.telegram.org/mtproto/auth_key).
    ask = _plain(stamp, struct.pack("<I", REQ_PQ_MULTI) + nonce[:16])
    primes = b"\x08" + keystream.block("pq", 8) + bytes(3)
    answer = (
        struct.pack("<I", RES_PQ)
        + nonce
        + primes
        + struct.pack("<IIQ", 0x1CB5C415, 1, keystream.number("fingerprint", 64))
    )
    turns = [
        Turn(True, start[:56] + up.update(start)[56:64] + up.update(_packet(ask))),
        Turn(False, down.update(_packet(_plain(stamp | 1, answer)))),
    ]
    for i, size in enumerate(_sizes(keystream, shape.turns)):
        near = i % 2 == 0
        message = keystream.block(f"message {i}", (size - 4) & ~3)
        turns.append(Turn(near, (up if near else down).update(_packet(message))))
    if spec.function == "media":
        # Parts of 128 kB at most, as the app asks for them, each a message of its own.
        left, parts, i = spec.size, [], 0
        while left > 8:
            part = min(left - 4, 131_072)
            parts.append(_packet(keystream.block(f"part {i}", part)))
            left, i = left - part - 4, i + 1
        turns.append(Turn(False, down.update(b"".join(parts) + keystream.block("rest", left))))
    return StreamScript(tuple(turns), spec.seconds or shape.timeout_s)


def control_of(script: StreamScript, keystream: Keystream) -> StreamScript:
    """Random bytes in turns of equal size, in which no chat protocol begins by accident."""
    draws = (keystream.block(f"opening control {draw}", len(script.turns[0].data)) for draw in itertools.count())
    first = Turn(True, next(data for data in draws if _meaningless(data)))
    rest = (Turn(t.by_near, keystream.block(f"control {i}", len(t.data))) for i, t in enumerate(script.turns[1:]))
    return StreamScript((first, *rest), script.timeout)


def _meaningless(data: bytes) -> bool:
    """Whether nothing known begins like this: no readable protocol, prologue, TLS or STUN, no valid obfuscated tag."""
    if data[0] < 0x02 or data[0] in (0x16, 0xEF) or data[:2] in (b"WA", b"ED") or data[:4] in READABLE:
        return False
    return len(data) < 64 or protocol_tag(data) not in TAGS


def protocol_tag(opening: bytes) -> bytes:
    """What the four bytes at 56 of a 64-byte obfuscated opening decrypt to."""
    tag: bytes = _ciphers(opening)[0].update(opening[:64])[56:60]
    return tag


def _opening(keystream: Keystream, dc: int) -> bytes:
    """The 64 bytes before their last 8 are encrypted; what would read as another protocol is drawn again."""
    for draw in range(1 << 16):
        data = keystream.block(f"opening {draw}", 64)
        if data[0] != 0xEF and data[:4] not in READABLE and data[4:8] != bytes(4):
            return data[:56] + TAG + struct.pack("<h", dc) + data[62:]
    raise AssertionError("unreachable: a draw fails once in 250 times")


def _ciphers(opening: bytes) -> tuple[CipherContext, CipherContext]:
    """Near's and far's: key and counter stand at 8 to 56, the far side's backwards."""
    out, back = opening[8:56], opening[8:56][::-1]
    return (
        Cipher(algorithms.AES(out[:32]), modes.CTR(out[32:])).encryptor(),
        Cipher(algorithms.AES(back[:32]), modes.CTR(back[32:])).encryptor(),
    )


def _plain(identifier: int, body: bytes) -> bytes:
    return struct.pack("<QQI", 0, identifier, len(body)) + body


def _packet(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _sizes(keystream: Keystream, turns: tuple[tuple[int, int], ...]) -> list[int]:
    return [keystream.sizes(f"turn {i}", 1, *bounds)[0] for i, bounds in enumerate(turns)]
