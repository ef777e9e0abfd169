"""Ringback's own lines: measurements, reports and exported observations, each from whoever sent the file."""

import io
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ringback.collect.importing import REASONS, Refused, Tally, from_report, read, ringback
from ringback.collect.importing.ringback import again
from ringback.record import ClearTo, Cost, Measurement, NetworkRecord, Observation, Report, Truth, Verdict
from tests.collect.test_ooni import JSON

CLOSING = NetworkRecord(network="my home", participant=0, state="normal", udp="open")


def measurement(**more: object) -> Measurement:
    given = {
        "id": "m-1",
        "started_at": "2025-08-13T09:00:00Z",
        "network": "my home",
        "participant": 0,
        "asn": 64500,
        "region": "RU-MOW",
        "app": "whatsapp",
        "function": "voice",
        "direction": "outgoing",
        "route": "relay",
        "path": "direct",
        "verdict": Verdict(
            status="restricted",
            mechanism="drop-after",
            after_packets=25,
            after_packets_interval=(24, 26),
            clear_to=ClearTo(24, 3000, 0.5),
            bypassed_by=["vpn", "anna's server"],
            e_value=61000.0,
        ),
        "cost": Cost(4.1, 210_000),
        "truth": Truth(status="restricted"),
    } | more
    return msgspec.convert(given, Measurement)


def report(*measurements: Measurement, pseudonym: str | None = "secret") -> Report:
    return Report(
        id="r",
        created_at="2025-08-13T09:05:00Z",
        software="ringback/0.1.0",
        consent="1",
        pseudonym=pseudonym,
        network=CLOSING,
        measurements=list(measurements),
    )


def imported(tmp_path: Path, *lines: object) -> tuple[Tally, list[Observation]]:
    (tmp_path / "f").write_bytes(
        b"\n".join(one if isinstance(one, bytes) else msgspec.json.encode(one) for one in lines)
    )
    tally = Tally()
    return tally, list(tally.over(read("ndjson", tmp_path / "f")))


def test_a_measurement_waits_for_the_line_that_closes_its_network(tmp_path: Path) -> None:
    tally, (one,) = imported(tmp_path, measurement(), CLOSING)
    assert (tally.read, tally.kept, tally.measurements) == (2, 2, 1)
    assert (one.network_state, one.udp, one.status, one.mechanism) == ("normal", "open", "restricted", "drop-after")
    assert (one.after_packets, one.after_packets_low, one.after_packets_high, one.clear_packets) == (25, 24, 26, 24)
    assert (one.region, one.asn, one.direction, one.route, one.e_value) == ("RU-MOW", 64500, "outgoing", "relay", 61000)


def test_without_a_closing_line_it_is_kept_all_the_same(tmp_path: Path) -> None:
    _, (one,) = imported(tmp_path, measurement())
    assert (one.network_state, one.status) == (None, "restricted")


def test_names_that_people_gave_stay_behind(tmp_path: Path) -> None:
    _, (one,) = imported(tmp_path, report(measurement(path="anna's server")))
    assert (one.path, one.bypassed_by) == ("vpn", ["vpn"])
    said = repr(one)
    assert not [word for word in ("home", "anna", "secret") if word in said]


def test_times_are_cut_to_the_hour_whichever_line_tells_them(tmp_path: Path) -> None:
    exact = measurement(started_at="2025-08-13T09:12:33Z")
    _, ways = imported(tmp_path, exact, CLOSING, report(exact))
    exported = msgspec.structs.replace(ways[0], time=datetime(2025, 8, 13, 9, 12, 33, tzinfo=UTC))
    _, back = imported(tmp_path, exported)
    assert {one.time for one in (*ways, *back)} == {datetime(2025, 8, 13, 9, tzinfo=UTC)}
    _, (others,) = imported(tmp_path, msgspec.structs.replace(exported, source="ooni"))
    assert others.time == exported.time, "public already"


def test_a_pseudonym_ties_a_days_measurements_together_and_says_no_more() -> None:
    first = from_report(report(measurement(), measurement(id="m-2", function="text", direction=None, route=None)))
    other = from_report(report(measurement(), pseudonym="another"))
    assert first[0].pseudonym == first[1].pseudonym != other[0].pseudonym
    assert from_report(report(measurement(), pseudonym=None))[0].pseudonym is None


def test_an_observation_comes_back_as_it_was(tmp_path: Path) -> None:
    _, out = imported(tmp_path, measurement(), CLOSING)
    _, back = imported(tmp_path, *out)
    assert back == out


def test_an_id_that_was_made_up_is_made_anew(tmp_path: Path) -> None:
    _, (one,) = imported(tmp_path, measurement())
    _, (back,) = imported(tmp_path, msgspec.structs.replace(one, id="0" * 32))
    assert back.id == one.id


def test_the_id_is_of_what_was_seen_and_not_of_what_was_concluded(tmp_path: Path) -> None:
    _, (one,) = imported(tmp_path, measurement())
    verdict = msgspec.structs.replace(measurement().verdict, mechanism="drop", rules="2")
    _, (judged_again,) = imported(tmp_path, measurement(verdict=verdict))
    assert judged_again.rules != one.rules
    assert judged_again.id == one.id
    _, (elsewhere,) = imported(tmp_path, measurement(asn=64501))
    assert elsewhere.id != one.id


def test_each_line_that_can_not_be_used_says_why(tmp_path: Path) -> None:
    encoded = msgspec.json.encode
    tally, found = imported(
        tmp_path,
        b"{",
        b"[]",
        b'{"schema": "other/1"}',
        b'{"schema": "ringback/measurement/1"}',
        encoded(measurement(started_at="never")),
        encoded(measurement(function="gossip")),
        encoded(measurement(cost=Cost(1.0, 1 << 60))),
        encoded(report()),
    )
    assert found == []
    assert tally.refused == {
        "not-json": 1,
        "not-an-object": 1,
        "other-schema": 1,
        "bad-shape": 3,
        "no-time": 1,
        "nothing-tried": 1,
    }


@given(st.dictionaries(st.sampled_from(Measurement.__struct_fields__), JSON))
def test_any_measurement_is_kept_or_refused_with_a_reason(odd: dict[str, object]) -> None:
    held({**msgspec.to_builtins(measurement()), **odd, "schema": "ringback/measurement/1"})


@given(st.dictionaries(st.sampled_from(Observation.__struct_fields__), JSON))
def test_so_is_any_observation(odd: dict[str, object]) -> None:
    (one,) = from_report(report(measurement()))
    held({**msgspec.to_builtins(one), **odd, "schema": "ringback/observation/1"})


def held(value: dict[str, object]) -> None:
    (found,) = ringback.read(io.BytesIO(msgspec.json.encode(value)), Path("f"))
    if isinstance(found, Refused):
        assert found.reason in REASONS
    else:
        assert [again(one, "f") for one in found.observations] == [found]
