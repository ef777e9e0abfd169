"""A measurement's rounds as its page tells them, whatever somebody sent as a round."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ringback.record import Round
from ringback.view.raw import drawn, growth
from tests.verdict.build import dns_round, stream_round, voice_round
from tests.verdict.test_penalty import punished

ROUNDS = [
    msgspec.to_builtins(one, enc_hook=float)
    for one in (voice_round(1, 2, seconds=1.5), stream_round(1), dns_round(1), punished(30))
]
WORDS = ("arms", "pairs", "slot", "original", "control", "app", "other", "udp", "tcp", "lost", "reported")
NUMBERS = (None, 0, -1, 1, 3, 2**40, 0.0, 1e-300, -1.0, 1e9, 1e300)


def test_rounds_that_drew_a_slot_are_told_beside_the_others() -> None:
    told = drawn([voice_round(1), punished(30)])
    assert [len(one.exchanges) for one in told] == [24, 64]
    assert told[1].e_value > 2 * told[0].e_value


def test_what_is_no_round_is_left_out() -> None:
    odd = msgspec.structs.replace(punished(30), margins=(40, 40))
    assert [len(one.exchanges) for one in drawn([odd, voice_round(1)])] == [24]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Of all that lies in it: the holder, and the name or number there. Of long lists the first alone."""
    for name in list(value) if isinstance(value, dict) else range(min(len(value), 3)):
        yield value, name
        if isinstance(value[name], dict | list):
            yield from places(value[name])


@given(st.data())
def test_whatever_was_changed_in_a_round_its_measurement_can_be_drawn(data: st.DataObject) -> None:
    changed = msgspec.json.decode(msgspec.json.encode(data.draw(st.sampled_from(ROUNDS))))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, name = data.draw(st.sampled_from(list(places(changed))))
        old = holder[name]
        if isinstance(old, list):
            holder[name] = data.draw(st.sampled_from([[], old + old[:2], old[: len(old) // 2]]))
        else:
            holder[name] = data.draw(st.sampled_from(WORDS if isinstance(old, str) else (*NUMBERS, not old)))
    try:
        odd = msgspec.convert(changed, Round)
    except msgspec.ValidationError:
        return
    found = drawn([odd, voice_round(1)])
    assert found[-1].number == 0
    told = growth(found, 1000.0)
    assert all(math.isfinite(number) for _, y, _, e in told.dots for number in (y, e))
