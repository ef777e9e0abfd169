"""Real packets become the simulator's and come back as they were; what a box made or changed is valid too."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.lab.namespaces.packets import build, checksum, parse, with_ttl
from ringback.sim.packet import ACK, ICMP, PSH, RST, TCP, UDP, Packet

PORT = st.integers(0, 65535)
NUMBER = st.integers(0, 2**32 - 1)
# A TCP segment with timestamps and SACK blocks, made here; checksums are filled in.
OPTIONS = bytes.fromhex("0101080a0000000a0000000b") + bytes.fromhex("0101050a000003e8000007d0") + b""


def ip(proto: int, body: bytes, ttl: int = 61, options: bytes = b"", fragment: int = 0x4000) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x40 | words,
        0,
        words * 4 + len(body),
        7,
        fragment,
        ttl,
        proto,
        0,
        socket.inet_aton("192.0.2.10"),
        socket.inet_aton("198.51.100.10"),
    )
    head += options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def tcp(payload: bytes, options: bytes = OPTIONS) -> bytes:
    offset = (20 + len(options)) // 4 << 4
    body = struct.pack("!HHIIBBHHH", 40000, 443, 1000, 2000, offset, PSH | ACK, 501, 0, 0) + options + payload
    pseudo = socket.inet_aton("192.0.2.10") + socket.inet_aton("198.51.100.10") + struct.pack("!BBH", 0, 6, len(body))
    return ip(6, body[:16] + struct.pack("!H", checksum(pseudo + body)) + body[18:])


def assert_sums_are_right(data: bytes) -> None:
    header = (data[0] & 15) * 4
    assert checksum(data[:header]) == 0
    body = data[header:]
    if data[9] == ICMP:
        assert checksum(body) == 0
    else:
        assert checksum(data[12:20] + struct.pack("!BBH", 0, data[9], len(body)) + body) == 0


def test_a_segment_that_nobody_touched_leaves_as_the_same_bytes_but_for_its_ttl() -> None:
    data = tcp(b"hello")
    packet = parse(data)
    assert packet is not None
    assert (packet.proto, packet.src, packet.sport, packet.dst, packet.dport) == (
        TCP,
        "192.0.2.10",
        40000,
        "198.51.100.10",
        443,
    )
    assert (packet.seq, packet.ack, packet.flags, packet.window) == (1000, 2000, PSH | ACK, 501)
    assert (packet.payload, packet.sack, packet.size, packet.ttl) == (b"hello", ((1000, 2000),), len(data), 61)
    out = build(packet, 58)
    assert out[8] == 58
    assert out[:8] + out[12:] == data[:8] + data[12:]
    assert_sums_are_right(out)


def test_a_segment_whose_payload_was_changed_keeps_its_options() -> None:
    packet = parse(tcp(b"hello"))
    assert packet is not None
    changed = parse(build(packet.copy(payload=b"HELLO"), 60))
    assert changed is not None
    assert (changed.payload, changed.sack, changed.seq) == (b"HELLO", ((1000, 2000),), 1000)


@pytest.mark.parametrize("change", [{"seq": 5}, {"ack": 5}, {"flags": RST}, {"window": 0}, {"dst": "198.51.100.53"},
                                    {"sport": 1}, {"payload": b""}])  # fmt: skip
def test_no_change_gets_lost_because_the_packet_carried_its_old_bytes_along(change: dict) -> None:
    packet = parse(tcp(b"hello"))
    assert packet is not None
    out = build(packet.copy(**change), 60)
    assert_sums_are_right(out)
    again = parse(out)
    assert again is not None
    assert {name: getattr(again, name) for name in change} == change


@given(PORT, PORT, st.binary(max_size=1400), st.integers(1, 255))
def test_datagrams_that_a_box_made_are_valid(sport: int, dport: int, payload: bytes, ttl: int) -> None:
    made = Packet(UDP, "198.51.100.53", sport, "192.0.2.10", dport, payload, 28 + len(payload))
    out = build(made, ttl)
    assert_sums_are_right(out)
    again = parse(out)
    assert again is not None
    assert (again.sport, again.dport, again.payload, again.size, again.ttl) == (
        sport,
        dport,
        payload,
        made.size,
        ttl,
    )


@given(NUMBER, NUMBER, st.integers(0, 63), st.integers(0, 65535), st.binary(max_size=100))
def test_segments_that_a_box_made_are_valid(seq: int, ack: int, flags: int, window: int, payload: bytes) -> None:
    made = Packet(TCP, "203.0.113.1", 443, "192.0.2.10", 40000, payload, 40, 64, seq, ack, flags, window)
    out = build(made, 64)
    assert_sums_are_right(out)
    again = parse(out)
    assert again is not None
    assert (again.seq, again.ack, again.flags, again.window, again.payload) == (seq, ack, flags, window, payload)


def test_an_icmp_error_quotes_what_caused_it() -> None:
    cause = parse(tcp(b"hello"))
    assert cause is not None
    out = build(Packet(ICMP, "192.0.2.2", 11, "192.0.2.10", 0, b"", 56, quoted=cause), 64)
    assert_sums_are_right(out)
    error = parse(out)
    assert error is not None
    assert (error.sport, error.dport) == (11, 0)
    quoted = error.payload
    assert quoted[12:20] == socket.inet_aton("192.0.2.10") + socket.inet_aton("198.51.100.10")
    assert struct.unpack_from("!HHI", quoted, 20) == (40000, 443, 1000)
    assert build(error, 63)[20:] == out[20:]


@given(st.binary(max_size=200))
def test_nothing_on_the_wire_breaks_the_router(data: bytes) -> None:
    packet = parse(data)
    if packet is not None:
        build(packet, 1)


@given(st.binary(max_size=60), st.sampled_from([UDP, TCP, ICMP, 47]), st.sampled_from([0x4000, 0x2000, 0x0010]))
def test_whatever_is_inside_goes_on_unchanged(body: bytes, proto: int, fragment: int) -> None:
    data = ip(proto, body, fragment=fragment)
    packet = parse(data)
    if packet is not None:
        assert build(packet, 61) == data


@given(st.integers(1, 255), st.integers(0, 255))
def test_a_ttl_changes_with_its_checksum(ttl: int, old: int) -> None:
    out = with_ttl(ip(UDP, bytes(8), ttl=old, options=b"\x01" * 8), ttl)
    assert checksum(out[:28]) == 0
    assert out[8] == ttl
