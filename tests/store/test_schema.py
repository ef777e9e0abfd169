"""What comes back out of the lake, also where a row holds a word that this version does not know."""

import io
import logging
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ringback.store import Added, Lake, Reading, check, manifest, schema
from tests.store.observations import seen


def with_trigger(table: pa.Table, row: int, word: str) -> pa.Table:
    column = table.column("trigger").to_pylist()
    column[row] = word
    at = table.schema.get_field_index("trigger")
    return table.set_column(at, table.schema.field(at), pa.array(column, table.schema.field(at).type))


def test_observations_come_back_as_they_went_in() -> None:
    own = [seen(n) for n in range(3)]
    assert list(schema.observations(schema.table(own))) == own


def test_a_row_of_unknown_words_is_named_and_spoils_no_other(caplog: pytest.LogCaptureFixture) -> None:
    own = [seen(n) for n in range(3)]
    rows = with_trigger(schema.table(own), 1, "<script>telepathy</script>")
    with caplog.at_level(logging.WARNING, "ringback.store"):
        assert list(schema.observations(rows)) == [own[0], own[2]]
    (said,) = caplog.messages
    assert own[1].id in said
    assert "trigger" in said


def as_version_1(lake: Lake) -> None:
    """What a Ringback before attestation left: no such columns, its version, its names of files."""
    listed = lake.manifest()
    for path, part in list(listed.parts.items()):
        rows = pq.read_table(lake.folder / path)
        rows = rows.drop_columns(["attested", "transcript"]).replace_schema_metadata({b"ringback.lake": b"1"})
        packed = io.BytesIO()
        pq.write_table(rows, packed)
        name = path.replace(schema.SUFFIX, ".parquet")
        manifest.write(lake.folder / name, packed.getvalue())
        (lake.folder / path).unlink()
        del listed.parts[path]
        digest = manifest.checksum(lake.folder / name)
        listed.parts[name] = msgspec.structs.replace(part, bytes=len(packed.getvalue()), sha256=digest)
    manifest.save(lake.folder, listed)


@pytest.mark.filterwarnings("ignore:fetch_arrow_table")  # ibis 12's own call of DuckDB 2
def test_parts_of_an_older_version_are_read_added_to_and_joined(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    old = [seen(n, hours=24 * n) for n in range(2)]
    lake.append(old)
    as_version_1(lake)
    assert list(Reading(lake).observations()) == old
    assert [cell.n for cell in Reading(lake).cells(["attested"])] == [2]
    new = seen(5, attested="known-peer", transcript="0" * 32)
    assert lake.append([new, old[0]]) == Added((new.id,), 1)
    for _ in range(2):
        assert sorted(one.id for one in Reading(lake).observations()) == sorted(one.id for one in [*old, new])
        assert [one for one in Reading(lake).observations() if one.attested] == [new]
        assert {cell.keys["attested"]: cell.n for cell in Reading(lake).cells(["attested"])} == {
            None: 2,
            "known-peer": 1,
        }
        lake.compact()
    assert len(lake.parts()) == 2
    assert check(lake) == []
