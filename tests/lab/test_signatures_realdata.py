"""The operator's signatures on captures that nobody here made: they know the calls in them, and nobody else's."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

from ringback import catalogue
from ringback.lab.operator.signatures import REALMS, recognise
from ringback.lab.operator.triggers import realms
from tests.conftest import realdata_directory

pytestmark = pytest.mark.realdata

LINK_LAYERS = {1: dpkt.ethernet.Ethernet, 113: dpkt.sll.SLL, 101: dpkt.ip.IP, 12: dpkt.ip.IP}
CALLS = {
    "wa_voice.pcap": "whatsapp",
    "wa_video.pcap": "whatsapp",
    "whatsapp_login_call.pcap": "whatsapp",
    "telegram.pcap": "telegram",
    "stun_signal.pcapng": "signal",
}
OTHERS = (
    *("KakaoTalk_talk.pcap", "discord.pcap", "imo.pcap", "line.pcap", "rtp.pcapng", "sip.pcap"),
    *("snapchat_call.pcapng", "stun.pcap", "stun_dtls_rtp.pcapng", "stun_zoom.pcapng", "teams.pcap", "viber.pcap"),
    *("youtube_quic.pcap", "zoom.pcap", "zoom_p2p.pcapng", "quic-29.pcap", "dns.pcap", "whatsapp_login_chat.pcap"),
)


def datagrams(path: Path) -> Iterator[bytes]:
    """UDP payloads of a capture, as far as it can be read."""
    with path.open("rb") as file:
        is_new = file.read(4) == b"\x0a\x0d\x0d\x0a"
        file.seek(0)
        reader = dpkt.pcapng.Reader(file) if is_new else dpkt.pcap.Reader(file)
        layer = LINK_LAYERS.get(reader.datalink(), dpkt.ethernet.Ethernet)
        for _, data in reader:
            try:
                packet = layer(data)
            except (dpkt.UnpackError, dpkt.NeedData):
                continue
            ip = packet if isinstance(packet, dpkt.ip.IP) else packet.data
            if isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) and isinstance(ip.data, dpkt.udp.UDP):
                yield bytes(ip.data.data)


def named(name: str) -> Counter[str]:
    known = {**REALMS, **realms(catalogue.load())}
    labels = (recognise(data, known) for data in datagrams(realdata_directory() / "pcap" / name))
    return Counter(label[0] for label in labels if label is not None)


@pytest.mark.parametrize(("name", "app"), CALLS.items())
def test_a_real_call_is_recognised_as_its_own_apps_alone(name: str, app: str) -> None:
    found = named(name)
    assert set(found) == {app}
    assert found[app] >= 30


@pytest.mark.parametrize("name", OTHERS)
def test_nobody_elses_calls_or_chats_are(name: str) -> None:
    assert sum(1 for _ in datagrams(realdata_directory() / "pcap" / name)) > 0
    assert not named(name)


@pytest.mark.parametrize(("name", "vpn"), [("wireguard.pcap", "wireguard"), ("openvpn_nohmac.pcapng", "openvpn")])
def test_a_real_vpn_is_recognised(name: str, vpn: str) -> None:
    assert set(named(name)) == {vpn}
