"""TLS hellos and records (RFC 8446): built from given bytes, read from a stream's first bytes. Nothing is encrypted.

Hellos list TLS 1.3 first and 1.2 as well, carry GREASE values (RFC 8701) chosen by given bytes, and can be padded (RFC
7685) to one total size whatever the server name's length. Application data and keys are opaque.
"""

import struct
from dataclasses import dataclass

from ringback.errors import BadInput
from ringback.wire.malformed import Malformed

ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23  # content types
FIXED = 49  # bytes of a ClientHello beside its lists: headers of record and handshake, version, random, lengths
MAX_FRAGMENT = 16384  # RFC 8446 section 5.1
_MAX_CIPHERTEXT = MAX_FRAGMENT + 2048  # what TLS 1.2 lets stand on the wire
CLIENT_HELLO, SERVER_HELLO = 1, 2
TLS12, TLS13 = 0x0303, 0x0304
SERVER_NAME, GROUPS, POINT_FORMATS, SIGNATURES, ALPN, PADDING = 0, 10, 11, 13, 16, 21
SESSION_TICKET, VERSIONS, PSK_MODES, KEY_SHARE = 35, 43, 45, 51
X25519 = 29
CIPHERS = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D)
SIGNATURE_ALGORITHMS = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)


@dataclass(frozen=True, slots=True)
class Hello:
    """A ClientHello (`ciphers` the offer) or ServerHello (one cipher). random: 32 bytes, session: 0-32.

    `extensions` is None where the block is missing altogether, as in hellos of old.
    """

    kind: int
    random: bytes
    session: bytes
    ciphers: tuple[int, ...]
    extensions: tuple[tuple[int, bytes], ...] | None
    version: int = TLS12
    compression: bytes = b"\0"

    def extension(self, code: int) -> bytes | None:
        return next((value for kind, value in self.extensions or () if kind == code), None)

    @property
    def server_name(self) -> str | None:
        """The first host name of SNI, as it stands; None where absent, not ASCII or not well-formed."""
        value = self.extension(SERVER_NAME)
        if value is None or len(value) < 5 or value[2] != 0:
            return None
        name = value[5 : 5 + int.from_bytes(value[3:5], "big")]
        return name.decode("ascii") if name and name.isascii() else None

    @property
    def alpn(self) -> tuple[str, ...]:
        value, found, at = self.extension(ALPN) or b"", [], 2
        while at < len(value) and at + 1 + value[at] <= len(value):
            found.append(value[at + 1 : at + 1 + value[at]].decode("latin-1"))
            at += 1 + value[at]
        return tuple(found)

    @property
    def versions(self) -> tuple[int, ...]:
        """supported_versions, or the legacy version where that extension is missing. GREASE is left out."""
        value = self.extension(VERSIONS)
        if value is None:
            return (self.version,)
        found = _words(value if self.kind == SERVER_HELLO else value[1:])
        return tuple(one for one in found if not is_grease(one))

    @property
    def ja3(self) -> tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """JA3's five parts (version, ciphers, extensions, groups, point formats) without GREASE, not hashed."""
        kinds = tuple(kind for kind, _ in self.extensions or ())
        groups = _words((self.extension(GROUPS) or b"")[2:])
        parts = [tuple(one for one in part if not is_grease(one)) for part in (self.ciphers, kinds, groups)]
        return self.version, parts[0], parts[1], parts[2], tuple((self.extension(POINT_FORMATS) or b"")[1:])


def is_grease(value: int) -> bool:
    """RFC 8701 section 2: 0x0A0A, 0x1A1A, ... 0xFAFA."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f">{len(data) // 2}H", data)


def _pack_words(values: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _block(data: bytes, size: int) -> bytes:
    if len(data) >= 1 << 8 * size:
        raise BadInput(f"{len(data)} bytes behind a length of {size}", "tls.encode")
    return len(data).to_bytes(size, "big") + data


def client_hello(
    server_name: str | None,
    random: bytes,
    session: bytes,
    key: bytes,
    grease: bytes,
    *,
    alpn: tuple[str, ...] = ("h2", "http/1.1"),
    ticket: bytes = b"",
    size: int | None = 517,
) -> bytes:
    """The ClientHello in one record, `size` bytes in all (517 as browsers of 2016 to 2023; None for no padding).

    random, key (X25519): 32 bytes; session: 0 or 32; grease: 5 bytes that choose the GREASE values of cipher, first
    and last extension, group, version. server_name None leaves SNI out. Raises BadInput where `size` is too small.
    """
    if len(random) != 32 or len(key) != 32 or len(grease) != 5 or len(session) > 32:
        raise BadInput("random and key have 32 bytes, grease 5, session at most 32", "tls.client_hello")
    if server_name is not None and not (server_name.isascii() and 1 <= len(server_name) <= 255):
        raise BadInput(f"server name {server_name!r}", "tls.client_hello")
    cipher, first, last, group, version = ((byte >> 4) * 0x1010 + 0x0A0A for byte in grease)
    if last == first:  # no extension may stand twice
        last = (last + 0x1010) & 0xFFFF
    name = b"" if server_name is None else b"\0" + _block(server_name.encode("ascii"), 2)
    share = _pack_words((group,)) + _block(b"\0", 2) + _pack_words((X25519,)) + _block(key, 2)
    extensions = [
        (first, b""),
        *([(SERVER_NAME, _block(name, 2))] if name else []),
        (23, b""),  # extended master secret
        (0xFF01, b"\0"),  # renegotiation info
        (GROUPS, _block(_pack_words((group, X25519, 23, 24)), 2)),
        (POINT_FORMATS, b"\x01\0"),
        (SESSION_TICKET, ticket),
        *([(ALPN, _block(b"".join(_block(one.encode(), 1) for one in alpn), 2))] if alpn else []),
        (5, b"\x01\0\0\0\0"),  # status request
        (SIGNATURES, _block(_pack_words(SIGNATURE_ALGORITHMS), 2)),
        (18, b""),  # signed certificate timestamps
        (KEY_SHARE, _block(share, 2)),
        (PSK_MODES, b"\x01\x01"),
        (VERSIONS, _block(_pack_words((version, TLS13, TLS12)), 1)),
        (last, b"\0"),
    ]
    hello = Hello(CLIENT_HELLO, random, session, (cipher, *CIPHERS), tuple(extensions))
    if size is not None:
        room = size - _encoded_size(hello) - 4
        if room < 0:
            raise BadInput(f"hello does not fit {size} bytes by {-room}", "tls.client_hello")
        hello = Hello(CLIENT_HELLO, random, session, hello.ciphers, (*extensions, (PADDING, bytes(room))))
    return encode_hello(hello)


def server_hello(client: Hello, random: bytes, key: bytes, cipher: int = 0x1301) -> bytes:
    """The TLS 1.3 ServerHello in one record that answers a client's: its session echoed, X25519 share `key`."""
    if len(random) != 32 or len(key) != 32:
        raise BadInput("random and key have 32 bytes", "tls.server_hello")
    share = _pack_words((X25519,)) + _block(key, 2)
    extensions = ((VERSIONS, _pack_words((TLS13,))), (KEY_SHARE, share))
    return encode_hello(Hello(SERVER_HELLO, random, client.session, (cipher,), extensions))


def encode_hello(hello: Hello) -> bytes:
    """The hello in one handshake record (more records where it is longer than 16 KiB)."""
    if hello.kind not in (CLIENT_HELLO, SERVER_HELLO) or len(hello.random) != 32 or len(hello.session) > 32:
        raise BadInput("kind, random or session out of range", "tls.encode_hello")
    client = hello.kind == CLIENT_HELLO
    codes = (hello.version, *hello.ciphers, *(kind for kind, _ in hello.extensions or ()))
    if any(not 0 <= one <= 0xFFFF for one in codes) or (not client and len(hello.ciphers) != 1):
        raise BadInput("version, cipher or extension out of range", "tls.encode_hello")
    if not client and len(hello.compression) != 1:
        raise BadInput("a server chooses one compression", "tls.encode_hello")
    body = _pack_words((hello.version,)) + hello.random + _block(hello.session, 1)
    ciphers = _pack_words(hello.ciphers)
    body += _block(ciphers, 2) + _block(hello.compression, 1) if client else ciphers + hello.compression
    if hello.extensions is not None:
        body += _block(b"".join(_pack_words((kind,)) + _block(value, 2) for kind, value in hello.extensions), 2)
    version = 0x0301 if client else TLS12  # RFC 8446 section 5.1: 0x0301 for a first ClientHello
    return records(HANDSHAKE, bytes((hello.kind,)) + _block(body, 3), version)


def _encoded_size(hello: Hello) -> int:
    """Bytes that a ClientHello of one record takes."""
    listed = 2 * len(hello.ciphers) + len(hello.session) + len(hello.compression)
    return FIXED + listed + sum(4 + len(value) for _, value in hello.extensions or ())


def records(content_type: int, data: bytes, version: int = TLS12) -> bytes:
    """Bytes in records of at most 16 KiB each; no bytes give no record."""
    cuts = range(0, len(data), MAX_FRAGMENT)
    head = bytes((content_type,)) + version.to_bytes(2, "big")
    return b"".join(head + _block(data[at : at + MAX_FRAGMENT], 2) for at in cuts)


def looks_like(data: bytes) -> bool:
    """Whether a stream's first bytes (3 or more) are a TLS handshake record's."""
    return len(data) >= 3 and data[0] == HANDSHAKE and data[1] == 3 and data[2] <= 4


def decode_record(buffer: bytes) -> tuple[int, bytes, int] | Malformed:
    """The first record of a stream: content type, fragment, bytes taken."""
    if buffer and (not 20 <= buffer[0] <= 24 or buffer[1:2] not in (b"", b"\x03")):
        return Malformed("not tls", 0)
    if len(buffer) < 5:
        return Malformed("truncated", len(buffer))
    length = int.from_bytes(buffer[3:5], "big")
    if length > _MAX_CIPHERTEXT:
        return Malformed("record too long", 3)
    if len(buffer) < 5 + length:
        return Malformed("truncated", len(buffer))
    return buffer[0], buffer[5 : 5 + length], 5 + length


@dataclass(frozen=True, slots=True)
class Alert:
    """level: 1 warning, 2 fatal; description: RFC 8446 section 6."""

    level: int
    description: int


def decode_alert(data: bytes) -> Alert | Malformed:
    """An alert at the start of a stream; an encrypted one (TLS 1.2) has another length: `not an alert`."""
    record = decode_record(data)
    if isinstance(record, Malformed):
        return record
    if record[0] != ALERT or len(record[1]) != 2:
        return Malformed("not an alert", 0)
    return Alert(record[1][0], record[1][1])


def encode_alert(alert: Alert) -> bytes:
    if not 0 <= alert.level <= 255 or not 0 <= alert.description <= 255:
        raise BadInput(f"alert {alert}", "tls.encode_alert")
    return records(ALERT, bytes((alert.level, alert.description)))


def decode_hello(stream: bytes) -> Hello | Malformed:
    """The hello that opens a stream, also over several records. `truncated` while more bytes could complete it.

    Offsets inside a hello count from the start of its handshake message.
    """
    message, at = b"", 0
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        record = decode_record(stream[at:])
        if isinstance(record, Malformed):
            return Malformed(record.reason, at + record.offset)
        if record[0] != HANDSHAKE or not record[1]:
            return Malformed("not a hello", at)
        message += record[1]
        if message[0] not in (CLIENT_HELLO, SERVER_HELLO):
            return Malformed("not a hello", 5)
        at += record[2]
    return _read_hello(message[: 4 + int.from_bytes(message[1:4], "big")])


def _read_hello(message: bytes) -> Hello | Malformed:
    kind, end = message[0], len(message)
    at = 39 + message[38] if end > 38 else end + 1
    if end < at or message[38] > 32:
        return Malformed("hello cut", min(38, end))
    session = message[39:at]
    if kind == CLIENT_HELLO:
        ciphers_end = at + 2 + int.from_bytes(message[at : at + 2], "big")
        ciphers, at = message[at + 2 : ciphers_end], ciphers_end
        compression_end = at + 1 + (message[at] if at < end else 0)
        compression, at = message[at + 1 : compression_end], compression_end
    else:
        ciphers, compression, at = message[at : at + 2], message[at + 2 : at + 3], at + 3
    if at > end or len(ciphers) % 2:
        return Malformed("hello cut", min(at, end))
    extensions: list[tuple[int, bytes]] = []
    if at < end:
        if int.from_bytes(message[at : at + 2], "big") != end - at - 2:
            return Malformed("extensions' length", at)
        at += 2
        while at < end:
            stop = at + 4 + int.from_bytes(message[at + 2 : at + 4], "big")
            if at + 4 > end or stop > end:
                return Malformed("extension overruns", at)
            extensions.append((int.from_bytes(message[at : at + 2], "big"), message[at + 4 : stop]))
            at = stop
        block: tuple[tuple[int, bytes], ...] | None = tuple(extensions)
    else:
        block = None
    version = int.from_bytes(message[4:6], "big")
    return Hello(kind, message[6:38], session, _words(ciphers), block, version, compression)
