"""The lab's hosts answer as the real ones answer somebody without an account."""

import pytest

from ringback import catalogue
from ringback.flow import tries
from ringback.lab.hosts import hosts_of
from ringback.trial.contrast import targets
from ringback.wire import dns, mtproto, noise, stun, tls
from ringback.wire.stun_attributes import Endpoint, build, read

KNOWN = catalogue.load()
OVERLAY = KNOWN.overlay
HOSTS = hosts_of(KNOWN)
SOURCE = ("192.0.2.10", 40000)
TRIES = targets(
    KNOWN,
    tuple(KNOWN.apps),
    ("text", "media", "voice"),
    lambda name: OVERLAY.hosts.get(name) or OVERLAY.sites.get(name),
    lambda app: OVERLAY.relays[app],
    OVERLAY.neutral,
    KNOWN.sites,
    OVERLAY.resolver,
)


def test_every_try_of_a_session_finds_its_host_and_is_answered() -> None:
    assert len({t.app for t in TRIES}) == len(KNOWN.apps) + 1
    for one in TRIES:
        host = HOSTS[one.address]
        assert host.listens(one.transport, one.port), one
        if one.transport == "tcp":
            opening = tries.opening(one.app or "", one.function or "", one.form, one.name or "", bytes(32))
            assert tries.heard(one.form, opening, host.stream(one.port, opening).send) == "whole", one
        elif one.form == "dns":
            query = tries.dns_query(one.name or "", bytes(32))
            (answer,) = host.datagram(one.port, query, SOURCE, 0.0)
            assert tries.dns_answer(query, answer) == (0, (one.expect,))
        else:
            ping = tries.ping(one.app or "", bytes(32), 1)
            (answer,) = host.datagram(one.port, ping, SOURCE, 0.0)
            assert tries.is_answer(ping, answer)


def test_apps_that_are_down_have_no_hosts_and_the_others_keep_theirs() -> None:
    left = hosts_of(KNOWN, frozenset(("signal",)))
    gone = set(HOSTS) - set(left)
    assert gone >= {*OVERLAY.relays["signal"], OVERLAY.hosts["chat.signal.org"], OVERLAY.hosts["cdn2.signal.org"]}
    assert all(address.startswith("203.0.113.") for address in gone)
    assert set(OVERLAY.relays["whatsapp"]) <= set(left)


def test_nothing_stands_at_the_peers_the_participants_or_the_vpn_exits_address() -> None:
    assert not {OVERLAY.peer, OVERLAY.participant, OVERLAY.vpn_exit} & set(HOSTS)


@pytest.mark.parametrize(
    ("app", "realm"),
    [("telegram", "telegram.org"), ("signal", "signal.org"), ("max", "calls.max.ru"), ("whatsapp", None)],
)
def test_an_allocate_without_account_is_asked_who_it_is_or_met_with_silence(app: str, realm: str | None) -> None:
    ask = stun.Message(stun.TYPES["allocate"], bytes(range(12)), (build("REQUESTED-TRANSPORT", 17),))
    answers = HOSTS[OVERLAY.relays[app][0]].datagram(3478, stun.encode(ask), SOURCE, 0.0)
    if realm is None:
        assert list(answers) == []
        return
    answer = stun.decode(answers[0])
    assert isinstance(answer, stun.Message)
    assert (answer.transaction, read(answer, "REALM"), read(answer, "ERROR-CODE").code) == (ask.transaction, realm, 401)


def test_a_binding_is_told_its_own_address() -> None:
    (data,) = HOSTS[OVERLAY.neutral[0]].datagram(3478, tries.ping("", bytes(32), 1), SOURCE, 0.0)
    answer = stun.decode(data)
    assert isinstance(answer, stun.Message)
    assert read(answer, "XOR-MAPPED-ADDRESS") == Endpoint(*SOURCE)


def test_relays_answer_no_other_apps_ping_and_no_noise() -> None:
    for app in KNOWN.apps:
        relay = HOSTS[OVERLAY.relays[app][0]]
        assert list(relay.datagram(3478, b"\xa5" * 100, SOURCE, 0.0)) == []
        for other in ("whatsapp", "telegram"):
            answered = bool(relay.datagram(3478, tries.ping(other, bytes(32), 1), SOURCE, 0.0))
            assert answered is (app == other)


def test_a_server_waits_for_the_whole_opening_answers_once_and_repeats_itself() -> None:
    host = HOSTS[OVERLAY.hosts["web.whatsapp.com"]]
    hello = tries.opening("whatsapp", "text", "tls", "web.whatsapp.com", bytes(32))
    sent = [host.stream(443, hello[:end]).send for end in range(len(hello))]
    assert not any(sent)
    flight = host.stream(443, hello).send
    assert isinstance(tls.decode_hello(flight), tls.Hello)
    assert 3500 < len(flight) < 4500
    assert host.stream(443, hello).send == flight
    assert host.stream(443, hello + bytes(80)).send == b""


def test_a_web_server_meets_garbage_with_an_alert_and_a_close() -> None:
    reply = HOSTS[OVERLAY.neutral[0]].stream(443, b"\xa5" * 300)
    assert isinstance(tls.decode_alert(reply.send), tls.Alert)
    assert reply.close


def test_whatsapps_server_answers_a_noise_opening_with_its_hello() -> None:
    opening = tries.opening("whatsapp", "text", "noise", "g.whatsapp.net", bytes(32))
    answer = HOSTS[OVERLAY.hosts["g.whatsapp.net"]].stream(5222, opening).send
    frame = noise.unframe(answer)
    assert isinstance(frame, tuple)
    assert isinstance(noise.decode_handshake(frame[0]), noise.ServerHello)
    assert 330 <= len(answer) <= 370


def test_telegrams_data_centre_answers_the_first_request_under_the_openings_keys() -> None:
    sent = tries.opening("telegram", "text", "obfuscated", "venus.web.telegram.org", bytes(32))
    answer = HOSTS[OVERLAY.hosts["venus.web.telegram.org"]].stream(443, sent).send
    opening = mtproto.parse_opening(sent)
    assert isinstance(opening, mtproto.Opening)
    frame = mtproto.unframe(opening.tag, mtproto.Obfuscation(opening, client=True).open(answer))
    assert isinstance(frame, tuple)
    assert isinstance(mtproto.decode(frame[0]), mtproto.ResPq)


def test_the_resolver_knows_the_overlays_names_and_no_others() -> None:
    resolver = HOSTS[OVERLAY.resolver]

    def ask(name: str) -> dns.Message:
        (data,) = resolver.datagram(53, dns.encode(dns.query(3, name)), SOURCE, 0.0)
        answer = dns.decode(data)
        assert isinstance(answer, dns.Message)
        return answer

    assert [r.address for r in ask("Example.org").answers] == [OVERLAY.sites["example.org"]]
    assert [r.address for r in ask("mmg.whatsapp.net").answers] == [OVERLAY.hosts["mmg.whatsapp.net"]]
    assert (ask("nobody.example").rcode, ask("nobody.example").answers) == (dns.NXDOMAIN, ())
    assert list(resolver.datagram(53, b"\xa5" * 40, SOURCE, 0.0)) == []
