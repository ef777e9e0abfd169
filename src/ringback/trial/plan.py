"""Drawing a round before it runs: ports, start order and times first, then which exchange carries what.

The labels are drawn last, over slots that are already fixed, by the random source passed in (a CSPRNG on real
networks): if the network does not look at payloads or ports, they are exchangeable given the outcomes.
"""

from collections.abc import Mapping, MutableSequence, Sequence
from math import inf
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from ringback.catalogue import Catalogue
from ringback.flow import FormPlan, forms_of
from ringback.record import Arm, Cell, ExchangeSpec
from ringback.trial.control import Grant

CALL_KBPS = 35.0  # one call, one direction, IP: the largest of the catalogue's (Telegram's 200 B every 60 ms)
CALL_SECONDS = 10.5
CALL_CHECKPOINTS = (1.0, 2.5, 5.0, CALL_SECONDS)
SHORT_CALL_SECONDS = 5.5
SHORT_CALL_CHECKPOINTS = (1.0, 2.5, SHORT_CALL_SECONDS)
BRIEF_CALL_SECONDS = 3.5
BRIEF_CALL_CHECKPOINTS = (1.0, BRIEF_CALL_SECONDS)
BRIEF_PER_ARM = 4  # exchanges of each arm of a brief round
CALL_SPREAD = 0.25  # seconds over which a round's calls start
PER_ARM = 6  # exchanges of each of the four arms: 24 flows
THIN_PER_ARM = 2  # where the link bears no more than this, everything runs apart
TEXT_LIFE, SLOW_TEXT_LIFE, QUICK_TEXT_LIFE = 6.0, 10.0, 2.1  # seconds that a text exchange may take
TEXT_AT_ONCE = 8.0  # rounds of text that a link has room for, from which more room for each would change nothing
TEXT_KBPS, TEXT_SHARE = 30.0, 0.4  # a round of text each way, of TEXT_LIFE; of the link, for all such rounds at once
MEDIA_LIFE, LONGEST_MEDIA_LIFE = 4.5, 25.0  # of an exchange, of which a peer takes 30 at most
MEDIA_RTT = 0.085  # seconds for which MEDIA_SIZE was chosen
MEDIA_RTT_STEP = 0.055  # and for each of which a longer round trip asks for as much again
MOST_MEDIA_FACTOR = 4.5  # of MEDIA_SIZE
MEDIA_TRIPS = 14  # round trips of an exchange of media: handshakes, slow start each way, one or two losses
ALONE_KBPS = 320.0  # of a link, below which transfers never overlap: media needs 200, and two share what there is
HOPELESS_KBPS = 170.0  # of a link, below which no media can have its 200
LONGEST_MEDIA_SECONDS = 540.0  # of a round: a peer that is asked nothing forgets a session after ten minutes
SLOW_MEDIA_SECONDS = 120.0  # a round of media that would take longer has half as many exchanges
PATIENT_SECONDS = (
    200.0  # of its round, lest one cell takes all the time there is; thin links' take more without patience
)
AHEAD = 56_000  # bytes by which a transfer must get ahead of a policer before it shows that there is none: its burst
POLICED_KBPS, POLICED_SHARE = 1_500.0, 0.75  # the policer that must be excluded: this, or this share of a slower link
MEDIA_PHASE = 0.618  # of a slot between rounds of media: any number of them are spread about evenly
LINK_SLACK = 1.5  # times as long as the link alone needs
SLOW_RTT = 0.25  # seconds from which a dozen round trips need more than TEXT_LIFE to be safe from a single loss
DNS_LIFE = 3.0
DNS_GAP = 0.2
MEDIA_SIZE = 86_000  # bytes each way; more than the largest scored cut-off, and the data budget allows no more
MOST_MEDIA_ROUNDS, MOST_MEDIA_BYTES = 8, 48_000_000  # side by side; a peer keeps 64 MB of a session's scripts
LIKE_AT_ONCE = 3  # TLS connections of one SNI and fingerprint open at once

Mode = Literal["default", "quick", "quiet"]
Width = Literal["usual", "pair", "alone"]
"""Calls of a round side by side: as many as the link bears, one original beside one control, or none."""
Length = Literal["full", "short", "brief", "sample"]
"""Of a round of calls: as a call must be heard for `working`; half of that; as little as shows losses, with fewer
calls; and all that a quick session of many cells has time for."""

CALLS: Mapping[Length, tuple[float, tuple[float, ...]]] = {
    "full": (CALL_SECONDS, CALL_CHECKPOINTS),
    "short": (SHORT_CALL_SECONDS, SHORT_CALL_CHECKPOINTS),
    "brief": (BRIEF_CALL_SECONDS, BRIEF_CALL_CHECKPOINTS),
    "sample": (3.0, (1.0, 3.0)),
}

T = TypeVar("T")


class Chance(Protocol):
    """The random source: a CSPRNG (`secrets.SystemRandom`) on real networks, a seeded `random.Random` in the lab."""

    def uniform(self, a: float, b: float) -> float: ...

    def choice(self, seq: Sequence[T]) -> T: ...

    def shuffle(self, x: MutableSequence[Any]) -> None: ...

    def randbytes(self, n: int) -> bytes: ...


class Planned(msgspec.Struct, frozen=True):
    """A round about to run: specs and starts (seconds after its epoch) are aligned, in start order."""

    number: int
    cell: Cell
    form: str
    specs: list[ExchangeSpec]
    starts: list[float]
    checkpoints: tuple[float, ...]
    seconds: float  # nominal length
    kind: Literal["trial", "locate", "confirm"] = "trial"
    ttl: int | None = None  # of the first packets of each exchange of a locating round
    drawn: Literal["arms", "pairs", "slot"] = "arms"  # this and margins: see record.Round
    margins: tuple[int, int] = (0, 0)


class Patience(NamedTuple):
    """So many times as long as the link's size and round trip ask for: what its controls were found to need."""

    media: float = 1.0
    text: float = 1.0

    def of(self, function: str) -> float:
        return {"media": self.media, "text": self.text}.get(function, 1.0)


class Sizing(msgspec.Struct, frozen=True):
    """What the link bears: exchanges per arm of a call round, which is run as pairs where it bears no such four; bytes
    of an upload and of the download after it, seconds that both may take and between two starts; how many rounds of
    media may run side by side, and exchanges of each arm of one; text's life, gap and rounds side by side."""

    per_arm: int = PER_ARM
    width: Width = "usual"
    upload: int = MEDIA_SIZE
    download: int = MEDIA_SIZE
    media_life: float = MEDIA_LIFE
    media_gap: float = MEDIA_LIFE / LIKE_AT_ONCE
    media_rounds: int = MOST_MEDIA_ROUNDS
    media_per_arm: int = PER_ARM
    text_life: float = TEXT_LIFE
    text_gap: float = TEXT_LIFE / LIKE_AT_ONCE
    text_rounds: float = inf
    rtt: float | None = None  # seconds

    @property
    def thin(self) -> bool:
        """Whether calls have no room for anything beside them."""
        return self.per_arm <= THIN_PER_ARM

    @property
    def media_seconds(self) -> float:
        """Of a round of media, at most."""
        return 4 * self.media_per_arm * self.media_gap + self.media_life

    @property
    def text_seconds(self) -> float:
        """Of a round of text, at most."""
        return 4 * PER_ARM * self.text_gap + self.text_life

    def beside(self, streams: int) -> "Sizing":
        """For a cell of so many rounds of streams: further apart where the link bears fewer side by side, as far as the
        peer keeps the session meanwhile."""
        held = (LONGEST_MEDIA_SECONDS - self.media_life) / (4 * self.media_per_arm)
        apart = self.media_gap * max(1.0, streams / self.media_rounds)
        return msgspec.structs.replace(
            self,
            media_gap=max(self.media_gap, min(apart, held)),
            text_gap=self.text_gap * max(1.0, streams / self.text_rounds),
        )

    def patient(self, patience: Patience) -> "Sizing":
        """With so many times as long for media, within `LONGEST_MEDIA_LIFE` and `PATIENT_SECONDS`. Text fails after
        `SLOW_TEXT_LIFE` in any case; what it gets beyond that is room, where the link has little."""
        more = max(1.0, min(patience.media, LONGEST_MEDIA_LIFE / self.media_life, PATIENT_SECONDS / self.media_seconds))
        text_life = max(self.text_life, min(SLOW_TEXT_LIFE, patience.text * self.text_life))
        apart = patience.text if self.text_rounds < TEXT_AT_ONCE else text_life / self.text_life
        return msgspec.structs.replace(
            self,
            media_life=more * self.media_life,
            media_gap=more * self.media_gap,
            text_life=text_life,
            text_gap=max(self.text_gap, min(SLOW_TEXT_LIFE, apart * self.text_gap)),
        )


def sizing(up_kbps: float | None, down_kbps: float | None, call_kbps: float, rtt: float | None = None) -> Sizing:
    """At most half the link for a round's calls, two thirds for media; more media and longer lives where round trips
    (seconds) are long. call_kbps: one call, one direction."""
    known = [rate for rate in (up_kbps, down_kbps) if rate is not None]
    fit = int(0.5 * min(known) / (4 * call_kbps)) if known else PER_ARM
    hopeless = bool(known) and min(known) < HOPELESS_KBPS
    (upload, out), (download, inward) = (_media_size(kbps, rtt, hopeless) for kbps in (up_kbps, down_kbps))
    needed = MEDIA_TRIPS * (rtt or 0.0) + LINK_SLACK * (out + inward)
    life = min(LONGEST_MEDIA_LIFE, max(MEDIA_LIFE, needed))
    slower = LINK_SLACK * max(out, inward)  # at least this from one start to the next, of all rounds
    alone = bool(known) and min(known) < ALONE_KBPS
    gap = life if alone else min(life, max(life / LIKE_AT_ONCE, slower))
    held = MOST_MEDIA_BYTES // (4 * PER_ARM * (upload + download))
    fit_beside = 1 if alone else int(gap / slower) if slower else MOST_MEDIA_ROUNDS
    text_life = SLOW_TEXT_LIFE if rtt is not None and rtt > SLOW_RTT else TEXT_LIFE
    return Sizing(
        per_arm=max(1, min(PER_ARM, fit)),
        width="usual" if fit else "pair",
        upload=upload,
        download=download,
        media_life=life,
        media_gap=gap,
        media_rounds=max(1, min(MOST_MEDIA_ROUNDS, held, fit_beside)),
        media_per_arm=PER_ARM // 2 if 4 * PER_ARM * gap + life > SLOW_MEDIA_SECONDS else PER_ARM,
        text_life=text_life,
        text_gap=text_life / LIKE_AT_ONCE,
        text_rounds=max(1.0, TEXT_SHARE * min(known) / TEXT_KBPS) if known else inf,
        rtt=rtt,
    )


def _media_size(kbps: float | None, rtt: float | None, hopeless: bool) -> tuple[int, float]:
    """(bytes one way, seconds that the link alone takes for them): enough to get ahead of the policer that is to be
    excluded. The longer the round trip the later slow start shows it, and the slower the link the less it gains.
    hopeless: there is only to be shown how slow the link is."""
    longer = (rtt or 0.0) - MEDIA_RTT
    size = int(MEDIA_SIZE * min(MOST_MEDIA_FACTOR, max(1.0, 1.0 + longer / MEDIA_RTT_STEP)))
    if kbps is None:
        return size, 0.0
    if hopeless:
        return MEDIA_SIZE, MEDIA_SIZE / (kbps * 125)
    gains = 1 - min(POLICED_KBPS / kbps, POLICED_SHARE)
    size = max(min(size, int(kbps * 125)), MEDIA_SIZE, int(AHEAD / gains))
    return size, size / (kbps * 125)


def media_sizes(size: Sizing) -> dict[str, int]:
    """Bytes of an exchange of media, as its spec names them."""
    return {"size": size.download, "upload": size.upload}


def least_media_life(size: Sizing) -> float:
    """Seconds that an exchange of media may need on this link, with a lost SYN to spare."""
    return size.media_life if size.rtt is None else min(size.media_life, MEDIA_TRIPS * size.rtt + size.media_gap)


def cells_of(
    catalogue: Catalogue, apps: Sequence[str], functions: Sequence[str], paths: Sequence[str], route: str = "relay"
) -> list[Cell]:
    """Every cell, path by path; voice in both call directions."""
    cells = []
    for path in paths:
        for app in apps:
            for function in functions:
                if function not in catalogue.apps[app].functions:
                    continue
                if function == "voice":
                    cells += [Cell(app, function, d, route, path) for d in ("outgoing", "incoming")]  # type: ignore[arg-type]
                else:
                    cells.append(Cell(app, function, path=path))
    return cells


def form_plans(catalogue: Catalogue, cell: Cell, replay: bool) -> tuple[FormPlan, ...]:
    plans = forms_of(catalogue, cell.app, cell.function, cell.route)
    if replay:
        return tuple(msgspec.structs.replace(p, form="replay") if p.form == "relay-call" else p for p in plans)
    return plans


def draw_round(
    cell: Cell,
    plan: FormPlan,
    number: int,
    first_exchange: int,
    grant: Grant,
    random: Chance,
    size: Sizing,
    mode: Mode = "default",
    replay: str | None = None,
    length: Length = "full",
    phase: float = 0.0,
) -> Planned:
    """One round of `plan.form`. Exchange numbers run from first_exchange in start order. length: of calls. phase: of
    slots (share of their length), so that rounds side by side do not start theirs together."""
    voice = plan.transport == "udp" and plan.form != "dns"
    media = cell.function == "media" and plan.transport == "tcp"
    per_arm = size.per_arm if voice else size.media_per_arm if media else PER_ARM
    if voice and length == "brief":
        per_arm = min(per_arm, BRIEF_PER_ARM)
    ports = ("app", "other") if "port" in plan.factors else ("app",)
    each = per_arm if len(ports) == 2 else 2 * per_arm
    slots = 2 * len(ports) * each
    on = draw_ports(plan, grant, random)

    checkpoints: tuple[float, ...]
    sizes: Mapping[str, int] = {}
    if voice:
        seconds, checkpoints = CALLS[length]
        starts = sorted(random.uniform(0.0, CALL_SPREAD) for _ in range(slots))
    else:
        seconds, gap = _sequence(cell, plan, size, mode)
        sizes = media_sizes(size) if media else {}
        checkpoints = (seconds,)
        spread = 0.3 * min(gap, seconds / LIKE_AT_ONCE)
        starts = [gap * (i + phase) + random.uniform(0.0, spread) for i in range(slots)]

    arms: list[Arm] = [Arm(payload, port) for payload in ("original", "control") for port in ports for _ in range(each)]  # type: ignore[arg-type]
    random.shuffle(arms)
    specs = specs_of(cell, plan, arms, first_exchange, on, seconds, sizes, replay)
    return Planned(number, cell, plan.form, specs, starts, checkpoints, starts[-1] + seconds)


def draw_ports(plan: FormPlan, grant: Grant, random: Chance) -> dict[str, int]:
    """The app's port as this peer has it, and another that belongs to no app."""
    app_port = grant.ports.get(f"{plan.transport}/{plan.app_port}", plan.app_port)
    return {"app": app_port, "other": random.choice([p for p in grant.other[plan.transport] if p != app_port])}


def specs_of(
    cell: Cell,
    plan: FormPlan,
    arms: Sequence[Arm],
    first_exchange: int,
    on: Mapping[str, int],
    seconds: float,
    sizes: Mapping[str, int],
    replay: str | None,
) -> list[ExchangeSpec]:
    """Exchanges of one round that differ in their arms alone, in start order. on: port by the arm's word for it.
    sizes: see `media_sizes`."""
    return [
        ExchangeSpec(
            number=first_exchange + i,
            app=cell.app,
            function=cell.function,
            direction=cell.direction,
            route=cell.route,
            form=plan.form,
            arm=arm,
            transport=plan.transport,
            port=on[arm.port],
            seconds=seconds,
            **sizes,
            replay=replay if plan.form == "replay" else None,
        )
        for i, arm in enumerate(arms)
    ]


def _sequence(cell: Cell, plan: FormPlan, size: Sizing, mode: str) -> tuple[float, float]:
    """(life of an exchange, gap between slots) where a round is a sequence of slots."""
    if plan.form == "dns":
        return DNS_LIFE, DNS_GAP
    if cell.function == "media":
        return size.media_life, size.media_gap
    if mode == "quick":
        return QUICK_TEXT_LIFE, QUICK_TEXT_LIFE / LIKE_AT_ONCE
    return size.text_life, size.text_gap
