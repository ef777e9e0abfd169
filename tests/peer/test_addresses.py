"""Whose address is proven. Sessions are granted to whoever holds the token, from whatever addresses a carrier's NAT
gives him; bytes beyond those that came in go only where a TCP handshake has shown that somebody is there."""

import asyncio
import socket
from pathlib import Path
from random import Random

import pytest

from ringback.flow.script import DatagramScript, StreamScript
from ringback.peer.serving import running
from ringback.record import Arm, ExchangeSpec
from ringback.trial import control, probe
from ringback.trial.far import FarEnd
from ringback.trial.rendering import render
from ringback.trial.seam import Accepted, Delivered, Received, Send, Write
from tests.peer.asking import KNOWN, ask, client, opening, voice_spec
from tests.trial.ends import far_end

ASKER, BEHIND_NAT, VICTIM = "192.0.2.10", "192.0.2.11", "192.0.2.99"
PORT = 3478


def grant_of(far: FarEnd, source: str = ASKER) -> control.Grant:
    return control.decode(far.answer("open", control.encode(opening("udp/3478")), source, 0.0), control.Grant, "test")


def open_round(far: FarEnd, grant: control.Grant, number: int, *specs: ExchangeSpec) -> None:
    far.answer("round", control.encode(control.RoundRequest(grant.session, number, list(specs))), ASKER, 0.0)


def bytes_to(commands: list, address: str) -> int:
    return sum(len(c.data) for c in commands if isinstance(c, Send) and c.flow[1] == address)


def run(far: FarEnd, until: float) -> list:
    """What the far end wants to send by itself until then."""
    out: list = []
    while (at := far.wake_at) is not None and at <= until:
        out += far.wake(max(at, 0.0))
    return out


def test_another_address_gets_no_more_than_it_gave_until_it_knocks() -> None:
    far, grant = far_end(), None
    grant = grant_of(far)
    knock = ExchangeSpec(2, "probe", "probe", None, None, probe.KNOCK, Arm("control", "other"), "tcp", 41_000, 2.0)
    specs = [voice_spec(1, PORT), knock, voice_spec(3, PORT)]
    open_round(far, grant, 1, *specs)
    first, opening_stream, third = (render(spec, grant.seed, (), KNOWN) for spec in specs)
    assert isinstance(first, DatagramScript)
    assert isinstance(opening_stream, StreamScript)
    assert isinstance(third, DatagramScript)

    before = list(far.handle(Received((PORT, BEHIND_NAT, 5000), first.near[0].data, 1.0), 1.0)) + run(far, 20.0)
    assert bytes_to(before, BEHIND_NAT) <= len(first.near[0].data)

    far.handle(Accepted(1 << 32, 21.0, 41_000, BEHIND_NAT), 21.0)
    answered = far.handle(Delivered(1 << 32, opening_stream.turns[0].data, 21.0), 21.0)
    assert [type(c) for c in answered] == [Write]

    after = list(far.handle(Received((PORT, BEHIND_NAT, 5001), third.near[0].data, 22.0), 22.0)) + run(far, 40.0)
    timed = sum(len(send.data) for send in third.far if send.after is None)
    assert bytes_to(after, BEHIND_NAT) >= timed, "the whole call, once the address is proven"


def test_a_packet_from_a_proven_address_opens_no_tap_towards_a_forged_one() -> None:
    """The asker forges the victim's address in the first packet of a call and sends the others from his own."""
    far = far_end()
    grant = grant_of(far)
    spec = voice_spec(1, PORT)
    open_round(far, grant, 1, spec)
    script = render(spec, grant.seed, (), KNOWN)
    assert isinstance(script, DatagramScript)
    out = list(far.handle(Received((PORT, VICTIM, 5000), script.near[0].data, 1.0), 1.0))
    for send in script.near[1:]:
        now = 1.0 + send.at
        out += run(far, now)
        out += far.handle(Received((PORT, ASKER, 5000), send.data, now), now)
        out += far.handle(Received((PORT, ASKER, 5000), b"\xff" * 8 + send.data[8:], now), now)
    out += run(far, 30.0)
    assert bytes_to(out, VICTIM) <= len(script.near[0].data)
    assert bytes_to(out, ASKER) == 0, "the exchange is where it began"


def test_a_token_is_good_from_every_address_but_a_guess_is_not() -> None:
    far = far_end()
    grant = grant_of(far)
    body = control.encode(control.RoundRequest(grant.session, 1, [voice_spec(1, PORT)]))
    assert far.answer("round", body, BEHIND_NAT, 0.0)
    guess = control.encode(control.RoundRequest(Random(1).randbytes(16).hex(), 1, []))
    with pytest.raises(Exception, match="no such session"):
        far.answer("round", guess, ASKER, 0.0)


@pytest.mark.slow
async def test_over_real_sockets_the_knock_proves(tmp_path: Path) -> None:
    other = "127.0.0.2"  # all of 127/8 is this machine (RFC 1122 3.2.1.3)
    async with running(tmp_path, "127.0.0.1", 0) as serving, client() as http:
        grant = await ask(http, serving.url, "open", opening("udp/3478"), control.Grant)
        assert isinstance(grant, control.Grant)
        assert grant.seen_as == "127.0.0.1"
        port, tcp = grant.ports["udp/3478"], grant.other["tcp"][0]
        knock = ExchangeSpec(2, "probe", "probe", None, None, probe.KNOCK, Arm("control", "other"), "tcp", tcp, 2.0)
        specs = [voice_spec(1, port), knock, voice_spec(3, port)]
        await ask(http, serving.url, "round", control.RoundRequest(grant.session, 1, specs), control.Done)
        first, stream, third = (render(spec, grant.seed, (), KNOWN) for spec in specs)
        assert isinstance(first, DatagramScript)
        assert isinstance(stream, StreamScript)
        assert isinstance(third, DatagramScript)

        assert await came(other, port, first.near[0].data) <= len(first.near[0].data)
        reader, writer = await asyncio.open_connection("127.0.0.1", tcp, local_addr=(other, 0))
        writer.write(stream.turns[0].data)
        assert await reader.readexactly(len(stream.turns[1].data)) == stream.turns[1].data
        writer.close()
        much = 3 * len(third.near[0].data)
        assert await came(other, port, third.near[0].data, 8.0, much) >= much


async def came(source: str, port: int, data: bytes, seconds: float = 1.2, enough: int = 1 << 30) -> int:
    """Bytes that come back to a datagram sent from `source`, within `seconds` or until there are enough."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((source, 0))
        await loop.sock_sendto(sock, data, ("127.0.0.1", port))
        total, until = 0, loop.time() + seconds
        while total < enough and (left := until - loop.time()) > 0:
            try:
                total += len(await asyncio.wait_for(loop.sock_recv(sock, 2048), left))
            except TimeoutError:
                break
        return total
