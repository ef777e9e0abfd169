"""A port that is used again begins another exchange; what only looks so does not."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from ringback.capture import trace
from tests.capture import making
from tests.capture.making import FAR, NEAR, START, ethernet, segment, talk

FIN, SYN, RST, ACK, SYN_ACK, FIN_ACK, RST_ACK, PUSH = 0x01, 0x02, 0x04, 0x10, 0x12, 0x11, 0x14, 0x18
Step = tuple[float, bool, int, int, bytes]
"""(seconds, whether near sends, sequence number, flags, payload)"""


def connection(at: float, number: int, ends: str = "fin") -> list[Step]:
    """One connection of half a second, opened by near."""
    steps = [
        (at, True, number, SYN, b""),
        (at + 0.1, False, 9000, SYN_ACK, b""),
        (at + 0.2, True, number + 1, PUSH, b"question"),
        (at + 0.3, False, 9001, PUSH, b"answer"),
    ]
    if ends == "fin":
        steps += [(at + 0.4, True, number + 9, FIN_ACK, b""), (at + 0.5, False, 9007, FIN_ACK, b"")]
    elif ends == "rst":
        steps += [(at + 0.4, False, 9007, RST, b"")]
    return steps


def counts(folder: Path, steps: Iterable[Step]) -> list[int]:
    """Packets of each exchange."""
    lines = [
        (START + at, ethernet(segment(*((NEAR, FAR) if near else (FAR, NEAR)), number & 0xFFFFFFFF, data, flags)))
        for at, near, number, flags, data in steps
    ]
    return [one.packets for one in trace(making.pcap(folder / "tcp.pcap", lines)).exchanges]


@pytest.mark.parametrize("ends", ["fin", "rst", "silence"])
@pytest.mark.parametrize("later", [1.0, 20.0, 300.0])
def test_a_handshake_with_another_number_begins_another_exchange(ends: str, later: float, tmp_path: Path) -> None:
    first, second = connection(0, 1000, ends), connection(later, 2**32 - 5, ends)
    assert counts(tmp_path, first + second) == [len(first), len(second)]


@pytest.mark.parametrize("ends", ["fin", "rst"])
def test_so_does_one_with_the_same_number_after_an_end(ends: str, tmp_path: Path) -> None:
    once = connection(0, 1000, ends)
    assert counts(tmp_path, once + connection(1, 1000, ends)) == [len(once), len(once)]


def test_a_handshake_after_the_middle_of_a_connection_begins_another(tmp_path: Path) -> None:
    assert counts(tmp_path, connection(0, 1000)[2:4] + connection(5, 7000)) == [2, 6]


def test_a_syn_that_is_sent_again_or_refused_is_the_same_attempt(tmp_path: Path) -> None:
    again = [(float(at), True, 1000, SYN, b"") for at in (0, 1, 3, 7)]
    assert counts(tmp_path, again + connection(15, 1000)) == [4 + 6]
    refused = [(at, near, 1000 * near, flags, b"") for at in (0.0, 0.5, 1.0) for near, flags in ATTEMPT]
    assert counts(tmp_path, refused) == [6]


ATTEMPT = ((True, SYN), (False, RST_ACK))


def test_two_ends_that_open_at_once_have_one_connection(tmp_path: Path) -> None:
    both = [(0.0, True, 1000, SYN, b""), (0.01, False, 9000, SYN, b""), (0.02, True, 1000, SYN_ACK, b"")]
    assert counts(tmp_path, [*both, *connection(0, 1000)[2:]]) == [7]


def test_a_syn_behind_its_answer_in_the_file_is_no_new_one(tmp_path: Path) -> None:
    steps = connection(0, 1000)
    for late in (1, 2, 4):
        assert counts(tmp_path, [*steps[1 : late + 1], steps[0], *steps[late + 1 :]]) == [6]


def test_what_comes_late_belongs_to_the_connection_that_is_over(tmp_path: Path) -> None:
    late = [(2.0, True, 1010, ACK, b""), (90.0, False, 9008, RST, b"")]
    assert counts(tmp_path, connection(0, 1000) + late) == [8]


def test_a_file_whose_packets_are_out_of_order_has_the_exchanges_of_one_in_order(tmp_path: Path) -> None:
    lines = talk([(float(at), at % 3 > 0, bytes(40)) for at in range(50)])
    for mixed in (lines[::-1], lines[25:] + lines[:25], lines[::2] + lines[1::2]):
        (one,) = trace(making.pcap(tmp_path / "mixed.pcap", mixed)).exchanges
        assert (one.start, one.seconds, one.packets) == (START, 49.0, 50)
