"""The peer's half: whom it answers, with how much, and what it reports."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.flow.script import DatagramScript, StreamScript
from ringback.record import Arm, ExchangeSpec, IcmpError
from ringback.trial import control
from ringback.trial.far import FarEnd
from ringback.trial.granted import ROUND_LIFE
from ringback.trial.rendering import render
from ringback.trial.seam import Accepted, Delivered, Received, Refused, Send, Sent
from tests.trial.ends import CATALOGUE, NEAR, STRANGER, call_spec, far_end, open_round, open_session

APPS = sorted(CATALOGUE.apps)


def script_of(spec: ExchangeSpec, grant: control.Grant) -> DatagramScript:
    script = render(spec, grant.seed, (), CATALOGUE)
    assert isinstance(script, DatagramScript)
    return script


def call(app: str, payload: str = "original") -> tuple[FarEnd, control.Grant, DatagramScript, int]:
    far = far_end()
    grant = open_session(far)
    port = CATALOGUE.apps[app].functions["voice"].app_port["relay-call"]
    spec = call_spec(app=app, payload=payload, port=port)
    open_round(far, grant, [spec])
    return far, grant, script_of(spec, grant), port


def play(far: FarEnd, script: DatagramScript, port: int, source: str) -> tuple[list[int], list[int]]:
    """Every near packet in order, answered at once; bytes in and bytes out after each step."""
    flow = (port, source, 5000)
    ins, outs = [0], [0]
    for send in sorted(script.near, key=lambda s: s.at):
        now = 1.0 + send.at
        commands = list(far.wake(now)) + list(far.handle(Received(flow, send.data, now), now))
        for command in commands:
            if isinstance(command, Send):
                far.handle(Sent(command.flow, command.index, command.at), now)
                outs.append(outs[-1] + len(command.data))
        ins.append(ins[-1] + len(send.data))
        assert source == NEAR or outs[-1] <= ins[-1], "more bytes out than in before the address is proven"
    return ins, outs


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("payload", ["original", "control"])
def test_an_address_that_did_not_open_the_session_never_gets_more_than_it_gave(app: str, payload: str) -> None:
    far, _, script, port = call(app, payload)
    play(far, script, port, STRANGER)


@pytest.mark.parametrize("app", APPS)
def test_the_opener_gets_the_whole_call(app: str) -> None:
    far, _, script, port = call(app)
    _, outs = play(far, script, port, NEAR)
    due = sum(len(s.data) for s in script.far if s.at < max(n.at for n in script.near) - 1.0)
    assert outs[-1] >= 0.95 * due


def test_what_is_no_packet_of_a_pending_script_gets_no_answer() -> None:
    far, grant, script, port = call("whatsapp")
    assert not far.handle(Received((port, NEAR, 5000), b"\x00\x01\x00\x00" + bytes(16), 1.0), 1.0)
    wrong_port = (port + 1, NEAR, 5000)
    assert not far.handle(Received(wrong_port, script.near[0].data, 1.0), 1.0)
    record = report(far, grant)
    assert record.exchanges[0].anchor is None


def test_the_report_says_what_came_and_what_went() -> None:
    far, grant, script, port = call("whatsapp")
    flow = (port, NEAR, 5000)
    far.handle(Received(flow, script.near[0].data, 3.0), 3.0)
    far.handle(Received(flow, script.near[0].data, 3.1), 3.1)
    far.handle(Received(flow, b"changed on the way", 3.2), 3.2)
    exchange = report(far, grant).exchanges[0]
    assert exchange.anchor == pytest.approx(3.0 - script.near[0].at)
    assert (exchange.duplicates, exchange.corrupted) == (1, 1)
    received = control.unpack(exchange.received, [exchange.anchor + s.at for s in script.near], "test")
    assert received[0] == pytest.approx(3.0, abs=1e-4)
    assert all(at is None for at in received[1:])


def report(far: FarEnd, grant: control.Grant, final: bool = True) -> control.FarRound:
    body = control.encode(control.OutcomeRequest(grant.session, 1, final))
    return control.decode(far.answer("outcome", body, NEAR, 9.0), control.FarRound, "test")


def test_the_report_says_what_refused_the_way_in_but_not_that_the_participant_had_left() -> None:
    far, grant, script, port = call("whatsapp")
    flow = (port, NEAR, 5000)
    far.handle(Received(flow, script.near[0].data, 3.0), 3.0)
    far.handle(Refused(flow, 3.2, 3, 3, "192.0.2.1"), 3.2)
    far.handle(Refused(flow, 3.3, 3, 3, NEAR), 3.3)
    far.handle(Refused((port, STRANGER, 5000), 3.4, 3, 3, "192.0.2.1"), 3.4)
    assert report(far, grant).exchanges[0].icmp == [IcmpError(3.2, 3, 3, "192.0.2.1")]


def test_the_transcript_is_what_was_reported_signed() -> None:
    far, grant, _, _ = call("whatsapp")
    digest = report(far, grant).digest
    body = control.encode(control.CloseRequest(grant.session))
    transcript = control.decode(far.answer("close", body, NEAR, 10.0), control.Transcript, "test")
    assert transcript.digests == [digest]
    assert transcript.key == grant.key
    with pytest.raises(BadInput, match="no such session"):
        far.answer("close", body, NEAR, 10.0)


def test_who_did_not_get_an_answer_may_ask_again() -> None:
    far, grant, _, _ = call("whatsapp")
    first = report(far, grant)
    assert report(far, grant) == first
    spec = call_spec(7)
    open_round(far, grant, [spec], number=2)
    open_round(far, grant, [spec], number=2)
    with pytest.raises(BadInput, match="opened before"):
        open_round(far, grant, [call_spec(8)], number=2)
    body = control.encode(control.CloseRequest(grant.session))
    transcript = control.decode(far.answer("close", body, NEAR, 10.0), control.Transcript, "test")
    assert transcript.digests == [first.digest]


def test_a_closed_round_is_forgotten() -> None:
    far, grant, script, port = call("whatsapp")
    report(far, grant)
    assert not far.handle(Received((port, NEAR, 5000), script.near[0].data, 10.0), 10.0)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("round", {"seconds": 500.0}),
        ("round", {"size": 10**9}),
        ("round", {"app": "nosuch"}),
        ("round", {"form": "nosuch"}),
    ],
)
def test_a_round_beyond_the_limits_is_refused_by_name(what: str, why: dict[str, object]) -> None:
    far = far_end()
    grant = open_session(far)
    spec = msgspec.structs.replace(call_spec(), **why)
    with pytest.raises(BadInput):
        open_round(far, grant, [spec])


def test_a_round_is_kept_as_long_as_streams_of_it_begin() -> None:
    """On a link of 500 kbit/s a round of media takes longer than a peer keeps one to which nobody comes."""
    far, arm = far_end(), Arm("original", "app")
    grant = open_session(far)
    spec = ExchangeSpec(1, "telegram", "media", None, None, "tls", arm, "tcp", 443, 12.0, size=1000, upload=1000)
    script = render(spec, grant.seed, (), CATALOGUE)
    assert isinstance(script, StreamScript)
    for number in (1, 2):
        specs = [msgspec.structs.replace(spec, number=number)]
        far.answer("round", control.encode(control.RoundRequest(grant.session, number, specs)), NEAR, 0.0)
    begins = ROUND_LIFE - 20
    far.handle(Accepted("stream", begins, 443, NEAR), begins)
    far.handle(Delivered("stream", script.turns[0].data, begins), begins)
    ends = begins + ROUND_LIFE - 20
    far.wake(ends)
    ask = control.OutcomeRequest(grant.session, 1, final=True)
    said = control.decode(far.answer("outcome", control.encode(ask), NEAR, ends), control.FarRound, "test")
    assert [one.number for one in said.exchanges] == [1]
    with pytest.raises(BadInput, match="no round 2"):
        far.answer("outcome", control.encode(control.OutcomeRequest(grant.session, 2, final=True)), NEAR, ends)


def test_sessions_and_rounds_are_bounded() -> None:
    far = far_end()
    grant = open_session(far)
    for number in range(16):
        open_round(far, grant, [], number)
    with pytest.raises(BadInput, match="16 rounds"):
        open_round(far, grant, [], 17)
    for _ in range(199):
        open_session(far)
    with pytest.raises(BadInput, match="full"):
        open_session(far)


@settings(max_examples=200)
@given(st.sampled_from(["open", "round", "outcome", "vantage", "vantage-result", "close", "nonsense"]), st.binary())
def test_any_request_is_answered_or_refused(what: str, body: bytes) -> None:
    far = far_end()
    with contextlib.suppress(BadInput):
        far.answer(what, body, STRANGER, 0.0)
    assert far.wake_at is None or far.wake_at < 1.0
