"""Normal, a white list, offline; UDP open, limited, blocked: read off tries at hosts that belong to no messenger."""

import pytest

from ringback.record import Round, Try
from ringback.verdict import network_state
from tests.verdict.build import Effect, stream_round, voice_round


def tries(
    kind: str, answered: float, transport: str = "tcp", hosts: int = 6, form: str = "tls", sent: int | None = None
) -> list[Try]:
    """One try at each host, a share of the questions answered: 1 of a connect, 5 of a train."""
    sent = (5 if transport == "udp" else 1) if sent is None else sent
    return [
        Try(
            where="here", path="direct", kind=kind, target=f"{kind}{i}", app=None, function=None,  # type: ignore[arg-type]
            form=form, transport=transport, port=443, started_at=0.0, sent=sent, answered=round(answered * sent),  # type: ignore[arg-type]
        )
        for i in range(hosts)
    ]  # fmt: skip


def dead_calls() -> Round:
    """Nothing of any call gets through."""
    found = voice_round(1, effect=Effect(drop=True))
    dead = next(x.outcome for x in found.exchanges if x.spec.arm.payload == "original")
    for exchange in found.exchanges:
        exchange.outcome = dead
    return found


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (tries("neutral", 1) + tries("app", 0), "normal"),
        (tries("neutral", 0) + tries("app", 1), "whitelist"),
        (tries("neutral", 0) + tries("site", 1), "whitelist"),
        (tries("neutral", 0) + tries("peer", 1, hosts=1), "whitelist"),
        (tries("neutral", 0) + tries("app", 0), "offline"),
        (tries("neutral", 0) + tries("app", 1, form="dns"), "offline"),  # a name server answers on any of them
        (tries("neutral", 0, hosts=2) + tries("neutral", 1) + tries("app", 1), "normal"),
        (tries("neutral", 0, sent=0), "offline"),  # no name was found, no route led anywhere
        (tries("neutral", 0, sent=0) + tries("app", 1, form="dns"), "offline"),
        (tries("neutral", 0, sent=0) + tries("peer", 1, hosts=1), "normal"),  # a white list lets names be looked up
        (tries("neutral", 0, sent=0, hosts=4) + tries("neutral", 0, hosts=2) + tries("app", 1), "whitelist"),
        ([], "normal"),
    ],
)
def test_the_state_follows_from_who_answers(seen: list[Try], state: str) -> None:
    assert network_state(seen)[0] == state


@pytest.mark.parametrize(
    ("share", "udp"),
    [(1.0, "open"), (0.8, "open"), (0.4, "limited"), (0.0, "blocked")],
)
def test_udp_is_judged_beside_tcp(share: float, udp: str) -> None:
    assert network_state(tries("neutral", 1) + tries("neutral", share, "udp")) == ("normal", udp)


def test_controls_stand_in_where_no_udp_was_tried() -> None:
    assert network_state(tries("neutral", 1), [dead_calls()])[1] == "blocked"
    assert network_state(tries("neutral", 1), [voice_round(1)])[1] == "open"
    assert network_state(tries("neutral", 1))[1] == "open"


def test_a_transport_that_does_not_get_to_the_peer_either_makes_no_white_list() -> None:
    """All UDP is refused, and 443 is closed for all: the neutral hosts that are left have UDP alone."""
    seen = [*tries("neutral", 0, "udp", form="stun"), *tries("peer", 1, hosts=1)]
    assert network_state(seen)[0] == "whitelist"
    assert network_state(seen, [dead_calls(), stream_round(1)]) == ("normal", "blocked")
    assert network_state([*seen, *tries("neutral", 0)], [dead_calls(), stream_round(1)])[0] == "whitelist"
    assert network_state(seen, [dead_calls()])[0] == "whitelist", "nothing shows that the peer is there"
    assert network_state(seen, [voice_round(1), stream_round(1)])[0] == "whitelist"


def test_where_nobody_answers_no_udp_passes_and_hosts_without_an_address_do_not_count() -> None:
    assert network_state(tries("neutral", 0)) == ("offline", "blocked")
    seen = tries("neutral", 1, "udp") + tries("neutral", 0, sent=0)
    assert network_state(seen) == ("normal", "open")


def test_what_other_places_and_paths_saw_says_nothing_of_this_network() -> None:
    seen = tries("neutral", 0)
    for each in seen:
        each.where = "vantage"
    assert network_state(seen + tries("neutral", 1)) == ("normal", "open")


def test_a_port_that_is_closed_towards_the_peer_too_makes_no_white_list() -> None:
    """As where an app's whole port is dropped, and neutral hosts were tried at it."""
    shut, open_ = (stream_round(1, effect=Effect(trigger=which, drop=True)) for which in ("port", "none"))
    (port,) = {x.spec.port for x in shut.exchanges if x.spec.arm.port == "app"}
    seen = [*tries("neutral", 0), *tries("peer", 1, hosts=1)]
    for each in seen:
        each.port = port
    assert network_state(seen, [open_])[0] == "whitelist"
    assert network_state(seen, [shut])[0] == "normal"
    for exchange in shut.exchanges:  # nothing gets through to the peer at all: it is not on the list
        exchange.outcome = next(x.outcome for x in shut.exchanges if x.spec.arm.port == "app")
    assert network_state(seen, [shut])[0] == "whitelist"
