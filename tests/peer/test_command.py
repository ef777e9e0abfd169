"""`ringback serve` as a process: what it prints, and how it ends while it is in use."""

import hashlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ringback.flow.script import DatagramScript
from ringback.trial import control
from ringback.trial.rendering import render
from tests.peer.asking import KNOWN, MSGPACK, opening, voice_spec

WITHOUT_LOOKUPS = """
import sys
from ringback.peer import vantage
vantage.names_of = lambda catalogue: []
from ringback.cli import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    tokens = ["serve", "--host", "127.0.0.1", "--port", "0", "--data", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_LOOKUPS, *tokens], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_and_orderly_in_the_middle_of_a_call(tmp_path: Path, number: signal.Signals) -> None:
    with (
        serving(tmp_path) as (process, url),
        httpx.Client(trust_env=False, base_url=url, headers=MSGPACK) as asking,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        key = bytes.fromhex(asking.get("/v1/peer").json()["key"])
        body = asking.post("/v1/control/open", content=control.encode(opening("udp/3478"))).content
        grant = control.decode(body, control.Grant, "test")
        spec = voice_spec(1, grant.ports["udp/3478"])
        asked = control.encode(control.RoundRequest(grant.session, 1, [spec]))
        assert asking.post("/v1/control/round", content=asked).status_code == 200
        script = render(spec, grant.seed, (), KNOWN)
        assert isinstance(script, DatagramScript)
        sock.settimeout(5.0)
        sock.sendto(script.near[0].data, ("127.0.0.1", spec.port))
        assert sock.recv(2048) in {send.data for send in script.far}

        process.send_signal(number)
        assert process.wait(timeout=5) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == "", "the address is all that goes to standard output"
        told = process.stderr.read().splitlines()
    said = [line for line in told if not line.startswith("port moved: ")]
    assert said == [f"key: {hashlib.sha256(key).hexdigest()[:32]}", "Ctrl-C stops it."]
