"""The partner as a program of its own, and a check towards it over the loopback interface."""

import ipaddress
import json
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ringback.cli import checking, main, targets
from ringback.cli.serve import data_of
from ringback.net import resolver
from tests.cli.contract import hold_to_the_contract
from tests.cli.test_lab import SMALL

# The peer looks the messengers' names up to know its vantage's targets; a test asks no resolver for anything.
RUN = """
import sys
from ringback.peer import vantage
vantage.names_of = lambda catalogue: []
from ringback.cli import main
sys.exit(main(sys.argv[1:]))
"""


def program(*tokens: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *tokens], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(timeout=20)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    from ringback.cli.serve import free_port

    port = free_port("127.0.0.1")
    process = program("serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(tmp_path / "peer"))
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url == f"http://127.0.0.1:{port}"
        yield url
    finally:
        assert ended(process) == 0


@pytest.mark.slow
def test_a_check_towards_a_partner_opens_a_session_and_keeps_its_signature(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    async def nothing(names: Sequence[str], family: str) -> dict[str, str]:
        return {}

    monkeypatch.setattr(targets, "resolve", nothing)
    monkeypatch.setattr(resolver, "system_resolver", lambda: None)
    monkeypatch.setattr(checking, "tunnels_in_use", list)
    tokens = [
        "check",
        "--server",
        server,
        "--app",
        "signal",
        "--function",
        "voice",
        "--budget-s",
        "1",
        "--yes",
        "--json",
        "--upload",
    ]
    assert main(tokens) == 3
    told = capsys.readouterr()
    assert "Sent to the observatory: 1." in told.err
    assert not list((home / "data" / "ringback" / "outbox").iterdir())
    hold_to_the_contract(told.out)
    reasons = {row["verdict"]["reason"] for row in map(json.loads, told.out.splitlines()) if "verdict" in row}
    assert reasons == {"budget"}
    [saved] = (home / "data" / "ringback" / "results").iterdir()
    report = json.loads(saved.read_bytes())
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(report["peer_key"]))
    digests = b"".join(map(bytes.fromhex, report["transcript"]))
    key.verify(bytes.fromhex(report["signature"]), b"ringback/transcript/1" + digests)


def test_the_demo_tells_what_was_seen_beside_the_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    country = tmp_path / "country.toml"
    country.write_text(SMALL)
    assert main(["demo", "--once", "--country", str(country)]) == 0
    told = capsys.readouterr().out
    assert "\nharbour, in virtual time\nSignal (calls)" in told
    words = " ".join(told.split())
    assert words.count("calls do not get") == 2  # as seen, and as it is
    assert f"ringback lab run {country}".replace(" ", "") in "".join(told.split())  # a line may break within a path
    assert words.endswith("ringback check --server URL")


@pytest.mark.slow
def test_the_demo_says_where_its_partner_is_and_how_to_stop_it(tmp_path: Path) -> None:
    country = tmp_path / "country.toml"
    country.write_text(SMALL)
    process = program("demo", "--country", str(country), "--data", str(tmp_path / "peer"))
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    assert any("http://127.0.0.1:" in line for line in lines)
    assert ended(process) == 0


@pytest.mark.parametrize(
    ("host", "port", "code", "says"),
    [
        ("127.0.0.1", "99999", 2, "--port 99999: is a port, 1 to 65535"),
        ("127.0.0.1", "-1", 2, "--port -1: is a port"),
        ("300.1.1.1", "8443", 2, "--host 300.1.1.1: is no address of this machine"),
        ("192.0.2.7", "8443", 2, "--host 192.0.2.7: is no address of this machine"),
        ("127.0.0.1", "TAKEN", 1, "(give another --port)"),
    ],
)
def test_an_address_that_can_not_be_had_is_refused_in_one_line(
    host: str,
    port: str,
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", numbers_alone)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = str(taken.getsockname()[1]) if port == "TAKEN" else port
        assert main(["serve", "--host", host, f"--port={wanted}", "--data", str(tmp_path / "peer")]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert says in told.err
    assert told.err.count("\n") == 1


def numbers_alone(host: str, port: object, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
    """No resolver is asked."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (str(address), int(str(port or 0))))]


@pytest.mark.slow
def test_the_data_folder_is_the_owners_alone_and_a_folder_of_others_is_left_as_it_is(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stat.S_IMODE((tmp_path / "peer").stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    assert data_of(shared) == shared
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert f"chmod go= {shared}" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["serve"], ["demo"]])
def test_a_file_is_no_data_folder(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([*command, "--data", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"ringback: --data {tmp_path}/file: is no folder\n"


def test_serve_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ringback.peer", None)
    assert main(["serve", "--data", str(tmp_path)]) == 1
    assert "ringback[observatory]" in capsys.readouterr().err
