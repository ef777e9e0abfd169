"""A measurement's rounds as its page tells them, whatever somebody sent as a round."""

import msgspec

from ringback.view.raw import drawn
from tests.verdict.build import voice_round
from tests.verdict.test_penalty import punished


def test_rounds_that_drew_a_slot_are_told_beside_the_others() -> None:
    told = drawn([voice_round(1), punished(30)])
    assert [len(one.exchanges) for one in told] == [24, 64]
    assert told[1].e_value > 2 * told[0].e_value


def test_what_is_no_round_is_left_out() -> None:
    odd = msgspec.structs.replace(punished(30), margins=(40, 40))
    assert [len(one.exchanges) for one in drawn([odd, voice_round(1)])] == [24]
