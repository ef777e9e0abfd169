"""One measured cell beside its truth, short enough to keep thousands; and what many of them say."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from ringback.lab.rules import Scenario
from ringback.lab.run import run_sim
from ringback.record import Measurement, Truth, Verdict
from tests.proof.keeping import kept

NUMBERS = ("after_packets", "after_bytes", "rate_kbps", "loss", "delay_ms")
SILENT = ("whitelist", "offline")
"""States in which `insufficient` is as right as `impaired` (docs: contracts, "Truth")."""


class Told(msgspec.Struct, frozen=True):
    """status, mechanism, trigger: (said, true). state: the network's, as the session closed. inside: by each number
    that is true and was said, whether its interval holds the true one."""

    where: str
    seed: int
    cell: str
    status: tuple[str, str]
    mechanism: tuple[str, str]
    trigger: tuple[str | None, str | None]
    scored: bool
    state: str
    e_value: float | None = None
    e_working: float | None = None
    basis: str | None = None
    reason: str | None = None
    inside: dict[str, bool] = {}

    @property
    def right(self) -> bool:
        said, true = self.status
        return said == true or (said == "insufficient" and true == "impaired" and self.state in SILENT)

    @property
    def accuses_falsely(self) -> bool:
        return self.status[0] == "restricted" and self.status[1] != "restricted"

    @property
    def function(self) -> str:
        return self.cell.split("/")[1]


class Run(msgspec.Struct, frozen=True):
    """wall: seconds of one core."""

    told: list[Told]
    wall: float


def run(name: str, text: str, scenario: Scenario, seed: int) -> Run:
    """The scenario's sessions, from the keep if they are there."""
    return kept(f"lab-{name}", text, seed, Run, lambda: _run(name, scenario, seed))


def _run(name: str, scenario: Scenario, seed: int) -> Run:
    began = time.process_time()
    told: list[Told] = []
    waiting: list[Measurement] = []
    for row in run_sim(scenario, seed):
        if isinstance(row, Measurement):
            waiting.append(row)
        else:
            told += [_told(name, seed, measurement, row.state) for measurement in waiting]
            waiting = []
    return Run(told, time.process_time() - began)


def _told(name: str, seed: int, m: Measurement, state: str) -> Told:
    truth, verdict = m.truth, m.verdict
    assert truth is not None
    cell = "/".join(str(part) for part in (m.app, m.function, m.direction, m.path) if part)
    return Told(
        where=f"{name}:{m.network}:{m.participant}",
        seed=seed,
        cell=cell,
        status=(verdict.status, truth.status),
        mechanism=(verdict.mechanism, truth.mechanism),
        trigger=(verdict.trigger, truth.trigger),
        scored=truth.scored,
        state=state,
        e_value=verdict.e_value,
        e_working=verdict.e_working,
        basis=verdict.basis,
        reason=verdict.reason,
        inside={name: _holds(verdict, truth, name) for name in NUMBERS if _both(verdict, truth, name)},
    )


def _both(verdict: Verdict, truth: Truth, name: str) -> bool:
    return getattr(verdict, f"{name}_interval") is not None and getattr(truth, name) is not None


def _holds(verdict: Verdict, truth: Truth, name: str) -> bool:
    low, high = getattr(verdict, f"{name}_interval")
    return bool(low <= getattr(truth, name) <= high)


def confusion(told: Iterable[Told]) -> dict[str, Counter[str]]:
    """By true mechanism, what was said of cells that are restricted and were found so."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for one in told:
        if one.scored and one.status == ("restricted", "restricted"):
            table[one.mechanism[1]][one.mechanism[0]] += 1
    return dict(table)


def recalls(table: dict[str, Counter[str]]) -> dict[str, float]:
    return {true: said[true] / said.total() for true, said in table.items()}


def show(told: Sequence[Told]) -> None:
    """Each disagreement, then the confusion of mechanisms."""
    scored = [one for one in told if one.scored]
    for one in scored:
        if not one.right:
            print(f"{one.where} #{one.seed} {one.cell}: said {one.status[0]} ({one.reason}), is {one.status[1]} "
                  f"({one.mechanism[1]}, {one.trigger[1]}); e {one.e_value}, working {one.e_working}")  # fmt: skip
    for one in told:
        if not one.scored and one.accuses_falsely:
            print(f"{one.where} #{one.seed} {one.cell}: restricted, not scored; true mechanism {one.mechanism[1]}")
    table = confusion(told)
    for true, said in sorted(table.items()):
        print(f"{true:>10}: {dict(said.most_common())}")
    right = sum(one.right for one in scored)
    print(f"status right: {right} of {len(scored)} scored, {len(told) - len(scored)} unscored")
