"""What a stream's first bytes from the client say: a host name, or whose protocol it is."""

from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

Label = tuple[str, str]
"""(app, function), or (VPN, "outer")"""

LIMIT = 8192  # bytes after which an opening that says nothing yet is given up

HTTP_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ")
NOISE_PREFACE = b"ED\0\x01"  # WhatsApp's routing information before its prologue
OBFUSCATED = 64
OBFUSCATED_TAGS = (b"\xef" * 4, b"\xee" * 4, b"\xdd" * 4)  # abridged, intermediate, padded intermediate
CLIENT_HELLO, SERVER_NAME = 1, 0


class Opening(NamedTuple):
    """sni: of a TLS ClientHello. host: of an HTTP request. label: of a protocol that is an app's own."""

    sni: str | None = None
    host: str | None = None
    label: Label | None = None


NOTHING = Opening()


def read_opening(data: bytes) -> Opening | None:
    """What the first bytes of a stream say; None while more could say more."""
    if len(data) < 4:
        return None
    if data[0] == 0x16 and data[1] == 3:
        return _tls(data)
    if data.startswith(HTTP_METHODS):
        return _http(data)
    if data[:4] == NOISE_PREFACE or (data[:2] == b"WA" and data[2] < 16 and data[3] < 16):
        return Opening(label=("whatsapp", "text"))
    if len(data) < OBFUSCATED:
        return None
    return _obfuscated(data[:OBFUSCATED])


def _obfuscated(data: bytes) -> Opening:
    """Telegram's obfuscated transport (core.telegram.org/mtproto/mtproto-transports): bytes 8 to 56 are the key and
    counter under which the last eight read tag and data centre. A media data centre has a negative number, and that
    is how text and media, alike otherwise, are told apart."""
    decrypt = Cipher(AES(data[8:40]), CTR(data[40:56])).decryptor()
    plain = decrypt.update(data)
    if plain[56:60] not in OBFUSCATED_TAGS:
        return NOTHING
    centre = int.from_bytes(plain[60:62], "little", signed=True)
    return Opening(label=("telegram", "media" if centre < 0 else "text"))


def _http(data: bytes) -> Opening | None:
    head, end, _ = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1 : None if end else -1]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"host":
            return Opening(host=value.strip().decode("latin-1").partition(":")[0].lower())
    return NOTHING if end else None


def _tls(data: bytes) -> Opening | None:
    """A ClientHello in one or more handshake records (RFC 8446 sections 4.1.2 and 5.1)."""
    hello, at = b"", 0
    while len(hello) < 4 or len(hello) < 4 + int.from_bytes(hello[1:4], "big"):
        if at + 5 > len(data):
            return None
        end = at + 5 + int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] != 0x16 or end == at + 5:
            return NOTHING
        hello += data[at + 5 : end]
        if end > len(data):
            break
        at = end
    if hello[:1] != bytes((CLIENT_HELLO,)):
        return NOTHING if hello else None
    if len(hello) < 4 or len(hello) < 4 + int.from_bytes(hello[1:4], "big"):
        return None
    return Opening(sni=_server_name(hello))


def _server_name(hello: bytes) -> str | None:
    """The name in the server_name extension (RFC 6066 section 3), lower case; None where there is none."""
    at = 38
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        at += width + int.from_bytes(hello[at : at + width], "big")
    at += 2
    while at + 4 <= len(hello):
        kind, size = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == SERVER_NAME:
            body = hello[at + 4 : at + 4 + size]
            length = int.from_bytes(body[3:5], "big")
            return body[5 : 5 + length].decode("latin-1").lower() if length and len(body) >= 5 + length else None
        at += 4 + size
    return None
