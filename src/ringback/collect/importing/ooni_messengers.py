"""What OONI's messenger tests tried, counted anew from the raw keys (OONI spec, ts-018, 019, 020, 025, 029).

The tests' own verdicts are not read: they were wrong at times. A function here is what was tried: a connection to the
chat endpoints is `text`, to the hosts of pictures and files `media`, to the server that signs people up
`registration`, to the web client `web`. None of OONI's tests makes a call, so none says anything of `voice`.
"""

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import msgspec

from ringback.collect.importing.ooni_shapes import Request, TcpStatus, TestKeys
from ringback.collect.importing.scrubbing import address_kind, host
from ringback.collect.importing.tries import Tries
from ringback.record import Trigger

Endpoint = tuple[str, str]
"""(address, port)."""


class Tested(msgspec.Struct, frozen=True):
    """One function's tries. need: how many must have failed before a single measurement accuses."""

    function: str
    tries: Tries
    need: int
    trigger: Trigger | None = None
    target: str | None = None


def telegram(keys: TestKeys) -> list[Tested]:
    """`text`: POSTs to the data centres, by address; `web`: the web client.

    A POST without a TCP row for its endpoint was never tried: the probe ended after 60 s, and wrote a time-out.
    """
    reached = {endpoint(row.ip, row.port) for row in keys.tcp_connect or [] if row}
    text, web = Tries(), Tries()
    for request in _final(keys.requests):
        name, port = _asked(request)
        if address_kind(name) is None:
            if name == "web.telegram.org":
                web.add(request.failure)
        elif not request.failure or (name, port) in reached:
            text.add(request.failure)
    return [Tested("text", text, TELEGRAM_NEEDS), Tested("web", web, 1)]


TELEGRAM_NEEDS = 3  # of 12 POSTs; a probe that ended after 60 s had tried no more where each of them timed out


def whatsapp(keys: TestKeys) -> list[Tested]:
    """`text`: TCP to the chat endpoints (e1 to e16); `registration` and `web`: by HTTPS."""
    other = _addresses(keys, lambda name: name.endswith(".whatsapp.com") or name == "v.whatsapp.net")
    chat = _addresses(keys, _is_chat)
    text = Tries()
    for row in keys.tcp_connect or []:
        if row and (row.ip in chat or (not chat and row.ip not in other)):
            text.add(_tcp_failure(row.status))
    _unresolved(keys, _is_chat, text)
    registration, web = Tries(), Tries()
    for request in _final(keys.requests):
        name, _ = _asked(request)
        if name == "v.whatsapp.net":
            registration.add(request.failure)
        elif name == "web.whatsapp.com":
            web.add(request.failure)
    return [
        Tested("text", text, 3, "destination"),
        Tested("registration", registration, 1),
        Tested("web", web, 1),
    ]


def signal(keys: TestKeys) -> list[Tested]:
    """`media`: the content hosts (cdn, cdn2, cdn3); `text`: the chat service and what it needs (contacts, storage)."""
    text, media = Tries(), Tries()
    for request in _final(keys.requests):
        name, _ = _asked(request)
        if name.startswith("cdn"):
            media.add(request.failure)
        elif name.endswith((".signal.org", ".whispersystems.org")):
            text.add(request.failure)
    return [Tested("text", text, 2), Tested("media", media, 1)]


def facebook_messenger(keys: TestKeys) -> list[Tested]:
    """`text`: TCP to the services' hosts, and names that did not resolve. The STUN host is only resolved: left out."""
    text = Tries()
    for row in keys.tcp_connect or []:
        if row and address_kind(row.ip) != "private":
            text.add(_tcp_failure(row.status))
    _unresolved(keys, lambda name: not name.startswith("stun."), text)
    return [Tested("text", text, 3, "destination")]


def stun_reachability(keys: TestKeys, server: str | None) -> list[Tested]:
    """`stun`: one binding request to one server, over UDP. server: `host:port`."""
    tries = Tries()
    if keys.failure is not msgspec.UNSET:
        tries.add(keys.failure)
    return [Tested("stun", tries, 1, "transport", server or host(keys.endpoint))]


def endpoint(address: object, port: object) -> Endpoint:
    """Ports come as numbers, as strings and, from tables, as `443.0`."""
    return str(address), str(port).removesuffix(".0")


def _is_chat(name: str) -> bool:
    return name.endswith(".whatsapp.net") and name.startswith("e") and name[1:-13].isdigit()


def _tcp_failure(status: object) -> object:
    if isinstance(status, TcpStatus):
        return status.failure or (None if status.success is not False else "unknown_failure")
    return "unknown_failure"


def _asked(request: Request) -> Endpoint:
    """Host and port that a request went to; of the oldest versions, without URL, from its `Host` header."""
    asked = request.request
    url = asked.url if asked else None
    if not isinstance(url, str):
        headers = asked.headers if asked else None
        named = headers.get("Host") if isinstance(headers, dict) else None
        url = f"http://{named}/" if isinstance(named, str) else ""
    try:
        parts = urlsplit(url[:2048])
        return (parts.hostname or "").lower(), str(parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return "", ""


def _final(requests: Iterable[Request | None] | None) -> list[Request]:
    """One a host, port and scheme: OONI lists the last hop of a chain of redirects first."""
    last: dict[object, Request] = {}
    for request in requests or []:
        if request is not None:
            last.setdefault(_asked(request), request)
    return list(last.values())


def _answers(keys: TestKeys, wanted: Callable[[str], bool]) -> Iterable[tuple[str, object, list[str]]]:
    """(name, failure, addresses) of each query for a wanted name."""
    for query in keys.queries or []:
        if query and isinstance(query.hostname, str) and wanted(query.hostname.lower()):
            found = [a.ipv4 or a.ipv6 for a in query.answers or [] if a]
            yield query.hostname.lower(), query.failure, [str(one) for one in found if one]


def _addresses(keys: TestKeys, wanted: Callable[[str], bool]) -> set[object]:
    return {one for _, _, addresses in _answers(keys, wanted) for one in addresses}


def _unresolved(keys: TestKeys, wanted: Callable[[str], bool], tries: Tries) -> None:
    """A name with no public address is a failed try: a private one is a forged answer, else what the resolver said."""
    said: dict[str, list[object]] = {}
    good: set[str] = set()
    for name, failure, addresses in _answers(keys, wanted):
        kinds = {address_kind(one) for one in addresses}
        if "public" in kinds:
            good.add(name)
        forged = "private" in kinds
        said.setdefault(name, []).append("dns_bogon_error" if forged else failure or "dns_no_answer")
    for name, failures in said.items():
        if name not in good:
            tries.add(next((one for one in failures if one != "dns_no_answer"), "dns_no_answer"))
