"""A peer and a participant for the trial's tests: the real far end, the real session, a seeded random source."""

from collections.abc import Callable, Sequence
from random import Random

from ringback import catalogue
from ringback.record import Arm, ExchangeSpec
from ringback.trial import control
from ringback.trial.far import FarEnd, Settings
from ringback.trial.rendering import render

CATALOGUE = catalogue.load()
OTHER = {"udp": list(range(40_000, 40_016)), "tcp": list(range(41_000, 41_016))}
NEAR = "192.0.2.10"
STRANGER = "192.0.2.99"


def far_end(seed: int = 1) -> FarEnd:
    random = Random(seed)
    settings = Settings(OTHER, random.randbytes, lambda message: message[:64].ljust(64, b"\0"), b"k" * 32)
    return FarEnd(settings, lambda spec, key, replays: render(spec, key, replays, CATALOGUE))


def call_spec(number: int = 1, payload: str = "original", app: str = "whatsapp", port: int = 3478) -> ExchangeSpec:
    arm = Arm(payload, "app")  # type: ignore[arg-type]
    return ExchangeSpec(number, app, "voice", "outgoing", "relay", "relay-call", arm, "udp", port, 10.5)


def open_session(far: FarEnd, source: str = NEAR) -> control.Grant:
    body = control.encode(control.OpenRequest(control.VERSION, ["udp/3478"]))
    return control.decode(far.answer("open", body, source, 0.0), control.Grant, "test")


def open_round(far: FarEnd, grant: control.Grant, specs: Sequence[ExchangeSpec], number: int = 1) -> None:
    far.answer("round", control.encode(control.RoundRequest(grant.session, number, list(specs))), NEAR, 0.0)


Answerer = Callable[[str, bytes], bytes]
