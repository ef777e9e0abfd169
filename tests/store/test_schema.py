"""What comes back out of the lake, also where a row holds a word that this version does not know."""

import logging

import pyarrow as pa
import pytest

from ringback.store import schema
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
