"""How a treatment is looked for along the path, by what was found of it: which openings, and what shows it.

A call that is known by its payload shows it in the control's tail behind the opening. Where there is no tail to see,
what comes back tells: a reset, a forged answer, or no word of routers that answer for the other arm.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from ringback.record import Arm, Cell, DatagramOutcome, Mechanism, Round, Transport
from ringback.trial import limited
from ringback.trial.cells import CellTrial
from ringback.trial.plan import CALL_SECONDS, PER_ARM
from ringback.verdict import penalty, signs
from ringback.verdict.absence import Harm, absent, harm_of
from ringback.verdict.evidence import combine, round_evidence
from ringback.verdict.finding import RANK
from ringback.verdict.judge import finding_of, named
from ringback.verdict.signs import Factor, Sign

ENOUGH = 20.0  # e-value for `treated`, and for its absence where `not treated` is said
CALL_SPREAD, NAMES_SPREAD, STREAMS_SPREAD = 0.1, 0.5, 5.0  # seconds over which a round's exchanges start
LIFE = 1.5  # seconds that an opening without a tail is given
STREAMS_EACH = 6

BY_PAYLOAD = (Arm("original", "app"), Arm("control", "app"))
AWAY_FROM_PORT = (Arm("original", "other"), Arm("control", "other"))  # where the port is treated as well
BY_PORT = (Arm("control", "app"), Arm("control", "other"))

SIGNS: dict[tuple[Literal["call", "dns", "stream"], Factor, Mechanism], Sign] = {
    ("stream", "payload", "reset"): signs.reset,
    ("stream", "payload", "drop"): signs.silent,
    ("stream", "payload", "icmp"): signs.silent,
    ("dns", "payload", "dns"): signs.foreign,
    ("dns", "payload", "drop"): signs.silent,
    ("call", "port", "drop"): signs.silent,
    ("call", "port", "icmp"): signs.silent,
}


class Method(msgspec.Struct, frozen=True):
    """decide: from the rounds at one hop whether the treatment shows; None while that is open. each: exchanges of each
    of the two arms, starting over `spread` seconds, in turn or at random; seconds: life of one."""

    cell: Cell
    form: str
    transport: Transport
    app_port: int
    arms: tuple[Arm, Arm]
    each: int
    seconds: float
    spread: float
    sequence: bool
    decide: Callable[[Sequence[Round]], bool | None]
    replay: str | None = None


def method_of(trial: CellTrial, per_arm: int) -> Method | None:
    """None where what was found leaves no trace that a TTL could bring out."""
    if trial.evidence is None or penalty.shown(trial.rounds):
        return None  # a device that punishes leaves nothing to compare
    factors = trial.evidence.factors
    among = named(factors)
    rounds = [each for each in trial.rounds if each.drawn != "slot"]
    found = {factor: finding_of(rounds, factor, among) for factor in among}
    (form, factor), finding = min(found.items(), key=lambda item: (RANK[item[1].mechanism], -factors[item[0]]))
    plan = next(plan for plan in trial.plans if plan.form == form)
    which: Factor = "port" if factor == "port" else "payload"
    what: Literal["call", "dns", "stream"] = "stream" if plan.transport == "tcp" else "dns" if form == "dns" else "call"
    replay = next((x.spec.replay for r in trial.rounds if r.form == form for x in r.exchanges), None)
    if what == "call" and which == "payload":
        harm = harm_of(finding)
        arms = AWAY_FROM_PORT if (form, "port") in among else BY_PAYLOAD
        return Method(
            trial.cell, limited.TAILED + form, plan.transport, plan.app_port, arms, 2 * min(per_arm, PER_ARM),
            CALL_SECONDS / limited.FASTER, CALL_SPREAD, False, lambda rounds: tail_harmed(rounds, harm), replay,
        )  # fmt: skip
    sign = SIGNS.get((what, which, finding.mechanism))
    if sign is None:
        return None
    return Method(
        trial.cell, limited.BARE + form, plan.transport, plan.app_port, BY_PORT if which == "port" else BY_PAYLOAD,
        STREAMS_EACH if what == "stream" else 2 * PER_ARM, LIFE, STREAMS_SPREAD if what == "stream" else NAMES_SPREAD,
        what == "stream", lambda rounds: signs.shown(rounds, sign, which, ENOUGH), replay,
    )  # fmt: skip


def tail_harmed(rounds: Sequence[Round], harm: Harm) -> bool | None:
    """Whether the originals' openings harm what follows, from a hop's rounds so far; None while that is open.

    Each must be strong against the other: an accident of the labels that looks harmful does not look like `harm`.
    """
    tails = [_tails(each) for each in rounds]
    evidence = [round_evidence(each) for each in tails]
    strength, absence = combine(evidence).e_value, absent(tails, evidence, harm)
    if strength >= ENOUGH * max(1.0, absence):
        return True
    return False if absence >= ENOUGH * max(1.0, strength) else None


def _tails(finished: Round) -> Round:
    exchanges = [
        msgspec.structs.replace(x, outcome=limited.tail(x.outcome)) if isinstance(x.outcome, DatagramOutcome) else x
        for x in finished.exchanges
    ]
    return msgspec.structs.replace(finished, exchanges=exchanges)
