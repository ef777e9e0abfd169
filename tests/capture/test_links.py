"""A datagram is the same one on every link layer, under any tags."""

import struct

import pytest

from ringback.capture.files import Frame
from ringback.capture.links import network
from ringback.capture.notes import Notes
from tests.capture.making import FAR, FAR6, NEAR, NEAR6, ethernet, ip

PACKET, PACKET6 = ip(NEAR, FAR, b"payload"), ip(NEAR6, FAR6, b"payload")
TYPE, TYPE6 = b"\x08\x00", b"\x86\xdd"
ENDS = b"\2" * 6 + b"\4" * 6
COOKED = b"\0\0\0\1\0\6" + bytes(8)
COOKED_2 = bytes(18)
PPPOE = b"\x88\x64\x11\0\0\7\0\x30"
SNAP = b"\xaa\xaa\3\0\0\0"
LABEL, LAST_LABEL = b"\0\1\0\x40", b"\0\2\1\x40"
MPLS = b"\x88\x47" + LABEL + LABEL + LAST_LABEL


def tags(*kinds: int) -> bytes:
    return b"".join(struct.pack("!HH", kind, 785) for kind in kinds)


def nflog(order: str) -> bytes:
    return b"\2\0\0\7" + struct.pack(order + "HH5s3xHH", 9, 10, b"ring\0", 4 + len(PACKET), 9)


def pktap(link: int, order: str = "<") -> bytes:
    return struct.pack(order + "III", 108, 1, link) + b"en0".ljust(96, b"\0")


RADIOTAP = b"\0\0\x12\0" + bytes(14)
QOS_DATA, DATA = b"\x88\1" + bytes(24), b"\x08\2" + bytes(22)
BETWEEN_ACCESS_POINTS = b"\x88\x83" + bytes(28) + b"\0\0" + bytes(4)

LINKS = {
    "Ethernet": (1, ENDS + TYPE),
    "one VLAN tag": (1, ENDS + tags(0x8100) + TYPE),
    "QinQ": (1, ENDS + tags(0x88A8, 0x8100) + TYPE),
    "QinQ of old, in four layers": (1, ENDS + tags(0x9100, 0x9200, 0x88A8, 0x8100) + TYPE),
    "SNAP": (1, ENDS + b"\0\x2b" + SNAP + TYPE),
    "SNAP under a tag": (1, ENDS + tags(0x8100) + b"\0\x2b" + SNAP + TYPE),
    "PPPoE": (1, ENDS + PPPOE + b"\0\x21"),
    "PPPoE under two tags": (1, ENDS + tags(0x88A8, 0x8100) + PPPOE + b"\0\x21"),
    "MPLS": (1, ENDS + MPLS),
    "MPLS under a tag": (1, ENDS + tags(0x8100) + MPLS),
    "MPLS in PPPoE": (1, ENDS + PPPOE + b"\x02\x81" + LABEL + LAST_LABEL),
    "Ethernet with a tag over MPLS": (1, ENDS + MPLS + bytes(4) + ENDS + tags(0x8100) + TYPE),
    "Linux cooked": (113, COOKED + TYPE),
    "Linux cooked with a tag": (113, COOKED + tags(0x8100) + TYPE),
    "Linux cooked with PPPoE": (113, COOKED + PPPOE + b"\0\x21"),
    "Linux cooked v2": (276, TYPE + COOKED_2),
    "Linux cooked v2 with tags": (276, b"\x88\xa8" + COOKED_2 + tags(0x8100)[2:] + b"\x81\0\0\1" + TYPE),
    "BSD loopback, little-endian": (0, b"\2\0\0\0"),
    "BSD loopback, big-endian": (0, b"\0\0\0\2"),
    "OpenBSD loopback": (108, b"\0\0\0\2"),
    **{f"raw {link}": (link, b"") for link in (12, 14, 101, 228, 229)},
    "PPP": (9, b"\xff\3\0\x21"),
    "PPP without address": (9, b"\0\x21"),
    "PPP with a short protocol": (9, b"\x21"),
    "PPP, serial": (50, b"\xff\3\0\x21"),
    "Cisco HDLC in PPP's place": (50, b"\x0f\0" + TYPE),
    "Cisco HDLC": (104, b"\x0f\0" + TYPE),
    "PPPoE without Ethernet": (51, PPPOE[2:] + b"\0\x21"),
    "PPP, Linux": (166, b"\1\3\0\x21"),
    "PPP with direction": (204, b"\0\xff\3\0\x21"),
    "nflog": (239, nflog("<")),
    "nflog, big-endian": (239, nflog(">")),
    "Wi-Fi": (105, DATA + SNAP + TYPE),
    "Wi-Fi with quality of service": (105, QOS_DATA + SNAP + TYPE),
    "Wi-Fi between access points": (105, BETWEEN_ACCESS_POINTS + SNAP + TYPE),
    "Wi-Fi, padded": (105, QOS_DATA + b"\0\0" + SNAP + TYPE),
    "Wi-Fi with radiotap": (127, RADIOTAP + QOS_DATA + SNAP + TYPE),
    "PKTAP with Ethernet": (258, pktap(1) + ENDS + TYPE),
    "PKTAP with raw IP": (258, pktap(12)),
    "PKTAP, old number": (149, pktap(0) + b"\2\0\0\0"),
    "PKTAP, big-endian": (258, pktap(12, ">")),
    "a switch's tag before the type": (284, ENDS + b"\x40\0\0\0" + TYPE),
    "a switch's tag with a type of its own": (285, ENDS + b"\xda\xda\0\0\x40\0\0\0" + TYPE),
    "a switch's tag before the addresses": (282, bytes(4) + ENDS + TYPE),
}


def read(link: int, data: bytes) -> tuple[bytes, tuple[str, ...]]:
    notes = Notes()
    return network(Frame(1.0, link, data, len(data)), notes), notes.lines()


@pytest.mark.parametrize("link", LINKS)
def test_every_link_carries_the_same_packet(link: str) -> None:
    number, head = LINKS[link]
    assert read(number, head + PACKET) == (PACKET, ())
    if head.endswith(TYPE):
        assert read(number, head[:-2] + TYPE6 + PACKET6) == (PACKET6, ())


def test_ipv6_in_ppp_and_under_labels() -> None:
    assert read(9, b"\xff\3\0\x57" + PACKET6) == (PACKET6, ())
    assert read(1, ENDS + MPLS + PACKET6) == (PACKET6, ())
    assert read(276, TYPE6 + COOKED_2 + PACKET6) == (PACKET6, ())


@pytest.mark.parametrize("link", LINKS)
def test_a_header_that_is_cut_anywhere_gives_nothing(link: str) -> None:
    number, head = LINKS[link]
    for size in range(len(head)):
        assert len(read(number, head[:size])[0]) <= size


def test_tags_without_end_are_nobodys() -> None:
    assert read(1, ENDS + tags(*[0x8100] * 1000) + TYPE + PACKET) == (b"", ())


@pytest.mark.parametrize(
    ("link", "data", "note"),
    [
        (147, PACKET, "link type 147 (USER0) is not known"),
        (249, PACKET, "link type 249 (USBPCAP) is not known"),
        (1234, PACKET, "link type 1234 is not known"),
        (258, pktap(249) + PACKET, "link type 249 (USBPCAP) is not known"),
        (149, PACKET, "link type 258 (PKTAP) or 149 (USER2) without PKTAP's header"),
        (258, pktap(258) + pktap(1) + ethernet(PACKET), "link type 258 (PKTAP) within itself"),
        (127, RADIOTAP + b"\x88\x41" + QOS_DATA[2:] + bytes(60), "encrypted Wi-Fi frame"),
        (105, QOS_DATA[:24] + b"\x80\0" + bytes(60), "Wi-Fi frame of several packets"),
    ],
)
def test_what_cannot_be_read_is_named(link: int, data: bytes, note: str) -> None:
    assert read(link, data) == (b"", (f"1 packet left out: {note}",))


def test_what_carries_no_ip_is_passed_over_in_silence() -> None:
    beacon = RADIOTAP + b"\x80\0" + bytes(60)
    for link, data in ((1, ENDS + b"\x08\x06" + bytes(28)), (1, ENDS + b"\0\x26" + bytes(38)), (127, beacon)):
        assert read(link, data) == (b"", ())
