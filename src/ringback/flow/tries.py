"""What is said to hosts that run no script of ours: pings to relays, openings to servers, lookups; and answers."""

from ringback import catalogue
from ringback.catalogue import FunctionEntry
from ringback.errors import BadInput
from ringback.flow import chat_stream, tls_stream
from ringback.flow.keystream import Keystream
from ringback.record import Arm, ExchangeSpec
from ringback.wire import Malformed, dns, stun, telegram
from ringback.wire.stun_attributes import Endpoint, build

_PINGS = {"whatsapp": stun.TYPES["whatsapp-ping"]}  # the others' relays answer STUN's Binding


def ping(app: str, seed: bytes, n: int) -> bytes:
    """The n-th request to a relay of `app`, 20 to 40 B: WhatsApp's ping, Telegram's hello, else a STUN Binding.

    seed: 32 bytes, fresh for each flow. Any other name (a neutral STUN server) gets a Binding.
    """
    if app == "telegram":
        tag, query = Keystream(seed, 0).block("ping tag", 16), Keystream(seed, n).block("ping", 8)
        return telegram.encode(telegram.Hello(tag, query))
    transaction = Keystream(seed, n).block("ping", 12)
    return stun.encode(stun.Message(_PINGS.get(app, stun.TYPES["binding"]), transaction))


def pong(request: bytes, source: str = "192.0.2.1", port: int = 1024) -> bytes | None:
    """What a relay answers to a `ping`, as the real ones answer without an account; None to anything else.

    source, port: where the request came from, told back in STUN's answer.
    """
    if telegram.looks_like_hello(request):
        address = bytes(10) + b"\xff\xff" + bytes(map(int, source.split(".")))
        return telegram.encode(telegram.HelloAnswer(request[:16], 0, request[32:40], address, port))
    asked = stun.decode(request) if stun.looks_like(request) else None
    if not isinstance(asked, stun.Message):
        return None
    if asked.type == stun.TYPES["whatsapp-ping"]:
        return stun.encode(stun.Message(stun.TYPES["whatsapp-pong"], asked.transaction))
    if asked.type == stun.TYPES["binding"]:
        mapped = build("XOR-MAPPED-ADDRESS", Endpoint(source, port), asked.transaction)
        return stun.encode(stun.Message(stun.TYPES["binding-success"], asked.transaction, (mapped,)))
    return None


def is_answer(request: bytes, data: bytes) -> bool:
    """Whether `data` answers this very ping: by transaction id, or by the reflector's tag and query."""
    if stun.looks_like(request):
        answers = stun.looks_like(data) and data[8:20] == request[8:20]
        return answers and data[:2] != request[:2]
    answer = telegram.decode(data)
    return isinstance(answer, telegram.HelloAnswer) and (answer.tag, answer.query) == (request[:16], request[32:40])


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


def is_opening_answer(form: str, data: bytes) -> bool:
    """Whether the first bytes from a server say that it understood: a TLS handshake record or alert, a frame, or, for
    `obfuscated`, any byte at all (they are encrypted)."""
    if form == "tls":
        return len(data) >= 3 and data[0] in (21, 22) and data[1] == 3
    if form == "noise":
        return len(data) >= 4 and data[0] == 0 and int.from_bytes(data[:3], "big") >= 1
    return len(data) >= 1


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
