"""OONI's measurements: what was tried is counted anew, and one measurement accuses only where everything failed."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.collect.importing import REASONS, Kept, Refused, Tally, ooni, read
from ringback.record import Observation
from tests.collect.records import CONTROL, RESET, TIMED_OUT, get, line, query, record, site, tcp, telegram

HERE = "f:1"


def functions(data: bytes) -> dict[str, Observation]:
    found = ooni.measurement(data, HERE)
    assert isinstance(found, Kept), found
    return {one.function: one for one in found.observations}


def refused(data: bytes) -> str:
    found = ooni.measurement(data, HERE)
    assert isinstance(found, Refused), found
    return found.reason


def test_a_measurement_becomes_one_observation_a_function() -> None:
    keys = telegram(0)
    keys["requests"].append(get("https://web.telegram.org/"))
    found = functions(line("telegram", keys, annotations={"network_type": "mobile"}))
    assert found.keys() == {"text", "web"}
    text = found["text"]
    assert (text.app, text.asn, text.region, text.network_kind, text.path) == (
        "telegram",
        33771,
        "KE",
        "mobile",
        "direct",
    )
    assert (text.status, text.attempted, text.failed, text.basis, text.scope) == (
        "working",
        12,
        0,
        "contrast",
        "app",
    )
    assert text.time.isoformat() == "2023-11-08T11:46:00+00:00"
    assert text.measurement == found["web"].measurement
    assert text.id != found["web"].id


@pytest.mark.parametrize(
    ("failed", "tried", "status"),
    [(0, 12, "working"), (4, 12, "working"), (5, 12, "insufficient"), (11, 12, "insufficient"), (12, 12, "restricted")],
)
def test_noise_is_working_and_only_a_clean_sweep_accuses(failed: int, tried: int, status: str) -> None:
    text = functions(line("telegram", telegram(failed, tried)))["text"]
    assert (text.status, text.attempted, text.failed) == (status, tried, failed)


def test_what_was_never_tried_did_not_fail() -> None:
    text = functions(line("telegram", telegram(0, tried=5)))["text"]
    assert (text.status, text.attempted, text.failed) == ("working", 5, 0)
    text = functions(line("telegram", telegram(3, tried=3)))["text"]
    assert (text.status, text.attempted, text.failed, text.mechanism) == ("restricted", 3, 3, "drop")


def test_the_mechanism_is_what_the_failures_say() -> None:
    assert functions(line("telegram", telegram(12, failure=RESET)))["text"].mechanism == "reset"


def test_a_test_that_ran_in_a_vpn_is_not_filed_under_the_network() -> None:
    found = functions(line("telegram", telegram(0), annotations={"network_type": "vpn"}))["text"]
    assert found.path == "vpn"


def whatsapp(chat: object, page: object) -> dict[str, Any]:
    return {
        "queries": [query("e1.whatsapp.net", "15.197.210.208", "3.33.221.48"), query("v.whatsapp.net", "31.13.73.52")],
        "tcp_connect": [tcp(a, p, chat) for a in ("15.197.210.208", "3.33.221.48") for p in (443, 5222)]
        + [tcp("31.13.73.52", 443)],
        "requests": [get("https://web.whatsapp.com/", page), get("https://v.whatsapp.net/v2/register")],
        "whatsapp_endpoints_status": "ok",
        "whatsapp_web_status": "blocked",
    }


def test_whatsapp_is_three_functions_and_none_is_voice() -> None:
    found = functions(line("whatsapp", whatsapp(TIMED_OUT, "http_unexpected_status_code")))
    assert {name: one.status for name, one in found.items()} == {
        "text": "restricted",
        "registration": "working",
        "web": "working",
    }
    assert found["text"].attempted == 4


def test_one_time_out_of_one_host_is_not_enough_but_a_reset_is() -> None:
    assert functions(line("whatsapp", whatsapp(None, TIMED_OUT)))["web"].status == "insufficient"
    assert functions(line("whatsapp", whatsapp(None, RESET)))["web"].status == "restricted"


@pytest.mark.parametrize("failure", ["ssl_unknown_authority", "android_dns_cache_no_data", "unknown_failure: x"])
def test_what_no_network_causes_accuses_nobody(failure: str) -> None:
    hosts = ("chat.signal.org", "storage.signal.org", "cdsi.signal.org")
    found = functions(line("signal", {"requests": [get(f"https://{host}/", failure) for host in hosts]}))["text"]
    assert (found.status, found.attempted, found.failed, found.unclear) == ("insufficient", 0, 0, 3)


def test_a_forged_name_is_a_failed_try() -> None:
    names = [query(f"{name}.facebook.com", "10.10.34.36") for name in ("star", "edge-mqtt", "b-graph")]
    found = functions(line("facebook_messenger", {"queries": names, "tcp_connect": []}))["text"]
    assert (found.status, found.mechanism, found.trigger) == ("restricted", "dns", "dns")


def test_an_old_failure_false_is_success() -> None:
    keys = {"tcp_connect": [tcp(f"31.13.86.{n}", 443, False) for n in range(4)], "queries": None}
    assert functions(line("facebook_messenger", keys))["text"].status == "working"


def test_a_stun_server_is_named_and_never_voice() -> None:
    found = functions(line("stun_reachability", {"failure": None}, input="stun://stun.l.example:19302"))
    assert [(name, one.target, one.status) for name, one in found.items()] == [
        ("stun", "stun.l.example:19302", "working")
    ]


@pytest.mark.parametrize(
    ("keys", "status", "mechanism"),
    [
        ({}, "working", "none"),
        ({"control": None}, "insufficient", "none"),
        ({"control_failure": TIMED_OUT}, "insufficient", "none"),
        ({"queries": [query("site.example", "10.0.0.1")]}, "restricted", "dns"),
        ({"queries": [query("site.example", "198.18.0.9")]}, "working", "none"),  # a tunnel on the device itself
        ({"queries": [query("site.example", failure="dns_nxdomain_error")], "tcp_connect": []}, "restricted", "dns"),
        (
            {"queries": [query("site.example", failure="dns_server_misbehaving")], "requests": []},
            "insufficient",
            "none",
        ),
        ({"tcp_connect": [tcp("93.184.216.34", 443, RESET)]}, "restricted", "reset"),
        ({"tcp_connect": [tcp("93.184.216.34", 443, TIMED_OUT)]}, "insufficient", "none"),
        ({"requests": [get("https://site.example/", RESET)]}, "restricted", "reset"),
        ({"requests": [get("https://site.example/", "ssl_unknown_authority")]}, "insufficient", "none"),
        (
            {"requests": [get("https://site.example/", body="<title>No</title>")], "body_proportion": 0.1},
            "insufficient",
            "none",
        ),
        (
            {
                "requests": [
                    get("http://blocked.test/", body="<title>No</title>"),
                    get("http://site.example/", code=302),
                ],
                "body_proportion": 0.1,
            },
            "restricted",
            "unknown",
        ),
        (
            {
                "requests": [get("http://site.test/", body="<title>No</title>"), get("http://site.example/", code=302)],
                "body_proportion": 0.1,
            },
            "insufficient",
            "none",
        ),
    ],
)
def test_a_site_is_judged_against_its_control(keys: dict[str, object], status: str, mechanism: str) -> None:
    found = functions(line("web_connectivity", site(**keys), input="https://site.example/private?who=me"))["web"]
    assert (found.status, found.mechanism, found.target) == (status, mechanism, "site.example")


def test_one_time_out_of_a_site_accuses_nobody_but_is_counted_for_those_who_look_at_many() -> None:
    keys = site(tcp_connect=[tcp("93.184.216.34", 443, TIMED_OUT)])
    found = functions(line("web_connectivity", keys))["web"]
    assert (found.status, found.attempted, found.failed, found.failure) == ("insufficient", 1, 1, TIMED_OUT)


def test_a_control_that_failed_says_nothing_of_the_network() -> None:
    gone = {
        **CONTROL,
        "dns": {"failure": "dns_name_error", "addrs": []},
        "http_request": {"failure": "dns_lookup_error"},
    }
    keys = site(control=gone, queries=[query("site.example", failure="dns_nxdomain_error")])
    assert functions(line("web_connectivity", keys))["web"].status == "insufficient"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"---", "not-json"),
        (b'{"test_name": "telegram"', "not-json"),
        (b"[1]", "not-an-object"),
        (b"7", "not-an-object"),
        (b"{}", "no-test-name"),
        (b'{"test_name": {}}', "bad-shape"),
        (b'{"a":' * 100_000, "too-deep"),
        (json.dumps(record("tor", {"a": 1})).encode(), "other-test"),
        (json.dumps(record("telegram", None)).encode(), "no-test-keys"),
        (json.dumps(record("telegram", {})).encode(), "no-test-keys"),
        (json.dumps(record("telegram", [])).encode(), "bad-shape"),
        (json.dumps(record("telegram", {"requests": [7]})).encode(), "bad-shape"),
        (json.dumps(record("telegram", {"requests": []})).encode(), "nothing-tried"),
        (json.dumps(record("telegram", telegram(0), measurement_start_time="soon")).encode(), "no-time"),
        (json.dumps(record("telegram", telegram(0), measurement_start_time="1970-01-01 00:00:00")).encode(), "no-time"),
    ],
)
def test_what_is_refused_says_why(data: bytes, reason: str) -> None:
    assert refused(data) == reason


@pytest.mark.parametrize("failure", [[], {}, [[]], {"a": 1}, 7, True])
def test_a_failure_that_is_no_text_is_an_unknown_one(failure: object) -> None:
    found = functions(line("stun_reachability", {"failure": failure}, input="stun://stun.l.example:19302"))["stun"]
    assert (found.status, found.unclear, found.failure) == ("insufficient", 1, "unknown_failure")


def test_strings_from_outside_are_cut_and_cleaned() -> None:
    found = functions(
        line(
            "telegram",
            telegram(12, failure="\x1b[31mred" + "x" * 10_000),
            test_version="<script>",
            report_id="a\nb",
            software_name="x" * 5000,
            probe_cc="kenya",
            probe_asn="AS-1",
        )
    )["text"]
    assert found.failure is not None
    assert len(found.failure) <= 120
    assert "\x1b" not in found.failure
    assert (found.test_version, found.measurement, found.software, found.region, found.asn) == (
        None,
        None,
        "3.8.5",
        None,
        None,
    )


def test_half_a_surrogate_and_bytes_that_are_no_text_do_not_cost_the_record() -> None:
    data = line("telegram", telegram(0), probe_network_name="x").replace(b'"x"', b'"\\ud800\xff"')
    assert functions(data)["text"].status == "working"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("queries", "tcp_connect", "tls_handshakes", "requests", "control", "failure", "body_proportion", "endpoint")
TESTS = (
    "telegram",
    "whatsapp",
    "signal",
    "facebook_messenger",
    "web_connectivity",
    "stun_reachability",
    "ringback",
    "tor",
)


@given(JSON)
def test_any_json_value_is_an_observation_or_a_refusal_with_a_reason(value: object) -> None:
    held(json.dumps(value).encode())


@given(st.sampled_from(TESTS), st.dictionaries(st.sampled_from(KEYS), JSON), JSON, st.text(max_size=20))
def test_so_is_any_measurement_whatever_its_keys_hold(test: str, keys: dict[str, object], odd: object, t: str) -> None:
    held(line(test, keys, annotations=odd, input=odd, probe_asn=t, probe_cc=t, report_id=t, test_version=t))


@given(st.binary(max_size=60))
def test_and_any_bytes(data: bytes) -> None:
    held(data)


WHOLE: dict[str, Any] = {
    "telegram": telegram(3),
    "whatsapp": whatsapp(None, RESET),
    "signal": {"requests": [get("https://chat.signal.org/")], "queries": [query("chat.signal.org", "76.223.92.165")]},
    "facebook_messenger": {
        "queries": [query("star.facebook.com", "157.240.0.1")],
        "tcp_connect": [tcp("1.1.1.1", 443)],
    },
    "web_connectivity": site(),
    "stun_reachability": {"failure": None, "endpoint": "stun.l.example:19302"},
}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_and_any_record_with_one_value_exchanged(test: str, data: st.DataObject) -> None:
    whole = json.loads(line(test, WHOLE[test], input="https://site.example/"))
    assert isinstance(ooni.measurement(json.dumps(whole).encode(), HERE), Kept)
    place: Any = whole
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not place[key] or not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(JSON)
            break
        place = place[key]
    held(json.dumps(whole).encode())


def held(data: bytes) -> None:
    found = ooni.measurement(data, HERE)
    if isinstance(found, Refused):
        assert found.reason in REASONS
    else:
        assert all(len(one.id) == 32 and one.function != "voice" for one in found.observations if one.source == "ooni")


def imported(file: Path) -> tuple[Tally, list[Observation]]:
    tally = Tally()
    return tally, list(tally.over(read("ooni", file)))


def test_files_are_read_whatever_they_are_packed_in(tmp_path: Path) -> None:
    lines = b"\n".join(line("telegram", telegram(n)) for n in range(3)) + b"\n\n"
    (tmp_path / "plain").write_bytes(lines)
    (tmp_path / "gz").write_bytes(gzip.compress(lines))
    with pyarrow.CompressedOutputStream(str(tmp_path / "zst"), "zstd") as out:
        out.write(lines)
    (tmp_path / "spread").write_bytes(
        json.dumps([record("telegram", telegram(n)) for n in range(3)], indent=2).encode()
    )
    results = [imported(tmp_path / name)[1] for name in ("plain", "gz", "zst", "spread")]
    assert len(results[0]) == 3
    assert all(found == results[0] for found in results)


def test_a_damaged_line_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"{broken\n" + line("telegram", telegram(0)) + b"\n---\n" + line("tor", {"a": 1}))
    tally, found = imported(tmp_path / "f")
    assert (tally.read, tally.kept, len(found)) == (4, 1, 1)
    assert tally.refused == {"not-json": 2, "other-test": 1}
    assert tally.first["not-json"].endswith("f:1")


def test_a_packing_that_ends_too_early_costs_what_follows(tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(line("telegram", telegram(n % 12), n=str(n) * 99) for n in range(300)))
    (tmp_path / "f").write_bytes(packed[: len(packed) // 2])
    tally, found = imported(tmp_path / "f")
    assert 0 < len(found) < 300
    assert tally.refused["damaged-packing"] == 1


def test_a_packing_cut_within_its_header_is_counted_as_damage(tmp_path: Path) -> None:
    whole = gzip.compress(line("telegram", telegram(0)))
    for cut in (3, 5, 9):
        (tmp_path / "f").write_bytes(whole[:cut])
        tally, _ = imported(tmp_path / "f")
        assert (tally.read, tally.refused) == (1, {"damaged-packing": 1})


def test_a_byte_order_mark_costs_nothing(tmp_path: Path) -> None:
    marked = b"\xef\xbb\xbf" + line("telegram", telegram(0))
    for content in (marked, gzip.compress(marked)):
        (tmp_path / "f").write_bytes(content)
        tally, found = imported(tmp_path / "f")
        assert (len(found), tally.refused) == (1, {})


def test_a_time_to_come_is_refused_as_the_collector_does(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(line("telegram", telegram(0), measurement_start_time="2099-01-01 00:00:00"))
    tally, found = imported(tmp_path / "f")
    assert (found, tally.refused) == ([], {"no-time": 1})


def test_one_value_on_many_lines_with_one_of_them_damaged_is_refused_once(tmp_path: Path) -> None:
    spread = json.dumps(record("telegram", telegram(0)), indent=2).encode()
    (tmp_path / "f").write_bytes(spread.replace(b'"test_name"', b"test_name", 1))
    tally, found = imported(tmp_path / "f")
    assert (found, tally.read, tally.refused) == ([], 1, {"not-json": 1})
