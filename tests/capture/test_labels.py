"""Real captures, judged by what nDPI says of each flow: nobody's is given to a messenger, no call missed."""

import re
from collections import Counter
from pathlib import Path

import pytest

from ringback.capture import trace

pytestmark = pytest.mark.realdata

FLOW = re.compile(r"^\t\d+\t(UDP|TCP) (\S+) <?->? (\S+) (?:\[VLAN: \d+\])?\[proto: [\d.]+/([^\]]+)\]")
OURS = {"whatsapp": "WhatsApp", "telegram": "Telegram", "signal": "Signal"}
Flow = tuple[str, frozenset[str]]


def labels(realdata: Path, capture: str) -> dict[Flow, str]:
    text = (realdata / "pcap-labels" / f"{capture}.out").read_text(errors="replace")
    flows = filter(None, map(FLOW.match, text.splitlines()))
    return {(flow[1].lower(), frozenset((flow[2], flow[3]))): flow[4] for flow in flows}


def is_call(flow: Flow, label: str) -> bool:
    return "Call" in label or "Voip" in label or (label == "Telegram" and flow[0] == "udp")


def test_flows_are_named_as_ndpi_names_them(realdata: Path) -> None:
    counts: Counter[tuple[str, str, bool]] = Counter()
    false, unlabelled = [], []
    for capture in sorted((realdata / "pcap").glob("*.pcap*")):
        expected = labels(realdata, capture.name)
        named: dict[Flow, str] = {}
        for one in trace(capture).exchanges:
            flow = one.transport, frozenset(one.endpoints)
            if one.app is None:
                continue
            named[flow] = one.app
            if flow not in expected:
                unlabelled.append((capture.name, one))
            elif OURS.get(one.app, "nobody") not in expected[flow]:
                false.append((capture.name, one, expected[flow]))
        for flow, label in expected.items():
            for app, word in OURS.items():
                if word in label:
                    counts[app, "calls" if is_call(flow, label) else "text, media, names", named.get(flow) == app] += 1
    print(f"false attributions: {len(false)}")
    for app, what in sorted({key[:2] for key in counts}):
        right, missed = counts[app, what, True], counts[app, what, False]
        print(f"{app} {what}: {right} of {right + missed}")
        if what == "calls":
            assert missed == 0
        else:
            assert right >= 0.95 * (right + missed)
    assert (false, unlabelled) == ([], [])
    assert counts["whatsapp", "calls", True] > 30
    assert counts["telegram", "calls", True] > 10


def test_no_file_however_odd_crashes_it(realdata: Path) -> None:
    read = [trace(file) for folder in ("pcap", "stun-odd", "dtls") for file in (realdata / folder).glob("*.pcap*")]
    assert len(read) > 100
    assert not any(one.damaged for one in read)
    assert all(one.app in (None, *OURS) for found in read for one in found.exchanges)
