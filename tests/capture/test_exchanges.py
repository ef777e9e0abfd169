"""Whose exchange it was is told from its own bytes, and only from them; what can't be told is null."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringback.capture import Exchange, Trace, trace
from ringback.flow import Script, render
from ringback.wire import dns, rtp, stun
from ringback.wire.stun_attributes import build
from tests.capture import making
from tests.capture.making import DELAY, FAR, NEAR, OTHER, START, Line, ethernet, ip, script_lines, talk
from tests.flow.specs import SEED, spec

ODD_PORT = ("198.51.100.10", 20_123)
ID = bytes(range(12))


def rendered(app: str, function: str, form: str, payload: str = "original") -> Script:
    return render(spec(app, function, form, payload=payload, number=5, seconds=4.0), SEED)


def found(tmp_path: Path, lines: list[Line]) -> list[Exchange]:
    return list(trace(making.pcap(tmp_path / "capture.pcap", lines)).exchanges)


@pytest.mark.parametrize(
    ("app", "function", "form", "route"),
    [
        ("whatsapp", "voice", "relay-call", "relay"),
        ("whatsapp", "voice", "p2p-call", "p2p"),
        ("telegram", "voice", "relay-call", "relay"),
        ("signal", "voice", "relay-call", "relay"),
        ("whatsapp", "text", "noise", None),
        ("whatsapp", "text", "tls", None),
        ("whatsapp", "media", "tls", None),
        ("whatsapp", "text", "dns", None),
        ("telegram", "text", "obfuscated", None),
        ("telegram", "media", "obfuscated", None),
        ("telegram", "text", "tls", None),
        ("signal", "text", "tls", None),
    ],
)
def test_an_exchange_is_known_on_any_port_and_its_control_is_not(
    app: str, function: str, form: str, route: str | None, tmp_path: Path
) -> None:
    far = (FAR[0], 53) if form == "dns" else ODD_PORT
    (original,) = found(tmp_path, script_lines(rendered(app, function, form), far=far))
    assert (original.app, original.function, original.route) == (app, function, route)
    assert original.endpoints == ("192.0.2.10:40000", f"198.51.100.10:{far[1]}")
    (control,) = found(tmp_path, script_lines(rendered(app, function, form, "control"), far=far))
    assert (control.app, control.function) == (None, None)
    assert control.bytes == original.bytes if form != "dns" else control.packets == original.packets


def test_a_call_without_any_mark_is_a_call_of_nobody(tmp_path: Path) -> None:
    (call,) = found(tmp_path, script_lines(rendered("signal", "voice", "p2p-call")))
    assert (call.app, call.function) == (None, "voice")


def test_sizes_times_and_ends_are_those_of_the_packets(tmp_path: Path) -> None:
    (one,) = found(tmp_path, talk([(0.0, True, bytes(100)), (0.5, False, bytes(50)), (2.5, True, bytes(10))]))
    assert (one.transport, one.start, one.seconds, one.packets, one.bytes) == ("udp", START, 2.5, 3, 160 + 3 * 28)
    sixth = [(START, ethernet(ip(making.FAR6, making.NEAR6, b"x")))]
    (one,) = found(tmp_path, sixth)
    assert one.endpoints == ("[2001:db8:1::10]:3478", "[2001:db8::10]:40000")


def test_the_own_side_comes_first_also_where_the_other_spoke_first(tmp_path: Path) -> None:
    (one,) = found(tmp_path, talk([(0.0, False, bytes(40)), (0.1, True, bytes(40))]))
    assert one.endpoints == ("192.0.2.10:40000", "198.51.100.10:3478")
    # Between two public addresses it is the one that asks for a relay.
    asked = stun.encode(stun.Message(stun.TYPES["allocate"], ID))
    answered = stun.encode(stun.Message(stun.TYPES["allocate-error"], ID))
    stranger = ("203.0.113.200", 5000)
    (one,) = found(tmp_path, talk([(0.0, False, answered), (0.1, True, asked)], near=stranger))
    assert one.endpoints[0] == "203.0.113.200:5000"


@pytest.mark.parametrize(("role", "direction"), [("ICE-CONTROLLING", "outgoing"), ("ICE-CONTROLLED", "incoming")])
@pytest.mark.parametrize("by_near", [True, False])
def test_who_made_the_offer_called(role: str, direction: str, by_near: bool, tmp_path: Path) -> None:
    check = stun.encode(stun.Message(stun.TYPES["binding"], ID, (build(role, 7), build("USERNAME", "a:b"))))
    other = {"outgoing": "incoming", "incoming": "outgoing"}[direction]
    (call,) = found(tmp_path, talk([(0.0, by_near, check)]) + script_lines(rendered("whatsapp", "voice", "relay-call")))
    assert call.app == "whatsapp"
    assert call.direction == (direction if by_near else other)


def test_the_direction_of_a_call_is_null_where_nothing_tells(tmp_path: Path) -> None:
    (call,) = found(tmp_path, script_lines(rendered("whatsapp", "voice", "relay-call")))
    assert call.direction is None


def test_a_callers_socket_lends_its_name_to_its_other_calls_and_to_no_lookup(tmp_path: Path) -> None:
    marked = script_lines(rendered("whatsapp", "voice", "relay-call"))
    check = stun.encode(stun.Message(stun.TYPES["binding"], ID, (build("USERNAME", "a:b"),)))
    same_socket = talk([(1.0, True, check)], far=OTHER)
    another = talk([(1.0, True, check)], near=("192.0.2.10", 41_000), far=OTHER)
    opaque = talk([(1.0, True, b"\x07" * 60)], far=("198.51.100.12", 99))
    much_later = [(at + 3600, data) for at, data in talk([(1.0, True, check)], far=("198.51.100.13", 3478))]
    apps = {one.endpoints: one.app for one in found(tmp_path, marked + same_socket + another + opaque + much_later)}
    assert apps == {
        ("192.0.2.10:40000", "198.51.100.10:3478"): "whatsapp",
        ("192.0.2.10:40000", "198.51.100.11:3478"): "whatsapp",
        ("192.0.2.10:41000", "198.51.100.11:3478"): None,
        ("192.0.2.10:40000", "198.51.100.12:99"): None,
        ("192.0.2.10:40000", "198.51.100.13:3478"): None,
    }


def test_no_single_chance_names_an_app(tmp_path: Path) -> None:
    bare = stun.encode(stun.with_integrity(stun.Message(stun.TYPES["binding"], ID), b"key"))
    media = rtp.encode(rtp.Packet(120, 1, 1, 7, bytes(40), extension=rtp.Extension(0xDEBE)))
    ones = b"\x01" * 16 + b"\xff" * 12 + b"\xfe\xff\xff\xff" + bytes(8)  # a tag that is no tag
    for data in (bare, media, ones):
        (one,) = found(tmp_path, talk([(0.0, True, data)]))
        assert one.app is None, data


def test_a_shared_socket_pair_is_split_by_silence_and_by_an_appended_capture(tmp_path: Path) -> None:
    lines = talk([(0.0, True, bytes(40)), (59.0, False, bytes(40)), (130.0, True, bytes(40))])
    lines += talk([(20.0, True, bytes(40)), (21.0, True, bytes(40))])  # goes back in time: another capture
    assert [(one.start - START, one.packets) for one in found(tmp_path, lines)] == [(0.0, 2), (20.0, 2), (130.0, 1)]


def test_a_hello_in_pieces_and_out_of_order_is_put_together(tmp_path: Path) -> None:
    script = rendered("whatsapp", "media", "tls")
    hello = script.turns[0].data  # type: ignore[union-attr]
    pieces = [(1001 + at, hello[at : at + 100]) for at in range(0, len(hello), 100)]
    syn = [(START, ethernet(making.segment(NEAR, FAR, 1000, b"", 0x02)))]
    twice = [*pieces[:2], *pieces[3:], *pieces[1:]]  # the third is lost, and everything from the second sent again
    lines = syn + [(START + DELAY, ethernet(making.segment(NEAR, FAR, number, data))) for number, data in twice]
    (one,) = found(tmp_path, lines)
    assert (one.app, one.function, one.transport) == ("whatsapp", "media", "tcp")


def test_a_hello_whose_pieces_the_capture_mixed_up_is_put_together(tmp_path: Path) -> None:
    hello = rendered("whatsapp", "media", "tls").turns[0].data  # type: ignore[union-attr]
    assert len(hello) > 200
    number, third = 2**32 - 100, len(hello) // 3  # sequence numbers go round
    pieces = [(number + 1 + at, hello[at : at + third + 1], 0x18) for at in range(0, len(hello), third + 1)]
    syn = (number, b"", 0x02)
    for order in (
        [syn, *pieces[::-1]],
        [syn, pieces[1], pieces[0], pieces[2], pieces[0]],
        [pieces[0], syn, syn, *pieces[1:]],
        [syn, pieces[2], pieces[2], pieces[0], pieces[1]],
        [(number, hello[:50], 0x02), (number + 51, hello[50:], 0x18)],  # data with the SYN
    ):
        lines = [
            (START, ethernet(making.segment(NEAR, FAR, sequence & 0xFFFFFFFF, data, flags)))
            for sequence, data, flags in order
        ]
        (one,) = found(tmp_path, lines)
        assert (one.app, one.function) == ("whatsapp", "media")


def test_turn_over_tcp_is_a_call_by_its_realm(tmp_path: Path) -> None:
    refused = stun.Message(stun.TYPES["allocate-error"], ID, (build("REALM", "telegram.org"),))
    data = stun.encode(stun.Message(stun.TYPES["binding-success"], ID)) + stun.encode(refused)
    lines = [(START, ethernet(making.segment(FAR, NEAR, 1, data)))]
    (one,) = found(tmp_path, lines)
    assert (one.app, one.function, one.transport) == ("telegram", "voice", "tcp")


def test_a_neutral_lookup_and_a_plain_web_page_are_nobodys(tmp_path: Path) -> None:
    query = dns.encode(dns.query(7, "example.org"))
    page = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
    lines = talk([(0.0, True, query)], far=("198.51.100.53", 53))
    lines.append((START, ethernet(making.segment(NEAR, ("198.51.100.160", 80), 1, page))))
    assert [one.app for one in found(tmp_path, lines)] == [None, None]
    owned = page.replace(b"example.org", b"mmg.whatsapp.net")
    (one,) = found(tmp_path, [(START, ethernet(making.segment(NEAR, ("198.51.100.160", 80), 1, owned)))])
    assert (one.app, one.function) == ("whatsapp", "media")


def test_an_exchange_starts_with_its_earliest_packet_wherever_that_stands_in_the_file(tmp_path: Path) -> None:
    lines = script_lines(rendered("whatsapp", "voice", "relay-call"))
    (told,) = found(tmp_path, lines)
    (swapped,) = found(tmp_path, [lines[1], lines[0], *lines[2:]])
    assert (swapped.start, swapped.seconds) == (told.start, told.seconds)


def cut(lines: list[tuple[float, bytes]], size: int, folder: Path) -> Trace:
    """What a capture tells that kept `size` bytes of each frame."""
    return trace(making.pcap(folder / "cut.pcap", [(at, frame[:size]) for at, frame in lines]))


def test_datagrams_that_the_capture_cut_are_counted_and_said_to_be_cut(tmp_path: Path) -> None:
    lines = script_lines(rendered("whatsapp", "voice", "relay-call"))
    told = cut(lines, 50, tmp_path)
    short = sum(len(frame) > 50 for _, frame in lines)
    assert told.notes == (f"{short} packets are not whole in the capture: read as far as they go",)
    assert [(one.app, one.packets) for one in told.exchanges] == [(None, len(lines))]


@pytest.mark.parametrize(("app", "size"), [("whatsapp", 68), ("telegram", 96), ("signal", 128)])
def test_a_call_is_known_by_the_heads_of_its_datagrams(app: str, size: int, tmp_path: Path) -> None:
    lines = script_lines(rendered(app, "voice", "relay-call"))
    (whole,) = found(tmp_path, lines)
    (one,) = cut(lines, size, tmp_path).exchanges
    assert (one.app, one.function, one.route) == (app, "voice", "relay")
    assert (one.packets, one.bytes) == (whole.packets, whole.bytes)
    (control,) = cut(script_lines(rendered(app, "voice", "relay-call", "control")), size, tmp_path).exchanges
    assert control.app is None


def test_a_binding_that_only_looks_bare_because_it_was_cut_names_nobody(tmp_path: Path) -> None:
    sealed = stun.with_integrity(stun.Message(stun.TYPES["binding"], ID), b"key")
    longer = stun.encode(replace(sealed, attributes=(*sealed.attributes, build("USERNAME", "a:b"))))
    for size in (42 + 44, 42 + 50):
        (one,) = cut(talk([(float(at), True, longer) for at in range(4)]), size, tmp_path).exchanges
        assert (one.app, one.packets) == (None, 4)
