"""Little OONI measurements, whole but for what a test is about."""

import json
from collections.abc import Mapping
from typing import Any

TIMED_OUT, RESET = "generic_timeout_error", "connection_reset"
CENTRES = ("149.154.175.50", "149.154.167.51", "149.154.167.91", "149.154.175.100", "149.154.171.5", "95.161.76.100")


def record(test: str, keys: object, **more: object) -> dict[str, Any]:
    return {
        "test_name": test,
        "test_version": "0.3.1",
        "measurement_start_time": "2023-11-08 11:46:00",
        "report_id": "20231108T114600Z_x_KE_33771_n1_abc",
        "probe_asn": "AS33771",
        "probe_cc": "KE",
        "software_name": "ooniprobe-android",
        "software_version": "3.8.5",
        "test_keys": keys,
    } | more


def line(test: str, keys: object, **more: object) -> bytes:
    return json.dumps(record(test, keys, **more)).encode()


def tcp(address: str, port: int, failure: object = None) -> dict[str, Any]:
    return {"ip": address, "port": port, "status": {"failure": failure, "success": not failure}}


def get(url: str, failure: object = None, code: int = 200, body: str = "") -> dict[str, Any]:
    return {"failure": failure, "request": {"url": url}, "response": {"code": code, "body": body}}


def query(name: str, *addresses: str, failure: object = None) -> dict[str, Any]:
    return {"hostname": name, "failure": failure, "answers": [{"ipv4": one} for one in addresses]}


def telegram(failed: int, tried: int = 12, failure: str = TIMED_OUT) -> dict[str, Any]:
    """Test keys: of twelve POSTs the first `failed` fail; beyond the first `tried` no connection was made, and each of
    those reads as a time-out."""
    places = [(address, port) for address in CENTRES for port in (80, 443)]
    requests = [
        get(f"http://{address}:{port}/", failure if n < failed else TIMED_OUT if n >= tried else None)
        for n, (address, port) in enumerate(places)
    ]
    return {"tcp_connect": [tcp(*place) for place in places[:tried]], "requests": requests}


CONTROL: Mapping[str, Any] = {
    "dns": {"failure": None, "addrs": ["93.184.216.34"]},
    "tcp_connect": {"93.184.216.34:443": {"status": True, "failure": None}},
    "http_request": {"failure": None, "status_code": 200, "title": "A site", "body_length": 1000},
}


def site(**keys: object) -> dict[str, Any]:
    """Test keys of web_connectivity: a site that answers here as it does for the control, but for what is given."""
    return {
        "control": CONTROL,
        "control_failure": None,
        "queries": [query("site.example", "93.184.216.34")],
        "tcp_connect": [tcp("93.184.216.34", 443)],
        "requests": [get("https://site.example/", body="<title>A site</title>")],
        "body_proportion": 1.0,
    } | keys
