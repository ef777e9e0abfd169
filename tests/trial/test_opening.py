"""How a session opens on a link that swallows requests."""

from collections.abc import Sequence
from random import Random

import pytest

from ringback.trial import control
from ringback.trial.seam import Answer, Ask, Command
from ringback.trial.session import MOST_OPENINGS, Session
from ringback.trial.terms import Settings
from tests.trial.ends import CATALOGUE, NEAR, far_end


def settings(peer: str | None = "198.51.100.10", budget_s: float | None = None) -> Settings:
    return Settings(["whatsapp"], ["text"], ["direct"], peer, [], budget_s=budget_s)


def opened(swallowed: int, budget_s: float | None = None) -> tuple[Session, int, list[Command]]:
    """A session whose first requests get no answer; how many it made, and what it does next."""
    far, session = far_end(), Session(settings(budget_s=budget_s), CATALOGUE, Random(1))
    commands: Sequence[Command] = session.start(0.0)
    requests = 0
    while (asks := [c for c in commands if isinstance(c, Ask) and c.what == "open"]) and not session.finished:
        (ask,) = asks
        requests += 1
        now = 10.0 * requests
        lost = requests <= swallowed
        body = b"" if lost else far.answer("open", ask.body, NEAR, now)
        commands = session.handle(Answer(ask.number, now, body, "generic_timeout_error" if lost else None), now)
    return session, requests, list(commands)


@pytest.mark.parametrize("swallowed", range(MOST_OPENINGS + 1))
def test_it_asks_again_and_once_more_after_its_tries(swallowed: int) -> None:
    session, requests, commands = opened(swallowed)
    assert requests == swallowed + 1
    assert session.session
    assert commands
    assert not session.finished
    assert session.result().partner == "reported"


def test_a_peer_that_never_answers_is_unreachable_and_the_session_ends() -> None:
    session, requests, _ = opened(100)
    assert requests == MOST_OPENINGS + 1
    assert session.finished
    assert session.result().partner == "unreachable"


@pytest.mark.parametrize(("budget_s", "most"), [(5.0, 1), (15.0, 2), (25.0, 3), (35.0, 4)])
def test_nobody_is_asked_again_once_the_budget_is_spent(budget_s: float, most: int) -> None:
    session, requests, _ = opened(100, budget_s)
    assert requests == most
    assert session.finished
    assert session.result().partner == "unreachable"


def test_without_a_peer_nobody_is_asked() -> None:
    session = Session(settings(peer=None), CATALOGUE, Random(1))
    assert not [c for c in session.start(0.0) if isinstance(c, Ask)]
    assert session.finished


def test_what_is_asked_is_the_same_each_time() -> None:
    session = Session(settings(), CATALOGUE, Random(1))
    (first,) = session.start(0.0)
    assert isinstance(first, Ask)
    (second,) = session.handle(Answer(first.number, 1.0, b"", "generic_timeout_error"), 1.0)
    assert isinstance(second, Ask)
    assert second.number != first.number
    wanted = control.decode(first.body, control.OpenRequest, "test")
    assert control.decode(second.body, control.OpenRequest, "test") == wanted


@pytest.mark.parametrize(("body", "failure"), [(b"<html>", None), (b"", "connection_refused")])
def test_a_partner_that_closes_with_nonsense_ends_the_session_and_nothing_else(
    body: bytes, failure: str | None
) -> None:
    session, _, _ = opened(0)
    session._stage = "closing"
    session.answered(Answer(99, 60.0, body, failure), 60.0)
    assert session.finished
    assert session.result().signature is None
