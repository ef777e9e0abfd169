"""A datagram is the same one under any headers of IP; what carries none is counted."""

import struct

import pytest

from ringback.capture.files import Frame
from ringback.capture.notes import Notes
from ringback.capture.packets import Reader, Segment
from tests.capture.making import FAR, FAR6, NEAR, NEAR6, ethernet, ip

PACKET, PACKET6 = ip(NEAR, FAR, b"payload"), ip(NEAR6, FAR6, b"payload")


def read(link: int, data: bytes, size: int = 0) -> tuple[Segment | None, Notes]:
    notes = Notes()
    found = Reader(notes).read(Frame(1.0, link, data, size or len(data)))
    assert len(found) < 2
    return (found[0] if found else None), notes


def test_ipv6_and_its_extension_headers() -> None:
    headers = {0: b"\0" + bytes(6), 43: b"\1" + bytes(14), 51: b"\4" + bytes(22), 60: b"\0" + bytes(6), 44: bytes(7)}
    chain, packet = b"", PACKET6[40:]
    order = list(headers)
    for kind, following in zip(order, [*order[1:], 17], strict=True):
        chain += bytes((following,)) + headers[kind]
    long = PACKET6[:4] + struct.pack("!HBB", len(chain + packet), 0, 60) + PACKET6[8:40] + chain + packet
    for whole in (PACKET6, long):
        found, notes = read(1, ethernet(whole))
        assert found is not None
        assert found[1:6] == ("udp", NEAR6, FAR6, b"payload", len(whole))
        assert notes.lines() == ()


def test_a_chain_of_headers_without_end_is_left_out() -> None:
    chain = b"\0\0" + bytes(6)
    found, notes = read(101, PACKET6[:4] + struct.pack("!HBB", 0, 0, 60) + PACKET6[8:40] + chain * 100_000)
    assert found is None
    assert notes.lines() == ("1 packet left out: cut or damaged IP header",)


GRE = {
    "GRE": b"\0\0\x08\0",
    "GRE with checksum, key and number": b"\xb0\0\x08\0" + bytes(12),
    "GRE with Ethernet": b"\x20\0\x65\x58" + bytes(4) + bytes(12) + b"\x08\0",
    "PPTP": b"\x30\x81\x88\x0b" + bytes(12) + b"\xff\x03\x00\x21",
    "PPTP, compressed": b"\x20\x01\x88\x0b" + bytes(4) + b"\x21",
}


@pytest.mark.parametrize("kind", GRE)
def test_a_tunnels_datagrams_are_those_within(kind: str) -> None:
    found, notes = read(101, ip(NEAR6, FAR6, GRE[kind] + PACKET, 47))
    assert found == (1.0, "udp", NEAR, FAR, b"payload", len(PACKET), True, 0, 0)
    assert notes.lines() == ()


def test_ip_within_ip_goes_only_so_deep() -> None:
    packet = PACKET
    for depth in range(9):
        found, _ = read(101, packet)
        assert (found is not None) is (depth <= 4), depth
        packet = ip(FAR6, NEAR6, packet, 4 if packet[0] >> 4 == 4 else 41)


def test_a_segment_of_no_stated_length_is_as_long_as_it_was_on_the_wire() -> None:
    for packet, at in ((PACKET, 2), (PACKET6, 4)):
        bare = packet[:at] + b"\0\0" + packet[at + 2 :]
        found, _ = read(1, ethernet(bare)[:-3], size=len(ethernet(bare)))
        assert found is not None
        assert found[4:7] == (b"payl", len(packet), False)


@pytest.mark.parametrize(
    ("link", "data", "note"),
    [
        (1, ethernet(PACKET)[:30], "1 packet left out: cut or damaged IP header"),
        (1, ethernet(PACKET)[:38], "1 packet left out: cut or damaged transport header"),
        (1, ethernet(PACKET6)[:50], "1 packet left out: cut or damaged IP header"),
        (101, b"\x00" + PACKET[1:], "1 packet left out: no IP version"),
        (147, PACKET, "1 packet left out: link type 147 (USER0) is not known"),
        (999, PACKET, "1 packet left out: link type 999 is not known"),
        (1, ethernet(PACKET[:24] + b"\xff\xff" + PACKET[26:]), "1 packet left out: cut or damaged transport header"),
    ],
)
def test_what_cannot_be_read_is_counted(link: int, data: bytes, note: str) -> None:
    found, notes = read(link, data)
    assert found is None
    assert notes.lines() == (note,)


def test_what_is_not_udp_or_tcp_is_passed_over_in_silence() -> None:
    for data in (ethernet(ip(NEAR, FAR, b"echo", 1)), b"\2" * 12 + b"\x08\x06" + bytes(28), b""):
        found, notes = read(1, data)
        assert found is None
        assert notes.lines() == ()


def test_a_payload_that_the_capture_cut_says_so() -> None:
    found, _ = read(1, ethernet(ip(NEAR, FAR, bytes(100)))[:100])
    assert found is not None
    assert found[4:7] == (bytes(58), 128, False)
