"""Writes captures to read: pcap and pcapng from (time, link-layer frame), frames from datagrams. No real address."""

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import dpkt

from ringback.flow import DatagramScript, Script

NEAR, FAR, OTHER = ("192.0.2.10", 40_000), ("198.51.100.10", 3478), ("198.51.100.11", 3478)
NEAR6, FAR6 = ("2001:db8::10", 40_000), ("2001:db8:1::10", 3478)
START = 1_700_000_000.0
DELAY = 0.02
Socket = tuple[str, int]
Line = tuple[float, bytes]


def ip(source: Socket, target: Socket, data: bytes, protocol: int = 17) -> bytes:
    """An IP packet, version by the addresses, around a UDP datagram of `data` (or around `data` itself)."""
    inner = dpkt.udp.UDP(sport=source[1], dport=target[1], ulen=8 + len(data), data=data) if protocol == 17 else data
    hosts = [ipaddress.ip_address(end[0]).packed for end in (source, target)]
    if len(hosts[0]) == 4:
        return bytes(dpkt.ip.IP(src=hosts[0], dst=hosts[1], p=protocol, ttl=60, data=inner, len=20 + len(inner)))
    return bytes(dpkt.ip6.IP6(src=hosts[0], dst=hosts[1], nxt=protocol, hlim=60, plen=len(inner), data=inner))


def segment(source: Socket, target: Socket, sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    tcp = dpkt.tcp.TCP(sport=source[1], dport=target[1], seq=sequence, flags=flags, data=data)
    return ip(source, target, bytes(tcp), 6)


def ethernet(packet: bytes, tags: Sequence[int] = ()) -> bytes:
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    shims = b"".join(b"\x81\x00" + struct.pack("!H", tag) for tag in tags)
    return b"\2" * 6 + b"\4" * 6 + shims + kind + packet


def pcap(path: Path, lines: Iterable[Line], link: int = 1, order: str = "<", nano: bool = False) -> Path:
    ticks = 1_000_000_000 if nano else 1_000_000
    parts = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for at, data in lines:
        seconds = int(at)
        fraction = round((at - seconds) * ticks)
        parts += (struct.pack(order + "IIII", seconds, fraction, len(data), len(data)), data)
    path.write_bytes(b"".join(parts))
    return path


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int, order: str = "<", options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, 0) + options, order)


def enhanced(at: float, data: bytes, number: int = 0, order: str = "<", ticks: int = 1_000_000) -> bytes:
    stamp = round(at * ticks)
    head = struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data))
    return block(6, head + data, order)


def pcapng(path: Path, lines: Iterable[Line], link: int = 1, order: str = "<") -> Path:
    parts = [section(order), interface(link, order), *(enhanced(at, data, order=order) for at, data in lines)]
    path.write_bytes(b"".join(parts))
    return path


def script_lines(script: Script, near: Socket = NEAR, far: Socket = FAR, start: float = START) -> list[Line]:
    """A rendered exchange as frames, both sides on one wire."""
    if isinstance(script, DatagramScript):
        lines = [(start + send.at, ethernet(ip(near, far, send.data))) for send in script.near]
        lines += [(start + DELAY + send.at, ethernet(ip(far, near, send.data))) for send in script.far]
        return sorted(lines, key=lambda line: line[0])
    at, numbers = start, {True: 1000, False: 5000}
    lines = [
        (at, ethernet(segment(near, far, 1000, b"", 0x02))),
        (at, ethernet(segment(far, near, 5000, b"", 0x12))),
    ]
    numbers = {True: 1001, False: 5001}
    for turn in script.turns:
        at += DELAY
        ends = (near, far) if turn.by_near else (far, near)
        for begin in range(0, len(turn.data), 1400):
            part = turn.data[begin : begin + 1400]
            lines.append((at, ethernet(segment(*ends, numbers[turn.by_near], part))))
            numbers[turn.by_near] += len(part)
    return lines


def talk(data: Iterable[tuple[float, bool, bytes]], near: Socket = NEAR, far: Socket = FAR) -> list[Line]:
    """Datagrams of both sides by (seconds, whether near sends, payload)."""
    return [(START + at, ethernet(ip(near, far, one) if by_near else ip(far, near, one))) for at, by_near, one in data]
