"""How long media may take hangs on how long it took: transfers that are cut short say nothing of losses."""

from random import Random

import pytest

from ringback.lab.country import Place, sim_net
from ringback.lab.run import far_end, session_settings
from ringback.lab.scenario import parse
from ringback.record import Round
from ringback.sim.world import World
from ringback.trial.granted import MAX_SECONDS, ROUND_LIFE
from ringback.trial.plan import LONGEST_MEDIA_LIFE, PATIENT_SECONDS, Patience, Sizing, sizing
from ringback.trial.probe import MOST_PATIENCE, Link
from ringback.trial.session import Session
from tests.trial.ends import CATALOGUE
from tests.verdict.build import stream_round

POOR = """
name = "poor"
apps = ["whatsapp"]
functions = ["media"]
[[network]]
name = "far and crowded"
asn = 64500
region = "RU-MOW"
hops = 4
link = { rtt_ms = 150, jitter_ms = 30, loss = 0.03, up_kbps = 4000, queue_ms = 500, cross_kbps = 3000 }
"""


def cut_short(payload: str, share: float) -> Round:
    """A round of media in which that share of an arm's transfers was not over in time."""
    each = stream_round(1, function="media")
    arm = [x.outcome for x in each.exchanges if x.spec.arm.payload == payload]
    for outcome in arm[: round(share * len(arm))]:
        outcome.finished = None  # type: ignore[union-attr]
    return each


def test_controls_that_were_cut_short_ask_for_twice_the_time() -> None:
    link = Link()
    link.fared("media", [cut_short("control", 0.05)], 1.0)
    assert link.patience.media == 1.0
    link.fared("media", [cut_short("control", 0.25)], 1.0)
    assert link.patience.media == 2.0


def test_what_is_done_to_the_originals_asks_for_nothing() -> None:
    link = Link()
    link.fared("media", [cut_short("original", 1.0)], 1.0)
    assert link.patience.media == 1.0


def test_a_path_on_which_nothing_connects_asks_for_nothing() -> None:
    link, each = Link(), cut_short("control", 1.0)
    for exchange in each.exchanges:
        exchange.outcome.connected = None  # type: ignore[union-attr]
    link.fared("media", [each], 1.0)
    assert link.patience.media == 1.0


def test_a_series_that_began_before_asks_for_no_more_than_the_others_got() -> None:
    link, each = Link(), cut_short("control", 0.5)
    for began_with in (1.0, 1.0, 2.0, 2.0, 4.0):
        link.fared("media", [each], began_with)
    assert link.patience.media == MOST_PATIENCE.media


@pytest.mark.parametrize("size", [Sizing(), sizing(300, 400, 20, 0.06), sizing(5_000, 15_000, 20, 0.6)])
@pytest.mark.parametrize("patience", [1.0, 2.0, MOST_PATIENCE.media])
def test_a_peer_keeps_the_round_as_long(size: Sizing, patience: float) -> None:
    more = size.patient(Patience(patience))
    assert size.media_life <= more.media_life <= max(MAX_SECONDS, LONGEST_MEDIA_LIFE)
    assert more.media_seconds <= max(PATIENT_SECONDS, size.media_seconds) + 1e-9
    assert more.media_gap + more.media_life < ROUND_LIFE  # from one stream's start to the next one's, or to its end
    assert more.media_life / size.media_life == pytest.approx(more.media_gap / size.media_gap)


def test_media_of_a_far_and_crowded_network_is_decided() -> None:
    on = parse(POOR, "poor.toml")
    place = Place(on, on.networks[0], 0, 7)
    near = Session(session_settings(place, None, False), CATALOGUE, Random(7))
    World(near, far_end(Random(8)), sim_net(place), 7).run(7200)
    (trial,) = near.result().trials
    assert trial.patience > 1.0
    assert trial.decided
    assert not trial.accused
