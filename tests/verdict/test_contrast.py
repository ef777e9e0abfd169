"""The app's own hosts, here and from the vantage, beside neutral hosts: what accuses, and what must not."""

import msgspec
import numpy as np
import pytest

from ringback.record import Cell, IcmpError, Try
from ringback.verdict import contrast, shares

VOICE = Cell("signal", "voice", "outgoing", "relay")
TEXT = Cell("signal", "text")


def train(where: str, kind: str, answered: list[int], target: str = "r0", sent: int = 25, **more: object) -> Try:
    """A ping train on one 5-tuple, the pings with these numbers answered."""
    app = "signal" if kind == "app" else None
    return Try(
        where=where, path="direct", kind=kind, target=target, app=app,  # type: ignore[arg-type]
        function="voice" if app else None, form="relay-call", transport="udp", port=3478, started_at=0.0, sent=sent,
        answered=len(answered), failure=None if answered else "generic_timeout_error", answered_indices=answered,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def connect(where: str, kind: str, failure: str | None, target: str = "h0", form: str = "tls") -> Try:
    app = "signal" if kind == "app" else None
    return Try(
        where=where, path="direct", kind=kind, target=target, app=app,  # type: ignore[arg-type]
        function="text" if app else None, form=form, transport="udp" if form == "dns" else "tcp", port=443,
        started_at=0.0, sent=1, answered=int(failure is None), failure=failure,
    )  # fmt: skip


ALL = list(range(25))
NEUTRAL = [train("here", "neutral", list(range(5)), f"n{i}", sent=5) for i in range(6)]
NEUTRAL_TCP = [connect("here", "neutral", None, f"n{i}") for i in range(6)]
NEUTRAL_NAMES = [connect("here", "neutral", None, f"n{i}.example", form="dns") for i in range(6)]
VANTAGE = [train("vantage", "app", ALL) for _ in range(6)]


def kept(share: float, rng: np.random.Generator) -> list[int]:
    return [i for i in ALL if rng.random() < share]


def test_a_relay_that_is_silent_here_and_answers_elsewhere_accuses() -> None:
    result = contrast.compare(VOICE, [train("here", "app", []) for _ in range(6)] + VANTAGE + NEUTRAL)
    assert (result.outcome, result.trigger, result.finding.mechanism) == ("accuses", "destination", "drop")


def test_four_silent_flows_are_not_enough_however_many_pings_they_carried() -> None:
    result = contrast.compare(VOICE, [train("here", "app", []) for _ in range(4)] + VANTAGE[:4] + NEUTRAL)
    assert result.outcome == "undecided"


def test_nothing_is_accused_where_neutral_hosts_are_silent_too() -> None:
    silent = [train("here", "neutral", [], f"n{i}", sent=5) for i in range(6)]
    result = contrast.compare(VOICE, [train("here", "app", []) for _ in range(6)] + VANTAGE + silent)
    assert result.outcome == "undecided"


def test_nothing_is_accused_without_the_vantage_or_where_it_fares_no_better() -> None:
    here = [train("here", "app", []) for _ in range(6)]
    assert contrast.compare(VOICE, here + NEUTRAL).outcome == "undecided"
    halves = [train("vantage", "app", ALL if i % 2 else []) for i in range(6)]
    assert contrast.compare(VOICE, here + halves + NEUTRAL).outcome == "undecided"


def test_a_relay_silent_everywhere_is_down() -> None:
    nowhere = [train(where, "app", []) for where in ("here", "vantage") for _ in range(4)]
    assert contrast.compare(VOICE, nowhere + NEUTRAL).outcome == "down"


def test_a_relay_that_answers_agrees_with_a_working_call() -> None:
    here = [train("here", "app", ALL) for _ in range(4)]
    assert contrast.compare(VOICE, here + VANTAGE + NEUTRAL).outcome == "agrees"


def test_lost_pings_accuse_and_say_how_many_are_lost_each_way() -> None:
    rng = np.random.default_rng(1)
    here = [train("here", "app", kept(0.7**2, rng)) for _ in range(6)]
    result = contrast.compare(VOICE, here + VANTAGE + NEUTRAL)
    assert (result.outcome, result.finding.mechanism) == ("accuses", "loss")
    assert result.finding.loss == pytest.approx(0.3, abs=0.05)


def test_trains_that_stop_at_the_same_ping_show_a_cut_off_of_twice_as_many_packets() -> None:
    here = [train("here", "app", list(range(10))) for _ in range(6)]
    finding = contrast.compare(VOICE, here + VANTAGE + NEUTRAL).finding
    assert (finding.mechanism, finding.after_packets, finding.after_packets_interval) == ("drop-after", 20, (19, 21))


def test_an_icmp_error_is_named() -> None:
    error = [IcmpError(0.1, 3, 3)]
    here = [train("here", "app", [], icmp=error) for _ in range(6)]
    assert contrast.compare(VOICE, here + VANTAGE + NEUTRAL).finding.mechanism == "icmp"


@pytest.mark.parametrize(
    ("failure", "mechanism"),
    [
        ("connection_reset", "reset"),
        ("connection_refused", "reset"),
        ("host_unreachable", "icmp"),
        ("generic_timeout_error", "drop"),
    ],
)
def test_a_hosts_failures_name_the_mechanism(failure: str, mechanism: str) -> None:
    tries = [connect("here", "app", failure) for _ in range(6)] + [connect("vantage", "app", None) for _ in range(6)]
    result = contrast.compare(TEXT, tries + NEUTRAL_TCP)
    assert (result.outcome, result.finding.mechanism) == ("accuses", mechanism)


def met(where: str, form: str, answer: int, damaged: int = 0) -> Try:
    """A connection that stood, and was answered or not."""
    tried = connect(where, "app", None if answer else "generic_timeout_error", form=form)
    return msgspec.structs.replace(tried, rtt_ms=60.0, received=100 * answer, damaged=damaged, through=not damaged)


def test_hosts_that_are_reached_but_never_answer_are_no_drop_of_their_address() -> None:
    silent = [met("here", "obfuscated", 0) for _ in range(6)]
    there = [met("vantage", "obfuscated", 1) for _ in range(6)]
    finding = contrast.compare(TEXT, silent + there + NEUTRAL_TCP).finding
    assert (finding.mechanism, finding.after_packets_interval) == ("drop-after", (2.0, 5.0))


def test_damage_that_one_form_shows_is_damage_to_the_form_whose_host_says_nothing_to_it() -> None:
    here = [met("here", "obfuscated", 0) for _ in range(6)] + [met("here", "tls", 1, damaged=1) for _ in range(6)]
    there = [met("vantage", form, 1) for form in ("obfuscated", "tls") for _ in range(6)]
    assert contrast.compare(TEXT, here + there + NEUTRAL_TCP).finding.mechanism == "corrupt"


def test_names_that_resolve_only_elsewhere_are_a_matter_of_dns() -> None:
    tries = [connect("here", "app", "dns_nxdomain_error", form="dns") for _ in range(6)]
    tries += [connect("vantage", "app", None, form="dns") for _ in range(6)]
    result = contrast.compare(TEXT, tries + NEUTRAL_TCP + NEUTRAL_NAMES)
    assert (result.outcome, result.trigger, result.finding.mechanism) == ("accuses", "dns", "dns")


def test_names_are_compared_with_names_alone() -> None:
    """A tunnel that was not up when names were asked for, and was when streams were opened, says nothing of an app."""
    tries = [connect("here", "app", "generic_timeout_error", form="dns") for _ in range(6)]
    tries += [connect("vantage", "app", None, form="dns") for _ in range(6)]
    assert contrast.compare(TEXT, tries + NEUTRAL_TCP).outcome == "undecided"
    silent = [connect("here", "neutral", "generic_timeout_error", f"n{i}", "dns") for i in range(6)]
    assert contrast.compare(TEXT, tries + NEUTRAL_TCP + silent).outcome == "undecided"


def test_a_host_that_is_silent_is_accused_of_beside_a_network_that_drops_all_udp() -> None:
    """Neutral hosts answer there as hosts do, by TCP; that no name is told and no ping comes back is another matter."""
    tries = [connect("here", "app", "generic_timeout_error") for _ in range(6)]
    tries += [connect("vantage", "app", None) for _ in range(6)]
    no_udp = [train("here", "neutral", [], f"n{i}", sent=5) for i in range(6)]
    no_udp += [connect("here", "neutral", "generic_timeout_error", f"n{i}.example", "dns") for i in range(6)]
    result = contrast.compare(TEXT, tries + NEUTRAL_TCP + no_udp)
    assert (result.outcome, result.trigger, result.finding.mechanism) == ("accuses", "destination", "drop")
    calls = [train("here", "app", []) for _ in range(6)] + VANTAGE
    assert contrast.compare(VOICE, calls + NEUTRAL_TCP + no_udp).outcome == "undecided"


def test_another_apps_silence_is_not_this_ones() -> None:
    tries = [train("here", "app", []) for _ in range(6)] + VANTAGE + NEUTRAL
    assert contrast.compare(Cell("max", "voice"), tries).outcome == "undecided"
    assert contrast.compare(TEXT, tries).outcome == "undecided"


@pytest.mark.parametrize("seed", range(4))
def test_a_lossy_access_link_accuses_no_relay(seed: int) -> None:
    """The same loss towards all destinations, as a link makes it; the vantage has none."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for _ in range(200):
        loss = rng.uniform(0.01, 0.5)
        here = [train("here", "app", kept((1 - loss) ** 2, rng)) for _ in range(6)]
        neutral = [
            train("here", "neutral", [i for i in range(5) if rng.random() < (1 - loss) ** 2], f"n{i}", sent=5)
            for i in range(6)
        ]
        wrong += contrast.compare(VOICE, here + VANTAGE + neutral).outcome == "accuses"
    assert wrong <= 1


def test_bounds_of_a_share_are_clopper_and_pearsons() -> None:
    assert shares.counted(0, 10).upper == pytest.approx(1 - 0.05 ** (1 / 10))
    assert shares.counted(10, 10).lower == pytest.approx(0.05 ** (1 / 10))
    assert (shares.counted(0, 0).lower, shares.counted(0, 0).upper) == (0.0, 1.0)


def test_pings_that_fail_flow_by_flow_are_worth_as_many_as_flows() -> None:
    alike = shares.clustered([12, 13] * 4, [25] * 8)
    apart = shares.clustered([25, 0] * 4, [25] * 8)
    assert apart.value == alike.value == 0.5
    assert apart.n == pytest.approx(8)
    assert alike.upper < 0.6 < apart.upper


# -- trains as long as calls, streams, round trips ------------------------------------------------------------------

SENT, EVERY = 525, 20.0  # pings, ms
PARTNER = Try("here", "direct", "peer", "p", None, None, "control", "tcp", 0, 0.0, 1, 1, rtt_ms=60.0)


def long_train(where: str, kind: str, answered: list[int], rtt: float = 60.0, **more: object) -> Try:
    each = [rtt + i % 7 for i in answered]
    return train(where, kind, answered, sent=SENT, rtts_ms=each, rtt_ms=rtt, every_ms=EVERY, size=48, **more)


def trains(here: list[list[int]], rtt: float = 60.0) -> list[Try]:
    """An app's trains here, its relays' answers at the vantage, and neutral hosts'."""
    full = list(range(SENT))
    tries = [*(train("here", "app", ALL) for _ in range(6)), *VANTAGE, *NEUTRAL]
    tries += [long_train("here", "app", answered, rtt + i) for i, answered in enumerate(here)]
    tries += [long_train("vantage", "app", full, 30.0 + i) for i in range(3)]
    for where, ms in (("here", 60.0), ("vantage", 30.0)):
        tries += [long_train(where, "neutral", full, ms + i, target=f"n{i}") for i in range(3)]
    return [*tries, PARTNER]


def cut_after(most: float, unit: tuple[float, float], side: str, rtt: float) -> list[int]:
    """The pings that are answered where a counter next to the participant lets `most` pass, of which a ping and its
    answer count `unit`, and drops what is too many of one side or of both."""
    events = sorted([(EVERY * i, 0, i) for i in range(SENT)] + [(EVERY * i + rtt, 1, i) for i in range(SENT)])
    count, gone, answered = 0.0, set[int](), []
    for _, answer, i in events:
        if i in gone:
            continue
        count += unit[answer]
        if count > most and side in ("both", ("out", "in")[answer]):
            gone.add(i)
        elif answer:
            answered.append(i)
    return answered


@pytest.mark.parametrize("rtt", [30.0, 130.0, 410.0])
@pytest.mark.parametrize("side", ["out", "in", "both"])
def test_a_cut_off_late_in_a_call_is_seen_by_trains_as_long_as_one(side: str, rtt: float) -> None:
    tries = trains([cut_after(200, (1, 1), side, rtt + 3)] * 3, rtt)
    finding = contrast.compare(VOICE, tries).finding
    assert finding.mechanism == "drop-after"
    assert finding.after_packets_interval is not None
    assert finding.after_packets_interval[0] <= 200 <= finding.after_packets_interval[1]


def test_trains_that_lost_some_before_the_cut_leave_its_number_within_its_interval() -> None:
    finding = contrast.compare(VOICE, trains([list(range(n)) for n in (100, 103, 103)], 60.0)).finding
    assert finding.after_packets is not None
    assert finding.after_packets_interval is not None
    assert finding.after_packets_interval[0] <= finding.after_packets <= finding.after_packets_interval[1]


def test_a_record_that_tells_other_round_trips_than_answers_is_judged_without_them() -> None:
    odd = [
        msgspec.structs.replace(t, rtts_ms=[1.0, 2.0]) for t in trains([list(range(0, SENT, 3))] * 3) if t.sent == SENT
    ]
    assert contrast.compare(VOICE, [*trains([]), *odd]).outcome == "accuses"


@pytest.mark.parametrize("side", ["out", "in", "both"])
def test_a_cut_off_by_bytes_is_told_as_well(side: str) -> None:
    """For all pings are alike; here of 28 bytes of IP payload, answered with 40."""
    tries = [
        msgspec.structs.replace(t, size=60, least=48) for t in trains([cut_after(9000, (28, 40), side, 63.0)] * 3, 60.0)
    ]
    finding = contrast.compare(VOICE, tries).finding
    assert finding.mechanism == "drop-after"
    assert finding.after_bytes_interval is not None
    assert finding.after_bytes_interval[0] <= 9000 <= finding.after_bytes_interval[1]


def queued(kbps: float, queue_s: float, size: int = 48, rtt: float = 60.0) -> Try:
    """A train through a queue that is longer than anybody waits for its last answers."""
    free, answered, trips = 0.0, [], []
    for i in range(SENT):
        at = EVERY * i / 1000
        if free - at <= queue_s:
            free = max(free, at) + size * 8 / 1000 / kbps
            if free - at + rtt / 1000 < (SENT - 1 - i) * EVERY / 1000 + 1.5:
                answered.append(i)
                trips.append(1000 * (free - at) + rtt)
    return msgspec.structs.replace(long_train("here", "app", answered), rtts_ms=trips)


def test_what_waits_in_a_long_queue_is_not_cut_off() -> None:
    tries = [t for t in trains([]) if t.kind != "app" or t.where != "here"]
    tries += [train("here", "app", ALL) for _ in range(6)] + [queued(9.0, 2.0) for _ in range(3)]
    finding = contrast.compare(VOICE, tries).finding
    assert finding.mechanism == "shape"
    assert finding.rate_kbps == pytest.approx(9.0, rel=0.1)


def test_heavy_losses_that_end_in_silence_are_no_cut_off() -> None:
    rng = np.random.default_rng(7)
    some = [[i for i in range(16) if rng.random() < 0.2] or [3] for _ in range(6)]
    tries = [train("here", "app", answered, rtts_ms=[60.0] * len(answered), every_ms=EVERY) for answered in some]
    assert contrast.compare(VOICE, tries + VANTAGE + NEUTRAL).finding.mechanism == "loss"


def test_a_limit_on_the_smaller_packets_alone_is_within_the_interval() -> None:
    tries = trains([[i for i in range(SENT) if i < 20 or i % 4 == 0]] * 3)
    finding = contrast.compare(VOICE, [msgspec.structs.replace(t, least=36) for t in tries]).finding
    assert finding.mechanism == "police"
    assert finding.rate_kbps_interval is not None
    low, high = finding.rate_kbps_interval
    assert low < 36 * 8 / (4 * EVERY) < 48 * 8 / (4 * EVERY) < high


def test_a_bucket_lets_pings_pass_at_steady_intervals_and_its_rate_is_told() -> None:
    rate, burst, size = 4000 / 8, 1000.0, 48  # B/s, B, B
    tokens, passed = burst, []
    for i in range(SENT):
        tokens = min(burst, tokens + rate * EVERY / 1000)
        if tokens >= size:
            tokens -= size
            passed.append(i)
    finding = contrast.compare(VOICE, trains([passed] * 3)).finding
    assert finding.mechanism == "police"
    assert finding.rate_kbps == pytest.approx(4.0, rel=0.1)


def test_losses_by_chance_are_no_bucket() -> None:
    rng = np.random.default_rng(2)
    lost = [[i for i in range(SENT) if rng.random() < 0.85] for _ in range(3)]
    result = contrast.compare(VOICE, trains(lost))
    assert (result.outcome, result.finding.mechanism) == ("accuses", "loss")


def test_one_ping_in_twenty_more_lost_than_elsewhere_is_nature() -> None:
    lost = [[i for i in range(SENT) if i % 20] for _ in range(3)]
    assert contrast.compare(VOICE, trains(lost)).outcome == "agrees"


def test_a_way_longer_than_by_way_of_the_partner_is_a_delay_of_one_way_or_both() -> None:
    full = [list(range(SENT))] * 3
    finding = contrast.compare(VOICE, trains(full, rtt=60.0 + 300.0)).finding
    assert (finding.mechanism, finding.delay_ms_interval is not None) == ("delay", True)
    assert finding.delay_ms == pytest.approx(150, abs=5)
    low, high = finding.delay_ms_interval or (0.0, 0.0)
    assert low <= 150
    assert high >= 299


def test_a_relay_that_is_far_away_is_not_delayed() -> None:
    """From here by way of the partner it is no nearer, however near neutral hosts are."""
    full = [list(range(SENT))] * 3
    far = [
        t
        for t in trains(full, rtt=260.0)
        if t.kind != "peer" and not (t.rtt_ms and (t.kind, t.where) == ("app", "vantage"))
    ]
    far += [long_train("vantage", "app", full[0], 150.0 + i) for i in range(3)]
    for partner in (160.0, 110.0):
        way = Try("here", "direct", "peer", "p", None, None, "control", "tcp", 0, 0.0, 1, 1, rtt_ms=partner)
        assert contrast.compare(VOICE, [*far, way]).outcome == "agrees"
    assert contrast.compare(VOICE, far).outcome == "agrees"  # nor where the way to the partner is unknown


def stream(where: str, kind: str, rtt: float = 50.0, flight: float | None = 52.0, **more: object) -> Try:
    tried = connect(where, kind, None if flight is not None else "generic_timeout_error", **more)  # type: ignore[arg-type]
    return msgspec.structs.replace(tried, rtt_ms=rtt, flight_ms=flight, first_ms=flight and 50.0, end_ms=50.0,
                                   through=flight is not None, received=4062)  # fmt: skip


def streams(here: list[Try]) -> list[Try]:
    tries = [*here, PARTNER, *(stream("vantage", "app", 30.0, 30.0) for _ in here)]
    for where in ("here", "vantage"):
        tries += [stream(where, "neutral", target=f"n{i % 6}") for i in range(18)]
    return tries


def test_streams_that_answer_and_go_no_further_are_cut() -> None:
    cut = [msgspec.structs.replace(stream("here", "app"), through=False, end_ms=None) for _ in range(10)]
    result = contrast.compare(TEXT, streams(cut))
    assert (result.outcome, result.finding.mechanism) == ("accuses", "drop-after")


def test_streams_that_mostly_wait_for_something_sent_again_are_losses() -> None:
    slow = [stream("here", "app", 1050.0 if i % 2 else 50.0, 400.0 if i else 52.0) for i in range(10)]
    result = contrast.compare(TEXT, streams(slow))
    assert (result.outcome, result.finding.mechanism) == ("accuses", "loss")


def test_a_few_late_streams_are_the_links_own() -> None:
    slow = [stream("here", "app", 50.0, 400.0 if i < 3 else 52.0) for i in range(10)]
    assert contrast.compare(TEXT, streams(slow)).outcome == "agrees"


def test_a_text_whose_every_packet_is_two_seconds_late_is_delayed() -> None:
    late = [stream("here", "app", 4050.0 + i, 4052.0) for i in range(10)]
    finding = contrast.compare(TEXT, streams(late)).finding
    assert (finding.mechanism, finding.delay_ms) == ("delay", pytest.approx(2000, abs=20))


def test_answers_that_no_server_sends_are_damaged() -> None:
    odd = [msgspec.structs.replace(stream("here", "app"), through=False, flight_ms=None, damaged=1) for _ in range(10)]
    result = contrast.compare(TEXT, streams(odd))
    assert (result.outcome, result.finding.mechanism) == ("accuses", "corrupt")


# -- exits of VPN paths -------------------------------------------------------------------------------------------

OUTER = Cell("wireguard", "outer", path="vpn")
WELL = shares.counted(990, 1000)


def at_exit(where: str, answered: list[int], path: str = "vpn", **more: object) -> Try:
    """A train of first messages at the exit of a path, made outside of its tunnel."""
    found = train(where, "app", answered, path, **more)  # type: ignore[arg-type]
    return msgspec.structs.replace(found, app="wireguard", function="outer", form="outer", port=51820)


OUTSIDE = [at_exit("vantage", ALL) for _ in range(6)]


@pytest.mark.parametrize(("refused", "mechanism"), [(False, "drop"), (True, "icmp")])
def test_an_exit_that_is_silent_here_and_answers_elsewhere_accuses(refused: bool, mechanism: str) -> None:
    icmp = [IcmpError(0.0, 3, 3, "192.0.2.201")] if refused else []
    here = [at_exit("here", [], icmp=icmp) for _ in range(6)]
    result = contrast.compare(OUTER, here + OUTSIDE + NEUTRAL, WELL)
    assert (result.outcome, result.trigger, result.finding.mechanism) == ("accuses", "destination", mechanism)


def test_an_exit_is_accused_of_nothing_that_the_same_packets_suffer_at_the_peer() -> None:
    rng = np.random.default_rng(1)
    here = [at_exit("here", kept(0.7**2, rng)) for _ in range(6)]
    result = contrast.compare(OUTER, here + OUTSIDE + NEUTRAL, WELL)
    assert (result.outcome, result.finding.mechanism) == ("accuses", "loss")
    as_bad = shares.counted(500, 1000)
    assert contrast.compare(OUTER, here + OUTSIDE + NEUTRAL, as_bad).outcome == "undecided"
    assert contrast.compare(OUTER, here + OUTSIDE + NEUTRAL, shares.counted(0, 0)).outcome == "undecided"


def test_an_exit_that_is_down_or_another_paths_accuses_nobody() -> None:
    nowhere = [at_exit(where, []) for where in ("here", "vantage") for _ in range(6)]
    assert contrast.compare(OUTER, nowhere + NEUTRAL, WELL).outcome == "down"
    assert not contrast.whole_app_down("wireguard", nowhere + NEUTRAL)
    others = [at_exit("here", [], "vpn2") for _ in range(6)]
    fine = [at_exit("here", ALL) for _ in range(6)]
    assert contrast.compare(OUTER, others + fine + OUTSIDE + NEUTRAL, WELL).outcome == "agrees"


def test_an_exit_is_not_accused_where_neutral_hosts_are_silent() -> None:
    silent = [train("here", "neutral", [], f"n{i}", sent=5) for i in range(6)]
    here = [at_exit("here", []) for _ in range(6)]
    assert contrast.compare(OUTER, here + OUTSIDE + silent, WELL).outcome == "undecided"
