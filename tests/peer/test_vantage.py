"""What a peer tries for others: catalogued targets at addresses that are theirs, and not one more."""

import socket
import threading

import msgspec
import pytest

from ringback.errors import BadInput
from ringback.peer import vantage
from ringback.trial import contrast, control
from ringback.trial.control import TrySpec
from ringback.trial.far import FarEnd, Settings
from ringback.trial.rendering import render
from ringback.trial.seam import Open
from tests.peer.asking import KNOWN, opening

OWN = {
    "web.whatsapp.com": ("157.240.0.60", "2a03:2880:f2ff:c4:face:b00c:0:167"),
    "chat.signal.org": ("13.248.212.111",),
    "www.wikipedia.org": ("185.15.59.224",),
    "example.org": ("96.7.128.175",),
}
PERMITS = vantage.Permits(KNOWN, OWN)
RUN = vantage.Lookup._run  # before the room's fixture puts it aside
TEXT = KNOWN.apps["whatsapp"].functions["text"]
WEB = TrySpec("app", "web.whatsapp.com", "157.240.0.60", 443, "tcp", "tls", "whatsapp", "text", "web.whatsapp.com")
RELAY = TrySpec("app", "157.240.193.48", "157.240.193.48", 3478, "udp", "relay-call", "whatsapp", "voice", pings=25)
DNS = TrySpec("app", "web.whatsapp.com", "192.0.2.53", 53, "udp", "dns", "whatsapp", "text", "web.whatsapp.com")
NEUTRAL = TrySpec("neutral", "www.wikipedia.org", "185.15.59.224", 443, "tcp", "tls", name="www.wikipedia.org")
SITE = TrySpec("site", "example.org", "96.7.128.175", 443, "tcp", "tls", name="example.org")


def changed(spec: TrySpec, **fields: object) -> TrySpec:
    return msgspec.structs.replace(spec, **fields)


@pytest.mark.parametrize("spec", [WEB, RELAY, DNS, NEUTRAL, SITE], ids=lambda s: f"{s.kind}-{s.form}")
def test_what_the_catalogue_knows_is_tried_as_asked(spec: TrySpec) -> None:
    assert PERMITS(spec) == spec


STRANGE = "203.0.113.77"


@pytest.mark.parametrize(
    "spec",
    [
        changed(WEB, port=22),
        changed(WEB, name="victim.example", target="victim.example"),
        changed(WEB, transport="udp"),
        changed(WEB, app="nosuch"),
        changed(WEB, function="nosuch"),
        changed(WEB, form="nosuch"),
        changed(WEB, address="not an address"),
        changed(WEB, address="localhost"),
        changed(RELAY, address=STRANGE, target=STRANGE),
        changed(RELAY, address="127.0.0.1"),
        changed(RELAY, port=53),
        changed(DNS, name="victim.example"),
        changed(DNS, name=None),
        changed(NEUTRAL, port=25),
        changed(NEUTRAL, name="victim.example", target="victim.example"),
        changed(SITE, target="victim.example", name="victim.example"),
        changed(SITE, name="victim.example"),
        changed(SITE, port=80),
        TrySpec("peer", "x", STRANGE, 443, "tcp", "tls"),
        TrySpec("neutral", STRANGE, STRANGE, 3478, "udp", "stun", pings=5),
        TrySpec("neutral", KNOWN.overlay.neutral[0], KNOWN.overlay.neutral[0], 22, "tcp", "tls"),
    ],
    ids=repr,
)
def test_anything_else_is_not_tried(spec: TrySpec) -> None:
    assert PERMITS(spec) is None


@pytest.mark.parametrize("spec", [WEB, NEUTRAL, SITE], ids=lambda s: s.kind)
def test_a_name_is_tried_where_this_peer_finds_it_not_where_the_asker_says(spec: TrySpec) -> None:
    assert PERMITS(changed(spec, address=STRANGE)) == changed(spec, address=OWN[spec.target][0])
    assert PERMITS(changed(spec, address="10.0.0.1")) == changed(spec, address=OWN[spec.target][0])


def test_the_family_asked_for_is_kept() -> None:
    six = changed(WEB, address="2001:db8::1")
    assert PERMITS(six) == changed(WEB, address=OWN["web.whatsapp.com"][1])
    assert PERMITS(changed(SITE, address="2001:db8::1")) is None


def test_an_address_of_the_apps_own_prefix_is_tried_but_not_one_of_another_apps() -> None:
    inside = changed(WEB, address="157.240.7.7")
    assert PERMITS(inside) == inside
    signal = changed(WEB, app="signal", target="chat.signal.org", name="chat.signal.org", address="157.240.7.7")
    assert KNOWN.apps["signal"].functions["text"].app_port["tls"] == 443
    assert PERMITS(signal) == changed(signal, address="13.248.212.111")


def test_a_name_that_this_peer_could_not_look_up_is_not_tried_elsewhere() -> None:
    assert vantage.Permits(KNOWN, {})(changed(SITE, address=STRANGE)) is None


def test_every_try_of_the_lab_is_permitted_in_the_lab() -> None:
    overlay = KNOWN.overlay
    everything = {**overlay.hosts, **overlay.sites}
    wanted = contrast.targets(
        KNOWN,
        list(KNOWN.apps),
        ["text", "media", "voice"],
        everything.get,
        lambda app: overlay.relays[app],
        overlay.neutral,
        list(overlay.sites),
        overlay.resolver,
    )
    assert len(wanted) > 50
    assert [spec for spec in wanted if PERMITS(spec) != spec] == []


def test_the_far_end_makes_the_permitted_tries_only() -> None:
    settings = Settings(
        {"udp": [40_000], "tcp": [41_000]}, bytes, lambda message: b"", b"", resolver="192.0.2.53", permit=PERMITS
    )
    far = FarEnd(settings, lambda spec, seed, replays: render(spec, seed, replays, KNOWN))
    grant = control.decode(far.answer("open", control.encode(opening()), "192.0.2.10", 0.0), control.Grant, "test")
    tries = [WEB, changed(RELAY, address=STRANGE), DNS, changed(SITE, address="127.0.0.1")]
    far.answer("vantage", control.encode(control.VantageRequest(grant.session, tries)), "192.0.2.10", 0.0)
    opened = []
    while (at := far.wake_at) is not None and at < 30.0:
        opened += [command for command in far.wake(max(at, 0.0)) if isinstance(command, Open)]
    assert [(o.host, o.port) for o in opened] == [("157.240.0.60", 443), ("192.0.2.53", 53), ("96.7.128.175", 443)]
    body = control.encode(control.CloseRequest(grant.session))
    answer = control.decode(far.answer("vantage-result", body, "192.0.2.10", 31.0), control.VantageAnswer, "test")
    assert answer.done
    assert [one.target for one in answer.tries] == ["web.whatsapp.com", "web.whatsapp.com", "example.org"]


def test_a_request_that_is_put_again_makes_no_second_tries() -> None:
    far = FarEnd(
        Settings({"udp": [40_000], "tcp": [41_000]}, bytes, lambda message: b"", b"", permit=lambda spec: None),
        lambda spec, seed, replays: render(spec, seed, replays, KNOWN),
    )
    grant = control.decode(far.answer("open", control.encode(opening()), "192.0.2.10", 0.0), control.Grant, "test")
    once = control.encode(control.VantageRequest(grant.session, [WEB] * 100, 7))
    for _ in range(6):  # 400 are the most
        far.answer("vantage", once, "192.0.2.10", 0.0)
    another = control.encode(control.VantageRequest(grant.session, [WEB] * 301, 8))
    with pytest.raises(BadInput, match="400 tries"):
        far.answer("vantage", another, "192.0.2.10", 0.0)


def test_tries_of_a_session_are_counted() -> None:
    far = FarEnd(
        Settings({"udp": [40_000], "tcp": [41_000]}, bytes, lambda message: b"", b"", permit=lambda spec: None),
        lambda spec, seed, replays: render(spec, seed, replays, KNOWN),
    )
    grant = control.decode(far.answer("open", control.encode(opening()), "192.0.2.10", 0.0), control.Grant, "test")

    def ask(*tries: TrySpec) -> None:
        far.answer("vantage", control.encode(control.VantageRequest(grant.session, list(tries))), "192.0.2.10", 0.0)

    for _ in range(4):
        ask(*[WEB] * 100)
    with pytest.raises(BadInput, match="400 tries"):
        ask(WEB)
    with pytest.raises(BadInput, match="600 pings"):
        ask(changed(RELAY, pings=601))
    for hurried in (changed(RELAY, every=0.001), changed(WEB, patience=60.0)):
        with pytest.raises(BadInput, match="more often or longer"):
            ask(hurried)


def test_pings_of_a_session_are_counted() -> None:
    far = FarEnd(
        Settings({"udp": [40_000], "tcp": [41_000]}, bytes, lambda message: b"", b"", permit=lambda spec: None),
        lambda spec, seed, replays: render(spec, seed, replays, KNOWN),
    )
    grant = control.decode(far.answer("open", control.encode(opening()), "192.0.2.10", 0.0), control.Grant, "test")
    body = control.encode(control.VantageRequest(grant.session, [changed(RELAY, pings=600)] * 34))
    with pytest.raises(BadInput, match="20000 pings"):
        far.answer("vantage", body, "192.0.2.10", 0.0)


def test_a_name_that_points_inwards_is_not_followed() -> None:
    assert vantage.public(["10.0.0.1", "127.0.0.1", "157.240.0.60", "fe80::1", "169.254.169.254"]) == ("157.240.0.60",)


def test_names_to_look_up_are_the_catalogues() -> None:
    names = vantage.names_of(KNOWN)
    assert len(names) == len(set(names))
    assert {"web.whatsapp.com", "www.wikipedia.org", "example.org"} <= set(names)


def test_names_are_looked_up_beside_the_peers_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolver(name: str, port: None, type: int) -> list[tuple]:
        if name == "gone.example":
            raise socket.gaierror("no such name")
        if name == "last.example":
            done.set()
        return [(socket.AF_INET, type, 0, "", (address, 0)) for address in ("157.240.0.60", "10.0.0.1")]

    done = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(vantage.Lookup, "_run", RUN)
    with vantage.Lookup(["first.example", "gone.example", "last.example"]) as lookup:
        assert done.wait(5)
        (thread,) = (t for t in threading.enumerate() if t.name == "ringback-names")
        assert thread.daemon, "a slow resolver must not hold up the end of the process"
    thread.join(5)
    assert lookup.addresses == {"first.example": ("157.240.0.60",), "last.example": ("157.240.0.60",)}
