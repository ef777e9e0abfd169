"""One site, judged anew from the raw keys of web_connectivity (OONI spec, ts-017) against its control.

The control asked for the same URL from elsewhere at the same time. Where it failed too, nothing is said. What the
probe's version concluded (`blocking`, `accessible`) is not read. A page that only differs is not called blocked: pages
differ by country; but a private address in place of a public one, a name that is denied, a connection that is cut while
the control's is not, and a plain-HTTP redirect to a stranger's page that shares neither title nor length are.
"""

import html
import re
from urllib.parse import urlsplit

import msgspec

from ringback.collect.importing.ooni_shapes import Request, Scalar, Tcp, TcpStatus, TestKeys
from ringback.collect.importing.scrubbing import address_kind, number
from ringback.collect.importing.tries import CAUSED, Conclusion

SAME_LENGTH = 0.7  # share of the control's length from which a body counts as the same (OONI's own threshold)
_TITLE = re.compile(r"<title[^>]*>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)


def judge(keys: TestKeys, asked: str | None) -> tuple[Conclusion, str | None]:
    """The conclusion, and the failure that it rests on. asked: host of the URL."""
    if keys.control is None or keys.control_failure or keys.control.dns is None:
        return Conclusion("insufficient", reason="no-control"), None
    resolved = {one for one in keys.control.dns.addrs or [] if address_kind(one) == "public"}
    answered = keys.control.http_request
    fetched = answered is not None and not answered.failure and (number(answered.status_code) or 0) > 0
    if not (resolved or fetched):
        return Conclusion("insufficient", reason="control-failed"), None
    named = _name(keys) if resolved else None
    if named is not None:
        return named
    if not fetched:
        return Conclusion("insufficient", reason="control-failed"), None
    return _connection(keys) or _page(keys, asked)


def _name(keys: TestKeys) -> tuple[Conclusion, str] | None:
    """The name's answers, where the control had a public address for it."""
    failures = [q.failure for q in keys.queries or [] if q]
    kinds = {address_kind(a.ipv4 or a.ipv6) for q in keys.queries or [] if q for a in q.answers or [] if a} - {None}
    if kinds == {"private"}:
        return Conclusion("restricted", "dns", "dns", "forged-answer"), "dns_bogon_error"
    if not kinds and failures and all(isinstance(f, str) and CAUSED.get(f) == "dns" for f in failures):
        return Conclusion("restricted", "dns", "dns", "name-denied"), str(failures[0])
    return None


def _connection(keys: TestKeys) -> tuple[Conclusion, str | None] | None:
    """A connection that failed where the control's did not; None where a page came."""
    rows = [row for row in keys.tcp_connect or [] if row and _control_connected(keys, row)]
    failures = [f for row in rows if (f := _failure(row)) is not None]
    if rows and len(failures) == len(rows):
        if all(CAUSED.get(f) not in (None, "dns") for f in failures):
            mechanism = CAUSED[failures[0]]
            if mechanism == "drop" and len(failures) < 2:  # one time-out alone is noise
                return Conclusion("insufficient", reason="few-tries"), failures[0]
            return Conclusion("restricted", mechanism, "destination", "all-tries-failed"), failures[0]
        return Conclusion("insufficient", reason="probe-failed"), failures[0]
    shaken = [f.failure for f in keys.tls_handshakes or [] if f and f.failure]
    failure = keys.http_experiment_failure or next((r.failure for r in keys.requests or [] if r), None)
    if not failure:
        return None
    said = str(failure)
    mechanism = CAUSED.get(said, "unknown")
    if rows and mechanism not in ("unknown", "dns"):
        return Conclusion("restricted", mechanism, "sni" if said in shaken else None, "cut-after-connecting"), said
    return Conclusion("insufficient", reason="probe-failed"), said


def _page(keys: TestKeys, asked: str | None) -> tuple[Conclusion, None]:
    """A page came: is it the control's?"""
    control = keys.control.http_request if keys.control else None
    pages = [r for r in keys.requests or [] if r and r.response]
    if control is None or not pages or pages[0].response is None:
        return Conclusion("insufficient", reason="no-tries"), None
    title = _titles_match(keys, pages[0], control.title)
    long = (number(keys.body_proportion) or 0.0) >= SAME_LENGTH
    if title is False and not long and _led_away(pages, asked):
        return Conclusion("restricted", "unknown", "payload", "redirected"), None
    same_code = number(pages[0].response.code) == number(control.status_code)
    if same_code and (title or long or keys.headers_match is True):
        return Conclusion("working"), None
    return Conclusion("insufficient", reason="page-differs"), None


def _control_connected(keys: TestKeys, row: Tcp) -> bool:
    table = (keys.control.tcp_connect if keys.control else None) or {}
    there = table.get(f"{row.ip}:{row.port}") or table.get(f"[{row.ip}]:{row.port}")
    return there is not None and there.status is True


def _failure(row: Tcp) -> str | None:
    if isinstance(row.status, TcpStatus):
        return str(row.status.failure) if row.status.failure else None
    return "unknown_failure"


def _titles_match(keys: TestKeys, page: Request, control: Scalar) -> bool | None:
    """From the body where it holds a title, else what the probe compared; None where neither is known."""
    body: object = None
    if page.response is not None and len(page.response.body):
        try:
            body = msgspec.json.decode(page.response.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body = None
    found = _TITLE.search(body[:200_000]) if isinstance(body, str) else None
    if found and isinstance(control, str) and control.strip():
        return _plain(found[1]) == _plain(control)
    return keys.title_match if isinstance(keys.title_match, bool) else None


def _plain(title: str) -> str:
    return " ".join(html.unescape(title).split()).casefold()


def _led_away(pages: list[Request], asked: str | None) -> bool:
    """Did a redirect over plain HTTP end at a host that has no part of its name in common with the one asked for?"""
    if asked is None or not any(_url(p).startswith("http://") for p in pages[1:]):
        return False
    try:
        ended = urlsplit(_url(pages[0])).hostname or ""
    except ValueError:
        return False
    return bool(ended) and address_kind(ended) is None and not (_labels(ended) & _labels(asked))


def _labels(name: str) -> set[str]:
    """Without the top level and what stands in every name."""
    return {part for part in name.partition(":")[0].split(".")[:-1] if part not in {"www", "m", "com", "co", "org"}}


def _url(page: Request) -> str:
    url = page.request.url if page.request else None
    return url if isinstance(url, str) else ""
