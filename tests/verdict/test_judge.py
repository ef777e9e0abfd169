"""Whole verdicts: rounds and tries of one cell in, one of five statuses out, in the order of precedence."""

from dataclasses import dataclass, replace

import msgspec
import pytest

from ringback.record import Cell, DatagramOutcome, IcmpError, Round, Status, StreamOutcome, Try, Verdict
from ringback.verdict.evidence import CellEvidence
from ringback.verdict.judge import Context, judge
from tests.verdict.build import Effect, dns_round, stream_round, voice_round

VOICE = Cell("whatsapp", "voice", "outgoing", "relay")
TEXT = Cell("whatsapp", "text")


@dataclass(frozen=True)
class Codec:
    ie: float = 0.0
    bpl: float = 20.0


CONTEXT = Context(threshold=12_000.0, quality=Codec())


NOTHING = Effect(trigger="none")


def call_rounds(effect: Effect = NOTHING, count: int = 2, **link: float) -> list[Round]:
    return [voice_round(7, effect=effect, number=n, every=0.02, **link) for n in range(count)]  # type: ignore[arg-type]


def each_alone(rounds: list[Round]) -> list[Round]:
    """The same calls, one after the other."""
    for each in rounds:
        for exchange in each.exchanges:
            exchange.started_at = each.number * 1000.0 + exchange.slot * 12.0
    return rounds


def trains(where: str, kind: str, answered: int, count: int = 8, app: str | None = None) -> list[Try]:
    """Ping trains of 25 on as many flows, `answered` of each answered."""
    return [
        Try(
            where=where, path="direct", kind=kind, target=f"{kind}{i}", app=app,  # type: ignore[arg-type]
            function="voice" if app else None, form="ping", transport="udp", port=3478, started_at=float(i), sent=25,
            answered=answered, failure=None if answered else "generic_timeout_error",
            answered_indices=list(range(answered)), rtt_ms=40.0 if answered else None,
        )
        for i in range(count)
    ]  # fmt: skip


def connects(
    kind: str, answered: bool = True, count: int = 12, app: str | None = None, where: str = "here"
) -> list[Try]:
    return [
        Try(
            where=where, path="direct", kind=kind, target=f"{kind}{i % 6}", app=app,  # type: ignore[arg-type]
            function="text" if app else None, form="tls", transport="tcp", port=443, started_at=float(i), sent=1,
            answered=int(answered), failure=None if answered else "generic_timeout_error",
            rtt_ms=40.0 if answered else None,
        )
        for i in range(count)
    ]  # fmt: skip


HEALTHY = trains("here", "neutral", 25) + connects("neutral")
RELAY_ANSWERS = trains("here", "app", 25, app="whatsapp") + trains("vantage", "app", 25, app="whatsapp")
RELAY_BLOCKED = trains("here", "app", 0, app="whatsapp") + trains("vantage", "app", 25, app="whatsapp")
RELAY_DOWN = trains("here", "app", 0, app="whatsapp") + trains("vantage", "app", 0, app="whatsapp")


def test_calls_that_are_dropped_by_their_bytes_are_restricted_by_payload() -> None:
    verdict = judge(VOICE, call_rounds(Effect(drop=True)), HEALTHY, CONTEXT)
    assert (verdict.status, verdict.mechanism, verdict.trigger) == ("restricted", "drop", "payload")
    assert (verdict.basis, verdict.scope) == ("randomised", "peer")
    assert verdict.e_value is not None
    assert verdict.e_value >= CONTEXT.threshold
    assert verdict.mos == 1.0
    assert verdict.control_mos is not None
    assert verdict.control_mos > 4


def test_calls_that_are_dropped_by_their_port_are_restricted_by_port() -> None:
    verdict = judge(VOICE, call_rounds(Effect(drop=True, trigger="port")), HEALTHY, CONTEXT)
    assert (verdict.status, verdict.mechanism, verdict.trigger) == ("restricted", "drop", "port")
    assert verdict.mos == 1.0


def test_a_cut_off_comes_with_its_count() -> None:
    verdict = judge(VOICE, call_rounds(Effect(after_packets=150)), HEALTHY, CONTEXT)
    assert (verdict.status, verdict.mechanism) == ("restricted", "drop-after")
    assert verdict.after_packets == pytest.approx(150, abs=3)
    assert verdict.after_packets_interval is not None
    low, high = verdict.after_packets_interval
    assert low <= 150 <= high


def test_a_healthy_call_works_towards_the_peer_and_for_the_app_once_its_relay_answers() -> None:
    verdict = judge(VOICE, call_rounds(), HEALTHY, CONTEXT)
    assert (verdict.status, verdict.scope, verdict.mechanism, verdict.trigger) == ("working", "peer", "none", None)
    assert verdict.clear_to is not None
    assert verdict.clear_to.seconds >= 10
    assert verdict.clear_to.packets > 900
    assert judge(VOICE, call_rounds(), HEALTHY + RELAY_ANSWERS, CONTEXT).scope == "app"


def test_short_calls_never_work_because_a_cut_off_may_come_later() -> None:
    rounds = [voice_round(7, number=n, every=0.02, seconds=5.0) for n in range(4)]
    verdict = judge(VOICE, rounds, HEALTHY, CONTEXT)
    assert verdict.status == "insufficient"


def test_a_blocked_relay_is_restricted_by_destination_and_carries_no_e_value() -> None:
    verdict = judge(VOICE, call_rounds(), HEALTHY + RELAY_BLOCKED, CONTEXT)
    assert (verdict.status, verdict.trigger, verdict.basis) == ("restricted", "destination", "contrast")
    assert (verdict.scope, verdict.mechanism, verdict.e_value) == ("app", "drop", None)


def test_a_relay_that_answers_nowhere_is_a_service_down() -> None:
    verdict = judge(VOICE, call_rounds(), HEALTHY + RELAY_DOWN, CONTEXT)
    assert (verdict.status, verdict.mechanism, verdict.trigger) == ("service-down", "none", None)


def test_a_restriction_outranks_relays_that_are_silent_alone() -> None:
    """They may be silent to whoever comes from the vantage's address; no other function was tried."""
    assert judge(VOICE, call_rounds(Effect(drop=True)), APP_DOWN[:-24], CONTEXT).status == "restricted"


def app_down(answering: str = "", where: str = "") -> list[Try]:
    """Own hosts of calls and of text silent here and from the vantage, but those of a function at a place."""
    tries: list[Try] = list(HEALTHY)
    for at in ("here", "vantage"):
        tries += trains("vantage", "neutral", 25) if at == "vantage" else []
        tries += trains(at, "app", 25 if (answering, where) == ("voice", at) else 0, app="whatsapp")
    for at in ("here", "vantage"):
        tries += connects("app", (answering, where) == ("text", at), app="whatsapp", where=at)
    return tries


APP_DOWN = app_down()


def test_an_app_that_is_down_outranks_a_restriction_whose_evidence_stays_beside_it() -> None:
    verdict = judge(VOICE, call_rounds(Effect(drop=True)), APP_DOWN, CONTEXT)
    assert (verdict.status, verdict.mechanism, verdict.trigger) == ("service-down", "none", None)
    assert verdict.e_value is not None
    assert verdict.e_value > CONTEXT.threshold


@pytest.mark.parametrize("where", ["here", "vantage"])
@pytest.mark.parametrize("function", ["voice", "text"])
def test_one_host_that_answers_anywhere_lets_no_restriction_hide(function: str, where: str) -> None:
    rounds = call_rounds(Effect(drop=True))
    assert judge(VOICE, rounds, app_down(function, where), CONTEXT).status == "restricted"


def test_without_the_vantages_own_neutral_hosts_no_app_is_down_before_a_restriction() -> None:
    unproven = [t for t in APP_DOWN if (t.where, t.kind) != ("vantage", "neutral")]
    assert judge(VOICE, call_rounds(Effect(drop=True)), unproven, CONTEXT).status == "restricted"
    cut_off = [t for t in APP_DOWN if (t.where, t.kind) != ("here", "neutral")]
    assert judge(VOICE, call_rounds(Effect(drop=True)), cut_off, CONTEXT).status == "restricted"


def test_a_rule_that_silences_neutral_hosts_too_hides_no_app_that_is_down() -> None:
    """Such as one on a port that all have: neutral hosts are silent here, and the partner answers on another."""
    silenced = [t for t in APP_DOWN if (t.where, t.kind) != ("here", "neutral")] + connects("neutral", answered=False)
    rounds = call_rounds(Effect(drop=True))
    assert judge(VOICE, rounds, silenced, CONTEXT).status == "restricted"
    partner = [
        Try(
            **{name: getattr(t, name) for name in t.__struct_fields__}
            | {"kind": "peer", "form": "control", "app": None}
        )
        for t in connects("neutral")[:1]
    ]
    assert judge(VOICE, rounds, silenced + partner, CONTEXT).status == "service-down"
    up = [t for t in app_down("text", "vantage") if (t.where, t.kind) != ("here", "neutral")]
    assert judge(VOICE, rounds, up + partner, CONTEXT).status == "restricted"


def test_an_app_that_is_down_is_down_behind_a_white_list_and_over_a_restricted_tunnel_too() -> None:
    outer = Verdict(status="restricted", mechanism="drop", trigger="payload", e_value=1e6, threshold=1e4)
    inside = Cell("whatsapp", "voice", "outgoing", "relay", "vpn")
    assert judge(inside, [], APP_DOWN, replace(CONTEXT, outer=outer)).status == "service-down"
    walled = [t for t in APP_DOWN if (t.where, t.kind) != ("here", "neutral")] + connects("neutral", answered=False)
    assert judge(VOICE, [], walled, replace(CONTEXT, state="whitelist")).status == "service-down"
    listed_elsewhere = [t for t in walled if t.where == "here"]  # the vantage's word never came
    assert judge(VOICE, [], listed_elsewhere, replace(CONTEXT, state="whitelist")).status == "impaired"


@pytest.mark.parametrize("status", ["restricted", "impaired"])
def test_calls_that_are_down_are_so_over_a_blocked_tunnel_too_where_nothing_else_was_tried(status: Status) -> None:
    """As on the direct path: nobody is kept from a service that nobody reaches."""
    outer = Verdict(status=status, mechanism="drop", trigger="payload", e_value=1e6, threshold=1e4)
    inside = Cell("whatsapp", "voice", "outgoing", "relay", "vpn")
    blocked = replace(CONTEXT, outer=outer)
    verdict = judge(inside, [], HEALTHY + RELAY_DOWN, blocked)
    assert (verdict.status, verdict.mechanism, verdict.basis) == ("service-down", "none", "contrast")
    answered_outside = [t for t in RELAY_DOWN if t.where == "here"] + trains("vantage", "app", 25, app="whatsapp")
    assert judge(inside, [], HEALTHY + answered_outside, blocked).status == status
    silent_here = [t for t in HEALTHY + RELAY_DOWN if (t.where, t.kind) != ("here", "neutral")]
    assert judge(inside, [], silent_here, blocked).status == status
    text_answers = HEALTHY + RELAY_DOWN + connects("app", True, app="whatsapp", where="vantage")
    assert judge(inside, [], text_answers, blocked).status == status
    others = [msgspec.structs.replace(t, app="signal") if t.app == "whatsapp" else t for t in RELAY_DOWN]
    assert judge(inside, [], HEALTHY + others, blocked).status == status


def test_a_link_too_bad_for_calls_is_impaired_without_a_trigger() -> None:
    bad_tcp = [
        Try(**{name: getattr(t, name) for name in t.__struct_fields__} | {"rtt_ms": 1100.0 if i % 2 else 60.0})
        for i, t in enumerate(connects("neutral"))
    ]
    verdict = judge(VOICE, each_alone(call_rounds(link_loss=0.3, burst=2.0)), bad_tcp, CONTEXT)
    assert (verdict.status, verdict.mechanism, verdict.trigger) == ("impaired", "none", None)
    assert verdict.control_mos is not None
    assert verdict.control_mos < 2.5


@pytest.mark.parametrize(
    ("form", "said", "why"),
    [("replay", 2.0, "short-call"), ("replay", 10.5, "undecided"), ("relay-call", 2.0, "undecided")],
)
def test_a_captured_call_that_ends_early_is_told_from_too_little_evidence(form: str, said: float, why: str) -> None:
    """More rounds of it would not help; of a call of our own that was heard for a while only, they would."""
    one = voice_round(7, seconds=said, every=0.02)
    one.form = form
    for exchange in one.exchanges:
        exchange.spec = msgspec.structs.replace(exchange.spec, seconds=10.5)
    verdict = judge(VOICE, [one], HEALTHY, replace(CONTEXT, evidence=CellEvidence(1.0, {}, 1.0, {})))
    assert (verdict.status, verdict.reason) == ("insufficient", why)


def test_what_only_many_calls_at_once_meet_makes_no_call_unusable() -> None:
    """A thin link under twenty-four calls; whether it bears one, only one alone can tell."""
    many = call_rounds(link_loss=0.3, burst=2.0)
    alone = each_alone([voice_round(8, number=2, every=0.02)])
    unheard = judge(VOICE, many, HEALTHY, CONTEXT)
    assert (unheard.status, unheard.reason) == ("insufficient", "too-short")
    heard = judge(VOICE, [*many, *alone], HEALTHY, CONTEXT)
    assert heard.status == "working"
    assert heard.control_mos is not None
    assert heard.control_mos > 4, "as of one call alone"
    bad = each_alone([voice_round(8, number=2, every=0.02, link_loss=0.3, burst=2.0)])
    assert judge(VOICE, [*many, *bad], HEALTHY, CONTEXT).status == "impaired"
    no_harm = replace(CONTEXT, evidence=CellEvidence(1.0, {}, 5_000.0, {}))
    assert judge(VOICE, many, HEALTHY, no_harm).status == "insufficient", (
        "unusable, perhaps, so not called working either"
    )


def test_a_burst_in_the_only_second_that_was_heard_makes_no_link_unusable() -> None:
    """As of a round that was stopped because the originals were silent: few packets of each call, at the same time."""
    rounds = call_rounds(count=1)
    rounds[0].read_to = 1.0
    for exchange in rounds[0].exchanges:
        outcome = exchange.outcome
        assert isinstance(outcome, DatagramOutcome)
        outcome.inward.received = [at if i % 3 else None for i, at in enumerate(outcome.inward.received)]
    assert judge(VOICE, rounds, HEALTHY, CONTEXT).status == "insufficient"
    rounds[0].read_to = 5.0
    assert judge(VOICE, each_alone(rounds), HEALTHY, CONTEXT).reason == "udp-unusable"


@pytest.mark.parametrize(
    ("effect", "mechanism"),
    [
        (Effect(trigger="none", drop=True), "drop"),
        (Effect(trigger="none", icmp=True), "icmp"),
        (Effect(trigger="none", police_kbps=20), "police"),
        (Effect(trigger="none", loss=0.4), "loss"),
    ],
)
def test_udp_dead_while_tcp_lives_is_impaired_by_transport(
    effect: Effect, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Effect, "strikes", lambda self, arm, rng: True)  # a rule on all UDP picks every exchange
    rounds = call_rounds(effect) if effect.drop or effect.icmp else each_alone(call_rounds(effect))
    verdict = judge(VOICE, rounds, trains("here", "neutral", 0) + connects("neutral"), CONTEXT)
    assert (verdict.status, verdict.trigger, verdict.mechanism) == ("impaired", "transport", mechanism)
    assert (verdict.basis, verdict.e_value) == ("contrast", None)


def test_offline_and_white_lists_outrank_everything() -> None:
    offline = replace(CONTEXT, state="offline")
    assert judge(VOICE, [], connects("neutral", answered=False), offline).status == "impaired"
    listed = replace(CONTEXT, state="whitelist")
    silent = connects("neutral", answered=False) + trains("here", "app", 0, app="whatsapp")
    verdict = judge(VOICE, call_rounds(), silent, listed)
    assert (verdict.status, verdict.trigger, verdict.mechanism) == ("impaired", "not-listed", "drop")
    answering = connects("neutral", answered=False) + trains("here", "app", 25, app="whatsapp")
    assert judge(VOICE, call_rounds(), answering, listed).status == "working"


def test_a_white_list_that_answers_by_icmp_is_told_by_what_hosts_of_no_app_hear() -> None:
    unanswered = connects("neutral", answered=False)
    told = [msgspec.structs.replace(each, icmp=[IcmpError(0.02, 3, 13)]) for each in unanswered]
    silent = trains("here", "app", 0, app="whatsapp")
    listed = replace(CONTEXT, state="whitelist")
    assert judge(VOICE, call_rounds(), told + silent, listed).mechanism == "icmp"
    assert judge(VOICE, call_rounds(), told[:6] + unanswered + silent, listed).mechanism == "drop"


def test_nothing_measured_is_insufficient() -> None:
    verdict = judge(VOICE, [], [], CONTEXT)
    assert (verdict.status, verdict.reason, verdict.e_value) == ("insufficient", "no-rounds", None)


def test_a_cell_on_a_vpn_path_has_what_its_outer_protocol_has() -> None:
    outer = Verdict(status="restricted", mechanism="drop", trigger="payload", e_value=1e6, threshold=1e4, hop=2)
    inside = Cell("whatsapp", "voice", "outgoing", "relay", "vpn")
    verdict = judge(inside, [], [], replace(CONTEXT, outer=outer))
    assert (verdict.status, verdict.mechanism, verdict.trigger, verdict.hop) == ("restricted", "drop", "payload", 2)
    assert verdict.reason == "outer-protocol"
    told = judge(inside, [], [], replace(CONTEXT, outer=msgspec.structs.replace(outer, basis="contrast")))
    assert (told.status, told.basis, told.reason) == ("restricted", "contrast", "exit")
    works = Verdict(status="working")
    assert judge(inside, [], [], replace(CONTEXT, outer=works)).status == "insufficient"


def text_rounds(**effects: Effect) -> list[Round]:
    rounds: list[Round] = []
    for n in range(3):
        rounds += [
            stream_round(3, effect=effects.get("noise", NOTHING), number=3 * n, form="noise"),
            stream_round(4, effect=effects.get("tls", NOTHING), number=3 * n + 1, form="tls"),
            dns_round(5, effect=effects.get("dns", NOTHING), number=3 * n + 2),
        ]
    return rounds


@pytest.mark.parametrize(
    ("effects", "trigger", "mechanism"),
    [
        ({"tls": Effect(reset=True)}, "sni", "reset"),
        ({"dns": Effect(wrong_answer=True)}, "dns", "dns"),
        ({"dns": Effect(drop=True)}, "dns", "drop"),
        ({"noise": Effect(drop=True)}, "payload", "drop"),
        ({"noise": Effect(drop=True), "tls": Effect(drop=True)}, "payload", "drop"),
        ({"noise": Effect(drop=True, trigger="port"), "tls": Effect(drop=True, trigger="port")}, "port", "drop"),
    ],
)
def test_the_form_that_suffers_names_the_trigger(effects: dict[str, Effect], trigger: str, mechanism: str) -> None:
    verdict = judge(TEXT, text_rounds(**effects), HEALTHY, CONTEXT)
    assert (verdict.status, verdict.trigger, verdict.mechanism) == ("restricted", trigger, mechanism)
    assert verdict.mos is None


def test_text_that_is_left_alone_works() -> None:
    verdict = judge(TEXT, text_rounds(), HEALTHY, CONTEXT)
    assert verdict.status == "working"


def test_text_that_often_fails_for_controls_too_is_impaired() -> None:
    rounds = text_rounds()
    for each in rounds:
        for i, exchange in enumerate(each.exchanges):
            if i % 2 and each.form != "dns":
                exchange.outcome = StreamOutcome(failure="generic_timeout_error", failed_at=10.0)
    verdict = judge(TEXT, rounds, HEALTHY, CONTEXT)
    assert (verdict.status, verdict.trigger, verdict.mechanism) == ("impaired", None, "none")


def test_text_whose_tries_were_answered_or_cut_short_is_not_impaired() -> None:
    """A try that had less than the time after which one fails is none that failed, nor one that is not done in it."""
    for given_s, answered in ((6.0, False), (10.0, True)):
        rounds = text_rounds()
        for each in rounds:
            for i, exchange in enumerate(each.exchanges):
                if i % 2 and each.form != "dns":
                    heard = [(0.5, 900)] if answered else []
                    exchange.outcome = StreamOutcome(
                        connected=0.4, failure="generic_timeout_error", failed_at=given_s, arrivals=heard
                    )
                    exchange.spec = msgspec.structs.replace(exchange.spec, seconds=given_s)
        assert judge(TEXT, rounds, HEALTHY, CONTEXT).status != "impaired"


def test_text_that_never_connects_is_impaired() -> None:
    rounds = text_rounds()
    for each in rounds:
        for exchange in each.exchanges:
            if each.form != "dns":
                exchange.outcome = StreamOutcome(failure="generic_timeout_error", failed_at=6.0)
                exchange.spec = msgspec.structs.replace(exchange.spec, seconds=6.0)
    assert judge(TEXT, rounds, HEALTHY, CONTEXT).status == "impaired"


def test_a_few_transfers_that_were_held_up_make_no_link_too_slow_for_media() -> None:
    rounds = [stream_round(2, function="media", number=n, goodput_kbps=300.0) for n in range(2)]
    for each in rounds:
        for exchange in each.exchanges[::3]:
            outcome = exchange.outcome
            assert isinstance(outcome, StreamOutcome)
            outcome.arrivals = [(10 * at, n) for at, n in outcome.arrivals]
            outcome.finished = outcome.arrivals[-1][0]
    assert judge(Cell("whatsapp", "media"), rounds, HEALTHY, CONTEXT).status != "impaired"


def test_media_on_a_link_too_slow_for_it_is_impaired() -> None:
    rounds = [stream_round(2, function="media", number=n, goodput_kbps=100.0) for n in range(2)]
    verdict = judge(Cell("whatsapp", "media"), rounds, HEALTHY, CONTEXT)
    assert (verdict.status, verdict.trigger) == ("impaired", None)
