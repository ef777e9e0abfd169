"""From a frame of any link layer to the IP packet in it.

Numbers and headers: the registry of link-layer header types (draft-ietf-opsawg-pcaplinktype). Ethernet and what has its
types: VLAN tags in any nesting (IEEE 802.1Q, 802.1ad), PPPoE (RFC 2516), MPLS (RFC 3032), SNAP. What carries no IP is
passed over; what can't be read is counted.
"""

from collections.abc import Callable

from ringback.capture.files import Frame
from ringback.capture.notes import Notes

NULL, PPP, PPP_SERIAL, PPP_ETHERNET, CISCO_HDLC, LOOP, WIFI, RADIOTAP = 0, 9, 50, 51, 104, 108, 105, 127
USER_2, PPP_PPPD, PPP_DIRECTED, NFLOG, PKTAP, COOKED_2 = 149, 166, 204, 239, 258, 276
TYPE_AT = {1: 12, 113: 14, CISCO_HDLC: 2, 281: 16, 282: 16, 284: 16, 285: 20}
"""Where an Ethernet type stands, behind which is what it names: Ethernet, Linux cooked v1, a switch's tags (DSA)."""

RAW = frozenset((12, 14, 101, 228, 229))
NAMES = {
    3: "AX25", 6: "IEEE802_5", 8: "SLIP", 10: "FDDI", 100: "ATM_RFC1483", 107: "FRELAY", 109: "ENC", 114: "LTALK",
    117: "PFLOG", 119: "IEEE802_11_PRISM", 122: "IP_OVER_FC", 138: "APPLE_IP_OVER_IEEE1394", 143: "DOCSIS",
    **{147 + number: f"USER{number}" for number in range(16)}, 163: "IEEE802_11_AVS", 187: "BLUETOOTH_HCI_H4",
    189: "USB_LINUX", 192: "PPI", 195: "IEEE802_15_4_WITHFCS", 201: "BLUETOOTH_HCI_H4_WITH_PHDR",
    220: "USB_LINUX_MMAPPED", 226: "IPNET", 227: "CAN_SOCKETCAN", 230: "IEEE802_15_4_NOFCS", 240: "NETANALYZER",
    242: "IPOIB", 247: "INFINIBAND", 249: "USBPCAP", 251: "BLUETOOTH_LE_LL", 252: "WIRESHARK_UPPER_PDU",
    253: "NETLINK", 254: "BLUETOOTH_LINUX_MONITOR", 266: "USB_DARWIN", 271: "VSOCK", 274: "ETHERNET_MPACKET",
    280: "VPP_DISPATCH", 0xFFFF: "none",
}  # fmt: skip
"""Names of those that are met and that nothing here reads."""

IPV4, IPV6, ETHERNET_WITHIN = 0x0800, 0x86DD, 0x6558
IP = frozenset((IPV4, IPV6))
PPPOE, PPP_WITHIN = 0x8864, 0x880B
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100, 0x9200, 0x9300))
MPLS = frozenset((0x8847, 0x8848))
SNAP = b"\xaa\xaa\x03"
LARGEST_LENGTH = 1500  # a smaller number in a type's place is a length: IEEE 802.3
PPP_TYPES = {0x0021: IPV4, 0x0057: IPV6, 0x0281: 0x8847, 0x0283: 0x8848}
NOTHING = 0xFFFF  # a type that is reserved: what follows is no IP
MOST_SHIMS = 32  # headers between a frame's and its IP packet


def network(frame: Frame, notes: Notes) -> bytes:
    """The IP packet within a frame, to the frame's end; empty where there is none."""
    link, data = frame.link, frame.data
    if link in RAW:
        return data
    place = TYPE_AT.get(link)
    if place is not None:
        return data[_ip_at(data, _number(data, place), place + 2) :]
    find = _LINKS.get(link)
    if find is not None:
        return find(data, notes)
    name = f" ({NAMES[link]})" if link in NAMES else ""
    notes.left_out(f"link type {link}{name} is not known")
    return b""


def inner(kind: int, data: bytes) -> bytes:
    """The IP packet behind a header that names an Ethernet type; empty where there is none."""
    return data[_ip_at(data, kind, 0) :]


def _number(data: bytes, at: int) -> int:
    """Two bytes; 0 where the frame ends before."""
    return int.from_bytes(data[at : at + 2], "big")


def _ip_at(data: bytes, kind: int, at: int) -> int:
    """Where the IP packet begins, given the type of what begins at `at`; the data's end where there is none."""
    for _ in range(MOST_SHIMS):
        if kind in IP:
            return at
        if kind in VLAN_TAGS:
            kind, at = _number(data, at + 2), at + 4
        elif kind == PPPOE:
            kind, at = _ppp(data, at + 6)
        elif kind == PPP_WITHIN:
            kind, at = _ppp(data, at)
        elif kind in MPLS:
            kind, at = _labels(data, at)
        elif kind == ETHERNET_WITHIN:
            kind, at = _number(data, at + 12), at + 14
        elif kind <= LARGEST_LENGTH and data[at : at + 3] == SNAP:
            kind, at = _number(data, at + 6), at + 8
        else:
            break
    return len(data)


def _ppp(data: bytes, at: int) -> tuple[int, int]:
    """Type and place of what PPP carries: with or without its address, the protocol in two bytes or one (RFC 1661)."""
    if data[at : at + 2] == b"\xff\x03":
        at += 2
    if data[at : at + 1] and data[at] & 1:
        return PPP_TYPES.get(data[at], NOTHING), at + 1
    return PPP_TYPES.get(_number(data, at), NOTHING), at + 2


def _labels(data: bytes, at: int) -> tuple[int, int]:
    """Behind a stack of labels: IP by its version; or Ethernet behind a control word that begins with 0 (RFC 4448)."""
    while at + 4 < len(data):
        last, at = data[at + 2] & 1, at + 4
        if last:
            version = data[at] >> 4
            if version == 0:
                return ETHERNET_WITHIN, at + 4
            return {4: IPV4, 6: IPV6}.get(version, NOTHING), at
    return NOTHING, len(data)


def _loopback(data: bytes, _: Notes) -> bytes:
    return data[4:]  # an address family, whose number and byte order depend on the system: the version tells as well


def _cooked_2(data: bytes, _: Notes) -> bytes:
    return data[_ip_at(data, _number(data, 0), 20) :]


def _point_to_point(data: bytes, _: Notes) -> bytes:
    return inner(PPP_WITHIN, data)


def _serial(data: bytes, _: Notes) -> bytes:
    if data[:1] in (b"\x0f", b"\x8f"):  # Cisco's framing: address, control, Ethernet type
        return data[_ip_at(data, _number(data, 2), 4) :]
    return inner(PPP_WITHIN, data)


def _pppoe(data: bytes, _: Notes) -> bytes:
    return inner(PPPOE, data)


def _directed(data: bytes, _: Notes) -> bytes:
    """A byte for the direction stands before (204) or in place of (166) PPP's address."""
    return inner(PPP_WITHIN, data[2 if data[1:2] == b"\x03" else 1 :])


def _netfilter(data: bytes, _: Notes) -> bytes:
    """NFLOG: after four bytes (length, type, value) in the byte order of the host that wrote it, padded to four."""
    for order in ("little", "big"):
        at = 4
        while at + 4 <= len(data):
            size = int.from_bytes(data[at : at + 2], order)
            kind = int.from_bytes(data[at + 2 : at + 4], order)
            if size < 4:
                break
            if kind == 9:  # NFULA_PAYLOAD
                return data[at + 4 :]  # the last one
            at += size + 3 & ~3
    return b""


def _radiotap(data: bytes, notes: Notes) -> bytes:
    return _wifi(data[int.from_bytes(data[2:4], "little") :], notes) if len(data) >= 8 else b""


def _wifi(data: bytes, notes: Notes) -> bytes:
    """IEEE 802.11 section 9.2: data frames that are in clear, one packet in each."""
    if len(data) < 26 or data[0] & 0x0C != 0x08 or data[0] & 0x40:  # neither management, control nor without data
        return b""
    if data[1] & 0x40:
        notes.left_out("encrypted Wi-Fi frame")
        return b""
    size = 24 + 6 * (data[1] & 3 == 3)  # a fourth address between two access points
    if data[0] & 0x80:
        if data[size : size + 1] >= b"\x80":
            notes.left_out("Wi-Fi frame of several packets")
            return b""
        size += 2 + 4 * (data[1] >> 7)
    for at in (size, size + 3 & ~3):  # some drivers pad
        if data[at : at + 3] == SNAP:
            return data[_ip_at(data, 0, at) :]
    return b""


def _apple(data: bytes, notes: Notes) -> bytes:
    """macOS's PKTAP: its own length, 1 for a packet, and the link type of what follows."""
    for order in ("little", "big"):
        size, what, link = (int.from_bytes(data[at : at + 4], order) for at in (0, 4, 8))
        if 12 <= size <= len(data) and what == 1:
            if link not in (PKTAP, USER_2):
                return network(Frame(0.0, link, data[size:], len(data) - size), notes)
            notes.left_out(f"link type {link} (PKTAP) within itself")
            return b""
    notes.left_out(f"link type {PKTAP} (PKTAP) or {USER_2} (USER2) without PKTAP's header")
    return b""


_LINKS: dict[int, Callable[[bytes, Notes], bytes]] = {
    NULL: _loopback, LOOP: _loopback, COOKED_2: _cooked_2, PPP: _point_to_point, PPP_SERIAL: _serial,
    PPP_ETHERNET: _pppoe, PPP_PPPD: _directed, PPP_DIRECTED: _directed, NFLOG: _netfilter,
    RADIOTAP: _radiotap, WIFI: _wifi, PKTAP: _apple, USER_2: _apple,
}  # fmt: skip
