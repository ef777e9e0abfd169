"""nDPI names each original as it names the captures, on any port, and no control."""

from collections.abc import Callable
from pathlib import Path

import dpkt
import pytest

from ringback.flow import DatagramScript, Replay, ReplayPacket, Script, Send, StreamScript, Turn, render
from ringback.record import Arm, ExchangeSpec
from tests.flow.specs import SEED, spec
from tests.ndpi import name_of

pytestmark = pytest.mark.ndpi

OTHER_PORT = 20123
PORT_GUESSES = {"STUN", "WireGuard", "OpenVPN", "TLS", "DNS", "Unknown"}  # what a port alone makes nDPI say

# (app, function, form): nDPI's name of the original on its port and on another. The captures' flows have the same
# names (pcap-labels): calls by relay SRTP.WhatsAppCall, Telegram, STUN.SignalVoip; a call from peer to peer, taken out
# of its capture and so out of nDPI's memory of the relay, is STUN.RTP.
NAMES = {
    ("whatsapp", "voice", "relay-call"): ("SRTP.WhatsAppCall", "SRTP.WhatsAppCall"),
    ("whatsapp", "voice", "p2p-call"): ("STUN.RTP", "STUN.RTP"),
    ("whatsapp", "text", "noise"): ("WhatsApp", "WhatsApp"),
    ("whatsapp", "text", "tls"): ("TLS.WhatsApp", "TLS.WhatsApp"),
    ("whatsapp", "media", "tls"): ("TLS.WhatsApp", "TLS.WhatsApp"),
    ("whatsapp", "text", "dns"): ("DNS.WhatsApp", None),
    ("telegram", "voice", "relay-call"): ("Telegram", "Unknown"),  # nDPI looks at ports 500-600 alone
    ("telegram", "voice", "p2p-call"): ("STUN.RTP", "STUN.RTP"),
    ("telegram", "text", "tls"): ("TLS.Telegram", "TLS.Telegram"),
    ("telegram", "media", "tls"): ("TLS.Telegram", "TLS.Telegram"),
    ("telegram", "text", "dns"): ("DNS.Telegram", None),
    ("signal", "voice", "relay-call"): ("STUN.SignalVoip", "STUN.SignalVoip"),
    ("signal", "voice", "p2p-call"): ("STUN.RTP", "STUN.RTP"),
    ("signal", "text", "tls"): ("TLS.Signal", "TLS.Signal"),
    ("signal", "media", "tls"): ("TLS.Signal", "TLS.Signal"),
    ("max", "voice", "relay-call"): ("STUN", "STUN"),  # no classifier knows Max
    ("wireguard", "outer", "outer"): ("WireGuard", "WireGuard"),
    ("openvpn", "outer", "outer"): ("OpenVPN", "OpenVPN"),
}


def rendered(form: tuple[str, str, str], payload: str, number: int) -> tuple[Script, int]:
    one = spec(*form, payload=payload, number=number, seconds=4.0)
    return render(one, SEED), one.port


@pytest.mark.parametrize("form", NAMES, ids="/".join)
def test_an_original_is_named_like_the_captures(form: tuple[str, str, str], tmp_path: Path) -> None:
    on_port, elsewhere = NAMES[form]
    for number in (0, 17):
        script, port = rendered(form, "original", number)
        assert name_of(tmp_path, script, port) == on_port
        if elsewhere is not None:
            assert name_of(tmp_path, script, OTHER_PORT) == elsewhere


@pytest.mark.parametrize("form", NAMES, ids="/".join)
def test_a_control_is_named_from_its_port_at_most(form: tuple[str, str, str], tmp_path: Path) -> None:
    for number in (0, 17):
        script, port = rendered(form, "control", number)
        assert name_of(tmp_path, script, port) in PORT_GUESSES
        if form[2] not in ("tls", "dns"):  # whose controls are valid and neutral
            assert name_of(tmp_path, script, OTHER_PORT) == "Unknown"


def changed(script: Script, change: Callable[[bytes], bytes]) -> Script:
    if isinstance(script, StreamScript):
        return StreamScript(tuple(Turn(t.by_near, change(t.data)) for t in script.turns), script.timeout)
    sides = [tuple(Send(s.at, change(s.data), s.after) for s in side) for side in (script.near, script.far)]
    return DatagramScript(sides[0], sides[1], script.seconds)


def without_private_attributes(data: bytes) -> bytes:
    # Same sizes, other numbers: 0x4000 and 0x4002 become ones that nobody owns, and pings become Bindings.
    if data[:2] in (b"\x08\x01", b"\x08\x02"):
        return (b"\0\1" if data[1] == 1 else b"\1\1") + data[2:]
    if data[:2] in (b"\0\3", b"\1\3"):
        for code in (b"\x40\0\0\x96", b"\x40\x02\0\x08"):
            data = data.replace(code, b"\xcf" + code[1:])
        for code in (b"\x40\x24", b"\x40\x25", b"\x40\x23", b"\x40\x21"):
            data = data.replace(code, b"\xcf" + code[1:])
    return data


@pytest.mark.parametrize(
    ("form", "blank"),
    [
        (("whatsapp", "voice", "relay-call"), without_private_attributes),
        (("whatsapp", "text", "noise"), lambda data: data.replace(b"ED\0\1", b"XY\0\1")),
        (("telegram", "voice", "relay-call"), lambda data: data.replace(b"\xff" * 12, b"\x7f" * 12)),
        (("signal", "voice", "relay-call"), lambda data: data.replace(b"signal.org", b"neutra.org")),
        (("signal", "text", "tls"), lambda data: data.replace(b"chat.signal.org", b"chat.neutra.org")),
    ],
    ids=["whatsapp call", "whatsapp text", "telegram call", "signal call", "signal text"],
)
def test_without_its_private_fields_an_original_loses_its_name(
    form: tuple[str, str, str], blank: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    script, port = rendered(form, "original", 3)
    assert form[0] in name_of(tmp_path, script, port).lower()
    assert form[0] not in name_of(tmp_path, changed(script, blank), port).lower()


def test_a_script_does_not_say_which_arm_it_is() -> None:
    original, control = (
        render(spec("whatsapp", "voice", "relay-call", payload=p), SEED) for p in ("original", "control")
    )
    assert type(original) is type(control)
    assert not any(isinstance(getattr(original, field), str | Arm) for field in original.__struct_fields__)


def captured(path: Path, remote: str, port: int) -> Replay:
    """One UDP flow of a capture, seen from whoever sent first."""
    packets: list[tuple[float, bool, bytes]] = []
    with path.open("rb") as file:
        for at, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if not isinstance(ip, dpkt.ip.IP) or not isinstance(ip.data, dpkt.udp.UDP):
                continue
            ends = [(".".join(map(str, ip.src)), ip.data.sport), (".".join(map(str, ip.dst)), ip.data.dport)]
            if (remote, port) in ends:
                packets.append((at, ends[1] == (remote, port), bytes(ip.data.data)))
    start = packets[0][0]
    near, far = (tuple(ReplayPacket(at - start, d) for at, out, d in packets if out == side) for side in (True, False))
    return Replay("d", None, None, near, far)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "remote", "port", "name"),
    [
        ("whatsapp_login_call.pcap", "31.13.93.48", 3478, "WhatsAppCall"),
        ("whatsapp_login_call.pcap", "91.253.176.65", 9344, "STUN.RTP"),
        ("wa_voice.pcap", "31.13.86.48", 3478, "WhatsAppCall"),
        ("telegram.pcap", "91.108.8.8", 529, "Telegram"),
    ],
)
def test_a_replayed_capture_keeps_its_name(
    realdata: Path, tmp_path: Path, file: str, remote: str, port: int, name: str
) -> None:
    replay = captured(realdata / "pcap" / file, remote, port)
    for payload in ("original", "control"):
        arm = Arm(payload, "app")  # type: ignore[arg-type]
        one = ExchangeSpec(4, "whatsapp", "voice", "outgoing", "relay", "replay", arm, "udp", port, 30.0, 0, "d")
        script = render(one, SEED, {"d": replay})
        assert isinstance(script, DatagramScript)
        for side in (script.near, script.far):
            assert len({s.data for s in side}) == len(side)
        assert (name in name_of(tmp_path, script, port)) == (payload == "original")
