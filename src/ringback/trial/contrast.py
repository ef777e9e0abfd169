"""The tries of a session: here, and on request at the vantage; and which targets there are."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec.structs import replace

from ringback.catalogue import Catalogue, Vpn
from ringback.errors import BadInput
from ringback.flow import tries as bytes_of
from ringback.record import Try
from ringback.trial import control
from ringback.trial.activity import Desk
from ringback.trial.seam import Answer, Command, Event
from ringback.trial.tries import TryRun

PINGS = 25
RELAY_FLOWS = 6
CONNECTS = 10  # of a function, over all its forms: streams that need a retransmission are a matter of several
LEAST_CONNECTS = 6  # of a form; fewer silent ones than five can never accuse
DNS_TRIES = 6
NEUTRAL_CONNECTS = 5  # of each neutral host
EXIT_EVERY = 0.37  # seconds: first messages are larger than pings, and a limit on all UDP would strike them first
EXIT_PINGS, EXIT_TRAIN_EVERY = 150, 0.075  # of a train as long as a call
CALL_TRAINS = 3  # of each app, and of neutral hosts
CALL_PINGS, CALL_EVERY = 525, 0.02  # about a call's packets, bytes and seconds
TRAIN_KBPS = 25.0  # of one such train, each way, about; Telegram's take up to 37, and neutral hosts' beside them 43
UDP_HEADERS = 8  # bytes
PATIENCE = 10.0  # seconds for a connect, as long as a text exchange may take
MOST_LOST = 2  # requests to the vantage without an answer; one more, and the session goes on without
VANTAGE_ATTEMPTS = 40  # at one a second, the vantage's tries take about twenty


class TriesActivity:
    """Tries from here, and the same at the vantage if asked for. results: all that came back."""

    lane = "tries"

    def __init__(
        self,
        specs: Sequence[control.TrySpec],
        path: str,
        desk: Desk,
        seed: bytes,
        vantage: bool,
        at_once: int | None = None,
    ) -> None:
        """at_once: the most tries from here that are open at any time; None: no limit."""
        self._desk = desk
        self._run = TryRun(specs, "here", path, desk.claim, seed, at_once=at_once)
        self._specs = list(specs)
        self._vantage_wanted = vantage
        self._vantage_begun = False
        self._vantage_done = not vantage
        self._poll_at: float | None = None
        self._polls = self._lost = 0
        self._vantage: list[Try] = []

    @property
    def finished(self) -> bool:
        return self._run.finished and self._vantage_done

    @property
    def results(self) -> list[Try]:
        return [*self._run.results(), *self._vantage]

    def start(self, now: float) -> Sequence[Command]:
        commands = list(self._run.start(now))
        if self._vantage_wanted:
            commands.append(self._ask_vantage())
        return commands

    def _ask_vantage(self) -> Command:
        outside = [_as_often_as_a_call(spec) for spec in self._specs if spec.kind != "peer"]
        number = self._run.first if isinstance(self._run.first, int) else 0
        return self._desk.ask(self, "vantage", control.VantageRequest(self._desk.session, outside, number))

    def answered(self, answer: Answer, now: float) -> Sequence[Command]:
        """A request that got no answer is put again: a burst of losses would leave the whole session without a
        vantage."""
        self._polls += 1
        self._lost += answer.failure is not None
        if self._lost > MOST_LOST or self._polls > VANTAGE_ATTEMPTS:
            self._vantage_done = True
            return ()
        if answer.failure is not None and not self._vantage_begun:
            return (self._ask_vantage(),)
        if answer.failure is None and self._vantage_begun:
            try:
                got = control.decode(answer.body, control.VantageAnswer, "vantage")
            except BadInput:
                self._vantage_done = True
                return ()
            if got.done:
                told = [each for each in got.tries if each.where == "vantage"]  # what is tried here is ours to tell
                self._vantage, self._vantage_done = told, True
                return ()
        self._vantage_begun = True
        self._poll_at = now + 1.0
        return ()

    def owns(self, flow: object) -> bool:
        return self._run.owns(flow)

    def handle(self, event: Event, now: float) -> Sequence[Command]:
        return self._run.handle(event, now)

    def wake(self, now: float) -> Sequence[Command]:
        commands = list(self._run.wake(now))
        if self._poll_at is not None and now >= self._poll_at - 1e-9:
            self._poll_at = None
            session = self._desk.session
            commands.append(self._desk.ask(self, "vantage-result", control.CloseRequest(session)))
        return commands

    @property
    def wake_at(self) -> float | None:
        run, poll = self._run.wake_at, self._poll_at
        return run if poll is None or (run is not None and run <= poll) else poll


def _as_often_as_a_call(spec: control.TrySpec) -> control.TrySpec:
    """No more is asked of a vantage, nor granted: whether neutral hosts' trains meet a limit matters here alone."""
    return replace(spec, pings=min(spec.pings, CALL_PINGS), every=max(spec.every, CALL_EVERY))


def targets(
    catalogue: Catalogue,
    apps: Sequence[str],
    functions: Sequence[str],
    resolve: Callable[[str], str | None],
    relays: Callable[[str], Sequence[str]],
    neutral: Sequence[str],
    sites: Sequence[str],
    resolver: str | None,
) -> list[control.TrySpec]:
    """What to try: each app's own relays and hosts, the neutral hosts, the sites; names that don't resolve are left
    out (their dns tries stay)."""
    found: list[control.TrySpec] = []
    for app in apps:
        for function in functions:
            entry = catalogue.apps[app].functions.get(function)
            if entry is None:
                continue
            if function == "voice":
                found += _app_relays(app, relays(app), entry.app_port["relay-call"])
                continue
            for form in entry.forms:
                name = entry.name_of.get(form, entry.names[0])
                if form == "dns":
                    if resolver is not None:
                        found += [_dns_try(app, function, name, resolver, resolve(name))] * DNS_TRIES
                    continue
                address = resolve(name)
                if address is None:
                    continue
                spec = control.TrySpec(
                    "app", name, address, entry.app_port[form], "tcp", form, app, function, name, patience=PATIENCE
                )  # fmt: skip
                streams = sum(form != "dns" for form in entry.forms)
                found += [spec] * max(LEAST_CONNECTS, CONNECTS // streams)
    weight = heaviest(apps)
    for i, address in enumerate(neutral):
        found += relay_tries("neutral", address, address, 3478, "stun", i < CALL_TRAINS, weight=weight)
        spec = control.TrySpec("neutral", address, address, 443, "tcp", "tls", name=catalogue.neutral_names[0],
                               patience=PATIENCE)  # fmt: skip
        found += [spec] * NEUTRAL_CONNECTS
    for name in sites:
        address = resolve(name)
        if address is not None:
            found.append(control.TrySpec("site", name, address, 443, "tcp", "tls", name=name, patience=PATIENCE))
            if resolver is not None:  # names that belong to no app are asked for as well
                found.append(
                    control.TrySpec("neutral", name, resolver, 53, "udp", "dns", name=name, pings=2, expect=address)
                )
    return found


def relay_tries(
    kind: Literal["app", "neutral"],
    target: str,
    address: str,
    port: int,
    form: str,
    as_call: bool,
    app: str | None = None,
    pings: int = PINGS,
    name: str | None = None,
    weight: float = 1.0,
) -> list[control.TrySpec]:
    """A short train of pings, and where `as_call` a second one that is about what a call would send. weight: so many
    times as many pings in the same time."""
    function = None if app is None else "voice"
    short = control.TrySpec(kind, target, address, port, "udp", form, app, function, name, pings=pings)
    long = replace(short, pings=CALL_PINGS, every=CALL_EVERY)
    trains = [short, long] if as_call else [short]
    return [replace(spec, pings=math.ceil(spec.pings * weight), every=spec.every / weight) for spec in trains]


def heaviest(apps: Sequence[str]) -> float:
    """The `weight` with which a neutral host's train has no fewer bytes, either way, than any of the apps': a limit on
    all UDP, which knows no destinations, then never strikes an app's relays first."""
    lightest = _ping_and_answer("")
    return max((max(map(lambda a, b: a / b, _ping_and_answer(app), lightest)) for app in apps), default=1.0)


def _ping_and_answer(app: str) -> tuple[int, int]:
    """Bytes of each, the same for every ping of an app; with UDP's header, by which ratios are larger than by IP's."""
    asked = bytes_of.ping(app, bytes(32), 0)
    return len(asked) + UDP_HEADERS, len(bytes_of.pong(asked) or b"") + UDP_HEADERS


def exit_tries(path: str, vpn: Vpn, address: str) -> list[control.TrySpec]:
    """At the exit of a VPN path, outside of its tunnel: the protocol's first message, in short trains and long ones."""
    short = control.TrySpec(
        "app", path, address, vpn.app_port, vpn.transport, "outer", vpn.name, "outer", pings=PINGS, every=EXIT_EVERY
    )  # fmt: skip
    return [short, replace(short, pings=EXIT_PINGS, every=EXIT_TRAIN_EVERY)] * RELAY_FLOWS


def _app_relays(app: str, relays: Sequence[str], port: int) -> list[control.TrySpec]:
    found = []
    for i in range(RELAY_FLOWS if relays else 0):
        relay = relays[i % len(relays)]
        found += relay_tries("app", relay, relay, port, "relay-call", i < CALL_TRAINS, app)
    return found


def _dns_try(app: str, function: str, name: str, resolver: str, expect: str | None) -> control.TrySpec:
    return control.TrySpec("app", name, resolver, 53, "udp", "dns", app, function, name, pings=2, expect=expect)


def bearable(specs: Sequence[control.TrySpec], rates: Sequence[float | None]) -> list[control.TrySpec]:
    """The tries that a link of these rates (kbit/s each way; None: unknown) bears side by side: trains as long as calls
    only where all of them take about half of it (at most four fifths), those at exits only where they do beside all
    others. No rates: none of those."""
    known = [rate for rate in rates if rate is not None]
    short = [spec for spec in specs if not _long(spec)]
    for those in (list(specs), [spec for spec in specs if not (_long(spec) and spec.function == "outer")]):
        if rates and all(rate >= 2 * (len(those) - len(short)) * TRAIN_KBPS for rate in known):
            return those
    return short


def _long(spec: control.TrySpec) -> bool:
    return spec.pings >= EXIT_PINGS
