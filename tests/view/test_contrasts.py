"""A region beside the others, the preferred app beside this one, and for whom a VPN worked: by API and by command."""

import json
import re
from pathlib import Path

import pytest
from litestar.testing import TestClient

from ringback.catalogue import load as catalogue
from ringback.cli import main
from ringback.cli.exits import Exit
from ringback.store import Lake, Reading, Selection
from ringback.view import Pages
from ringback.view.address import View
from ringback.view.contrasts import Contrasts, contrasts
from tests.store.observations import seen

WEEK = "since=2025-08-12&until=2025-08-16"


@pytest.fixture(scope="module")
def found(pages: Pages) -> Contrasts:
    return pages.figures.contrasts(View())


def test_the_capitals_stand_out_and_regions_without_a_device_below(found: Contrasts) -> None:
    regions = {one.region: one for one in found.regions}
    for region in ("RU-MOW", "RU-SPE"):
        assert (regions[region].difference or 0) > 0.5
        assert regions[region].settled
    for region in ("RU-KGD", "RU-IRK", "RU-ROS"):  # no device, a slow network, and internet shut down for days before
        assert (regions[region].difference or 0) < 0
        assert (regions[region].interval or (1, 1))[0] < 0
    assert all(one.interval is None or -1 <= one.interval[0] <= one.interval[1] <= 1 for one in found.regions)


def test_the_gap_to_max_is_withheld_while_its_wire_is_unverified(found: Contrasts) -> None:
    assert not catalogue().apps["max"].verified
    (gap,) = found.preference
    assert (gap.preferred, gap.difference, gap.interval, gap.withheld) == ("max", None, None, "unverified")


def test_a_vpn_got_around_it_for_everybody_who_tried(found: Contrasts) -> None:
    assert found.bypass.worked == 1.0
    assert found.bypass.interval is not None
    assert found.bypass.interval[0] > 0.95
    assert found.bypass.n > 100
    assert found.bypass.networks >= 10


def test_where_nothing_was_restricted_nobody_had_to_get_around_it(pages: Pages) -> None:
    max_ = pages.figures.contrasts(View(app="max"))
    assert (max_.bypass.worked, max_.bypass.n, max_.bypass.withheld) == (None, 0, "few")
    assert not any(one.settled for one in max_.regions)
    assert {gap.app for gap in max_.preference} == set(catalogue().apps) - {"max"}


def test_the_api_says_the_same(client: TestClient, pages: Pages) -> None:
    told = client.get(f"/api/v1/contrasts?app=telegram&{WEEK}").json()
    assert (told["app"], told["function"], told["since"]) == ("telegram", "voice", "2025-08-12")
    here = pages.figures.contrasts(View("telegram", since=None, until=None))
    assert [one["region"] for one in told["regions"]] == [one.region for one in here.regions]
    assert client.get("/api/v1/contrasts?since=yesterday").status_code == 400


def test_the_command_says_the_same_in_words_and_as_json(observatory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contrasts", "--data", str(observatory), "--json"]) == Exit.VERDICT
    told = json.loads(capsys.readouterr().out)
    assert {"regions", "preference", "bypass"} <= told.keys()
    assert main(["contrasts", "--data", str(observatory), "--lang", "en"]) == Exit.VERDICT
    words = capsys.readouterr().out
    assert "RU-MOW" in words
    assert re.search(r" -0\.\d\d to \d\.\d\d", words), "what is below zero is not told between two dashes"
    assert "withheld: how the preferred app's calls look is not verified" in " ".join(words.split())


def test_a_region_is_not_settled_by_leaving_out_networks_on_which_all_failed_undecided(tmp_path: Path) -> None:
    def found(lost: int) -> list[tuple[str, int, bool]]:
        """Half of the calls restricted on each of RU-MOW's three networks and none on RU-SPE's three, of which so many
        more decided nothing: region, its networks, settled."""
        mixed, lake = ("restricted", "working"), Lake(tmp_path / str(lost))
        statuses = [("RU-MOW", mixed)] * 3 + [("RU-SPE", ("working",))] * 3 + [("RU-SPE", ("insufficient",))] * lost
        lake.append(
            seen(asn=64500 + i, region=region, status=status, failed=int(status != "working"), cluster=f"{i}-{j}",
                 source="ooni", measurement=f"{i}-{j}")
            for i, (region, each) in enumerate(statuses)
            for j, status in enumerate(each * (20 // len(each)))
        )  # fmt: skip
        told = contrasts(Reading(lake), Selection(), "whatsapp", "voice").regions
        return [(one.region, one.networks, one.settled) for one in told]

    assert found(0) == [("RU-MOW", 3, True), ("RU-SPE", 3, True)]
    assert found(9) == [("RU-MOW", 3, False), ("RU-SPE", 3, False)]


def test_of_an_empty_store_nothing_is_told(tmp_path: Path, empty: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    assert empty.figures.contrasts(View()).regions == []
    assert main(["contrasts", "--data", str(tmp_path)]) == Exit.INSUFFICIENT
