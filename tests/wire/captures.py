"""Reads real captures for this room's tests: UDP payloads and TCP payloads of nDPI's test suite."""

import os
from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

ROOT = Path(__file__).parents[2]
REALDATA = Path(os.environ.get("RINGBACK_REALDATA", ROOT.parent / "shared" / "data"))
needs_realdata = pytest.mark.skipif(not REALDATA.is_dir(), reason=f"no real data at {REALDATA}")


def payloads(path: Path, protocol: str) -> Iterator[tuple[int, int, bytes]]:
    """(source port, destination port, payload) of each `udp` or `tcp` packet; link layers unknown here are skipped."""
    with path.open("rb") as file:
        try:
            reader = dpkt.pcap.UniversalReader(file)
        except (ValueError, dpkt.UnpackError):
            return
        layer = {1: dpkt.ethernet.Ethernet, 113: dpkt.sll.SLL, 0: dpkt.loopback.Loopback}.get(reader.datalink())
        for _, frame in reader:
            try:
                packet = layer(frame).data if layer else dpkt.ip.IP(frame)
                segment = getattr(packet, protocol)
                data = bytes(segment.data)
                ports = segment.sport, segment.dport
            except (AttributeError, dpkt.UnpackError, IndexError, ValueError):
                continue
            if len(data) == getattr(segment, "ulen", len(data) + 8) - 8:  # not cut by the capture
                yield *ports, data
