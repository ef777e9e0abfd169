"""The lab's hosts outside: each messenger's relays and servers, neutral hosts, sites and the resolver.

They answer as the real ones answer somebody without an account, and keep no state: what looks random is drawn from the
request itself. A host of an app that is down is not there at all.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringback.catalogue import Catalogue, FunctionEntry, PortRange, Vpn
from ringback.flow import exits
from ringback.flow.tries import reflector_pong, stun_pong
from ringback.sim.host import Host, Reply
from ringback.wire import Malformed, dns, mtproto, noise, stun, telegram, tls
from ringback.wire.stun_attributes import ErrorCode, build

DatagramAnswer = Callable[[bytes, tuple[str, int]], bytes | None]
StreamAnswer = Callable[[bytes], Reply]

BINDING, ALLOCATE, WHATSAPP_PING = (stun.TYPES[name] for name in ("binding", "allocate", "whatsapp-ping"))
STUN_PORT, DNS_PORT, HTTPS_PORT, HTTP_PORT = 3478, 53, 443, 80
FLIGHT = 3900  # bytes of a server's encrypted extensions, certificate and Finished, about those of a web server
CERTIFICATE = 257  # bytes of a Noise server's certificate chain; its hello has then 350 B
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"
DECODE_ERROR = tls.Alert(2, 50)  # RFC 8446 section 6.2
SEALED_ALERT = 19  # bytes of an alert as TLS 1.3 seals it: 2 + 1 + 16
NO_SUCH_KEY = (-404).to_bytes(4, "little", signed=True)  # MTProto's transport error for an unknown key
YEAR_2026 = 1_767_225_600


@dataclass(frozen=True)
class Answering:
    """A host by what it answers. udp, tcp: the ports on which it listens."""

    udp: tuple[PortRange, ...] = ()
    tcp: tuple[PortRange, ...] = ()
    answer: DatagramAnswer = lambda data, source: None
    converse: StreamAnswer = lambda received: Reply()

    def listens(self, transport: str, port: int) -> bool:
        return any(port in ports for ports in (self.udp if transport == "udp" else self.tcp))

    def datagram(self, port: int, data: bytes, source: tuple[str, int], now: float) -> Sequence[bytes]:
        answer = self.answer(data, source)
        return () if answer is None else (answer,)

    def stream(self, port: int, received: bytes) -> Reply:
        return self.converse(received)


def hosts_of(catalogue: Catalogue, down: frozenset[str] = frozenset()) -> dict[str, Host]:
    """Every host of the lab but the peer and the VPN's exit, by address; apps in `down` have none."""
    overlay = catalogue.overlay
    resolver = _resolver({**overlay.hosts, **overlay.sites})
    hosts: dict[str, Host] = {overlay.resolver: Answering((_port("udp", DNS_PORT),), answer=resolver)}
    web = (_port("tcp", HTTPS_PORT), _port("tcp", HTTP_PORT))
    for address in overlay.neutral:
        hosts[address] = Answering((_port("udp", STUN_PORT),), web, _binding, _web)
    for address in overlay.sites.values():
        if address in hosts:  # a site on a neutral host
            continue
        hosts[address] = Answering(tcp=web, converse=_web)
    for app in catalogue.apps.values():
        if app.name in down:
            continue
        for entry in app.functions.values():
            addresses = {overlay.hosts[name] for name in entry.names if name in overlay.hosts}
            if entry.name == "voice":
                addresses |= set(overlay.relays[app.name])
            host = _relay(app.name, entry) if entry.name == "voice" else _server(app.name, entry)
            hosts.update(dict.fromkeys(sorted(addresses), host))
    return hosts


def exit_of(vpn: Vpn) -> Host:
    """The VPN's exit, as it is to those who hold none of its keys: one that tells nobody apart, at its own port."""
    return Answering((_port("udp", vpn.app_port),), answer=lambda data, source: exits.accepted(data))


def _port(transport: str, port: int) -> PortRange:
    return PortRange("udp" if transport == "udp" else "tcp", port, port)


def _only(entry: FunctionEntry, transport: str) -> tuple[PortRange, ...]:
    return tuple(ports for ports in entry.ports if ports.transport == transport)


def _binding(data: bytes, source: tuple[str, int]) -> bytes | None:
    """STUN's Binding alone."""
    return stun_pong(data, *source) if stun.looks_like(data) and stun.type_of(data) == BINDING else None


# -- relays -----------------------------------------------------------------------------------------------------


def _relay(app: str, entry: FunctionEntry) -> Answering:
    realm = entry.marks.get("realm")

    def answer(data: bytes, source: tuple[str, int]) -> bytes | None:
        if telegram.looks_like_hello(data):
            return reflector_pong(data, *source) if app == "telegram" else None
        kind = stun.type_of(data) if stun.looks_like(data) else None
        if kind == WHATSAPP_PING:
            return stun_pong(data, *source) if app == "whatsapp" else None
        if kind == ALLOCATE:
            # A relay that goes by tokens is silent to one that it never gave out; a TURN server asks who it is.
            asked = stun.decode(data)
            return _challenge(asked, realm) if realm and isinstance(asked, stun.Message) else None
        return stun_pong(data, *source) if kind == BINDING else None

    return Answering(_only(entry, "udp"), answer=answer)


def _challenge(asked: stun.Message, realm: str) -> bytes:
    """401 with realm and nonce (RFC 8489 section 9.2.4)."""
    nonce = hashlib.blake2s(asked.transaction).hexdigest()[:16]
    attributes = (
        build("ERROR-CODE", ErrorCode(401, "Unauthorized")),
        build("NONCE", nonce),
        build("REALM", realm),
    )
    return stun.encode(stun.Message(stun.TYPES["allocate-error"], asked.transaction, attributes))


# -- servers ----------------------------------------------------------------------------------------------------


def _server(app: str, entry: FunctionEntry) -> Answering:
    own = {"noise": _noise, "obfuscated": _obfuscated}
    spoken = [own[form] for form in entry.forms if form in own]

    def converse(received: bytes) -> Reply:
        if not spoken or tls.looks_like(received) or len(received) < 3:
            return _web(received)
        return spoken[0](received)

    return Answering(tcp=_only(entry, "tcp"), converse=converse)


def _web(received: bytes) -> Reply:
    """TLS, or HTTP in the clear. Garbage gets an alert and a close, as from a web server."""
    if received[:4] in (b"GET ", b"HEAD"):
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
        return Reply(page, close=True) if received.endswith(b"\r\n\r\n") else Reply()
    end = 0
    while True:
        hello = tls.decode_hello(received[:end])
        if isinstance(hello, tls.Hello):
            break
        if hello.reason != "truncated":
            return Reply(tls.encode_alert(DECODE_ERROR), close=True)
        record = tls.decode_record(received[end:])
        if isinstance(record, Malformed):
            broken = record.reason != "truncated"
            return Reply(tls.encode_alert(DECODE_ERROR), close=True) if broken else Reply()
        end += record[2]
    if end != len(received):  # answered when the hello was complete
        return _refuse_sealed(received[end:])
    drawn = _drawn(received, 64 + FLIGHT)
    server = tls.server_hello(hello, drawn[:32], drawn[32:64])
    return Reply(server + CHANGE_CIPHER_SPEC + tls.records(tls.APPLICATION_DATA, drawn[64:]))


def _refuse_sealed(received: bytes) -> Reply:
    """What follows the hello is encrypted under keys that this server can't have: it says so and leaves."""
    at = 0
    while not isinstance(record := tls.decode_record(received[at:]), Malformed):
        if record[0] == tls.APPLICATION_DATA:
            return Reply(tls.records(tls.APPLICATION_DATA, _drawn(received, SEALED_ALERT)), close=True)
        at += record[2]
    return Reply()


def _noise(received: bytes) -> Reply:
    opening = noise.decode_opening(received)
    if isinstance(opening, Malformed):
        return Reply(close=opening.reason != "truncated")
    if opening[1] != len(received):  # no finish of a stranger's decrypts: the server leaves
        return Reply(close=not isinstance(noise.unframe(received[opening[1] :]), Malformed))
    drawn = _drawn(received, 80 + CERTIFICATE)
    return Reply(noise.encode_server_hello(noise.ServerHello(drawn[:32], drawn[32:80], drawn[80:])))


def _obfuscated(received: bytes) -> Reply:
    """Answers the first request of a key exchange, and a message under a key that it does not know with an error; to
    anything else a data centre says nothing."""
    opening = mtproto.parse_opening(received)
    if isinstance(opening, Malformed):
        return Reply()
    crypt = mtproto.Obfuscation(opening, client=False)
    plain = crypt.open(received[mtproto.OPENING_LENGTH :])
    frame = mtproto.unframe(opening.tag, plain)
    if isinstance(frame, Malformed):
        return Reply()
    asked = mtproto.decode(frame[0])
    if not isinstance(asked, mtproto.ReqPq):
        return Reply()
    drawn = _drawn(received[: mtproto.OPENING_LENGTH + frame[1]], 48)
    keys = tuple(int.from_bytes(drawn[24 + 8 * i : 32 + 8 * i], "big") for i in range(3))
    answer = mtproto.ResPq(YEAR_2026 << 32 | 1, asked.nonce, drawn[:16], drawn[16:24], keys)
    first = crypt.seal(mtproto.frame(opening.tag, mtproto.encode(answer)))
    if frame[1] == len(plain):
        return Reply(first)
    if isinstance(mtproto.unframe(opening.tag, plain[frame[1] :]), Malformed):
        return Reply()
    return Reply(crypt.seal(mtproto.frame(opening.tag, NO_SUCH_KEY)), close=True)


def _drawn(seed: bytes, size: int) -> bytes:
    return hashlib.shake_128(b"host" + seed).digest(size)


# -- resolver ---------------------------------------------------------------------------------------------------


def _resolver(names: dict[str, str]) -> DatagramAnswer:
    """Knows the overlay's names; any other does not exist."""

    def answer(data: bytes, source: tuple[str, int]) -> bytes | None:
        asked = dns.decode(data)
        if isinstance(asked, Malformed) or asked.flags & dns.RESPONSE or not asked.questions:
            return None
        question = asked.questions[0]
        address = names.get(question.name.lower())
        if address is None:
            return dns.encode(dns.answer(asked, rcode=dns.NXDOMAIN))
        return dns.encode(dns.answer(asked, (address,) if question.type == dns.A else ()))

    return answer
