"""A capture from the command line."""

import json
import stat
import struct
from pathlib import Path

import pytest

from ringback import catalogue, flow
from ringback.cli import main
from ringback.cli.request import Asked, read_request
from ringback.errors import BadInput
from ringback.record import Arm, ExchangeSpec

KNOWN = catalogue.load()
HERE, RELAY = "192.0.2.10", "203.0.113.16"


def datagram(source: str, target: str, ports: tuple[int, int], payload: bytes) -> bytes:
    """An IPv4 packet with UDP in it (RFC 791, RFC 768), checksums left out."""
    udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    ends = bytes(map(int, source.split("."))) + bytes(map(int, target.split(".")))
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends + udp


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A WhatsApp call of three seconds as raw IP packets (classic pcap, link type 101)."""
    spec = ExchangeSpec(
        1, "whatsapp", "voice", "outgoing", "relay", "relay-call", Arm("original", "app"), "udp", 3478, 3.0
    )
    script = flow.render(spec, bytes(32))
    assert isinstance(script, flow.DatagramScript)
    packets = [(send.at, datagram(HERE, RELAY, (40_000, 3478), send.data)) for send in script.near]
    packets += [(send.at, datagram(RELAY, HERE, (3478, 40_000), send.data)) for send in script.far]
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for at, packet in sorted(packets):
        data += struct.pack("<IIII", 1_755_075_600 + int(at), int(at % 1 * 1e6), len(packet), len(packet)) + packet
    file = tmp_path / "call.pcap"
    file.write_bytes(data)
    return file


def test_a_call_is_found_and_told(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", str(capture), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["app"], row["function"], row["transport"]) for row in rows] == [("whatsapp", "voice", "udp")]
    assert set(rows[0]) >= {"direction", "route", "start", "seconds", "packets", "bytes", "endpoints"}
    assert main(["trace", str(capture), "--lang", "ru"]) == 0
    assert "WhatsApp" in capsys.readouterr().out


def test_a_call_is_written_and_can_be_sent_again(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "calls"
    assert main(["trace", str(capture), "--out", str(folder)]) == 0
    [file] = folder.iterdir()
    assert str(file) in capsys.readouterr().err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for given in (file, capture):
        request = read_request(KNOWN, Asked(replay=given, server="http://192.0.2.1"))
        assert request.apps == ("whatsapp",)
        assert request.replay is not None
        assert request.replay.app == "whatsapp"
    with pytest.raises(BadInput, match="one app's call"):
        read_request(KNOWN, Asked(replay=file, server="http://192.0.2.1", apps=["whatsapp", "max"]))
    with pytest.raises(BadInput, match="not of max"):
        read_request(KNOWN, Asked(replay=file, server="http://192.0.2.1", apps=["max"]))


def test_a_capture_without_calls_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
    assert main(["trace", str(empty)]) == 0
    assert "no exchange" in capsys.readouterr().out


def test_a_damaged_capture_is_told_as_far_as_it_goes(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture.write_bytes(capture.read_bytes()[:-7])
    assert main(["trace", str(capture), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[0])["app"] == "whatsapp"
    assert told.err


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3", b"\xd4\xc3\xb2\xa1" + bytes(9)])
def test_a_capture_that_ends_before_it_begins_is_a_damaged_one(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.pcap"
    file.write_bytes(content)
    assert main(["trace", str(file), "--json"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err in ("the file is empty\n", "the file ends within its header\n")


@pytest.mark.parametrize("content", [None, b"no capture at all, whatever its name says"])
def test_what_is_no_capture_is_bad_input(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.pcap"
    if content is not None:
        file.write_bytes(content)
    assert main(["trace", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
