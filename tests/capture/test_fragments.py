"""A datagram that was sent in fragments counts once, with its whole length, whatever order and company they have."""

import struct
import tracemalloc
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.capture import trace
from ringback.capture.files import Frame
from ringback.capture.fragments import GAPS, HELD, Fragments, Piece
from ringback.capture.notes import Notes
from ringback.capture.packets import Reader, Segment
from tests.capture import making
from tests.capture.making import FAR, FAR6, NEAR, NEAR6, START, ethernet, ip

PAYLOAD = bytes(i * 7 % 251 for i in range(3000))
HOSTS = NEAR[0], FAR[0]
Line = tuple[float, bytes]


def fragments4(packet: bytes, size: int = 1480, number: int = 7) -> list[bytes]:
    """An IPv4 packet in fragments of `size` bytes, a multiple of eight (RFC 791 section 3.2)."""
    head, body, parts = packet[:20], packet[20:], []
    for at in range(0, len(body), size):
        part, more = body[at : at + size], at + size < len(body)
        fields = struct.pack("!HHH", 20 + len(part), number, more << 13 | at // 8)
        parts.append(head[:2] + fields + head[8:] + part)
    return parts


def fragments6(packet: bytes, size: int = 1232, before: bytes = b"") -> list[bytes]:
    """An IPv6 packet in fragments, behind a hop-by-hop header if `before` is one (RFC 8200 section 4.5)."""
    body, parts = packet[40:], []
    for at in range(0, len(body), size):
        part = body[at : at + size]
        header = before + struct.pack("!BBHI", packet[6], 0, at | (at + size < len(body)), 7)
        kind = 0 if before else 44
        parts.append(packet[:4] + struct.pack("!HBB", len(header + part), kind, 60) + packet[8:40] + header + part)
    return parts


def read(packets: Sequence[bytes], step: float = 0.001, size: int | None = None) -> tuple[list[Segment], Notes]:
    """What a reader makes of raw IP packets. size: bytes that the capture keeps of each."""
    notes = Notes()
    reader, found = Reader(notes), list[Segment]()
    for i, packet in enumerate(packets):
        found += reader.read(Frame(START + i * step, 101, packet[:size], len(packet)))
    found += reader.rest()
    return found, notes


WHOLE = {"IPv4": ip(NEAR, FAR, PAYLOAD), "IPv6": ip(NEAR6, FAR6, PAYLOAD)}
SPLIT = {
    "IPv4": fragments4(WHOLE["IPv4"]),
    "IPv6": fragments6(WHOLE["IPv6"]),
    "IPv6 behind options": fragments6(WHOLE["IPv6"], before=b"\x2c\0\1\4\0\0\0\0"),
}


@pytest.mark.parametrize("kind", SPLIT)
def test_fragments_in_any_order_are_one_datagram(kind: str) -> None:
    extra = 8 if "options" in kind else 0
    for order in permutations(SPLIT[kind]):
        (found,), notes = read(order)
        assert (found.payload, found.size, found.whole) == (PAYLOAD, len(WHOLE[kind[:4]]) + extra, True)
        assert found.at == START + 0.002
        assert notes.lines() == ()


def test_a_capture_counts_it_once(tmp_path: Path) -> None:
    lines = [
        (START + at, ethernet(part)) for at in (0.0, 1.0) for part in fragments4(ip(NEAR, FAR, PAYLOAD), number=int(at))
    ]
    found = trace(making.pcap(tmp_path / "fragments.pcap", lines))
    assert [(one.packets, one.bytes) for one in found.exchanges] == [(2, 2 * 3028)]
    assert (found.notes, found.damaged) == ((), False)


def test_datagrams_whose_fragments_mix_are_told_apart() -> None:
    pairs = [fragments4(ip(NEAR, FAR, bytes((i,)) * 3000), number=i) for i in range(9)]
    found, _ = read([part for parts in zip(*pairs, strict=True) for part in parts])
    assert [one.payload for one in found] == [bytes((i,)) * 3000 for i in range(9)]


def test_of_bytes_that_come_twice_the_first_are_kept() -> None:
    first, second, third = SPLIT["IPv4"]
    liar = second[:20] + b"\xff" * len(second[20:])
    longer = fragments4(ip(NEAR, FAR, b"\xee" * 3000), size=2000)[0]  # reaches into the second
    for parts in ([first, second, liar, third], [first, second, longer, third], [third, second, first, liar]):
        found, _ = read(parts)
        assert found[0].payload == PAYLOAD
        assert len(found) == 1


def test_of_the_first_fragment_alone_the_datagrams_own_header_tells_its_length() -> None:
    """A capture filter for a port lets only that pass."""
    for kind, parts in SPLIT.items():
        (found,), notes = read([parts[0]])
        assert (found.size, found.whole) == (len(WHOLE[kind[:4]]) + 8 * ("options" in kind), False)
        assert PAYLOAD.startswith(found.payload)
        assert len(found.payload) > 1200
        assert notes.lines() == ()


def test_fragments_that_the_capture_cut_have_their_length_and_the_bytes_up_to_the_cut() -> None:
    (found,), _ = read(SPLIT["IPv4"], size=1000)
    assert (found.payload, found.size, found.whole) == (PAYLOAD[: 980 - 8], 3028, False)


def test_fragments_without_their_beginning_are_counted_and_left_out() -> None:
    found, notes = read(SPLIT["IPv4"][1:])
    assert found == []
    assert notes.lines() == ("2 packets left out: fragment without its datagram's beginning",)


def test_what_waits_is_given_up_after_a_while_and_in_time_for_its_conversation() -> None:
    first = SPLIT["IPv4"][0]
    later = [ip(NEAR, FAR, bytes((i,))) for i in range(4)]
    found, _ = read([first, *later], step=0.9)
    assert [len(one.payload) for one in found] == [1, 1, 1472, 1, 1]
    assert [one.at for one in found][2] == START


def test_a_number_that_is_used_again_is_another_datagram() -> None:
    found, _ = read([*SPLIT["IPv4"], *SPLIT["IPv4"]])
    assert [one.payload for one in found] == [PAYLOAD, PAYLOAD]
    found, notes = read([SPLIT["IPv4"][0], *SPLIT["IPv4"]], step=2.5)
    assert [len(one.payload) for one in found] == [1472, 1472]  # all came too late for each other
    assert notes.lines() == ("2 packets left out: fragment without its datagram's beginning",)


@pytest.mark.parametrize(
    "bad",
    [
        SPLIT["IPv4"][0][:2] + b"\0\x14" + SPLIT["IPv4"][0][4:],  # without a byte
        SPLIT["IPv4"][0][:2] + b"\0\x15" + SPLIT["IPv4"][0][4:],  # one byte, and more to come
        SPLIT["IPv4"][2][:6] + b"\x1f\xff" + SPLIT["IPv4"][2][8:],  # beyond 65535
    ],
)
def test_a_fragment_that_can_be_none_is_left_out(bad: bytes) -> None:
    found, notes = read([bad])
    assert found == []
    assert notes.lines() == ("1 packet left out: fragment that does not add up",)


def test_memory_is_bounded_whatever_comes() -> None:
    def pieces(number: int, step: int) -> list[Piece]:
        return [Piece(START, HOSTS, number, 17, 20, at, 8, True, bytes(8)) for at in range(0, 65_000, step)]

    tracemalloc.start()
    try:
        waiting = Fragments(Notes())
        for number in range(3 * HELD):
            for piece in (*pieces(number, 4096), *pieces(number, 1 << 15)):
                waiting.add(piece)
        for piece in pieces(9999, 16)[: GAPS * 3]:
            waiting.add(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


pieces = st.builds(
    Piece,
    at=st.just(START),
    hosts=st.just(HOSTS),
    number=st.integers(0, 1),
    protocol=st.just(17),
    headers=st.just(20),
    begin=st.integers(0, 6).map(lambda unit: 8 * unit),
    length=st.integers(-1, 40),
    more=st.booleans(),
    data=st.binary(max_size=40),
)


@given(st.lists(pieces, max_size=12))
def test_no_pieces_however_they_overlap_give_more_than_they_cover(given_pieces: list[Piece]) -> None:
    waiting, given_out = Fragments(Notes()), []
    for piece in given_pieces:
        given_out += waiting.add(piece._replace(data=piece.data[: max(0, piece.length)]))
    given_out += waiting.rest()
    assert waiting.rest() == []
    for one in given_out:
        assert len(one.data) <= (one.length if one.length is not None else 88)
