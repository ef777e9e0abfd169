import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.trial import control

TIMES = st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=50)


@given(TIMES, st.floats(0, 1000))
def test_times_survive_the_way_to_a_twentieth_of_a_millisecond(times: list[float | None], anchor: float) -> None:
    expected = [anchor + 0.06 * i for i in range(len(times))]
    back = control.unpack(control.pack(times, expected), expected, "test")
    for was, now in zip(times, back, strict=True):
        assert (was is None) == (now is None)
        if was is not None and now is not None:
            assert now == pytest.approx(was, abs=0.5001 * control.TICK)


@given(st.binary(max_size=80), st.integers(0, 30))
def test_any_bytes_are_times_or_a_clear_refusal(packed: bytes, n: int) -> None:
    try:
        times = control.unpack(packed, [0.0] * n, "report of exchange 7")
    except BadInput as error:
        refused = str(error)
    else:
        assert len(times) == n
        return
    assert "exchange 7" in refused


def test_a_small_report_cannot_unfold_into_a_large_one() -> None:
    bomb = control.pack([1.0] * 200_000, [0.0] * 200_000)
    with pytest.raises(BadInput):
        control.unpack(bomb, [0.0] * 10, "bomb")


@given(st.binary(max_size=200))
def test_any_request_body_is_a_request_or_a_clear_refusal(body: bytes) -> None:
    refused = "RoundRequest"
    try:
        control.decode(body, control.RoundRequest, "round")
    except BadInput as error:
        refused = str(error)
    assert "RoundRequest" in refused


@pytest.mark.parametrize(
    ("ports", "other"),
    [
        ({}, {}),
        ({}, {"udp": [4], "tcp": []}),
        ({"udp/53": 0}, {"udp": [4], "tcp": [5]}),
        ({}, {"udp": [4], "tcp": [70000]}),
    ],
)
def test_a_grant_without_ports_is_none(ports: dict[str, int], other: dict[str, list[int]]) -> None:
    fine = control.Grant("s", bytes(32), {"udp/53": 53}, {"udp": [4], "tcp": [5]}, "192.0.2.1", bytes(32))
    assert control.decode(control.encode(fine), control.Grant, "grant") == fine
    body = msgspec.msgpack.encode(msgspec.to_builtins(fine, builtin_types=(bytes,)) | {"ports": ports, "other": other})
    with pytest.raises(BadInput, match="ports that can't be used"):
        control.decode(body, control.Grant, "grant")
