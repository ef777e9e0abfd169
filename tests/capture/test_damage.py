"""No frame, however broken, crashes what reads it, whatever link it came over and whatever was in it."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from ringback.capture.files import Frame
from ringback.capture.notes import Notes
from ringback.capture.packets import Reader
from tests.capture.making import FAR, FAR6, NEAR, NEAR6, ip, segment
from tests.capture.test_fragments import SPLIT
from tests.capture.test_links import LINKS
from tests.capture.test_packets import GRE, PACKET, PACKET6

PACKETS = {
    "UDP": PACKET,
    "UDP over IPv6": PACKET6,
    "TCP": segment(NEAR, FAR, 7, b"data"),
    **{kind: ip(NEAR6, FAR6, head + PACKET, 47) for kind, head in GRE.items()},
    "IP in IP": ip(NEAR, FAR, ip(NEAR6, FAR6, PACKET, 4), 41),
    **{f"{kind}, piece {i}": part[:120] for kind, parts in SPLIT.items() for i, part in enumerate(parts)},
    "headers": PACKET6[:4]
    + struct.pack("!HBB", 39, 0, 60)
    + PACKET6[8:40]
    + b"\x2b\0"
    + bytes(6)
    + b"\x3c\1"
    + bytes(14),
}
changes = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=8)
frames = st.tuples(
    st.sampled_from(sorted(LINKS)), st.sampled_from(sorted(PACKETS)), changes, st.integers(0, 130), st.floats(0, 9)
)


@given(st.lists(frames, min_size=1, max_size=8))
def test_no_frame_crashes_the_reader(
    seen: list[tuple[str, str, list[tuple[int, int]], int, float]],
) -> None:
    reader, found = Reader(Notes()), []
    for link, packet, changed, cut, at in seen:
        number, head = LINKS[link]
        data = bytearray(head + PACKETS[packet])
        for where, value in changed:
            data[where % len(data)] = value
        found += reader.read(Frame(at, number, bytes(data[: len(data) - cut]) if cut > 65 else bytes(data), len(data)))
    found += reader.rest()
    assert all(len(one.payload) <= one.size for one in found)
