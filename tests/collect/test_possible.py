"""Rounds that a session can have run, and those that none can."""

from typing import Any

import msgspec
import pytest

from ringback.collect.possible import MOST_EXCHANGES, possible
from ringback.errors import BadInput
from ringback.record import Round
from tests.verdict.build import Effect, dns_round, stream_round, voice_round
from tests.verdict.test_penalty import punished

VOICE, MEDIA = voice_round(1, seconds=2.5), stream_round(1)


def with_(base: Round, path: tuple[str | int, ...], value: Any) -> Round:
    """A copy in which one place holds something else."""
    plain = msgspec.to_builtins(base, enc_hook=float)
    place = plain
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return msgspec.convert(plain, Round)


@pytest.mark.parametrize(
    "round_",
    [
        *(VOICE, MEDIA, dns_round(1), punished(30)),
        voice_round(2, partner="lost"),
        voice_round(3, effect=Effect(drop=True)),
        voice_round(3, effect=Effect(icmp=True)),
        stream_round(4, effect=Effect(reset=True)),
    ],
    ids=str,
)
def test_what_ran_is_possible(round_: Round) -> None:
    possible(round_, "rounds[0]")


E0 = ("exchanges", 0)
OUT = (*E0, "outcome", "outward")


@pytest.mark.parametrize(
    ("base", "path", "value", "said"),
    [
        (VOICE, ("exchanges",), [], rf"exchanges: are not 1 to {MOST_EXCHANGES}, each in a slot of its own"),
        (VOICE, (*E0, "slot"), 1, "exchanges: are not 1 to"),
        (VOICE, (*E0, "slot"), -1, r"exchanges\[0\].slot: is no number from 0 to 255"),
        (VOICE, (*E0, "started_at"), 1e200, r"exchanges\[0\].started_at: "),
        (VOICE, (*E0, "spec", "port"), 70_000, r"exchanges\[0\].spec.port: is no number from 0 to 65535"),
        (VOICE, ("checkpoints",), [], "checkpoints: are not 1 to 64 times in order"),
        (VOICE, ("checkpoints",), [2.0, 1.0], "checkpoints: "),
        (VOICE, ("checkpoints",), [-1.0, 1.0], r"checkpoints\[0\]: "),
        (VOICE, ("margins",), [0, -1], r"margins\[1\]: "),
        (VOICE, ("epoch",), -1e300, "epoch: "),
        (VOICE, (*OUT, "sent"), [None], r"outcome.outward.sent: holds 1 of \d+ packets"),
        (VOICE, (*E0, "outcome", "inward", "scheduled"), [], "outcome.inward.scheduled: holds 0 of"),
        (VOICE, (*OUT, "received", 3), 1e11, r"outcome.outward.received\[3\]: is no number"),
        (VOICE, (*OUT, "sizes", 0), -7, r"outcome.outward.sizes\[0\]: is no number from 0 to 65507"),
        (VOICE, (*OUT, "corrupted"), -1, "outcome.outward.corrupted: "),
        (VOICE, (*E0, "outcome", "icmp"), [{"at": 1.0, "type": 3, "code": 300}], r"outcome.icmp\[0\].code: "),
        (
            VOICE,
            (*E0, "outcome"),
            msgspec.to_builtins(MEDIA, enc_hook=float)["exchanges"][0]["outcome"],
            "of another transport",
        ),
        (MEDIA, (*E0, "outcome", "arrivals"), [[1.0, 50], [0.5, 60]], "outcome.arrivals: goes back in time or bytes"),
        (MEDIA, (*E0, "outcome", "arrivals"), [[1.0, 50], [1.5, 40]], "outcome.arrivals: goes back"),
        (MEDIA, (*E0, "outcome", "up_arrivals"), [[-1.0, 50]], "outcome.up_arrivals: goes back"),
        (MEDIA, (*E0, "outcome", "up_arrivals"), [[1.0, 10**15]], "outcome.up_arrivals: is no number"),
        (MEDIA, (*E0, "outcome", "down_expected"), -1, "outcome.down_expected: "),
        (MEDIA, (*E0, "outcome", "connected"), -0.1, "outcome.connected: "),
    ],
)
def test_what_no_session_can_have_run_is_refused_by_place(
    base: Round, path: tuple[str | int, ...], value: Any, said: str
) -> None:
    with pytest.raises(BadInput, match=rf"^rounds\[4\]\.({said}|.*{said})"):
        possible(with_(base, path, value), "rounds[4]")
