"""What is said to hosts that run no script of ours, and how their answers are read."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.flow import exits, tries
from ringback.lab.hosts import hosts_of
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


@pytest.mark.parametrize("vpn", sorted(KNOWN.vpns))
def test_a_vpns_first_message_is_answered_by_an_exit_and_no_other_is(vpn: str) -> None:
    asked = [tries.ping(vpn, SEED, n) for n in range(25)]
    answers = [exits.accepted(one) for one in asked]
    for i, one in enumerate(asked):
        assert [answer is not None and tries.is_answer(one, answer) for answer in answers] == [
            j == i for j in range(25)
        ]
        assert not tries.is_answer(one, one)
        assert tries.pong(one) is None  # a relay knows nothing of it
    assert all(exits.accepted(tries.ping(app, SEED, 0)) is None for app in KNOWN.apps)


def test_a_wireguard_message_with_one_byte_changed_is_none() -> None:
    asked = tries.ping("wireguard", SEED, 0)
    answer = exits.accepted(asked)
    assert answer is not None
    for i in range(len(asked)):
        assert exits.accepted(asked[:i] + bytes([asked[i] ^ 1]) + asked[i + 1 :]) is None
    assert not any(
        tries.is_answer(asked, answer[:i] + bytes([answer[i] ^ 1]) + answer[i + 1 :]) for i in range(len(answer))
    )


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
    for form, function in (("noise", "text"), ("tls", "text"), ("obfuscated", "media")):
        app = "telegram" if form == "obfuscated" else "whatsapp"
        opening = tries.opening(app, function, form, "a.example", SEED)
        assert tries.heard(form, opening, data) != "whole"


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


FORMS = [("whatsapp", "noise"), ("telegram", "obfuscated"), ("signal", "tls")]


def conversation(app: str, form: str) -> tuple[bytes, bytes]:
    """An opening and what the lab's server answers."""
    entry = KNOWN.apps[app].functions["text"]
    host = hosts_of(KNOWN)[KNOWN.overlay.hosts[entry.name_of[form]]]
    opening = tries.opening(app, "text", form, entry.name_of[form], SEED)
    return opening, host.stream(entry.app_port[form], opening).send


@pytest.mark.parametrize(("app", "form"), FORMS)
def test_an_answer_is_heard_to_its_last_byte_and_is_no_answer_to_another_opening(app: str, form: str) -> None:
    opening, answer = conversation(app, form)
    assert [tries.heard(form, opening, answer[:end]) for end in range(0, len(answer), 7)].count("more") >= 1
    assert all(tries.heard(form, opening, answer[:end]) == "more" for end in range(len(answer)))
    assert tries.heard(form, opening, answer) == "whole"
    if form != "noise":  # whose answer repeats nothing
        other = tries.opening(app, "text", form, "a.example", bytes(32))
        assert tries.heard(form, other, answer) == "damaged"


@pytest.mark.parametrize(("app", "form", "most"), [("whatsapp", "noise", 0.5), ("telegram", "obfuscated", 0.1),
                                                   ("signal", "tls", 0.1)])  # fmt: skip
def test_an_answer_with_a_sixteenth_of_its_bytes_changed_is_seldom_whole(app: str, form: str, most: float) -> None:
    """What hits encrypted bytes alone can't be seen, and Noise has little else."""
    opening, answer = conversation(app, form)
    random = Random(1)
    whole = 0
    for _ in range(200):
        changed = bytearray(answer)
        for _ in range(1 + len(answer) // 16):
            changed[random.randrange(len(answer))] ^= random.randrange(1, 256)
        whole += tries.heard(form, opening, bytes(changed)) == "whole"
    assert whole < most * 200


def test_an_alert_is_no_flight() -> None:
    opening = tries.opening("signal", "text", "tls", "a.example", SEED)
    assert tries.heard("tls", opening, tls.encode_alert(tls.Alert(2, 40))) == "damaged"
    assert tries.heard("tls", opening, b"HTTP/1.1 200 OK") == "damaged"
    assert tries.heard("tls", opening, b"") == "more"


@pytest.mark.parametrize(("app", "form"), FORMS)
def test_what_follows_is_refused_by_the_server_which_leaves(app: str, form: str) -> None:
    entry = KNOWN.apps[app].functions["text"]
    host = hosts_of(KNOWN)[KNOWN.overlay.hosts[entry.name_of[form]]]
    opening, answer = conversation(app, form)
    following = tries.closing(form, opening, SEED)
    assert not host.stream(entry.app_port[form], opening + following[:-1]).close
    reply = host.stream(entry.app_port[form], opening + following)
    assert reply.close
    assert reply.send != answer


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


@pytest.mark.parametrize("begins", [b"\x38", b"\x40", b"\x50", b"\x01\0\0\0", b"\x02\0\0\0", b"\0\x01\0\x14"])
def test_a_reflectors_tag_may_begin_as_any_other_message_does(begins: bytes) -> None:
    """Tags are random: one in 256 begins as an OpenVPN reset does, and its whole train once went for unanswered."""
    hello = telegram.encode(telegram.Hello(begins.ljust(16, b"\x7b"), bytes(range(8))))
    answer = tries.pong(hello)
    assert answer is not None
    assert tries.is_answer(hello, answer)
    assert tries.token(hello) == hello[:16] + bytes(range(8))
    other = telegram.encode(telegram.Hello(begins.ljust(16, b"\x7c"), bytes(range(8))))
    assert not tries.is_answer(other, answer)
