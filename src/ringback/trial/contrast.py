"""The tries of a session: here, and on request at the vantage; and which targets there are."""

from collections.abc import Callable, Sequence

from ringback.catalogue import Catalogue
from ringback.errors import BadInput
from ringback.record import Try
from ringback.trial import control
from ringback.trial.activity import Desk
from ringback.trial.seam import Answer, Command, Event
from ringback.trial.tries import TryRun

PINGS = 25
RELAY_FLOWS = 6
CONNECTS = 6
DNS_TRIES = 6  # fewer silent ones than five can never accuse
VANTAGE_ATTEMPTS = 40  # at one a second, the vantage's tries take about ten


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
        self._vantage_done = not vantage
        self._poll_at: float | None = None
        self._polls = 0
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
            session = self._desk.session
            outside = [spec for spec in self._specs if spec.kind != "peer"]
            commands.append(self._desk.ask(self, "vantage", control.VantageRequest(session, outside)))
        return commands

    def answered(self, answer: Answer, now: float) -> Sequence[Command]:
        self._polls += 1
        if answer.failure is not None or self._polls > VANTAGE_ATTEMPTS:
            self._vantage_done = True
            return ()
        if self._polls > 1:
            try:
                got = control.decode(answer.body, control.VantageAnswer, "vantage")
            except BadInput:
                self._vantage_done = True
                return ()
            if got.done:
                self._vantage, self._vantage_done = got.tries, True
                return ()
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
        times = [at for at in (self._run.wake_at, self._poll_at) if at is not None]
        return min(times, default=None)


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
                found += _relay_tries(app, relays(app), entry.app_port["relay-call"])
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
                port = entry.app_port[form]
                spec = control.TrySpec("app", name, address, port, "tcp", form, app, function, name)
                found += [spec] * (CONNECTS // 2 if len(entry.forms) > 2 else CONNECTS)
    for address in neutral:
        found.append(control.TrySpec("neutral", address, address, 3478, "udp", "stun", pings=PINGS))
        found.append(control.TrySpec("neutral", address, address, 443, "tcp", "tls", name=catalogue.neutral_names[0]))
    for name in sites:
        address = resolve(name)
        if address is not None:
            found.append(control.TrySpec("site", name, address, 443, "tcp", "tls", name=name))
    return found


def _relay_tries(app: str, relays: Sequence[str], port: int) -> list[control.TrySpec]:
    return [
        control.TrySpec(
            "app",
            relays[i % len(relays)],
            relays[i % len(relays)],
            port,
            "udp",
            "relay-call",
            app,
            "voice",
            pings=PINGS,
        )
        for i in range(RELAY_FLOWS if relays else 0)
    ]


def _dns_try(app: str, function: str, name: str, resolver: str, expect: str | None) -> control.TrySpec:
    return control.TrySpec("app", name, resolver, 53, "udp", "dns", app, function, name, pings=2, expect=expect)
