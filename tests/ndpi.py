"""nDPI as a witness that nobody here wrote: scripts written to capture files, and the names it gives their flows."""

from pathlib import Path

import dpkt

from ringback.flow import DatagramScript, Script

NEAR, FAR = bytes((192, 0, 2, 10)), bytes((198, 51, 100, 10))
DELAY = 0.02  # seconds one way


def write_capture(path: Path, script: Script, port: int, local_port: int = 40000) -> Path:
    """The exchange as both sides' packets on one wire, without loss: Ethernet, IPv4, UDP or a minimal TCP."""
    packets = (
        _datagrams(script, port, local_port)
        if isinstance(script, DatagramScript)
        else _stream(script, port, local_port)
    )
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for at, packet in sorted(packets, key=lambda item: item[0]):
            ethernet = dpkt.ethernet.Ethernet(src=b"\2" * 6, dst=b"\4" * 6, type=0x0800, data=packet)
            writer.writepkt(bytes(ethernet), ts=1_700_000_000 + at)
    return path


def _addressed(near: bool, protocol: int, data: dpkt.Packet) -> dpkt.ip.IP:
    source, target = (NEAR, FAR) if near else (FAR, NEAR)
    return dpkt.ip.IP(src=source, dst=target, p=protocol, ttl=60, data=data, len=20 + len(data))


def _datagrams(script: DatagramScript, port: int, local: int) -> list[tuple[float, dpkt.ip.IP]]:
    packets = []
    for near, sends in ((True, script.near), (False, script.far)):
        source, target = (local, port) if near else (port, local)
        for send in sends:
            udp = dpkt.udp.UDP(sport=source, dport=target, data=send.data, ulen=8 + len(send.data))
            packets.append((send.at + (0 if near else DELAY), _addressed(near, 17, udp)))
    return packets


def _stream(script: Script, port: int, local: int) -> list[tuple[float, dpkt.ip.IP]]:
    packets, at, sequence = [], 0.0, {True: 1000, False: 5000}

    def say(near: bool, flags: int, data: bytes = b"") -> None:
        nonlocal at
        source, target = (local, port) if near else (port, local)
        tcp = dpkt.tcp.TCP(
            sport=source, dport=target, seq=sequence[near], ack=sequence[not near], flags=flags, win=65000, data=data
        )
        packets.append((at, _addressed(near, 6, tcp)))
        sequence[near] += len(data) + (flags & 2 > 0)
        at += 0.001

    say(True, 0x02)
    say(False, 0x12)
    say(True, 0x10)
    for turn in script.turns:
        at += DELAY
        for start in range(0, len(turn.data), 1400):
            say(turn.by_near, 0x18, turn.data[start : start + 1400])
    return packets


def names(capture: Path) -> list[str]:
    """nDPI's name of each UDP or TCP flow in a capture, for example `STUN.WhatsAppCall`, longest flow first."""
    import nfstream

    flows = nfstream.NFStreamer(source=str(capture), statistical_analysis=False, n_meters=1)
    found = [(flow.bidirectional_packets, flow.application_name) for flow in flows if flow.protocol in (6, 17)]
    return [name for _, name in sorted(found, reverse=True)]


def name_of(folder: Path, script: Script, port: int) -> str:
    """nDPI's name of one exchange on a port."""
    found = names(write_capture(folder / "exchange.pcap", script, port))
    assert len(found) == 1, found
    return found[0]
