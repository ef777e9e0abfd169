"""Valid messages of every codec, and mutations of them: what the room's tests throw at all decoders."""

import random
from collections.abc import Callable, Iterator

from ringback.wire import (
    dns,
    mtproto,
    noise,
    openvpn,
    protobuf,
    rtcp,
    rtp,
    stun,
    stun_attributes,
    telegram,
    tls,
    whatsapp,
    wireguard,
)
from ringback.wire.stun_attributes import Endpoint

KEY, TX, RELAY = b"k" * 16, bytes(range(12)), Endpoint("192.0.2.7", 3478)


def _read_all(data: bytes) -> object:
    message = stun.decode(data)
    if isinstance(message, stun.Message):
        for name in stun_attributes.CODES:
            stun_attributes.read(message, name)
        stun.integrity_holds(message, KEY)
        stun.fingerprint_holds(message)
    return message


def _rtp_all(data: bytes) -> object:
    packet = rtp.decode(data)
    if isinstance(packet, rtp.Packet):
        rtp.unpadded(packet)
        if packet.extension:
            rtp.elements(packet.extension)
    return packet


def _tls_all(data: bytes) -> object:
    hello = tls.decode_hello(data)
    if isinstance(hello, tls.Hello):
        hello.server_name, hello.alpn, hello.versions, hello.ja3  # noqa: B018 - reading is the test
    return hello


def _dns_all(data: bytes) -> object:
    message = dns.decode(data)
    if isinstance(message, dns.Message):
        assert len([record.address for record in message.answers]) == len(message.answers)
        assert message.cookie is None or len(message.cookie) <= len(data)
        if message.questions:
            dns.answer(message, ("192.0.2.1", "2001:db8::1"))
    return message


DECODERS: dict[str, Callable[[bytes], object]] = {
    "stun": _read_all,
    "channel": stun.decode_channel,
    "rtp": _rtp_all,
    "rtcp": rtcp.decode,
    "telegram": telegram.decode,
    "mtproto": mtproto.decode,
    "opening": mtproto.parse_opening,
    "abridged": lambda data: mtproto.unframe(mtproto.ABRIDGED, data),
    "padded": lambda data: mtproto.unframe(mtproto.PADDED, data),
    "noise": noise.decode_opening,
    "noise-handshake": noise.decode_handshake,
    "protobuf": protobuf.decode,
    "tls": _tls_all,
    "alert": tls.decode_alert,
    "dns": _dns_all,
    "wireguard": wireguard.decode,
    "openvpn": openvpn.decode,
    "openvpn-auth": lambda data: openvpn.decode(data, 28),
}
PREDICATES = (
    stun.looks_like, stun.message_length, rtp.looks_like, rtcp.looks_like, telegram.looks_like_hello,
    noise.looks_like, tls.looks_like, wireguard.looks_like, openvpn.looks_like_reset,
)  # fmt: skip


def valid() -> list[bytes]:
    allocate = whatsapp.web_allocate(TX, b"t" * 150, [whatsapp.Stream(0, 1, 7)], RELAY, KEY)
    probe = whatsapp.bandwidth_probe(TX, 1)
    hello = tls.client_hello("example.org", bytes(32), bytes(32), bytes(32), b"abcde")
    client = tls.decode_hello(hello)
    assert isinstance(client, tls.Hello)
    query = dns.query(7, "example.org", dns.A, bytes(8))
    block = rtcp.ReportBlock(1, 2, -3, 4, 5, 6, 7)
    error = stun_attributes.build("ERROR-CODE", stun_attributes.ErrorCode(401, "Unauthorized"))
    realm = stun_attributes.build("REALM", "telegram.org")
    vpn = bytes(8)
    opening = mtproto.build_opening(bytes(range(1, 65)), mtproto.PADDED, 2)
    assert opening is not None
    return [
        stun.encode(stun.with_fingerprint(allocate)), stun.encode(probe),
        stun.encode(stun.Message(0x113, TX, (error, realm))),
        stun.encode(whatsapp.allocate_answer(allocate, Endpoint("2001:db8::7", 9), 5, KEY)),
        stun.encode(whatsapp.bandwidth_answer(probe, 5)), stun.encode_channel(stun.ChannelData(0x4001, b"abc", b"\0")),
        rtp.encode(whatsapp.silence(1, 2, 3, b"x" * 20)),
        rtp.encode(rtp.Packet(1, 2, 3, 4, b"ab\2", True, rtp.one_byte_extension([(1, b"a")]), (8, 9), True)),
        rtp.encode(rtp.Packet(1, 2, 3, 4, b"", extension=rtp.two_byte_extension([(1, b""), (2, b"ab")]))),
        rtcp.encode(rtcp.Compound((rtcp.SenderReport(1, 2, 3, 4, 5, (block,)), rtcp.Other(202, 1, bytes(8))), b"t")),
        rtcp.encode(rtcp.Compound((rtcp.ReceiverReport(1, (block, block), bytes(4)),))),
        telegram.encode(telegram.Hello(bytes(16))), telegram.encode(telegram.PeerRequest(bytes(16))),
        telegram.encode(telegram.HelloAnswer(bytes(16), 1, bytes(8), bytes(16), 5)),
        telegram.encode(telegram.PeerAnswer(bytes(16), bytes(4), 1, bytes(4), 2)),
        telegram.encode(telegram.Media(bytes(16), b"send", b"payload")),
        opening.wire, mtproto.encode(mtproto.ReqPq(1, bytes(16))),
        mtproto.encode(mtproto.ResPq(1, bytes(16), bytes(16), bytes(8), (1, 2, 3))),
        mtproto.frame(mtproto.ABRIDGED, bytes(1000)), mtproto.frame(mtproto.PADDED, bytes(40), b"abc"),
        noise.encode_opening(noise.Opening(b"\6\3", bytes(32), b"route")),
        noise.encode_server_hello(noise.ServerHello(bytes(32), bytes(48), bytes(100)))[3:],
        noise.encode_client_finish(noise.ClientFinish(bytes(48), bytes(100)))[3:],
        hello, tls.server_hello(client, bytes(32), bytes(32)), tls.encode_alert(tls.Alert(2, 40)),
        dns.encode(query), dns.encode(dns.answer(query, ("192.0.2.1", "192.0.2.2"))),
        wireguard.encode(wireguard.Initiation(1, bytes(32), bytes(48), bytes(28), bytes(16))),
        wireguard.encode(wireguard.Response(1, 2, bytes(32), bytes(16), bytes(16))),
        wireguard.encode(wireguard.CookieReply(1, bytes(24), bytes(32))),
        wireguard.encode(wireguard.Data(1, 2, bytes(32))),
        openvpn.encode(openvpn.Control(7, vpn, 0)),
        openvpn.encode(openvpn.Control(8, vpn, 0, (0,), vpn, b"", bytes(28))),
        openvpn.encode(openvpn.Control(5, vpn, None, (1, 2), vpn)), openvpn.encode(openvpn.Data(b"data", 3)),
    ]  # fmt: skip


_NASTY = (0, 1, 0x7F, 0x80, 0xC0, 0xFF)


def mutate(seeds: list[bytes], rng: random.Random, n: int) -> Iterator[bytes]:
    """`n` damaged datagrams: bytes flipped or set to edge values, cut, doubled, spliced, or made up."""
    for _ in range(n):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(6):
                case 0 if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
                case 1 if at < len(data):
                    data[at] = rng.choice(_NASTY)
                case 2:
                    del data[at:]
                case 3:
                    data[at:at] = data[: rng.randint(0, 40)]
                case 4:
                    other = rng.choice(seeds)
                    data[at:] = other[min(at, len(other)) :]
                case _:
                    data[at : at + 4] = rng.randbytes(4)
        yield bytes(data)
