"""A check from command line to exit code. Names resolve to nothing here, so nothing leaves the machine."""

import asyncio
import json
import os
import signal
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from ringback.catalogue import load as load_catalogue
from ringback.cli import checking, main, targets
from ringback.cli.measuring import Checked, with_reason
from ringback.cli.request import Asked, read_request
from ringback.net import resolver
from ringback.net.control import ControlClient
from ringback.record import Cell, Measurement, NetworkRecord, Round, Verdict
from ringback.trial.cells import CellTrial
from ringback.trial.control import TrySpec
from ringback.trial.terms import Result
from tests.cli.contract import hold_to_the_contract
from tests.words.situations import ALONE, CALLS_CUT, CUT, NORMAL, measured, session


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(names: Sequence[str], family: str) -> dict[str, str]:
        return {}

    monkeypatch.setattr(targets, "resolve", nothing)
    monkeypatch.setattr(resolver, "system_resolver", lambda: None)
    monkeypatch.setattr(checking, "tunnels_in_use", list)


def found(monkeypatch: pytest.MonkeyPatch, measurements: list[Measurement], network: NetworkRecord = NORMAL) -> None:
    """The next check will have measured this."""
    result = Result([], [], [], None, None, "reported", 4.0, [], False)

    async def measure(*_: object) -> Checked:
        return Checked(result, measurements, network, False, None)

    monkeypatch.setattr(checking, "measure", measure)


SERVER = ["--server", "http://127.0.0.1:1"]
DEAF = TrySpec("app", "127.0.0.1", "127.0.0.1", 9, "udp", "relay-call", "whatsapp", "voice", pings=1)


def test_records_go_to_standard_output_and_words_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, CALLS_CUT)
    assert main(["check", *SERVER, "--yes", "--json"]) == 0
    told = capsys.readouterr()
    hold_to_the_contract(told.out)
    assert [json.loads(line)["schema"] for line in told.out.splitlines()][-1] == "ringback/network/1"
    assert "Is it me?" in told.err
    assert "Saved: " in told.err


def test_without_json_words_are_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found(monkeypatch, CALLS_CUT)
    out = tmp_path / "records.ndjson"
    assert main(["check", *SERVER, "--yes", "--lang", "ru", "--out", str(out)]) == 0
    assert "Дело во мне?" in capsys.readouterr().out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    hold_to_the_contract(out.read_text())


def test_the_language_is_the_environments(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found(monkeypatch, CALLS_CUT)
    monkeypatch.setenv("LANG", "ru_RU.UTF-8")
    assert main(["check", *SERVER, "--yes"]) == 0
    assert "Дело во мне?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("measurements", "options", "code"),
    [
        (CALLS_CUT, [], 0),
        (CALLS_CUT, ["--fail-on", "interference"], 10),
        (session(), ["--fail-on", "interference"], 0),
        (session(("*", "*", ALONE)), [], 3),
        (session(("*", "*", ALONE)), ["--fail-on", "interference"], 3),
    ],
)
def test_the_exit_code_says_what_came_of_it(
    measurements: list[Measurement], options: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, measurements)
    assert main(["check", *SERVER, "--yes", *options]) == code


def test_bad_input_comes_before_missing_consent() -> None:
    assert main(["check", "--app", "signall"]) == 2
    assert main(["check"]) == 4


def test_without_a_partner_nothing_is_decided_and_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, session(("*", "*", Verdict(status="insufficient", reason="no-partner"))))
    assert main(["check", "--yes", "--json"]) == 3
    assert "ringback check --server URL" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("app", ["signal", "whatsapp"])  # whose relays are tried by name, and by address
@pytest.mark.parametrize(("server", "reason"), [([], "no-partner"), (SERVER, "partner-unreachable")])
def test_where_nobody_answers_the_network_is_offline_and_nothing_is_decided(
    app: str,
    server: list[str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
) -> None:
    monkeypatch.setattr(targets, "app_targets", lambda *_: [DEAF] if app == "whatsapp" else [])
    assert main(["check", *server, "--app", app, "--yes", "--json"]) == 3
    told = capsys.readouterr()
    hold_to_the_contract(told.out)
    *cells, closing = map(json.loads, told.out.splitlines())
    assert {(row["verdict"]["status"], row["verdict"]["reason"]) for row in cells} == {("insufficient", reason)}
    assert (closing["state"], closing["udp"]) == ("offline", "blocked")
    words = " ".join(told.err.split())
    assert "Nothing gets through on this network at all." in words
    assert "not decided: nobody answers here" in words
    assert "other servers 0 of 6 answered" in words
    assert len(list((home / "data" / "ringback" / "results").iterdir())) == 1


def test_a_partner_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *SERVER, "--app", "signal", "--yes", "--json"]) == 3
    told = capsys.readouterr()
    reasons = {row["verdict"]["reason"] for row in map(json.loads, told.out.splitlines()) if "verdict" in row}
    assert reasons == {"partner-unreachable"}
    assert "The partner at http://127.0.0.1:1 could not be reached" in " ".join(told.err.split())


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b"oops", "What answers at http://127.0.0.1:1 is no Ringback partner (HTTP status 500):"),
        (200, b"<html>login</html>", "What answers at http://127.0.0.1:1 is no Ringback partner: a wrong address"),
        (
            429,
            b'{"detail":"it is \\u001b[31m full."}',
            "The partner at http://127.0.0.1:1 refused: it is \ufffd[31m full.",
        ),
    ],
)
def test_what_answers_and_is_no_partner_is_not_called_silent(
    status: int, body: bytes, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def post(client: ControlClient, *_: object) -> tuple[int, bytes]:
        client.answered = True
        return status, body

    monkeypatch.setattr(ControlClient, "_post", post)
    assert main(["check", *SERVER, "--app", "signal", "--yes", "--json"]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["state"] != "offline"
    words = " ".join(said.err.split())
    assert told in words
    assert "Nothing gets through" not in words
    assert "could not be reached; only" not in words


def test_ctrl_c_keeps_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    async def interrupted(_: ControlClient, what: str, body: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    monkeypatch.setattr(ControlClient, "ask", interrupted)
    assert main(["check", *SERVER, "--app", "signal", "--yes", "--json"]) == 3
    told = capsys.readouterr()
    hold_to_the_contract(told.out)
    assert '"reason":"interrupted"' in told.out
    assert "Stopped." in told.err
    assert len(list((home / "data" / "ringback" / "results").iterdir())) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_peers_reason_for_saying_no_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse() -> int:
        async with refusing() as port:
            options = ["--server", f"http://127.0.0.1:{port}", "--app", "signal", "--yes"]
            return await asyncio.to_thread(main, ["check", *options])

    assert asyncio.run(refuse()) == 3
    assert "refused: this peer is full." in " ".join(capsys.readouterr().out.split())


@asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"type":"about:blank","title":"No","status":422,"detail":"this peer is full"}'
        head = f"HTTP/1.1 422 No\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        writer.write(head + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(("how", "flows"), [([], "24 flows at once"), (["--quiet"], "2 flows at once")])
def test_a_dry_run_says_how_many_flows_there_are_at_once(
    how: list[str], flows: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--dry-run", "--app", "signal", *SERVER, *how]) == 0
    assert flows in capsys.readouterr().out


def test_quiet_and_quick_are_not_to_be_had_together() -> None:
    assert main(["check", "--yes", *SERVER, "--quiet", "--quick"]) == 2


def test_a_quiet_check_says_that_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, CALLS_CUT)
    assert main(["check", *SERVER, "--yes", "--quiet"]) == 0
    assert "no more than two connections at a time" in capsys.readouterr().err


def test_a_dry_run_names_hosts_ports_bytes_and_time_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    monkeypatch.setattr(targets, "resolve", lambda *_: pytest.fail("it looked names up"))
    monkeypatch.setattr(checking, "measure", lambda *_: pytest.fail("it measured"))
    assert main(["check", "--dry-run", "--json", "--app", "signal", "--server", "http://192.0.2.1:8080"]) == 0
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    calls = [line for line in lines if line["what"] == "signal voice outgoing relay-call" and line["where"] == "server"]
    assert [(line["transport"], line["ports"], line["flows"]) for line in calls] == [("udp", "3478+other", 96)]
    assert 2e6 < calls[0]["bytes"] < 8e6
    assert any(line["where"] == "chat.signal.org" and line["ports"] == "443" for line in lines)
    assert "192.0.2.1 udp/3478+other" in told.err
    assert "MB" in told.err
    assert list(home.iterdir()) == []


def test_a_proxy_that_does_not_answer_or_wants_a_password_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checking, "measure", lambda *_: pytest.fail("it measured"))

    async def against(reply: bytes) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(3)
            writer.write(reply)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await asyncio.to_thread(main, ["check", "--via", f"tor=socks5://127.0.0.1:{port}", "--yes"])

    assert asyncio.run(against(b"\x05\xff")) == 2
    assert "the proxy wants a password" in capsys.readouterr().err
    assert asyncio.run(against(b"HTTP/1.1 400 Bad Request")) == 2
    assert "is no SOCKS5" in capsys.readouterr().err
    assert main(["check", "--via", "tor=socks5://127.0.0.1:1", "--yes"]) == 2
    told = capsys.readouterr().err
    assert told == "ringback: --via tor=socks5://127.0.0.1:1: no proxy answers there: connection refused\n"


@pytest.mark.parametrize(
    ("quick", "apps", "reason"),
    [(True, ["signal", "max"], "quick"), (True, ["signal"], "undecided"), (False, None, "undecided")],
)
def test_a_quick_session_of_several_apps_says_that_it_was_too_quick(
    quick: bool, apps: list[str] | None, reason: str
) -> None:
    request = read_request(load_catalogue(), Asked(server=SERVER[1], apps=apps, quick=quick))
    undecided = measured("signal", "voice", "outgoing", Verdict(status="insufficient", reason="undecided"))
    result = Result([], [], [], None, None, "reported", 4.0, [], False)
    assert with_reason(undecided, request, result, interrupted=False).verdict.reason == reason
    kept = measured("signal", "voice", "outgoing", CUT)
    assert with_reason(kept, request, result, interrupted=False) == kept


CALL = Cell("signal", "voice", "outgoing", "relay")


def called(most: int, *partners: Literal["reported", "lost"]) -> CellTrial:
    """A cell that was to have `most` rounds, with those that it had."""
    trial = CellTrial(CALL, (), 1000.0, most)
    trial.series = len(partners)
    trial.rounds = [Round(i + 1, CALL, "relay-call", 0.0, [], [4.0], partner=each) for i, each in enumerate(partners)]
    return trial


@pytest.mark.parametrize("reason", ["undecided", "too-short"])
@pytest.mark.parametrize(
    ("trial", "lost"),
    [
        (called(4, "reported"), True),
        (called(2, "reported", "lost"), True),
        (called(1, "reported"), False),
    ],
    ids=["more to come", "a silent round", "whole"],
)
def test_where_the_partner_took_rounds_along_that_is_why_it_was_not_decided(
    reason: str, trial: CellTrial, lost: bool
) -> None:
    request = read_request(load_catalogue(), Asked(server=SERVER[1], apps=["signal"]))
    undecided = measured("signal", "voice", "outgoing", Verdict(status="insufficient", reason=reason))
    other = CellTrial(Cell("max", "voice", "outgoing", "relay"), (), 1000.0, 4)
    gone = Result([other, trial], [], [], None, None, "vanished", 4.0, [], False)
    assert with_reason(undecided, request, gone, interrupted=False).verdict.reason == (
        "partner-lost" if lost else reason
    )
    there = msgspec.structs.replace(gone, partner="reported")
    assert with_reason(undecided, request, there, interrupted=False) == undecided


def test_what_never_ran_for_a_partner_that_went_says_so() -> None:
    request = read_request(load_catalogue(), Asked(server=SERVER[1]))
    unheard = measured("signal", "voice", "outgoing", Verdict(status="insufficient", reason="no-rounds"))
    result = Result([], [], [], None, None, "vanished", 4.0, [], False)
    assert with_reason(unheard, request, result, interrupted=False).verdict.reason == "partner-lost"
