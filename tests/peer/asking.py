"""A participant's requests in the peer's tests: decoded answers over a real HTTP client, or straight from a far end."""

import httpx
import msgspec

from ringback import catalogue
from ringback.record import Arm, ExchangeSpec
from ringback.trial import control

KNOWN = catalogue.load()
MSGPACK = {"Content-Type": "application/msgpack"}


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=20.0)


async def post(http: httpx.AsyncClient, url: str, what: str, body: bytes) -> httpx.Response:
    return await http.post(f"{url}/v1/control/{what}", content=body, headers=MSGPACK)


async def ask(http: httpx.AsyncClient, url: str, what: str, message: msgspec.Struct, kind: type) -> msgspec.Struct:
    answer = await post(http, url, what, control.encode(message))
    assert answer.status_code == 200, answer.text
    return control.decode(answer.content, kind, what)


def opening(*ports: str) -> control.OpenRequest:
    return control.OpenRequest(control.VERSION, list(ports))


def voice_spec(
    number: int, port: int, app: str = "whatsapp", payload: str = "original", **more: object
) -> ExchangeSpec:
    arm = Arm(payload, "app")  # type: ignore[arg-type]
    spec = ExchangeSpec(number, app, "voice", "outgoing", "relay", "relay-call", arm, "udp", port, 10.5)
    return msgspec.structs.replace(spec, **more)
