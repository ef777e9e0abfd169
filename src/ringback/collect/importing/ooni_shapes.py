"""The keys of an OONI measurement that are read (OONI spec, df-000 to df-008, ts-017 to ts-029); others are skipped.

Old and odd records write `false` for no failure, null for an empty list, and numbers as strings: shapes are lenient
there, and what comes through is checked where it is used.
"""

from typing import Any

import msgspec

Scalar = str | int | float | bool | None


class Answer(msgspec.Struct):
    ipv4: Scalar = None
    ipv6: Scalar = None


class Query(msgspec.Struct):
    failure: Scalar = None
    hostname: Scalar = None
    answers: list[Answer | None] | None = None


class TcpStatus(msgspec.Struct):
    failure: Scalar = None
    success: Scalar = None


class Tcp(msgspec.Struct):
    ip: Scalar = None
    port: Scalar = None
    status: TcpStatus | Scalar = None


class Tls(msgspec.Struct):
    failure: Scalar = None
    server_name: Scalar = None


class Asked(msgspec.Struct):
    url: Scalar = None
    headers: Any = None  # of the oldest versions, that give no URL, the `Host`


class Answered(msgspec.Struct):
    code: Scalar = None
    body: msgspec.Raw = msgspec.Raw()


class Request(msgspec.Struct):
    failure: Scalar = None
    request: Asked | None = None
    response: Answered | None = None


class ControlHttp(msgspec.Struct):
    failure: Scalar = None
    status_code: Scalar = None
    title: Scalar = None
    body_length: Scalar = None


class ControlDns(msgspec.Struct):
    failure: Scalar = None
    addrs: list[Scalar] | None = None


class ControlTcp(msgspec.Struct):
    status: Scalar = None


class Control(msgspec.Struct):
    tcp_connect: dict[str, ControlTcp | None] | None = None
    http_request: ControlHttp | None = None
    dns: ControlDns | None = None


class TestKeys(msgspec.Struct):
    queries: list[Query | None] | None = None
    tcp_connect: list[Tcp | None] | None = None
    tls_handshakes: list[Tls | None] | None = None
    requests: list[Request | None] | None = None
    control: Control | None = None
    control_failure: Scalar = None
    dns_experiment_failure: Scalar = None
    http_experiment_failure: Scalar = None
    title_match: Scalar = None
    headers_match: Scalar = None
    body_proportion: Scalar = None
    failure: Any = msgspec.UNSET  # of a whole test (stun_reachability)
    endpoint: Scalar = None


class Measurement(msgspec.Struct):
    test_name: Scalar = None
    test_version: Scalar = None
    test_start_time: Scalar = None
    measurement_start_time: Scalar = None
    measurement_uid: Scalar = None
    report_id: Scalar = None
    probe_asn: Scalar = None
    probe_cc: Scalar = None
    probe_id: Scalar = None
    software_name: Scalar = None
    software_version: Scalar = None
    input: Any = None
    annotations: Any = None
    test_keys: msgspec.Raw = msgspec.Raw()
