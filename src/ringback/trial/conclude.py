"""From a session's raw facts to measurements: the judge's word on every cell, VPN paths beside the direct one."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ringback.catalogue import Catalogue
from ringback.record import Cell, Cost, Measurement, NetworkRecord, NetworkState, Round, Try, Udp, Verdict
from ringback.trial.cells import CellTrial
from ringback.trial.crowding import codec_of
from ringback.trial.locating import Located
from ringback.trial.penalties import punishes
from ringback.trial.terms import Result
from ringback.verdict.judge import Context, judge
from ringback.verdict.network import network_state

STREAM_TRY = 1_400  # bytes of a stream's try beside what the server sends: openings, headers, handshakes


class Where(msgspec.Struct, frozen=True):
    """Where a session was run. started_at: RFC 3339 in UTC. asn_of_hop: by hop, as far as known (the lab's networks
    are known); asn_of_router: by the address that answers for a hop, for real networks."""

    network: str
    participant: int
    asn: int | None
    region: str | None
    started_at: str
    family: str = "ipv4"
    asn_of_hop: Mapping[int, int] = {}
    asn_of_router: Callable[[str], int | None] | None = None

    def asn_at(self, found: Located) -> int | None:
        """The network that the hop belongs to; None where nobody knows."""
        if found.hop is not None and found.hop in self.asn_of_hop:
            return self.asn_of_hop[found.hop]
        if found.router is None or self.asn_of_router is None:
            return None
        return self.asn_of_router(found.router)


def conclude(
    result: Result, catalogue: Catalogue, where: Where, outer: Mapping[str, str]
) -> tuple[list[Measurement], NetworkRecord]:
    """outer: path name to the VPN protocol whose own cell was tried. Measurements in the order of the session's
    cells; cells of `outer` protocols are not measurements but stand behind every cell of their path."""
    silent = result.silent
    rounds = [each for trial in result.trials for each in _heard(trial, silent) if each.drawn != "slot"]
    state, udp = network_state([*result.tries, *result.later], rounds)
    first = _first_path(result)
    punished = punishes([trial for trial in result.trials if trial.cell.path == first])
    outer_verdicts = {
        trial.cell.path: _judged(trial, result.tries, catalogue, state, udp, None, silent=silent)
        for trial in result.trials
        if trial.cell.function == "outer"
    }
    verdicts: dict[Cell, Verdict] = {}
    for trial in result.trials:
        if trial.cell.function != "outer" and _was_measured(trial, result):
            outer_verdict = outer_verdicts.get(trial.cell.path)
            verdicts[trial.cell] = _judged(
                trial, result.tries, catalogue, state, udp, outer_verdict, punished and trial.cell.path == first, silent
            )
    verdicts = by_one_device(verdicts)
    measurements = []
    for trial in result.trials:
        cell = trial.cell
        if cell not in verdicts:
            continue
        verdict = with_hop(cell, verdicts, result.located, where)
        if cell.path == first and verdict.status not in ("working", "insufficient"):
            verdict = msgspec.structs.replace(verdict, bypassed_by=_bypasses(cell, verdicts))
        measurements.append(_measurement(trial, verdict, where, result))
    return measurements, NetworkRecord(network=where.network, participant=where.participant, state=state, udp=udp)


def _was_measured(trial: CellTrial, result: Result) -> bool:
    """A cell of a further path that was not wanted there has no measurement; one that could not be had is one."""
    return bool(trial.rounds) or trial.cell.path == _first_path(result) or result.everywhere


def _first_path(result: Result) -> str:
    """The path beside which the others stand; an `outer` cell comes first but names the path that it is for."""
    return next((trial.cell.path for trial in result.trials if trial.cell.function != "outer"), "direct")


def _judged(
    trial: CellTrial,
    tries: Sequence[Try],
    catalogue: Catalogue,
    state: NetworkState,
    udp: Udp,
    outer: Verdict | None,
    spillover: bool = False,
    silent: Sequence[int] = (),
) -> Verdict:
    """silent: rounds at whose end the partner was gone. What failed then may have failed for that, and is no sign of a
    poor network."""
    quality = codec_of(catalogue, trial.cell.app)
    context = Context(
        threshold=trial.threshold, quality=quality, state=state, udp=udp, outer=outer, evidence=trial.evidence,
        spillover=spillover,
    )  # fmt: skip
    verdict = judge(trial.cell, trial.rounds, tries, context)
    if silent and verdict.status == "impaired":
        verdict = judge(trial.cell, _heard(trial, silent), tries, context)
        if verdict.reason == "no-rounds":
            return msgspec.structs.replace(verdict, reason="partner-lost")
    return verdict


def _heard(trial: CellTrial, silent: Sequence[int]) -> list[Round]:
    return [each for each in trial.rounds if each.number not in silent]


def by_one_device(verdicts: Mapping[Cell, Verdict]) -> dict[Cell, Verdict]:
    """A host's name in a hello is payload too. Where the same is done to the app by payload that holds no name, one
    device that reads payloads does both, as far as can be seen: then `sni` would claim that it looks at names alone."""
    reads = {
        (cell.app, cell.path, verdict.mechanism)
        for cell, verdict in verdicts.items()
        if (verdict.status, verdict.basis, verdict.trigger) == ("restricted", "randomised", "payload")
    }
    return {
        cell: msgspec.structs.replace(verdict, trigger="payload")
        if verdict.trigger == "sni" and (cell.app, cell.path, verdict.mechanism) in reads
        else verdict
        for cell, verdict in verdicts.items()
    }


def with_hop(cell: Cell, verdicts: Mapping[Cell, Verdict], located: Sequence[Located], where: Where) -> Verdict:
    """The verdict with the hop that was found for this cell, or for the app's other call direction if the same is done
    to it in the same way."""
    verdict = verdicts[cell]
    for found in located:
        other = verdicts.get(found.cell)
        alike = msgspec.structs.replace(found.cell, direction=cell.direction) == cell
        if found.hop is None or other is None or not alike or verdict.status != "restricted":
            continue
        if (verdict.basis, verdict.mechanism, verdict.trigger) == ("randomised", other.mechanism, other.trigger):
            return msgspec.structs.replace(verdict, hop=found.hop, hop_asn=where.asn_at(found))
    return verdict


def _bypasses(cell: Cell, verdicts: Mapping[Cell, Verdict]) -> list[str]:
    """The paths over which this very cell works."""
    return sorted(
        other.path
        for other, verdict in verdicts.items()
        if verdict.status == "working" and other.path != cell.path and _same_but_path(other, cell)
    )


def _same_but_path(a: Cell, b: Cell) -> bool:
    return msgspec.structs.replace(a, path="") == msgspec.structs.replace(b, path="")


def _bytes(each: Try) -> int:
    """What a try from here cost, roughly; one at the vantage cost this network nothing."""
    if each.where == "vantage":
        return 0
    return STREAM_TRY + each.received if each.transport == "tcp" else each.size * (each.sent + each.answered)


def _measurement(trial: CellTrial, verdict: Verdict, where: Where, result: Result) -> Measurement:
    cell = trial.cell
    tried = [t for t in result.tries if t.app == cell.app and t.function == cell.function and t.path == cell.path]
    cost = Cost(round(trial.seconds, 3), trial.bytes + sum(map(_bytes, tried)))
    name = f"{where.network}-{where.participant}-{cell.path}-{cell.app}-{cell.function}-{cell.direction or 'any'}"
    return Measurement(
        id=name,
        started_at=where.started_at,
        network=where.network,
        participant=where.participant,
        asn=where.asn,
        region=where.region,
        family=where.family,
        app=cell.app,
        function=cell.function,
        direction=cell.direction,
        route=cell.route,
        path=cell.path,
        verdict=verdict,
        cost=cost,
    )


def rounds_of(result: Result) -> list[Round]:
    """Every finished round, in order of its number: the raw outcomes that a report keeps."""
    rounds = [each for trial in result.trials for each in trial.rounds]
    return sorted([*rounds, *result.locating], key=lambda each: each.number)
