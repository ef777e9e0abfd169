"""Real traffic of other people's clients goes through the codecs and comes back the same."""

import zipfile
from collections import Counter

import pytest

from ringback.wire import Malformed, dns, noise, openvpn, rtcp, rtp, stun, telegram, tls, wireguard
from tests.wire.captures import REALDATA, needs_realdata, payloads

pytestmark = needs_realdata
PCAP = REALDATA / "pcap"
CALLS = ("wa_voice.pcap", "wa_video.pcap", "whatsapp_login_call.pcap")


@pytest.mark.parametrize("name", CALLS)
def test_every_stun_message_of_whatsapp_calls_re_encodes(name: str) -> None:
    same, causes = 0, Counter[str]()
    for _, _, data in payloads(PCAP / name, "udp"):
        if len(data) < 20 or data[0] >= 0x40 or data[4:8] != b"\x21\x12\xa4\x42":
            continue
        decoded = stun.decode(data)
        if isinstance(decoded, stun.Message) and stun.encode(decoded) == data:
            same += 1
            assert all(item.type for item in decoded.attributes), "no attribute of the reserved type 0"
        else:
            causes[decoded.reason if isinstance(decoded, Malformed) else "re-encoded otherwise"] += 1
    print(f"{name}: {same} the same, {dict(causes)}")
    assert same >= 50
    assert same >= 0.99 * (same + causes.total())
    assert len(causes) <= 5


def test_media_and_reports_of_whatsapp_calls_re_encode() -> None:
    kinds = Counter[str]()
    for name in CALLS:
        for _, _, data in payloads(PCAP / name, "udp"):
            if rtcp.looks_like(data):
                reports = rtcp.decode(data)
                if isinstance(reports, rtcp.Compound):
                    assert rtcp.encode(reports) == data
                    kinds["rtcp"] += 1
            elif rtp.looks_like(data):
                packet = rtp.decode(data)
                assert isinstance(packet, rtp.Packet)
                assert rtp.encode(packet) == data
                kinds["rtp"] += 1
                kinds["0xDEBE"] += packet.extension is not None and packet.extension.profile == 0xDEBE
    print(dict(kinds))
    assert kinds["rtp"] > 500
    assert kinds["rtcp"] > 50


def test_telegram_reflector_control_messages_re_encode() -> None:
    kinds = Counter[str]()
    for source, target, data in payloads(PCAP / "telegram.pcap", "udp"):
        if data[16:28] == telegram.FF_RUN and (500 < source < 600 or 500 < target < 600):
            frame = telegram.decode(data)
            assert not isinstance(frame, Malformed)
            assert telegram.encode(frame) == data
            kinds[type(frame).__name__] += 1
    print(dict(kinds))
    assert set(kinds) == {"Hello", "HelloAnswer", "PeerRequest", "PeerAnswer"}


def test_odd_stun_gives_events_or_malformed() -> None:
    odd = [data for path in (REALDATA / "stun-odd").glob("*.pcap") for _, _, data in payloads(path, "udp")]
    with zipfile.ZipFile(REALDATA / "stun-odd" / "coturn-fuzz-seeds.zip") as seeds:
        odd += [seeds.read(name) for name in seeds.namelist()]
    results = Counter[str]()
    for data in odd:
        decoded = stun.decode(data)
        if isinstance(decoded, stun.Message):
            assert stun.encode(decoded) == data
        results[decoded.reason if isinstance(decoded, Malformed) else "message"] += 1
    print(dict(results))
    assert results["message"] > 20
    assert len(results) > 1


def test_client_hellos_parse_and_re_encode() -> None:
    names, same, total = Counter[str](), 0, 0
    for path in sorted(PCAP.glob("*.pcap*")):
        for _, _, data in payloads(path, "tcp"):
            if not tls.looks_like(data) or data[5:6] != b"\x01":
                continue
            hello = tls.decode_hello(data)
            total += 1
            if isinstance(hello, tls.Hello):
                # The record's own version byte is not a field: some clients write 0x0303 there.
                same += tls.encode_hello(hello)[3:] == data[3:]
                names[hello.server_name or ""] += 1
    print(f"{same} of {total} hellos re-encode; {len(names)} names")
    assert same >= 0.97 * total > 0
    assert names["pps.whatsapp.net"] > 0


def test_old_whatsapp_text_openings_are_told_apart_from_noise() -> None:
    openings = [data for _, _, data in payloads(PCAP / "whatsapp.pcap", "tcp") if data.startswith(b"WA")]
    assert openings
    assert {noise.decode_opening(data) for data in openings} == {Malformed("truncated", 4)}
    old = [d for _, _, d in payloads(PCAP / "whatsapp_login_call.pcap", "tcp") if d.startswith(b"WA")]
    assert isinstance(noise.decode_opening(old[0]), Malformed)


def test_vpn_handshakes_re_encode() -> None:
    kinds = Counter[str]()
    for _, _, data in payloads(PCAP / "wireguard.pcap", "udp"):
        message = wireguard.decode(data)
        assert not isinstance(message, Malformed)
        assert wireguard.encode(message) == data
        kinds[type(message).__name__] += 1
    for _, _, data in payloads(PCAP / "openvpn_nohmac.pcapng", "udp"):
        packet = openvpn.decode(data)
        assert not isinstance(packet, Malformed)
        assert openvpn.encode(packet) == data
        kinds[type(packet).__name__] += 1
    print(dict(kinds))
    assert kinds["Initiation"] >= 2
    assert kinds["Control"] >= 5


def test_dns_of_real_resolvers_decodes() -> None:
    found, bad = 0, 0
    for name in ("dns.pcap", *CALLS, "malformed_dns.pcap"):
        for source, target, data in payloads(PCAP / name, "udp"):
            if 53 in (source, target):
                decoded = dns.decode(data)
                found += isinstance(decoded, dns.Message)
                bad += isinstance(decoded, Malformed)
                if isinstance(decoded, dns.Message) and name != "malformed_dns.pcap":
                    assert dns.decode(dns.encode(decoded)) == decoded
    print(found, "messages", bad, "malformed")
    assert found >= 15


def test_stun_of_all_other_captures_re_encodes() -> None:
    same, causes = 0, Counter[str]()
    for path in sorted(PCAP.glob("*.pcap*")):
        for _, _, data in payloads(path, "udp"):
            if stun.looks_like(data):
                decoded = stun.decode(data)
                good = isinstance(decoded, stun.Message) and stun.encode(decoded) == data
                same += good
                causes[decoded.reason if isinstance(decoded, Malformed) else "re-encoded otherwise"] += not good
    print(same, "the same", dict(causes))
    assert same >= 0.99 * (same + causes.total())
    assert sum(count > 0 for count in causes.values()) <= 5
