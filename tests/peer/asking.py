"""A participant's requests in the peer's tests: decoded answers over a real HTTP client, or straight from a far end."""

from typing import Any

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


async def cut_off(app: Any, path: str, headers: dict[str, str]) -> int:
    """The status that an ASGI application gives a client that leaves within the body of a POST."""
    events = iter(({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))
    told: list[int] = []

    async def receive() -> dict[str, Any]:
        return next(events)

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    named = {"host": "here", "content-length": "100", **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
        "client": ("192.0.2.10", 5000), "server": ("here", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return told[0]
