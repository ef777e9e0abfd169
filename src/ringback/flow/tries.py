"""What is said to hosts that run no script of ours: pings to relays, openings to servers, lookups; and answers."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from ringback import catalogue
from ringback.catalogue import FunctionEntry
from ringback.errors import BadInput
from ringback.flow import chat_stream, exits, tls_stream
from ringback.flow.keystream import Keystream
from ringback.flow.sealing import area, bare
from ringback.record import Arm, ExchangeSpec
from ringback.wire import Malformed, dns, mtproto, noise, stun, telegram, tls
from ringback.wire.stun_attributes import Endpoint, build


def _type(name: str) -> bytes:
    return stun.TYPES[name].to_bytes(2, "big")


_PINGS = {"whatsapp": stun.TYPES["whatsapp-ping"]}  # the others' relays answer STUN's Binding
_PONGS = {
    _type(ping): tuple(map(_type, pongs))
    for ping, pongs in {"whatsapp-ping": ("whatsapp-pong",), "binding": ("binding-success", "binding-error")}.items()
}
TOKEN = slice(8, 20)  # where STUN has its transaction id

Heard = Literal["more", "whole", "damaged"]
"""Of a server's answer so far: more must come; it is whole; or no server that understood has sent it like that."""

FINISHED = 53  # bytes of a TLS 1.3 Finished as it is sealed: 4 + 32 and 1 + 16 (RFC 8446, 4.4.4 and 5.2)
PAYLOAD = 150  # bytes of a Noise client's encrypted payload
MESSAGE = 152  # bytes of an MTProto message with an encrypted body
LONGEST_FRAME = 4096  # bytes; what claims to be longer is damaged
CHANGE_CIPHER_SPEC = tls.records(20, b"\x01")
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446, 4.1.3
HELLO_DONE = b"\x0e\0\0\0"  # the last message of a TLS 1.2 server's flight (RFC 5246, 7.4.5)


def pinger(app: str, seed: bytes) -> Callable[[int], bytes]:
    """n to the n-th request to a relay of `app`, 20 to 40 B: WhatsApp's ping, Telegram's hello, else a STUN Binding;
    to an exit of that VPN protocol its first message.

    seed: 32 bytes, fresh for each flow. Any other name (a neutral STUN server) gets a Binding.
    """
    if app in exits.VPNS:
        return exits.greeter(app, seed)
    numbered = Keystream.of_many(seed)
    if app == "telegram":
        tag = numbered(0).block("ping tag", 16)
        return lambda n: telegram.encode(telegram.Hello(tag, numbered(n).block("ping", 8)))
    kind = _PINGS.get(app, stun.TYPES["binding"])
    return lambda n: bare(kind, b"", numbered(n).block("ping", 12))


def ping(app: str, seed: bytes, n: int) -> bytes:
    """One of these."""
    return pinger(app, seed)(n)


def pong(request: bytes, source: str = "192.0.2.1", port: int = 1024) -> bytes | None:
    """What a relay answers to a `ping`, as the real ones answer without an account; None to anything else.

    source, port: where the request came from, told back in STUN's answer.
    """
    if telegram.looks_like_hello(request):
        return reflector_pong(request, source, port)
    return stun_pong(request, source, port) if stun.looks_like(request) else None


def reflector_pong(hello: bytes, source: str, port: int) -> bytes:
    """A reflector's answer to what looks like a hello."""
    address = bytes(10) + b"\xff\xff" + bytes(map(int, source.split(".")))
    return telegram.encode(telegram.HelloAnswer(hello[:16], 0, hello[32:40], address, port))


def stun_pong(request: bytes, source: str, port: int) -> bytes | None:
    """A relay's answer to what looks like STUN; None where it is no ping."""
    if len(request) > stun.HEADER_LENGTH and isinstance(stun.decode(request), Malformed):
        return None
    asked, transaction = stun.type_of(request), request[TOKEN]
    if asked == stun.TYPES["whatsapp-ping"]:
        return bare(stun.TYPES["whatsapp-pong"], b"", transaction)
    if asked == stun.TYPES["binding"]:
        masked_by = transaction if ":" in source else bytes(12)  # an IPv4 address meets the cookie alone
        return bare(stun.TYPES["binding-success"], _mapped(source, port, masked_by), transaction)
    return None


@lru_cache(256)  # a train has one source
def _mapped(source: str, port: int, transaction: bytes) -> bytes:
    return area((build("XOR-MAPPED-ADDRESS", Endpoint(source, port), transaction),))


def token(ping: bytes) -> bytes:
    """What a ping's answer repeats and no other ping of its flow has: transaction id, tag and query, or an index."""
    if stun.looks_like(ping):
        return ping[TOKEN]
    return exits.token(ping) or ping[:16] + ping[32:40]


def answered_token(data: bytes) -> bytes | None:
    """The `token` of the ping that `data` answers; None where it is no answer to any."""
    if stun.looks_like(data):
        return data[TOKEN]
    answer = telegram.decode(data)
    if isinstance(answer, telegram.HelloAnswer):
        return answer.tag + answer.query
    return exits.accepted_token(data)


def is_answer(request: bytes, data: bytes) -> bool:
    """Whether `data` answers this very ping, undamaged as far as can be seen."""
    return answered_token(data) == token(request) and data.startswith(answer_heads(request))


def answer_heads(request: bytes) -> tuple[bytes, ...]:
    """How an answer to this ping may begin, beside repeating its token: with the types that STUN has for it."""
    if stun.looks_like(request):
        return _PONGS[request[:2]]
    return (b"",) if exits.token(request) is None else exits.heads(request)


def opening(app: str, function: str, form: str, name: str, seed: bytes) -> bytes:
    """What a client sends first on a TCP connection to `name`: TLS ClientHello with that name, Noise opening, or
    obfuscated transport with its first request. Raises BadInput for a form that has none."""
    keystream = Keystream(seed, 0)
    if form == "tls":
        return tls_stream.client_hello(name, keystream)
    if form not in ("noise", "obfuscated"):
        raise BadInput(f"`{form}` opens no stream", "form")
    entry: FunctionEntry = catalogue.load().apps[app].functions[function]
    spec = ExchangeSpec(
        0, app, function, None, None, form, Arm("original", "app"), "tcp", entry.app_port[form], 10.0
    )  # fmt: skip
    writer = {"noise": chat_stream.noise, "obfuscated": chat_stream.obfuscated}[form]
    return writer(spec, entry, keystream).turns[0].data


def heard(form: str, asked: bytes, data: bytes) -> Heard:
    """How far `data`, all that a server sent, is the answer to the opening `asked`. Never raises on any `data`.

    What is encrypted can't be looked into, but for Telegram's transport, whose keys the opening holds.
    """
    return {"tls": _tls_flight, "noise": _noise_hello}.get(form, _obfuscated_answer)(asked, data)


_own_hello = lru_cache(64)(tls.decode_hello)  # looked at again for each piece of the answer


def _tls_flight(asked: bytes, data: bytes) -> Heard:
    own, hello = _own_hello(asked), tls.decode_hello(data)
    if isinstance(hello, Malformed):
        return "more" if hello.reason == "truncated" else "damaged"  # an alert is one, too
    if isinstance(own, Malformed) or hello.kind != tls.SERVER_HELLO or hello.ciphers[0] not in own.ciphers:
        return "damaged"
    at, ended = 0, hello.random == RETRY
    while at < len(data):
        record = tls.decode_record(data[at:])
        if isinstance(record, Malformed):
            return "more" if record.reason == "truncated" else "damaged"
        kind, content, used = record
        sealed = kind == tls.APPLICATION_DATA
        if sealed and hello.session != own.session:  # TLS 1.3 repeats it, TLS 1.2 need not
            return "damaged"
        ended |= sealed or (kind == tls.HANDSHAKE and content.endswith(HELLO_DONE))
        at += used
    return "whole" if ended else "more"


def _noise_hello(asked: bytes, data: bytes) -> Heard:
    frame = noise.unframe(data)
    if isinstance(frame, Malformed):
        return "damaged" if len(data) >= 3 and int.from_bytes(data[:3], "big") > LONGEST_FRAME else "more"
    hello = noise.decode_handshake(frame[0])
    sound = isinstance(hello, noise.ServerHello) and (len(hello.ephemeral), len(hello.static)) == (32, 48)
    return "whole" if sound else "damaged"


def _obfuscated_answer(asked: bytes, data: bytes) -> Heard:
    opening = mtproto.parse_opening(asked)
    if isinstance(opening, Malformed):
        return "damaged"
    own = _message(opening.tag, mtproto.Obfuscation(opening, client=False).open(asked[mtproto.OPENING_LENGTH :]))
    plain = mtproto.Obfuscation(opening, client=True).open(data)
    if isinstance(mtproto.unframe(opening.tag, plain), Malformed):
        return "damaged" if len(plain) >= 4 and _length(plain) > LONGEST_FRAME else "more"
    answer = _message(opening.tag, plain)
    repeats = isinstance(answer, mtproto.ResPq) and isinstance(own, mtproto.ReqPq) and answer.nonce == own.nonce
    return "whole" if repeats else "damaged"


def _length(plain: bytes) -> int:
    return int.from_bytes(plain[:4], "little") & 0x7FFFFFFF


def _message(tag: bytes, plain: bytes) -> mtproto.ReqPq | mtproto.ResPq | Malformed:
    frame = mtproto.unframe(tag, plain)
    return frame if isinstance(frame, Malformed) else mtproto.decode(frame[0])


def closing(form: str, asked: bytes, seed: bytes) -> bytes:
    """What follows a server's answer as a client's next would, with nothing in it that the server could accept: it
    says so, or leaves. seed: 32 bytes or more."""
    keystream = Keystream(seed, 1)
    if form == "tls":
        return CHANGE_CIPHER_SPEC + tls.records(tls.APPLICATION_DATA, keystream.block("finished", FINISHED))
    if form == "noise":
        free = keystream.block("finish", 48 + PAYLOAD)
        return noise.encode_client_finish(noise.ClientFinish(free[:48], free[48:]))
    opening = mtproto.parse_opening(asked)
    if isinstance(opening, Malformed):
        raise BadInput("not an opening", "tries.closing")
    crypt = mtproto.Obfuscation(opening, client=True)
    crypt.seal(bytes(len(asked) - mtproto.OPENING_LENGTH))  # the first request used up so many
    return crypt.seal(mtproto.frame(opening.tag, keystream.block("message", MESSAGE)))


def dns_query(name: str, seed: bytes, n: int = 0) -> bytes:
    """The n-th query for a name's address, with an EDNS cookie."""
    keystream = Keystream(seed, n)
    return dns.encode(dns.query(keystream.number("query id", 16), name, cookie=keystream.block("cookie", 8)))


def dns_answer(request: bytes, data: bytes) -> tuple[int, tuple[str, ...]] | None:
    """The answer to this very query: (RCODE, IPv4 addresses), RCODE 3 = no such name; None for anything else.

    An answer that does not repeat the question is none. Never raises on any `data`.
    """
    asked, answer = dns.decode(request), dns.decode(data)
    if isinstance(asked, Malformed) or isinstance(answer, Malformed):
        return None
    if answer.id != asked.id or not answer.flags & dns.RESPONSE:
        return None
    if [(q.name.lower(), q.type) for q in answer.questions] != [(q.name.lower(), q.type) for q in asked.questions]:
        return None
    return answer.rcode, tuple(r.address for r in answer.answers if r.type == dns.A and r.address is not None)
