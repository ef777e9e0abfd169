"""Where it happens: sessions in the simulator, behind the emulated operator, that look for the hop afterwards."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.flow import DatagramScript, render
from ringback.lab.country import places, sim_net
from ringback.lab.run import KNOWN, far_end, rows, session_settings
from ringback.lab.scenario import parse
from ringback.record import Cell, DatagramOutcome, Lane, Measurement, Round, Verdict
from ringback.sim.world import World
from ringback.trial import limited, locating
from ringback.trial.conclude import Where, with_hop
from ringback.trial.locating import Located, Search
from ringback.trial.methods import BY_PAYLOAD, Method, tail_harmed
from ringback.trial.plan import CALL_SECONDS
from ringback.trial.session import Session
from ringback.trial.terms import Result
from ringback.verdict.absence import CUT
from tests.trial.ends import call_spec

ACTIONS = {
    "drop": 'kind = "drop"',
    "drop-after": 'kind = "drop-after", packets = 25',
    "loss": 'kind = "loss", share = 0.3',
    "police": 'kind = "police", kbps = 8, burst_kbytes = 2',
    "delay": 'kind = "delay", ms = 200',
    "icmp": 'kind = "icmp"',
    "corrupt": 'kind = "corrupt"',
}
SECONDS = CALL_SECONDS / limited.FASTER
LINK = "rtt_ms = 60, loss = 0.02, loss_burst = 6"


def network(hops: int, rule: str = "", app: str = "whatsapp", function: str = "voice", link: str = LINK) -> str:
    asns = ", ".join(str(64500 + i) for i in range(hops))
    return f"""
name = "locate"
seed = 1
apps = ["{app}"]
functions = ["{function}"]
[[network]]
name = "somewhere"
asn = 64500
region = "RU-MOW"
hops = {hops}
hop_asn = [{asns}]
link = {{ {link} }}
{rule}
"""


def rule(
    hop: int,
    action: str,
    direction: str = "both",
    trigger: str = "payload",
    match: str = 'app = "whatsapp", function = "voice"',
) -> str:
    return f"""
[[network.rule]]
hop = {hop}
match = {{ {match} }}
trigger = "{trigger}"
direction = "{direction}"
action = {{ {action} }}
"""


def run(text: str, seed: int, directions: Sequence[str] = ("outgoing",)) -> tuple[Result, list[Measurement]]:
    place = next(iter(places(parse(text, "locate.toml"), seed)))
    settings = msgspec.structs.replace(session_settings(place, None, True), directions=directions)
    near = Session(settings, KNOWN, place.random("session"))
    World(near, far_end(place.random("peer")), sim_net(place), place.number("world")).run(7200.0)
    result = near.result()
    return result, [row for row in rows(place, result) if isinstance(row, Measurement)]


GRID = [(kind, direction, hops, hop) for kind in ACTIONS for direction in ("both", "out", "in")
        for hops in (5, 8) for hop in range(1, 6)]  # fmt: skip
SOME = Random(5).sample(GRID, 12)


def misses(grid: Sequence[tuple[str, str, int, int]]) -> list[str]:
    missed = []
    for kind, direction, hops, hop in grid:
        result, (one,) = run(network(hops, rule(hop, ACTIONS[kind], direction)), 100 * hop + hops)
        assert one.verdict.status == "restricted"
        assert result.located[0].hops == hops
        if one.verdict.hop != hop:
            assert one.verdict.hop is None or abs(one.verdict.hop - hop) <= 1
            missed.append(f"{kind} {direction} at {hop} of {hops}: {one.verdict.hop}")
        else:
            assert one.verdict.hop_asn == 64499 + hop
            assert result.located[0].router == f"192.0.2.{200 + hop}"
    return missed


@pytest.mark.timeout(300)  # many whole sessions
def test_calls_are_located_at_their_hop() -> None:
    assert misses(SOME) == []


@pytest.mark.validate
@pytest.mark.timeout(900)
def test_nineteen_of_twenty_are_located_over_all_mechanisms_and_hops() -> None:
    missed = misses(GRID)
    assert len(missed) <= 0.05 * len(GRID), missed


def test_both_call_directions_share_what_was_found_for_one() -> None:
    result, measured = run(network(5, rule(2, ACTIONS["drop-after"])), 7, ("outgoing", "incoming"))
    assert [(m.direction, m.verdict.hop, m.verdict.hop_asn) for m in measured] == [
        ("outgoing", 2, 64501),
        ("incoming", 2, 64501),
    ]
    assert len(result.located) == 1


def test_rounds_that_locate_are_no_evidence_of_the_cell() -> None:
    result, (one,) = run(network(5, rule(4, ACTIONS["drop"])), 3)
    assert {each.kind for trial in result.trials for each in trial.rounds} == {"trial"}
    assert {each.kind for each in result.locating} == {"locate"}
    assert [each.exchanges[0].ttl for each in result.locating][:2] == [None, 3]
    alone = result.trials[0].evidence
    assert alone is not None
    assert one.verdict.e_value == alone.e_value


@pytest.mark.parametrize(
    ("function", "trigger", "action"),
    [
        ("text", "sni", 'kind = "reset"'),
        ("text", "payload", 'kind = "reset"'),
        ("media", "sni", 'kind = "reset"'),
        ("text", "sni", 'kind = "drop"'),
        ("text", "payload", 'kind = "drop"'),
        ("media", "sni", 'kind = "icmp"'),
        ("text", "dns", 'kind = "nxdomain"'),
        ("text", "dns", 'kind = "forge"'),
        ("text", "dns", 'kind = "drop"'),
        ("voice", "port", 'kind = "drop"'),
        ("voice", "port", 'kind = "icmp"'),
    ],
)
def test_what_comes_back_tells_the_hop_where_no_tail_can(function: str, trigger: str, action: str) -> None:
    for hops, hop in ((5, 2), (8, 6)):
        act = rule(hop, action, trigger=trigger, match=f'app = "whatsapp", function = "{function}"')
        result, (one,) = run(network(hops, act, function=function), hop)
        assert (one.verdict.status, one.verdict.hop) == ("restricted", hop)
        assert result.located[0].router == f"192.0.2.{200 + hop}"


def test_a_stream_that_is_cut_later_stays_unlocated() -> None:
    act = rule(2, 'kind = "drop-after", packets = 8', trigger="sni", match='app = "whatsapp", function = "text"')
    result, (one,) = run(network(5, act, function="text"), 1)
    assert (one.verdict.status, one.verdict.hop) == ("restricted", None)
    assert result.locating == []


def test_what_works_is_not_looked_for() -> None:
    result, (one,) = run(network(5), 1)
    assert (one.verdict.status, one.verdict.hop) == ("working", None)
    assert result.locating == []


@pytest.mark.parametrize("link", [LINK, "rtt_ms = 120, jitter_ms = 10, loss = 0.08, loss_burst = 4", "rtt_ms = 40"])
def test_a_path_that_treats_nothing_has_no_hop(monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    """Even if something is looked for there: every hop is found without it, or stays undecided."""
    cell = Cell("whatsapp", "voice", "outgoing", "relay", "direct")

    def anything(trials: object, path: str, per_arm: int) -> list[Method]:
        return [
            Method(
                cell, "locate/relay-call", "udp", 3478, BY_PAYLOAD, 2 * per_arm, SECONDS, 0.1, False,
                lambda rounds: tail_harmed(rounds, CUT),
            )
        ]  # fmt: skip

    monkeypatch.setattr(locating, "searchable", anything)
    for seed in range(3):
        result, _ = run(network(5, link=link), seed)
        assert [found.hop for found in result.located] == [None]
        assert len(result.locating) > 1


def search(answers: dict[int, Sequence[bool | None]], hops: int) -> Search:
    """A search in which each hop's rounds are decided as told, in turn."""
    waiting = {hop: list(said) for hop, said in answers.items()}
    asked = [0]
    cell = Cell("whatsapp", "voice", "outgoing", "relay", "direct")
    method = Method(
        cell, "locate/relay-call", "udp", 3478, BY_PAYLOAD, 6, 3.5, 0.1, False, lambda _: waiting[asked[0]].pop(0)
    )
    found = Search(method, hops)
    while (ttl := found.ttl) is not None:
        asked[0] = ttl
        found.take(Round(1, cell, "locate/relay-call", 0.0, [], [3.5], "locate"), ttl)
    return found


@given(st.integers(1, 30), st.data())
def test_halving_finds_the_smallest_ttl_that_is_treated(hops: int, data: st.DataObject) -> None:
    hop = data.draw(st.integers(1, hops))
    assert search({k: [None, k >= hop] for k in range(1, hops + 1)}, hops).hop in (hop, None if hops > 15 else hop)
    assert search({k: [k >= hop] for k in range(1, hops + 1)}, hops).hop == hop
    assert search({k: [False] for k in range(1, hops + 1)}, hops).hop is None


def test_a_hop_that_stays_open_ends_the_search() -> None:
    assert search({3: [True], 1: [None, None, None]}, 5).hop is None
    assert search({}, 0).hop is None


@pytest.mark.parametrize("app", ["whatsapp", "telegram", "signal", "max"])
def test_openings_differ_by_what_they_carry_and_tails_not_at_all(app: str) -> None:
    seed = b"s" * 32

    def script(payload: str) -> DatagramScript:
        spec = msgspec.structs.replace(call_spec(5, payload, app), form="locate/relay-call", seconds=3.5)
        made = limited.render(spec, seed, lambda call: render(call, seed))
        assert isinstance(made, DatagramScript)
        return made

    original, control = script("original"), script("control")
    ttls = limited.ttls("locate/relay-call", 2, original)
    n = ttls.index(None)
    assert 2 <= n <= limited.TRIGGER_PACKETS
    assert set(ttls[:n]) == {2}
    assert set(ttls[n:]) == {None}
    assert all(a.data != b.data for a, b in zip(original.near[:n], control.near[:n], strict=True))
    assert original.near[n:] == control.near[n:]
    assert original.far == control.far
    assert [(s.at, len(s.data)) for s in original.near] == [(s.at, len(s.data)) for s in control.near]
    assert all(send.after is None for send in (*original.near, *original.far))
    assert original.far[0].at >= original.near[n].at


def test_a_tail_is_judged_without_its_opening() -> None:
    lane = Lane([0.0, 0.2, 0.4, 0.6, 0.8], [9] * 5, [1.0, 1.2, 1.4, 1.6, 1.8], [None, None, None, 5.6, 5.8])
    tail = limited.tail(DatagramOutcome(lane, Lane()))
    assert tail.outward.scheduled == [0.6, 0.8]
    assert tail.outward.received == [5.6, 5.8]


def test_a_tail_of_more_than_a_call_is_refused() -> None:
    spec = msgspec.structs.replace(call_spec(), form="locate/relay-call", seconds=11.0)
    with pytest.raises(BadInput, match="30 s of a call"):
        limited.render(spec, bytes(32), lambda call: render(call, bytes(32)))


def test_the_paths_length_is_told_by_what_came_through() -> None:
    def trace(*arrived: int) -> DatagramOutcome:
        got = [9.0 if ttl in arrived else None for ttl in range(1, limited.FARTHEST + 1)] * limited.REPEATS
        return DatagramOutcome(Lane([0.0] * len(got), [64] * len(got), [0.0] * len(got), got), Lane())

    assert limited.hops_of([trace(8, 9, 10), trace(7, 9)]) == 6
    assert limited.hops_of([trace()]) is None


def test_the_other_direction_gets_the_hop_only_where_the_same_is_done_to_it() -> None:
    out = Cell("whatsapp", "voice", "outgoing", "relay", "direct")
    back = msgspec.structs.replace(out, direction="incoming")
    elsewhere = msgspec.structs.replace(out, app="telegram")
    struck = Verdict(status="restricted", mechanism="drop", trigger="payload")
    slowed = msgspec.structs.replace(struck, mechanism="police")
    where = Where("n", 0, None, None, "", asn_of_router={"192.0.2.9": 64500}.get)
    found = [Located(out, 2, "192.0.2.9", 5)]

    def hop(cell: Cell, verdict: Verdict) -> tuple[int | None, int | None]:
        got = with_hop(cell, {out: struck, cell: verdict}, found, where)
        return got.hop, got.hop_asn

    assert hop(out, struck) == (2, 64500)
    assert hop(back, struck) == (2, 64500)
    assert hop(back, slowed) == (None, None)
    assert hop(back, Verdict(status="working")) == (None, None)
    assert hop(elsewhere, struck) == (None, None)
