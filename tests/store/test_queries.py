"""Queries: cells by any dimension, participants counted a day, series in order of time; on each engine the same."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from inspect import getmembers, isfunction, signature
from pathlib import Path
from typing import Any

import ibis
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.record import CellCount, Said
from ringback.store import Lake, Reading, Selection, check, queries, schema, summaries
from ringback.store.queries import EVERYTHING
from tests.store.observations import seen

SEVERAL = [
    seen(0, pseudonym="a", status="restricted", failed=1),
    seen(1, pseudonym="a"),
    seen(2, pseudonym="b", region="RU-SPE"),
    seen(3, pseudonym="c", hours=24, status="insufficient", attempted=0),
    seen(4, pseudonym="c", hours=24, function="text", direction=None, route=None),
    seen(5, asn=None, region=None, path="vpn", cluster="net"),
    seen(6, asn=None, region=None, path="vpn", cluster="net", hours=48, status="restricted"),
    seen(7, app="telegram", asn=64501, region="KE", source="ooni", attempted=12, failed=11, status="insufficient"),
]


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    lake = Lake(tmp_path / "lake")
    lake.append(SEVERAL)
    return Reading(lake)


def only(cells: list[CellCount], **keys: object) -> CellCount:
    (found,) = [cell for cell in cells if cell.keys == keys]
    return found


def test_a_cell_counts_each_status_and_the_graded_tries(reading: Reading) -> None:
    cells = reading.cells(["app", "function"])
    voice = only(cells, app="whatsapp", function="voice")
    assert (voice.n, voice.working, voice.restricted, voice.insufficient) == (6, 3, 2, 1)
    telegram = only(cells, app="telegram", function="voice")
    assert (telegram.attempted, telegram.failed, telegram.insufficient) == (12, 11, 1)
    assert len(cells) == 3


def test_participants_are_the_most_pseudonyms_of_any_one_day(reading: Reading) -> None:
    (whole,) = reading.cells([])
    assert (whole.n, whole.participants) == (8, 2)  # a and b on the first day, c alone on the second: not three
    assert only(reading.cells(["source"]), source="ooni").participants == 0


def test_clusters_are_people_or_nets_or_the_observation_itself(reading: Reading) -> None:
    cells = reading.cells(["path"], clustered=True)
    assert only(cells, path="vpn").clusters == ((1, 2, 1),)  # one net, two tests, one of them restricted
    assert only(cells, path="direct").clusters == ((0, 1, 2), (1, 2, 1))  # b and c once each, a twice
    assert reading.cells(["path"])[0].clusters is None


def test_what_is_unknown_is_a_cell_of_its_own(reading: Reading) -> None:
    cells = reading.cells(["asn", "region"], clustered=True)
    assert only(cells, asn=None, region=None).n == 2
    assert only(cells, asn=None, region=None).clusters == ((1, 2, 1),)


def test_a_country_is_made_of_its_regions(reading: Reading) -> None:
    assert {str(cell.keys["country"]): cell.n for cell in reading.cells(["country"])} == {"RU": 5, "KE": 1, "None": 2}
    assert [cell.n for cell in reading.cells([], Selection(country=["RU"]))] == [5]


@pytest.mark.parametrize(
    ("selection", "n"),
    [
        (Selection(app=["telegram"]), 1),
        (Selection(path=["vpn"], app=["whatsapp"]), 2),
        (Selection(asn=[64500, 64501]), 6),
        (Selection(since=date(2025, 8, 14)), 3),
        (Selection(until=date(2025, 8, 13)), 5),
        (Selection(since=date(2025, 8, 14), until=date(2025, 8, 14)), 2),
        (Selection(source=["ooni"], function=["text"]), 0),
        (Selection(region=["RU-MOW' OR 1=1 --"]), 0),
    ],
)
def test_a_selection_is_all_its_keys_together(reading: Reading, selection: Selection, n: int) -> None:
    assert sum(cell.n for cell in reading.cells([], selection)) == n
    assert len(list(reading.observations(selection))) == n


@pytest.mark.parametrize("by", [["id"], ["app", "app"], ["time"], ["1; drop table"]])
def test_other_dimensions_are_refused(reading: Reading, by: list[str]) -> None:
    with pytest.raises(BadInput, match="cells can be made by"):
        reading.cells(by)


def test_a_series_is_one_networks_direct_path_in_order(reading: Reading) -> None:
    points = reading.series("whatsapp", "voice", 64500)
    assert [point.id for point in points] == [one.id for one in sorted(SEVERAL[:4], key=lambda one: (one.time, one.id))]
    window = (datetime(2025, 8, 13, tzinfo=UTC), datetime(2025, 8, 14, tzinfo=UTC))
    assert len(reading.series("whatsapp", "voice", 64500, window)) == 3
    assert points[0].time.tzinfo is not None


def test_every_series_is_all_of_them_in_one_answer(reading: Reading) -> None:
    found = reading.every_series(Selection(app=["whatsapp"]))
    assert set(found) == {("whatsapp", "text", 64500), ("whatsapp", "voice", 64500)}
    assert found["whatsapp", "voice", 64500] == reading.series("whatsapp", "voice", 64500)


def test_points_as_columns_are_the_same_series_in_the_same_order(reading: Reading) -> None:
    columns = reading.points(Selection(app=["whatsapp"]))
    of = [columns.function.words[place] for place in columns.function.places.tolist()]
    for (_, function, _), series in reading.every_series(Selection(app=["whatsapp"])).items():
        rows = [row for row, own in enumerate(of) if own == function]
        assert [columns.time[row] / 1e6 for row in rows] == [one.time.timestamp() for one in series]
        units = {
            (columns.unit[row], one.cluster or one.pseudonym or one.id) for row, one in zip(rows, series, strict=True)
        }
        assert len(units) == len({name for _, name in units}) == len({number for number, _ in units})
        assert [name for _, name in sorted(units)] == sorted(name for _, name in units)
        assert [columns.failed[row] for row in rows] == [-1 if one.failed is None else one.failed for one in series]
        places = [columns.target.places[row] for row in rows]
        assert [None if place < 0 else columns.target.words[place] for place in places] == [
            one.target for one in series
        ]


def test_who_got_around_it_is_who_was_restricted_and_tried_on_the_same_day(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    cut = {"status": "restricted", "failed": 1}
    lake.append(
        [
            *(seen(n, pseudonym=who, **cut) for n, who in enumerate("abcd")),
            seen(4, pseudonym="a", path="vpn"),
            seen(5, pseudonym="b", path="wireguard", **cut),
            seen(6, pseudonym="c", path="vpn", hours=24),  # another day
            seen(7, pseudonym="d", path="vpn", status="insufficient"),
            seen(8, pseudonym="e", **cut, bypassed_by=["vpn"]),
            seen(9, pseudonym="f", path="vpn"),  # was never restricted
        ]
    )
    asked = Selection(app=["whatsapp"], function=["voice"])
    assert Reading(lake).bypassed(asked) == [(64500, "a", True), (64500, "b", False), (64500, "e", True)]
    assert Reading(lake).bypassed(Selection(app=["telegram"])) == []


def test_what_claims_are_weighed_by_is_a_part_of_each_observation(reading: Reading) -> None:
    chosen = Selection(app=["whatsapp"], since=date(2025, 8, 14))
    whole = [msgspec.structs.asdict(one) for one in reading.observations(chosen)]
    said = [msgspec.structs.asdict(one) for one in reading.said(chosen)]
    assert said == [{name: one[name] for name in Said.__struct_fields__} for one in whole]
    assert len(said) == 3


def test_networks_name_every_series(reading: Reading) -> None:
    assert reading.networks() == [
        ("telegram", "voice", 64501, 1),
        ("whatsapp", "text", 64500, 1),
        ("whatsapp", "voice", 64500, 4),
    ]
    assert reading.networks(at_least=2) == [("whatsapp", "voice", 64500, 4)]


def test_each_site_of_a_network_is_a_history_of_its_own(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    sites = ["a.example", "a.example", "b.example"]
    lake.append([msgspec.structs.replace(seen(n, app="web"), target=site) for n, site in enumerate(sites)])
    assert [n for *_, n in Reading(lake).networks()] == [2, 1]
    assert len(Reading(lake).networks(at_least=2)) == 1
    (points,) = Reading(lake).every_series().values()
    assert [one.target for one in points] == sites


def test_an_empty_lake_has_no_cells(tmp_path: Path) -> None:
    reading = Reading(Lake(tmp_path))
    assert (reading.cells(["app"], clustered=True), reading.series("x", "text", 1), reading.networks()) == ([], [], [])


def test_throttled_is_computed_from_the_raw_speeds(tmp_path: Path) -> None:
    speeds = [(100.0, 1000.0), (100.0, 300.0), (600.0, 2000.0), (None, None)]
    lake = Lake(tmp_path)
    lake.append([seen(n, test_kbps=test, control_kbps=control) for n, (test, control) in enumerate(speeds)])
    table = Reading(lake).table
    rows = queries.throttled(table).to_pyarrow().to_pylist()
    assert {row["test_kbps"]: row["throttled"] for row in rows if row["control_kbps"] != 300.0} == {
        100.0: True,
        600.0: False,
    }
    looser = queries.throttled(table, control_kbps=200.0).to_pyarrow().to_pylist()
    assert sum(row["throttled"] for row in rows) == 1
    assert sum(row["throttled"] for row in looser) == 2


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["whatsapp", "telegram"]),
            st.sampled_from([None, 64500, 64501]),
            st.integers(0, 2),
            st.sampled_from(queries.STATUSES),
            st.sampled_from([None, "a", "b"]),
            st.sampled_from([None, "net"]),
            st.sampled_from([None, 0, 1]),
        ),
        max_size=25,
    )
)
def test_cells_are_what_counting_by_hand_gives(rows: list[tuple[Any, ...]]) -> None:
    observations = [
        seen(n, app=app, asn=asn, hours=24 * day, status=status, pseudonym=who, cluster=net, failed=failed)
        for n, (app, asn, day, status, who, net, failed) in enumerate(rows)
    ]
    by = ["app", "asn"]
    summed = queries.summary(ibis.memtable(schema.table(observations)), by)
    found = queries.cells(summed, by).to_pyarrow().to_pylist()
    clusters = queries.clusters(summed, by).to_pyarrow().to_pylist()
    assert {(cell["app"], cell["asn"]) for cell in found} == {(one.app, one.asn) for one in observations}
    for cell in found:
        own = [one for one in observations if (one.app, one.asn) == (cell["app"], cell["asn"])]
        counts = Counter(one.status for one in own)
        told = (cell["n"], cell["restricted"], cell["service_down"])
        assert told == (len(own), counts["restricted"], counts["service-down"])
        assert cell["doubtful"] == sum(one.status == "insufficient" and (one.failed or 0) > 0 for one in own)
        people = defaultdict(set)
        units = defaultdict(list)
        for one in own:
            people[one.time.date()].add(one.pseudonym)
            if one.status in ("working", "restricted"):
                units[one.pseudonym and (one.pseudonym, one.time.date()) or one.cluster or one.id].append(one.status)
        assert cell["participants"] == max(len(day - {None}) for day in people.values())
        times: Counter[tuple[int, int]] = Counter()
        for row in clusters:
            if (row["app"], row["asn"]) == (cell["app"], cell["asn"]):
                times[row["restricted"], row["decided"]] += row["times"]
        assert times == Counter((hits.count("restricted"), len(hits)) for hits in units.values())


BYS: list[list[str]] = [[], ["app"], ["asn", "function"], ["country", "day"], ["path", "region"], ["month"]]


def directly(reading: Reading, by: list[str], selection: Selection = EVERYTHING) -> list[CellCount]:
    """The same question with nothing kept."""
    summed = queries.summary(queries.selected(reading.table, selection), by)
    clusters = queries.clusters(summed, by).to_pyarrow().to_pylist()
    return [
        CellCount(
            keys={name: cell.pop(name) for name in by},
            clusters=tuple(
                sorted(
                    (row["restricted"], row["decided"], row["times"])
                    for row in clusters
                    if all(row[name] == keys[name] for name in by)
                )
            ),
            **cell,
        )
        for cell, keys in ((dict(row), row) for row in queries.cells(summed, by).to_pyarrow().to_pylist())
    ]


def in_any_order(cells: list[CellCount]) -> list[str]:
    return sorted(map(repr, cells))


@pytest.mark.parametrize("by", BYS, ids="-".join)
def test_a_kept_summary_answers_as_the_observations_do_whatever_is_added_or_lost(
    reading: Reading, by: list[str]
) -> None:
    lake = reading.lake
    for step in range(5):
        if step == 1:
            lake.append([seen(50 + n, hours=24 * n, pseudonym="d") for n in range(4)])
        if step == 2:
            lake.compact()
        for file in (lake.folder / "summaries").iterdir() if step > 2 else ():
            content = file.read_bytes()
            file.write_bytes(
                b"damaged" if step == 3 else b"PAR1" + bytes(len(content) // 2) + content[-len(content) // 2 :]
            )
        now = Reading(lake)
        chosen = Selection(app=["whatsapp"], since=date(2025, 8, 14)) if step == 1 else EVERYTHING
        wanted = in_any_order(directly(now, by, chosen))
        for _ in range(2):  # made, then kept
            assert in_any_order(now.cells(by, chosen, clustered=True)) == wanted
    assert check(lake) == []


def test_months_are_added_up_when_asked_for_and_only_those_that_changed_again(reading: Reading) -> None:
    lake, by = reading.lake, ["app"]
    lake.append([seen(50 + n, hours=24 * 31 * n, pseudonym="d") for n in range(4)])
    folder = lake.folder / "summaries"

    def made() -> dict[str, int]:
        return {file.name: file.stat().st_ino for file in folder.glob("app.*")}

    week = Selection(since=date(2025, 9, 10), until=date(2025, 9, 20))
    assert sum(cell.n for cell in Reading(lake).cells(by, week)) == 1
    assert set(made()) == {"app.whole.2025-09.parquet"}
    both = Reading(lake)
    for chosen in (week, EVERYTHING):  # one that has a part of the months at hand asks for the others
        wanted = in_any_order(directly(both, by, chosen))
        assert in_any_order(both.cells(by, chosen, clustered=True)) == wanted
    before = made()
    assert len(before) == 8
    lake.append([seen(60, hours=24 * 31, pseudonym="e")])
    Reading(lake).cells(by, clustered=True)
    assert {name for name, file in made().items() if before[name] != file} == {
        "app.whole.2025-09.parquet",
        "app.alike.2025-09.parquet",
    }


def test_where_no_summary_can_be_kept_the_answer_is_the_same(reading: Reading) -> None:
    (reading.lake.folder / "summaries").write_bytes(b"in the way")
    for chosen in (EVERYTHING, Selection(path=["direct"])):
        wanted = in_any_order(directly(reading, ["app"], chosen))
        assert in_any_order(reading.cells(["app"], chosen, clustered=True)) == wanted


def test_a_choice_among_several_values_is_not_answered_from_a_summary_that_would_count_people_twice() -> None:
    one, two = Selection(app=["whatsapp"]), Selection(app=["whatsapp", "telegram"])
    assert summaries.fitting(["asn"], one) == ("app", "asn")
    assert summaries.fitting(["asn"], two) is None
    assert summaries.fitting(["app", "day"], two) == ("app",)
    assert summaries.fitting(["target"], one) is None


def test_people_in_two_chosen_apps_are_counted_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append([seen(n, app=app, pseudonym="a") for n, app in enumerate(("whatsapp", "telegram", "signal"))])
    (cell,) = Reading(lake).cells([], Selection(app=["whatsapp", "telegram"]), clustered=True)
    assert (cell.n, cell.participants, cell.clusters) == (2, 1, ((0, 2, 1),))


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    try:
        from pyspark.sql import SparkSession

        address, port = server.listening_address
        session = SparkSession.builder.remote(f"sc://{address}:{port}").getOrCreate()
        yield ibis.pyspark.connect(session)
        session.stop()
    finally:
        server.stop()


Question = Callable[[Any], Any]
PART = Selection(country=["RU"], since=date(2025, 8, 14))
FURTHER = [
    *(seen(30 + n, measurement=f"{n // 2:032x}-{n}", transcript="0" * 32) for n in range(4)),
    *(seen(40 + n, pseudonym=f"v{n}", status="restricted", bypassed_by=["vpn"] * (n == 0)) for n in range(3)),
    *(seen(50 + n, pseudonym=f"v{n}", path="vpn", status=("working", "restricted")[n - 1]) for n in (1, 2)),
    seen(60, test_kbps=100.0, control_kbps=1000.0),
]

QUESTIONS: list[tuple[str, Question]] = [  # engines name the same zone of `time` differently
    *(("summary", lambda t, by=by: queries.summary(t, by)) for by in BYS),
    *(("whole", lambda t, by=by: queries.whole(t, by)) for by in BYS),
    *(("alike", lambda t, by=by: queries.alike(t, by)) for by in BYS),
    *(("cells", lambda t, by=by: queries.cells(queries.summary(t, by), by)) for by in BYS),
    *(("clusters", lambda t, by=by: queries.clusters(queries.summary(t, by), by)) for by in BYS),
    ("selected", lambda t: queries.selected(t, PART).select("id")),
    ("selected_sums", lambda t: queries.selected_sums(queries.summary(t, ["country"]), PART)),
    ("series", lambda t: queries.series(t, "whatsapp", "voice", 64500).drop("time")),
    ("every_series", lambda t: queries.every_series(t).drop("time")),
    ("points", lambda t: queries.points(t).drop("time")),
    ("networks", queries.networks),
    ("copied", queries.copied),
    ("bypassed", queries.bypassed),
    ("observations", lambda t: queries.observations(t, PART).select([n for n in schema.COLUMNS.names if n != "time"])),
    ("said", lambda t: queries.said(t).drop("time")),
    ("extent", queries.extent),
    ("throttled", lambda t: queries.throttled(t).select("id", "throttled")),
    ("throttled_speeds", lambda t: queries.throttled_speeds(t, ["asn"])),
]


def test_every_query_is_put_to_the_other_engine_too() -> None:
    first = {name: next(iter(signature(one).parameters), "") for name, one in getmembers(queries, isfunction)}
    asked = {name for name, parameter in first.items() if parameter in ("table", "summed") and name[0] != "_"}
    assert {name for name, _ in QUESTIONS} == asked


@pytest.mark.spark
def test_another_engine_answers_the_same(reading: Reading, spark: Any) -> None:
    reading.lake.append(FURTHER)
    here = Reading(reading.lake).table
    other = spark.read_parquet(str(reading.lake.folder / "observations"), table_name="observations")
    for name, question in QUESTIONS:
        expected = rows(question(here).to_pyarrow().to_pylist())
        assert expected, name
        assert rows(question(other).to_pyarrow().to_pylist()) == expected, name


def rows(found: list[dict[str, Any]]) -> list[str]:
    return sorted(str({**row}) for row in found)
