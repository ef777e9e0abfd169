"""JSON Schema of what goes over the wire, made from the records. `schema/report-1.json` is shipped."""

import msgspec

from ringback.record.verdict import Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> bytes:
    made = msgspec.json.schema(Report)
    return msgspec.json.format(msgspec.json.encode({"$schema": DIALECT, **made}), indent=1) + b"\n"
