"""A whole measurement between a real peer and a real participant on loopback, with the clock of the wall."""

import asyncio
import secrets
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ringback.net import Direct, drive
from ringback.net.control import ControlClient
from ringback.peer.serving import running
from ringback.trial.conclude import Where, conclude
from ringback.trial.far import SIGNED
from ringback.trial.session import Session
from ringback.trial.terms import Settings
from tests.peer.asking import KNOWN

VOICE_PORT = KNOWN.apps["whatsapp"].functions["voice"].app_port["relay-call"]
LOOPBACK = "127.0.0.1"


@pytest.mark.slow
async def test_a_call_that_nobody_disturbs_is_not_called_restricted(tmp_path: Path) -> None:
    settings = Settings(["whatsapp"], ["voice"], ["direct"], LOOPBACK, [], mode="quick", directions=("outgoing",))
    session = Session(settings, KNOWN, secrets.SystemRandom())
    with ExitStack() as stack:
        taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with suppress(OSError):  # another process has it, which is as good
            taken.bind((LOOPBACK, VOICE_PORT))
        async with running(tmp_path, LOOPBACK, 0) as serving, ControlClient(serving.url) as client:
            assert serving.ports[f"udp/{VOICE_PORT}"] != VOICE_PORT
            assert any(moved.startswith(f"udp/{VOICE_PORT} -> ") for moved in serving.moved)
            await asyncio.wait_for(drive(session, ask=client.ask, paths={"direct": Direct()}), 30)
    result = session.result()
    assert result.partner == "reported"

    assert result.seconds < 20.0
    measurements, network = conclude(result, KNOWN, Where("here", 0, None, None, "2025-08-13T09:00:00Z"), {})
    verdict = measurements[0].verdict
    assert len(measurements) == 1
    assert verdict.status in ("working", "insufficient"), "one quick round, which may leave it undecided"
    assert verdict.e_value is not None
    assert verdict.e_value < verdict.threshold
    assert network.state == "normal"

    (trial,) = result.trials
    exchanges = [each for one in trial.rounds for each in one.exchanges]
    assert [len(one.exchanges) for one in trial.rounds] in ([24], [24, 16]), (
        "a call's round, and a sample of it if undecided"
    )
    assert {(e.spec.arm.payload, e.spec.arm.port) for e in exchanges} == {
        (payload, port) for payload in ("original", "control") for port in ("app", "other")
    }
    arrived = [sum(t is not None for t in lane.received) for e in exchanges for lane in lanes(e.outcome)]
    expected = [len(lane.received) for e in exchanges for lane in lanes(e.outcome)]
    assert sum(arrived) >= 0.99 * sum(expected), "a peer on loopback must not lose packets of its own"

    assert result.peer_key is not None
    assert result.signature is not None
    assert len(result.digests) >= 3, "probe, knock and the call's round"
    key = Ed25519PublicKey.from_public_bytes(result.peer_key)
    key.verify(result.signature, SIGNED + b"".join(result.digests))
    assert result.peer_key == serving.key


def lanes(outcome: object) -> tuple:
    return outcome.outward, outcome.inward  # type: ignore[attr-defined]
