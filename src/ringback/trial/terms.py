"""What a session is asked to do, and what it hands back."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from ringback.record import Round, Try
from ringback.trial import control
from ringback.trial.cells import CellTrial
from ringback.trial.locating import Located
from ringback.trial.plan import Mode


class Settings(msgspec.Struct, frozen=True):
    """peer: address of the far end, None when there is none. tries: see contrast.targets, one list a path.
    everywhere: measure every cell on every path; else a later path only for what is not working on the first.
    exits: tries at the exits of paths, made outside of any tunnel. outside: the path that is, on which outer protocols
    and exits are tried, whether or not it is among those measured; None: the first of those.
    budget_s: no round starts that could not end by then. outer: path name -> VPN protocol to be tried at the peer.
    mode: `quick` is content with few and short rounds; `quiet` never has more than two flows open (see `pairs`), but
    for locating, which it therefore leaves out.
    locate: look afterwards for the hop that treats calls (`trial.locating`); only on a first path that is `direct`.
    """

    apps: Sequence[str]
    functions: Sequence[str]
    paths: Sequence[str]
    peer: str | None
    tries: Sequence[control.TrySpec]
    route: Literal["relay", "p2p"] = "relay"
    mode: Mode = "default"
    everywhere: bool = False
    budget_s: float | None = None
    outer: dict[str, str] = {}
    exits: Sequence[control.TrySpec] = ()
    outside: str | None = None
    replay: str | None = None
    replay_app: str | None = None  # whose calls the replay stands in for; None: every app's
    replays: Sequence[bytes] = ()
    directions: Sequence[str] = ("outgoing", "incoming")
    locate: bool = False


class Result(msgspec.Struct):
    """All raw facts of a session. trials: by cell, in the order measured. locating: the rounds that looked for hops,
    and located what they found; neither is evidence of any cell. later: tries at neutral hosts, once a block by a
    device that punishes had passed. silent: of a partner that was gone in the end, the rounds of which it told nothing
    any more."""

    trials: list[CellTrial]
    tries: list[Try]
    digests: list[bytes]
    signature: bytes | None
    peer_key: bytes | None
    partner: Literal["reported", "unreachable", "vanished"]
    seconds: float
    notes: list[str]
    everywhere: bool
    locating: list[Round] = []
    located: list[Located] = []
    later: list[Try] = []
    silent: list[int] = []
