"""decode(encode(x)) == x for the smaller codecs, and what each refuses."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.wire import Malformed, dns, mtproto, noise, openvpn, protobuf, rtcp, rtp, stun, telegram, tls, wireguard
from tests.wire.samples import valid

u8, u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64))
some = st.binary(max_size=60)
words = st.binary(max_size=15).map(lambda data: data * 4)


def exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


extension = st.none() | st.builds(rtp.Extension, u16, words)
packets = st.builds(
    rtp.Packet, st.integers(0, 127), u16, u32, u32, some, st.booleans(), extension,
    st.lists(u32, max_size=15).map(tuple), st.booleans(),
)  # fmt: skip
blocks = st.lists(
    st.builds(rtcp.ReportBlock, u32, u8, st.integers(-(1 << 23), (1 << 23) - 1), u32, u32, u32, u32), max_size=5
)
reports = st.one_of(
    st.builds(rtcp.SenderReport, u32, u64, u32, u32, u32, blocks.map(tuple), words),
    st.builds(rtcp.ReceiverReport, u32, blocks.map(tuple), words),
    st.builds(rtcp.Other, st.integers(202, 223), st.integers(0, 31), words.map(lambda w: w + b"ssrc"), st.booleans()),
)
frames = st.one_of(
    st.builds(telegram.Hello, exactly(16), exactly(8)),
    st.builds(telegram.PeerRequest, exactly(16)),
    st.builds(telegram.HelloAnswer, exactly(16), st.integers(-(1 << 31), (1 << 31) - 1), exactly(8), exactly(16), u32),
    st.builds(telegram.PeerAnswer, exactly(16), exactly(4), u32, exactly(4), u32),
    st.builds(telegram.Media, exactly(16), exactly(4), some),
)
guards = st.one_of(
    st.builds(wireguard.Initiation, u32, exactly(32), exactly(48), exactly(28), exactly(16), exactly(16)),
    st.builds(wireguard.Response, u32, u32, exactly(32), exactly(16), exactly(16), exactly(16)),
    st.builds(wireguard.CookieReply, u32, exactly(24), exactly(32)),
    st.builds(wireguard.Data, u32, u64, st.binary(min_size=16, max_size=99)),
)
names = st.lists(st.binary(min_size=1, max_size=20), max_size=5).map(
    lambda labels: ".".join("".join(dns._PRINTED[byte] for byte in label) for label in labels)
)
records = st.lists(st.builds(dns.Record, names, u16, some, u32, u16), max_size=3).map(tuple)
messages = st.builds(
    dns.Message, u16, u16, st.lists(st.builds(dns.Question, names, u16, u16), max_size=2).map(tuple),
    records, records, records,
)  # fmt: skip


@given(packets)
def test_rtp(packet: rtp.Packet) -> None:
    assert rtp.decode(rtp.encode(packet)) == packet


@given(st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=6))
def test_rtp_extension_elements(items: list[tuple[int, bytes]]) -> None:
    assert rtp.elements(rtp.one_byte_extension(items)) == tuple(items)
    assert rtp.elements(rtp.two_byte_extension(items)) == tuple(items)
    assert isinstance(rtp.elements(rtp.Extension(0xDEBE)), Malformed)


@given(st.lists(reports, min_size=1, max_size=4))
def test_rtcp(packets: list[rtcp.SenderReport | rtcp.ReceiverReport | rtcp.Other]) -> None:
    compound = rtcp.Compound(tuple(packets))
    assert rtcp.decode(rtcp.encode(compound)) == compound


@given(frames)
def test_telegram(frame: telegram.Frame) -> None:
    assert telegram.decode(telegram.encode(frame)) == frame


@given(guards)
def test_wireguard(message: wireguard.Data) -> None:
    assert wireguard.decode(wireguard.encode(message)) == message


@given(
    st.sampled_from((4, 7, 8, 10)),
    exactly(8),
    u32,
    st.lists(u32, max_size=4),
    exactly(8),
    some,
    u8.map(lambda b: b & 7),
)
def test_openvpn(code: int, own: bytes, number: int, acks: list[int], remote: bytes, payload: bytes, key: int) -> None:
    for auth in (b"", bytes(28)):
        packet = openvpn.Control(code, own, number, tuple(acks), remote if acks else b"", payload, auth, key)
        assert openvpn.decode(openvpn.encode(packet), len(auth)) == packet
    data = openvpn.Data(payload + b"x", number & 0xFFFFFF, key)
    assert openvpn.decode(openvpn.encode(data)) == data


@given(messages)
def test_dns(message: dns.Message) -> None:
    assert dns.decode(dns.encode(message)) == message


def test_dns_answers_its_query_and_pointers_can_not_loop() -> None:
    query = dns.query(7, "www.example.org", dns.AAAA, b"cookie78")
    answer = dns.decode(dns.encode(dns.answer(query, ("192.0.2.1", "2001:db8::1"))))
    assert isinstance(answer, dns.Message)
    assert ([r.address for r in answer.answers], answer.cookie) == (["2001:db8::1"], b"cookie78")
    assert dns.answer(query, rcode=dns.NXDOMAIN).rcode == dns.NXDOMAIN
    loop = dns.encode(dns.Message(1, 0))[:4] + b"\0\1" + bytes(6) + b"\xc0\x0c\0\1\0\1"
    assert dns.decode(loop) == Malformed("pointer not backwards", 12)
    with pytest.raises(BadInput):
        dns.encode(dns.query(1, "a..b"))


@given(exactly(64), st.sampled_from((mtproto.ABRIDGED, mtproto.INTERMEDIATE, mtproto.PADDED)), st.integers(-9, 9))
def test_obfuscated_opening(random: bytes, tag: bytes, dc: int) -> None:
    opening = mtproto.build_opening(random, tag, dc)
    if opening is None:
        return
    assert mtproto.parse_opening(opening.wire) == opening
    client, server = mtproto.Obfuscation(opening, client=True), mtproto.Obfuscation(opening, client=False)
    request = mtproto.frame(tag, mtproto.encode(mtproto.ReqPq(5, random[:16])))
    content = mtproto.unframe(tag, server.open(client.seal(request)))
    assert not isinstance(content, Malformed)
    assert mtproto.decode(content[0]) == mtproto.ReqPq(5, random[:16])
    answer = mtproto.ResPq(6, random[:16], random[16:32], random[:8], (1, 2, 3))
    assert len(mtproto.encode(answer)) == 100
    assert mtproto.decode(client.open(server.seal(mtproto.encode(answer)))) == answer


def test_forbidden_openings_are_refused() -> None:
    for start in (b"\xef", b"GET ", b"POST", b"HEAD", b"\xdd" * 4, b"\xee" * 4, b"\x16\x03\x01\x02", b"abcd\0\0\0\0"):
        random = start + b"x" * (64 - len(start))
        assert mtproto.build_opening(random, mtproto.PADDED, 2) is None
        assert mtproto.parse_opening(random) == Malformed("forbidden first bytes", 0)
    assert isinstance(mtproto.parse_opening(bytes(range(1, 65))), Malformed)


@given(exactly(2), exactly(32), st.none() | some)
def test_noise_opening(version: bytes, key: bytes, routing: bytes | None) -> None:
    opening = noise.Opening(version, key, routing)
    data = noise.encode_opening(opening)
    assert noise.decode_opening(data) == (opening, len(data))
    assert all(noise.decode_opening(data[:n]) == Malformed("truncated", n) for n in range(len(data)))
    hello = noise.ServerHello(key, key, data)
    framed = noise.unframe(noise.encode_server_hello(hello))
    assert not isinstance(framed, Malformed)
    assert noise.decode_handshake(framed[0]) == hello


@given(
    st.lists(st.builds(protobuf.number, st.integers(1, 9999), u64) | st.builds(protobuf.data, st.integers(1, 9), some))
)
def test_protobuf(fields: list[protobuf.Field]) -> None:
    assert protobuf.decode(protobuf.encode(fields)) == tuple(fields)


@given(exactly(32), exactly(5), st.sampled_from(("a.example", "media-mxp1-1.cdn.whatsapp.net", None)))
def test_hellos_of_all_names_have_one_size(random: bytes, grease: bytes, name: str | None) -> None:
    data = tls.client_hello(name, random, random, random[::-1], grease)
    hello = tls.decode_hello(data)
    assert isinstance(hello, tls.Hello)
    assert (len(data), hello.server_name, hello.alpn) == (517, name, ("h2", "http/1.1"))
    assert hello.versions == (tls.TLS13, tls.TLS12)
    assert len({kind for kind, _ in hello.extensions or ()}) == len(hello.extensions or ())
    assert not any(tls.is_grease(one) for part in hello.ja3[1:4] for one in part)
    assert tls.encode_hello(hello) == data
    answer = tls.decode_hello(tls.server_hello(hello, random, random))
    assert isinstance(answer, tls.Hello)
    assert (answer.versions, answer.session) == ((tls.TLS13,), hello.session)


def test_a_hello_in_pieces_is_read_and_a_part_is_truncated() -> None:
    data = tls.client_hello("example.org", bytes(32), b"", bytes(32), bytes(5), size=None)
    pieces = b"".join(tls.records(tls.HANDSHAKE, data[at : at + 50]) for at in range(5, len(data), 50))
    assert tls.decode_hello(pieces) == tls.decode_hello(data)
    for cut in range(1, len(data)):
        part = tls.decode_hello(data[:cut])
        assert isinstance(part, Malformed)
        assert part.reason == "truncated"
    assert tls.decode_hello(b"GET / HTTP/1.1\r\n") == Malformed("not tls", 0)
    assert tls.decode_alert(tls.encode_alert(tls.Alert(2, 40))) == tls.Alert(2, 40)
    assert len(tls.records(tls.APPLICATION_DATA, bytes(40_000))) == 40_000 + 3 * 5


def test_decoding_stays_quick() -> None:
    allocate, media = valid()[0], valid()[6]
    for decode, data, limit_us in ((stun.decode, allocate, 60), (rtp.decode, media, 30)):
        best = min(_timed(decode, data) for _ in range(5))
        print(f"{decode.__module__}: {best:.2f} us")
        assert best < limit_us, "an order of magnitude over what it takes on a slow machine"


def _timed(decode: object, data: bytes) -> float:
    assert callable(decode)
    started = time.perf_counter()
    for _ in range(1000):
        decode(data)
    return (time.perf_counter() - started) * 1000
