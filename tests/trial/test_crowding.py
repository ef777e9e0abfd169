"""How many calls run at once next, from how those before them fared, whoever they were."""

import pytest

from ringback.record import Round
from ringback.trial.crowding import BAD_MOS, Heard, codec_of
from ringback.verdict.impairment import at_once, fewest_at_once
from tests.trial.ends import CATALOGUE
from tests.verdict.build import Effect, voice_round

BAD = {"link_loss": 0.3, "burst": 2.0}


def apart(each: Round, at_a_time: int = 1) -> Round:
    for exchange in each.exchanges:
        exchange.started_at = exchange.slot // at_a_time * 12.0
    return each


def heard(*rounds: Round) -> Heard:
    found = Heard(codec_of(CATALOGUE, "whatsapp"))
    for each in rounds:
        found.add(each)
    return found


@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_how_many_run_at_once_is_read_off_their_times(at_a_time: int) -> None:
    assert at_once(voice_round(1)) == 24
    assert at_once(apart(voice_round(1), at_a_time)) == at_a_time


def test_the_rounds_with_the_fewest_at_once_count() -> None:
    many, pairs, alone = voice_round(1), apart(voice_round(1), 2), apart(voice_round(1))
    assert fewest_at_once([many, pairs, alone]) == [alone]
    assert fewest_at_once([many, pairs]) == [pairs]
    assert fewest_at_once([many, voice_round(2, n_per_arm=4)]) != [many]


def test_where_many_fare_badly_one_is_heard_alone_next() -> None:
    assert heard().width("usual") == heard(voice_round(1)).width("usual") == "usual"
    bad = heard(voice_round(1, **BAD))
    assert bad.width("usual") == "alone"
    assert bad.unheard


def test_where_one_alone_fares_well_fewer_run_at_once_from_then_on() -> None:
    crowded = heard(voice_round(1, **BAD), apart(voice_round(2, n_per_arm=2)))
    assert crowded.crowded
    assert not crowded.unheard
    assert crowded.width("usual") == "pair"
    crowded.add(apart(voice_round(3, n_per_arm=2, **BAD), 2))
    assert crowded.width("usual") == "alone", "two at once are too many as well"


def test_where_one_alone_fares_as_badly_it_is_the_link() -> None:
    poor = heard(voice_round(1, **BAD), apart(voice_round(2, n_per_arm=2, **BAD)))
    assert not poor.crowded
    assert poor.width("usual") == "usual"
    assert poor.width("pair") == "pair"


@pytest.mark.parametrize("trigger", ["payload", "port"])
def test_it_hangs_on_no_label_so_an_app_that_is_struck_is_no_crowd(trigger: str) -> None:
    for effect in (Effect(drop=True), Effect(loss=0.4), Effect(delay_ms=400)):
        struck = voice_round(1, effect=Effect(**{**vars(effect), "trigger": trigger}))
        assert heard(struck).width("usual") == "usual"
    assert BAD_MOS > 2.5, "what may be called unusable is always heard alone"
