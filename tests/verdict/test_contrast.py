"""The app's own hosts, here and from the vantage, beside neutral hosts: what accuses, and what must not."""

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
