"""What is said to hosts that run no script of ours, and how their answers are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.flow import tries
from ringback.wire import dns, noise, stun, telegram, tls
from tests.flow.specs import KNOWN, SEED


@pytest.mark.parametrize("app", ["whatsapp", "telegram", "signal", "max", "a neutral host"])
def test_a_train_of_pings_is_answered_one_by_one(app: str) -> None:
    pings = [tries.ping(app, SEED, n) for n in range(25)]
    assert len(set(pings)) == 25
    pongs = [tries.pong(ping) for ping in pings]
    for i, ping in enumerate(pings):
        answered = [pong is not None and tries.is_answer(ping, pong) for pong in pongs]
        assert answered == [j == i for j in range(25)]
        assert not tries.is_answer(ping, ping)


def test_a_ping_is_the_apps_own() -> None:
    assert telegram.looks_like_hello(tries.ping("telegram", SEED, 0))
    assert tries.ping("telegram", SEED, 0)[:16] == tries.ping("telegram", SEED, 1)[:16]  # one tag a flow
    for app, kind in (("whatsapp", "whatsapp-ping"), ("signal", "binding"), ("max", "binding")):
        message = stun.decode(tries.ping(app, SEED, 0))
        assert isinstance(message, stun.Message)
        assert message.type == stun.TYPES[kind]


@given(st.binary(max_size=80))
def test_noise_is_neither_answered_nor_taken_for_an_answer(data: bytes) -> None:
    assert not tries.is_answer(tries.ping("telegram", SEED, 0), data)
    assert not tries.is_answer(tries.ping("signal", SEED, 0), data)
    tries.pong(data)
    tries.dns_answer(tries.dns_query("example.org", SEED), data)
    tries.is_opening_answer("noise", data)


def test_openings_fit_their_form() -> None:
    hello = tls.decode_hello(tries.opening("signal", "text", "tls", "storage.signal.org", SEED))
    assert isinstance(hello, tls.Hello)
    assert hello.server_name == "storage.signal.org"
    assert noise.looks_like(tries.opening("whatsapp", "text", "noise", "e1.whatsapp.net", SEED))
    assert len(tries.opening("telegram", "media", "obfuscated", "", SEED)) >= 64
    assert tries.opening("signal", "text", "tls", "a.example", SEED) != tries.opening(
        "signal", "text", "tls", "a.example", bytes(32)
    )
    with pytest.raises(BadInput):
        tries.opening("signal", "text", "dns", "a.example", SEED)


def test_an_answer_to_an_opening_is_a_handshake_or_an_alert() -> None:
    assert tries.is_opening_answer("tls", b"\x16\x03\x03\0\x7a")
    assert tries.is_opening_answer("tls", tls.encode_alert(tls.Alert(2, 40)))
    assert not tries.is_opening_answer("tls", b"HTTP/1.1 200 OK")
    assert tries.is_opening_answer("noise", b"\0\1\x5b\x1a")
    assert not tries.is_opening_answer("noise", b"<html>")
    assert tries.is_opening_answer("obfuscated", b"\x9c")
    assert not tries.is_opening_answer("obfuscated", b"")


def test_a_lookup_reads_address_refusal_and_strangers() -> None:
    name = KNOWN.apps["whatsapp"].functions["text"].names[0]
    request = tries.dns_query(name, SEED)
    asked = dns.decode(request)
    assert isinstance(asked, dns.Message)
    good = dns.encode(dns.answer(asked, ("203.0.113.1", "203.0.113.2")))
    assert tries.dns_answer(request, good) == (0, ("203.0.113.1", "203.0.113.2"))
    assert tries.dns_answer(request, dns.encode(dns.answer(asked, rcode=dns.NXDOMAIN))) == (3, ())
    assert tries.dns_answer(request, request) is None
    other = dns.decode(tries.dns_query(name, SEED, 1))
    assert isinstance(other, dns.Message)
    assert tries.dns_answer(request, dns.encode(dns.answer(other, ("203.0.113.1",)))) is None
