"""Whatever arrives: the far end does not fall over, keeps bounded tables, and is no amplifier for anybody."""

import contextlib
import os
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.flow import forms_of
from ringback.flow.script import DatagramScript
from ringback.record import Arm, ExchangeSpec
from ringback.trial import control, probe
from ringback.trial.far import MAX_CHANGED, FarEnd
from ringback.trial.rendering import render
from ringback.trial.seam import Accepted, Close, Delivered, Ended, Received, Send, Sent, Write
from tests.peer.asking import KNOWN, opening
from tests.trial.ends import far_end
from tests.wire.samples import mutate, valid

VALIDATE = os.environ.get("RINGBACK_VALIDATE") == "1"
ASKER, STRANGERS = "192.0.2.10", tuple(f"203.0.113.{n}" for n in range(200, 250))
SECONDS = 10.5


def every_form() -> Iterator[ExchangeSpec]:
    """Original and control of every form of every app, and of the outer protocols of VPNs, and the link's probe."""
    number = 0
    plans = [
        (app.name, entry.name, route, plan)
        for app in KNOWN.apps.values()
        for entry in app.functions.values()
        for route in (("relay", "p2p") if entry.name == "voice" else (None,))
        for plan in forms_of(KNOWN, app.name, entry.name, route)
    ]
    plans += [(vpn, "outer", None, plan) for vpn in KNOWN.vpns for plan in forms_of(KNOWN, vpn, "outer", None)]
    for app, function, route, plan in plans:
        for payload in ("original", "control"):
            for direction in ("outgoing", "incoming") if function == "voice" else (None,):
                number += 1
                arm = Arm(payload, "app")  # type: ignore[arg-type]
                yield ExchangeSpec(
                    number, app, function, direction, route, plan.form, arm, plan.transport, plan.app_port, SECONDS,
                    size=2000,
                )  # fmt: skip
    arm = Arm("control", "other")
    yield ExchangeSpec(number + 1, "probe", "probe", None, None, probe.FORM, arm, "udp", 40_000, 2.0)


SPECS = list(every_form())


def opened() -> tuple[FarEnd, control.Grant, dict[int, DatagramScript]]:
    """A far end with a session that has every form open, and the scripts of those on datagrams."""
    far = far_end()
    grant = control.decode(far.answer("open", control.encode(opening()), ASKER, 0.0), control.Grant, "test")
    for number, start in enumerate(range(0, len(SPECS), 64)):
        body = control.RoundRequest(grant.session, number, SPECS[start : start + 64])
        far.answer("round", control.encode(body), ASKER, 0.0)
    scripts = {spec.number: render(spec, grant.seed, (), KNOWN) for spec in SPECS}
    return far, grant, {number: s for number, s in scripts.items() if isinstance(s, DatagramScript)}


class Ledger:
    """Plays the driver: what goes out is told back as sent, and counted beside what came in, flow by flow."""

    def __init__(self, far: FarEnd) -> None:
        self.far = far
        self.came: Counter[tuple] = Counter()
        self.went: Counter[tuple] = Counter()

    def feed(self, event: Received) -> None:
        self.wake(event.at)
        self.came[event.flow] += len(event.data)  # type: ignore[index]
        self.take(self.far.handle(event, event.at), event.at)

    def wake(self, now: float) -> None:
        while (at := self.far.wake_at) is not None and at <= now:
            self.take(self.far.wake(max(at, 0.0)), now)

    def take(self, commands: object, now: float) -> None:
        for command in commands:  # type: ignore[attr-defined]
            if isinstance(command, Send):
                self.went[command.flow] += len(command.data)  # type: ignore[index]
                assert self.went[command.flow] <= self.came[command.flow], command.flow  # type: ignore[index]
                self.far.handle(Sent(command.flow, command.index, command.at), now)


@pytest.mark.parametrize(
    "spec", [s for s in SPECS if s.transport == "udp"], ids=lambda s: f"{s.number}-{s.app}-{s.form}"
)
def test_every_message_of_every_form_is_answered_with_no_more_bytes_than_it_has(spec: ExchangeSpec) -> None:
    """Each packet alone as the first of its exchange, and the whole exchange, from an address that proved nothing."""
    far, grant, _ = opened_for(spec)
    script = render(spec, grant.seed, (), KNOWN)
    assert isinstance(script, DatagramScript)
    for number in range(0, len(script.near), max(1, len(script.near) // 12)):
        far, grant, _ = opened_for(spec)
        ledger = Ledger(far)
        ledger.feed(Received((spec.port, STRANGERS[0], 4000 + number), script.near[number].data, 1.0))
        ledger.wake(30.0)
        assert ledger.came
    far, grant, _ = opened_for(spec)
    ledger = Ledger(far)
    for send in script.near:
        ledger.feed(Received((spec.port, STRANGERS[0], 4000), send.data, 1.0 + send.at))
    ledger.wake(30.0)
    assert sum(ledger.went.values()) > 0, "within the limit there are answers"


def opened_for(spec: ExchangeSpec) -> tuple[FarEnd, control.Grant, None]:
    far = far_end()
    grant = control.decode(far.answer("open", control.encode(opening()), ASKER, 0.0), control.Grant, "test")
    far.answer("round", control.encode(control.RoundRequest(grant.session, 1, [spec])), ASKER, 0.0)
    return far, grant, None


def bombard(count: int, seed: int) -> tuple[FarEnd, Ledger, int]:
    far, _, scripts = opened()
    rng = random.Random(seed)
    ports = [spec.port for spec in SPECS if spec.transport == "udp"]
    seeds = [send.data for script in scripts.values() for send in (*script.near[:40], *script.far[:10])] + valid()
    ledger = Ledger(far)
    hits = 0
    for index, data in enumerate(mutate(seeds, rng, count)):
        now = 1.0 + index * 1e-4
        source = rng.choice(STRANGERS)
        flow = (rng.choice(ports), source, 1024 + rng.randrange(4000))
        if rng.random() < 0.2:
            data = rng.choice(seeds)
        if rng.random() < 0.1 and ledger.went:
            flow = rng.choice(list(ledger.went))
        before = sum(ledger.went.values()) if index % 100 == 0 else 0
        ledger.feed(Received(flow, data, now))
        hits += index % 100 == 0 and sum(ledger.went.values()) > before
    return far, ledger, hits


def tables(holder: object) -> dict[str, int]:
    """Sizes of everything that a far end keeps."""
    sizes = {name: len(table) for name, table in vars(holder).items() if hasattr(table, "__len__")}
    for name, part in vars(holder).items():
        if type(part).__module__ == "ringback.trial.openers":
            sizes |= {f"{name}.{inner}": size for inner, size in tables(part).items()}
    return sizes


@pytest.mark.timeout(7200 if VALIDATE else 60)
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.validate)])
def test_damaged_datagrams_neither_stop_it_nor_grow_it(count: int) -> None:
    fresh = tables(opened()[0])
    tracemalloc.start()
    far, ledger, _ = bombard(count, 20250813)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    after = tables(far)
    print(f"{count} datagrams, {sum(ledger.came.values())} bytes in, {sum(ledger.went.values())} out; {peak >> 20} MB")
    assert sum(ledger.went.values()) > 0, "some of them must have been right"
    datagram_exchanges = sum(spec.transport == "udp" for spec in SPECS)
    assert after["_flows"] <= datagram_exchanges
    assert after["_schedule"] <= datagram_exchanges
    assert after["_changed"] <= MAX_CHANGED
    grown = {name for name in after if after[name] > fresh[name]} - {"_flows", "_schedule", "_changed"}
    assert not grown
    for half in far._flows.values():
        assert half.bytes_out <= half.bytes_in
        assert len(half.received) == len(half.script.near)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=120), max_size=6), st.integers(1, 65535))
def test_any_bytes_on_a_stream_are_read_or_the_stream_is_closed(pieces: list[bytes], port: int) -> None:
    far = far_end()
    far.handle(Accepted(1 << 32, 1.0, port, STRANGERS[0]), 1.0)
    for piece in pieces:
        for command in far.handle(Delivered(1 << 32, piece, 1.0), 1.0):
            assert isinstance(command, Close)
            assert not isinstance(command, Write)
    far.handle(Ended(1 << 32, 2.0, None), 2.0)
    assert not far._stream_flows
    assert not far._stream_sources
    assert not far._stream_ports


VALID_BODIES = {
    "open": control.encode(control.OpenRequest(control.VERSION, ["udp/3478", "tcp/443"], [b"replay"])),
    "round": control.encode(control.RoundRequest("s", 1, SPECS[:2])),
    "outcome": control.encode(control.OutcomeRequest("s", 1, True)),
    "vantage": control.encode(
        control.VantageRequest("s", [control.TrySpec("neutral", "n", "198.51.100.129", 3478, "udp", "stun")])
    ),
    "vantage-result": control.encode(control.CloseRequest("s")),
    "close": control.encode(control.CloseRequest("s")),
}


@pytest.mark.timeout(7200 if VALIDATE else 60)
@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.validate)])
def test_damaged_requests_are_answered_or_refused(count: int) -> None:
    """Beside damaged bytes, requests that are well formed and of a real session, with numbers out of range."""
    far = far_end()
    grant = control.decode(far.answer("open", VALID_BODIES["open"], ASKER, 0.0), control.Grant, "test")
    rng = random.Random(1)
    seeds = [body.replace(b"\xa1s", b"\xd9\x20" + grant.session.encode(), 1) for body in VALID_BODIES.values()]
    outcomes: Counter[bool] = Counter()
    for index, body in enumerate(mutate(seeds, rng, count)):
        what = rng.choice([*VALID_BODIES, "nonsense"])
        if what == "close":  # or nothing after it would be of a session
            continue
        with contextlib.suppress(BadInput):
            far.answer(what, body, rng.choice(STRANGERS), 1.0 + index * 1e-3)
            outcomes[True] += 1
        far.wake(1.0 + index * 1e-3)
    assert outcomes[True] > 0
    assert len(far._sessions) <= 200
    assert far._held <= 512_000_000


WORDS = [*KNOWN.apps, *KNOWN.vpns, "probe", "", "x"]
FORMS = sorted({spec.form for spec in SPECS} | {probe.KNOCK, "replay", "x"})
specs = st.builds(
    ExchangeSpec,
    number=st.integers(-1, 1 << 33),
    app=st.sampled_from(WORDS),
    function=st.sampled_from(["text", "media", "voice", "outer", "probe", "x"]),
    direction=st.sampled_from(["outgoing", "incoming", "x", None]),
    route=st.sampled_from(["relay", "p2p", "x", None]),
    form=st.sampled_from(FORMS),
    arm=st.builds(Arm, st.sampled_from(["original", "control"]), st.sampled_from(["app", "other"])),
    transport=st.sampled_from(["udp", "tcp"]),
    port=st.integers(-1, 70_000),
    seconds=st.floats() | st.floats(0, 31),
    size=st.integers(-1, 3_000_000) | st.integers(0, 3000),
    replay=st.none() | st.text(max_size=20),
)


@settings(max_examples=600 if not VALIDATE else 20_000, deadline=None)
@given(st.lists(specs, min_size=1, max_size=3))
def test_a_well_formed_round_of_anything_is_opened_or_refused(wanted: list[ExchangeSpec]) -> None:
    far = far_end()
    grant = control.decode(far.answer("open", VALID_BODIES["open"], ASKER, 0.0), control.Grant, "test")
    try:
        far.answer("round", control.encode(control.RoundRequest(grant.session, 1, wanted)), ASKER, 0.0)
    except BadInput:
        assert far._held == len(b"replay"), "what was refused is not kept"
    far.answer("close", control.encode(control.CloseRequest(grant.session)), ASKER, 0.0)
    kept = tables(far)
    assert not any(size for name, size in kept.items() if name != "_outbox"), kept
    assert far._held == 0
