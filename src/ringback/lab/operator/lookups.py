"""Names in DNS datagrams, and the wrong answers that an operator gives (RFC 1035)."""

import ipaddress

QUERY, RESPONSE = 0x0000, 0x8180  # flags: recursion desired and available in a response
NXDOMAIN = 3
A, IN = 1, 1
TTL_S = 60
FIRST_QUESTION = 12
POINTER_TO_QUESTION = b"\xc0\x0c"


def question(data: bytes) -> tuple[str, int] | None:
    """The first question's name in lower case, and where the question ends; None where the datagram is no DNS."""
    if len(data) < 17 or not int.from_bytes(data[4:6], "big"):
        return None
    labels, at = [], FIRST_QUESTION
    while at < len(data) and data[at]:
        size = data[at]
        if size > 63 or at + 1 + size > len(data):
            return None
        labels.append(data[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    end = at + 5
    if end > len(data) or not labels:
        return None
    return ".".join(labels).lower(), end


def is_query(data: bytes) -> bool:
    return len(data) > 2 and not data[2] & 0xF8


def wrong_answer(data: bytes, address: str | None) -> bytes | None:
    """An answer to the question in a query (or in another answer): `address`, or that there is no such name. A forged
    answer to a question for anything but an IPv4 address is empty."""
    asked = question(data)
    if asked is None:
        return None
    body = data[FIRST_QUESTION : asked[1]]
    kind = int.from_bytes(body[-4:-2], "big")
    records = b""
    if address is not None and kind == A:
        fixed = A.to_bytes(2, "big") + IN.to_bytes(2, "big") + TTL_S.to_bytes(4, "big") + b"\0\x04"
        records = POINTER_TO_QUESTION + fixed + ipaddress.IPv4Address(address).packed
    flags = RESPONSE | (NXDOMAIN if address is None else 0)
    counts = (1, 1 if records else 0, 0, 0)
    return data[:2] + flags.to_bytes(2, "big") + b"".join(n.to_bytes(2, "big") for n in counts) + body + records
