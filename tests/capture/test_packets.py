"""A datagram is the same one on every link, under any tags; what carries none is counted."""

import struct
from pathlib import Path

import pytest

from ringback.capture import trace
from ringback.capture.files import Frame
from ringback.capture.notes import Notes
from ringback.capture.packets import segment
from tests.capture import making
from tests.capture.making import FAR, FAR6, NEAR, NEAR6, ethernet, ip

PACKET, PACKET6 = ip(NEAR, FAR, b"payload"), ip(NEAR6, FAR6, b"payload")
COOKED = b"\0\0\0\1\0\6" + bytes(8) + b"\x08\x00"
PPPOE = b"\2" * 12 + b"\x88\x64" + b"\x11\x00\x00\x07\x00\x30" + b"\x00\x21"

LINKS = {
    "ethernet": (1, ethernet(PACKET)),
    "one VLAN tag": (1, ethernet(PACKET, [785])),
    "two VLAN tags": (1, ethernet(PACKET, [5, 785])),
    "PPPoE": (1, PPPOE + PACKET),
    "padded to 60 bytes": (1, ethernet(PACKET).ljust(60, b"\0")),
    "Linux cooked": (113, COOKED + PACKET),
    "Linux cooked v2": (276, b"\x08\x00" + bytes(18) + PACKET),
    "BSD loopback": (0, b"\2\0\0\0" + PACKET),
    "OpenBSD loopback": (108, b"\0\0\0\2" + PACKET),
    "raw": (101, PACKET),
    "raw IPv4": (228, PACKET),
}


def read(link: int, data: bytes) -> tuple[object, Notes]:
    notes = Notes()
    return segment(Frame(1.0, link, data, len(data)), notes), notes


@pytest.mark.parametrize("link", LINKS)
def test_every_link_carries_the_same_datagram(link: str) -> None:
    found, notes = read(*LINKS[link])
    assert found == (1.0, "udp", NEAR, FAR, b"payload", len(PACKET), True, 0, 0)
    assert notes.lines() == ()


def test_ipv6_and_its_extension_headers() -> None:
    hop_by_hop = b"\x11\x01" + bytes(14)
    extended = PACKET6[:4] + struct.pack("!HBB", 15 + 16, 0, 60) + PACKET6[8:40] + hop_by_hop + PACKET6[40:]
    in_one_piece = PACKET6[:4] + struct.pack("!HBB", 15 + 8, 44, 60) + PACKET6[8:40] + b"\x11" + bytes(7) + PACKET6[40:]
    for packet in (PACKET6, extended, in_one_piece):
        found, _ = read(1, ethernet(packet))
        assert found[1:5] == ("udp", NEAR6, FAR6, b"payload")  # type: ignore[index]


@pytest.mark.parametrize(
    "packet",
    [
        PACKET[:6] + b"\x20\x00" + PACKET[8:],  # more fragments follow
        PACKET[:6] + b"\x00\x10" + PACKET[8:],  # at offset 128
        PACKET6[:6] + b"\x2c" + PACKET6[7:40] + b"\x11\0\0\1" + bytes(4) + PACKET6[40:],
    ],
)
def test_fragments_are_counted_and_left_out(packet: bytes, tmp_path: Path) -> None:
    lines = [(making.START, ethernet(packet)), (making.START, ethernet(packet)), (making.START, ethernet(PACKET))]
    found = trace(making.pcap(tmp_path / "fragments.pcap", lines))
    assert len(found.exchanges) == 1
    assert found.notes == ("2 packets left out: fragment",)
    assert not found.damaged


@pytest.mark.parametrize(
    ("link", "data", "note"),
    [
        (1, ethernet(PACKET)[:30], "1 packets left out: cut or damaged IP header"),
        (1, ethernet(PACKET)[:38], "1 packets left out: cut or damaged transport header"),
        (1, ethernet(PACKET6)[:50], "1 packets left out: cut or damaged IP header"),
        (101, b"\x00" + PACKET[1:], "1 packets left out: no IP version"),
        (147, PACKET, "1 packets left out: link type 147 is not known"),
        (1, ethernet(PACKET[:24] + b"\xff\xff" + PACKET[26:]), "1 packets left out: cut or damaged transport header"),
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
    assert found[4:7] == (bytes(58), 128, False)  # type: ignore[index]
