"""What a person chose to send is sent, or kept until it can be; what they did not choose stays here."""

import gzip
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest

from ringback.cli import checking, main, targets, upload
from ringback.cli.measuring import Checked
from ringback.record import Measurement, Report
from ringback.trial.terms import Result
from tests.collect.reports import report, with_raw
from tests.words.situations import ALONE, CALLS_CUT, NORMAL, session

SERVER = "http://127.0.0.1:1"


class Server(httpx.MockTransport):
    """Answers with `status`, or with none; `got` is what it was sent."""

    def __init__(self) -> None:
        self.status: int | None = 201
        self.got: list[Report] = []
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.status is None:
            raise httpx.ConnectError("refused", request=request)
        assert request.url.path == "/v1/reports"
        self.got.append(msgspec.json.decode(gzip.decompress(request.content), type=Report))
        return httpx.Response(self.status, json={"title": "x", "detail": "not like this"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    sending = upload.send
    monkeypatch.setattr(upload, "send", lambda: sending(made))
    monkeypatch.setattr(checking, "tunnels_in_use", list)
    return made


def found(monkeypatch: pytest.MonkeyPatch, measurements: Sequence[Measurement]) -> None:
    async def measure(*_: object) -> Checked:
        return Checked(
            Result([], [], [], None, None, "reported", 4.0, ["note"], False), list(measurements), NORMAL, False, None
        )

    async def nothing(*_: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(checking, "measure", measure)
    monkeypatch.setattr(targets, "resolve", nothing)


def check(*more: str) -> int:
    return main(["check", "--server", SERVER, "--yes", "--json", *more])


def waiting() -> list[Path]:
    return sorted(upload.outbox().glob("*")) if upload.outbox().exists() else []


def test_nothing_is_sent_that_nobody_chose_to_send(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, CALLS_CUT)
    assert check() == 0
    assert (server.got, waiting()) == ([], [])


def test_what_was_chosen_is_sent_with_the_participants_own_word(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, CALLS_CUT)
    assert check("--upload", "--asn", "64500", "--region", "RU-MOW") == 0
    [sent] = server.got
    assert len(sent.measurements) == len(CALLS_CUT)
    assert {(one.asn, one.region) for one in sent.measurements} == {(64500, "RU-MOW")}
    assert (sent.open, sent.notes) == (False, [])
    assert waiting() == []
    assert "Sent to the observatory: 1." in capsys.readouterr().err


@pytest.mark.parametrize("status", [None, 404, 429, 500, 503, 507])
def test_what_could_not_be_sent_is_kept_for_the_next_time(
    status: int | None, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = status
    found(monkeypatch, CALLS_CUT)
    assert check("--upload") == 5
    assert "Not sent yet: 1." in capsys.readouterr().err
    [file] = waiting()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    server.got.clear()
    server.status = 201
    assert check() == 0, "a choice of before, kept when nothing new is sent"
    assert (len(server.got), waiting()) == (1, [])


def test_interference_goes_before_a_deferred_upload_and_that_before_nothing_decided(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = None
    found(monkeypatch, CALLS_CUT)
    assert check("--upload", "--fail-on", "interference") == 10
    found(monkeypatch, session(("*", "*", ALONE)))
    assert check("--upload") == 5
    assert len(waiting()) == 2


def test_a_refusal_for_good_is_told_and_not_tried_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = 422
    found(monkeypatch, CALLS_CUT)
    assert check("--upload") == 0
    assert "did not take it: not like this" in capsys.readouterr().err
    assert waiting() == []


def test_a_server_that_is_away_is_asked_once(server: Server) -> None:
    server.status = 503
    for number in range(3):
        upload.put(SERVER, report(number, id=f"{number:08d}"))
    upload.put("http://192.0.2.1", report(9, id="other000"))
    assert upload.send() == upload.Sent(deferred=4)
    assert len(server.got) == 2


def test_of_an_answer_without_end_a_little_is_read() -> None:
    given = 0

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal given
            while given < 100 * upload.MOST_BYTES:
                given += 1000
                yield bytes(1000)

    upload.put(SERVER, report(1))
    assert upload.send(httpx.MockTransport(lambda _: httpx.Response(503, stream=Endless()))) == upload.Sent(deferred=1)
    assert given < 2 * upload.MOST_BYTES


def test_raw_outcomes_leave_only_with_open() -> None:
    closed, opened = upload.to_send(with_raw(), False), upload.to_send(with_raw(), True)
    assert (closed.rounds, closed.tries, closed.notes, closed.open) == ([], [], [], False)
    assert (len(opened.rounds), len(opened.tries), opened.notes, opened.open) == (1, 1, [], True)


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        (["--upload"], "--upload"),
        (["--open"], "--open"),
        (["--server", SERVER, "--asn", "0"], "--asn"),
        (["--server", SERVER, "--region", "Moscow"], "--region"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    tokens: list[str], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checking, "measure", lambda *_: pytest.fail("it measured"))
    assert main(["check", "--yes", *tokens]) == 2
    assert named in capsys.readouterr().err


def test_a_damaged_file_in_the_outbox_hinders_nothing(server: Server) -> None:
    upload.put(SERVER, report())
    (upload.outbox() / "0.json").write_bytes(b"\xff")
    assert upload.send().taken == 1
