"""The country shown at once: every network in virtual time, one also between real kernels."""

import hashlib

import pytest

from ringback.errors import Unavailable
from ringback.flow import Replay, ReplayPacket
from ringback.lab import kernel_run, namespaces, scenario
from ringback.lab.country import KNOWN
from ringback.lab.side_by_side import side_by_side
from ringback.lab.tour import _pieces, tour
from ringback.record import Measurement
from ringback.trial.plan import cells_of

COUNTRY = """
name = "country"
apps = ["whatsapp"]
functions = ["voice"]
[[network]]
name = "still"
asn = 64500
region = "RU-MOW"
hops = 2
participants = 2
[[network.rule]]
hop = 1
match = { app = "whatsapp", function = "voice" }
trigger = "port"
action = { kind = "drop" }
"""


def captured() -> Replay:
    packets = [hashlib.shake_128(b"%d" % i).digest(160) for i in range(400)]
    lanes = [tuple(ReplayPacket(0.04 * i, data) for i, data in enumerate(packets[n::2])) for n in (0, 1)]
    return Replay(hashlib.sha256(b"made up").hexdigest(), "whatsapp", "voice", lanes[0], lanes[1])


def test_one_participant_of_each_network_in_virtual_time() -> None:
    (leg,) = tour(scenario.parse(COUNTRY, "country.toml"))
    assert (leg.network, leg.world) == ("still", "virtual")
    assert {row.participant for row in leg.rows} == {0}
    measured = [row for row in leg.rows if isinstance(row, Measurement)]
    assert [row.verdict.status for row in measured] == ["restricted", "restricted"]


@pytest.mark.namespaces
@pytest.mark.skipif(namespaces.supported() is not None, reason=str(namespaces.supported()))
def test_one_network_between_real_kernels_with_synthetic_and_captured_calls() -> None:
    legs = list(tour(scenario.parse(COUNTRY, "country.toml"), "still", captured()))
    assert [leg.world for leg in legs] == ["virtual", "kernel", "captured"]
    for leg in legs:
        calls = [row for row in leg.rows if isinstance(row, Measurement) and row.function == "voice"]
        assert [(row.verdict.status, row.verdict.trigger) for row in calls] == [("restricted", "port")] * 2


def test_without_namespaces_nothing_real_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_run, "supported", lambda: "refused here")
    with pytest.raises(Unavailable, match="refused here"):
        list(tour(scenario.parse(COUNTRY, "country.toml"), "still"))


def test_pieces_are_told_in_order_and_their_progress_together() -> None:
    heard: list[tuple[int, int]] = []

    def piece(number: int):
        def work(progress) -> int:
            progress("", number, 4)
            return number

        return work

    pieces = [(str(number), piece(number)) for number in range(4)]
    assert list(side_by_side(pieces, 2, lambda _, done, of: heard.append((done, of)))) == [0, 1, 2, 3]
    assert all(of == 16 for _, of in heard)


def test_the_demos_sessions_between_kernels_have_text_max_and_a_vpn_and_no_cell_twice() -> None:
    shown = scenario.load("2025-08-13")
    pieces = _pieces(shown)
    cells = [cell for p in pieces for cell in cells_of(KNOWN, p.apps, p.functions, p.paths)]
    assert len(cells) == len(set(cells))
    assert {(c.app, c.function, c.path) for c in cells} >= {
        ("whatsapp", "text", "direct"),
        ("whatsapp", "voice", "vpn"),
        ("telegram", "media", "direct"),
        ("max", "voice", "direct"),
    }
    (least,) = _pieces(scenario.parse(COUNTRY.replace('"whatsapp"]', '"signal"]'), "country.toml"))
    assert least.apps == ("signal",)
