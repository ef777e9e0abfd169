"""How rounds are drawn."""

from collections import Counter
from random import Random

import pytest

from ringback.record import Cell
from ringback.trial.granted import MAX_SESSION_BYTES
from ringback.trial.plan import (
    LIKE_AT_ONCE,
    MEDIA_SIZE,
    POLICED_SHARE,
    Planned,
    Sizing,
    cells_of,
    draw_round,
    form_plans,
    sizing,
)
from ringback.verdict.stream_harms import MEDIA_POLICE_BURST
from tests.trial.ends import CATALOGUE, far_end, open_session

GRANT = open_session(far_end())
CALL = Cell("whatsapp", "voice", "outgoing", "relay")


def drawn(cell: Cell = CALL, form: str = "relay-call", seed: int = 1, mode: str = "default") -> Planned:
    (plan,) = [p for p in form_plans(CATALOGUE, cell, replay=False) if p.form == form]
    return draw_round(cell, plan, 1, 1, GRANT, Random(seed), Sizing(), mode)  # type: ignore[arg-type]


def test_a_call_round_has_four_arms_of_six_on_two_ports() -> None:
    planned = drawn()
    arms = Counter(spec.arm for spec in planned.specs)
    assert len(arms) == 4
    assert set(arms.values()) == {6}
    ports = {spec.arm.port: spec.port for spec in planned.specs}
    assert ports["app"] == 3478
    assert ports["other"] in GRANT.other["udp"]


def test_labels_do_not_depend_on_the_slot() -> None:
    """Over many rounds every slot carries the original half of the time, and neighbours are independent."""
    rounds = [[s.arm.payload == "original" for s in drawn(seed=seed).specs] for seed in range(2000)]
    for slot in range(24):
        share = sum(r[slot] for r in rounds) / len(rounds)
        assert share == pytest.approx(0.5, abs=4 * 0.5 / 2000**0.5)
    both = sum(r[0] and r[1] for r in rounds) / len(rounds)
    assert both == pytest.approx(12 / 24 * 11 / 23, abs=0.05)


@pytest.mark.parametrize(("function", "form"), [("text", "tls"), ("text", "noise"), ("media", "tls")])
def test_no_more_than_three_like_connections_can_ever_be_open(function: str, form: str) -> None:
    """Whatever happens to them: each lives at most its fixed life."""
    for seed in range(50):
        planned = drawn(Cell("whatsapp", function), form, seed)
        for payload in ("original", "control"):
            starts = [t for t, s in zip(planned.starts, planned.specs, strict=True) if s.arm.payload == payload]
            life = planned.specs[0].seconds
            for at in starts:
                assert sum(at <= other < at + life for other in starts) <= LIKE_AT_ONCE + 1


def test_a_thin_link_gets_fewer_flows_and_more_time_for_what_tells_it_from_a_policer() -> None:
    wide, thin = sizing(8000, 30000, 35), sizing(400, 700, 35)
    assert (wide.per_arm, thin.per_arm) == (6, 1)
    assert (wide.thin, thin.thin) == (False, True)
    assert wide.media_rounds > 4
    assert thin.media_rounds == 1, "side by side they would fill it"
    for size, kbps in ((thin.upload, 400), (thin.download, 700)):
        assert size * (1 - POLICED_SHARE) >= MEDIA_POLICE_BURST, "ahead of what a policer lets through at once"
        assert 1.5 * size * 8 / 1000 / kbps <= thin.media_gap
    assert sizing(None, None, 35) == Sizing()
    assert thin.media_life > thin.upload / 50_000 + thin.download / 87_500


@pytest.mark.parametrize("kbps", [128, 200, 300, 450, 600, 800, 850, 8000])
def test_a_rounds_calls_take_at_most_half_the_link_but_for_two_that_must_be(kbps: float) -> None:
    size = sizing(kbps, 30000, 35)
    flows = 2 if size.width == "pair" else 4 * size.per_arm
    assert flows <= 24
    assert 35 * flows <= max(kbps / 2, 70)
    assert (size.width == "pair") is (kbps < 280)


def test_a_long_round_trip_gets_more_media_and_more_time() -> None:
    near, far = sizing(8000, 30000, 35, 0.06), sizing(8000, 30000, 35, 0.6)
    assert near.upload == near.download == MEDIA_SIZE
    assert min(far.upload, far.download) > 2 * MEDIA_SIZE
    assert far.media_life > 10 * 0.6 > near.media_life
    assert far.media_rounds * 24 * (far.upload + far.download) < MAX_SESSION_BYTES, "what a peer keeps of one session"


def test_a_media_round_uploads_and_downloads_and_its_slots_have_a_phase() -> None:
    cell = Cell("whatsapp", "media")
    (plan,) = [p for p in form_plans(CATALOGUE, cell, replay=False) if p.form == "tls"]
    early, late = (draw_round(cell, plan, 1, 1, GRANT, Random(1), Sizing(), phase=phase) for phase in (0.0, 0.5))
    assert {(spec.upload, spec.size) for spec in early.specs} == {(MEDIA_SIZE, MEDIA_SIZE)}
    assert [b - a for a, b in zip(early.starts, late.starts, strict=True)] == pytest.approx([0.75] * 24)
    assert {(spec.upload, spec.size) for spec in drawn(Cell("whatsapp", "text"), "tls").specs} == {(0, 0)}


def test_voice_is_measured_in_both_directions_and_text_once() -> None:
    cells = cells_of(CATALOGUE, ["whatsapp"], ["text", "voice"], ["direct", "vpn"])
    assert [(c.function, c.direction, c.path) for c in cells] == [
        ("text", None, "direct"),
        ("voice", "outgoing", "direct"),
        ("voice", "incoming", "direct"),
        ("text", None, "vpn"),
        ("voice", "outgoing", "vpn"),
        ("voice", "incoming", "vpn"),
    ]
