"""Delays so long that what is late looks lost: to a call that ends before it, to a transfer that sends it again."""

import pytest

from tests.proof.test_shared import told


@pytest.mark.parametrize(
    ("ms", "direction"),
    [(500, "both"), (700, "both"), (1200, "in"), (1200, "out"), (1200, "both"), (2000, "both"), (3000, "in")],
)
def test_a_calls_long_delay_is_neither_cut_off_nor_drop(ms: int, direction: str) -> None:
    for verdict in told("whatsapp", "voice", f'kind = "delay", ms = {ms}', 5, direction):
        assert (verdict.status, verdict.mechanism) == ("restricted", "delay")
        assert verdict.delay_ms_interval is not None
        assert verdict.delay_ms_interval[0] <= ms <= verdict.delay_ms_interval[1]


def test_a_cut_off_near_a_calls_end_is_no_delay() -> None:
    for verdict in told("whatsapp", "voice", 'kind = "drop-after", packets = 320', 5):
        assert verdict.mechanism == "drop-after"
        assert verdict.after_packets == pytest.approx(320, abs=3)


def test_a_long_delay_of_what_is_sent_is_no_queue() -> None:
    (verdict,) = told("whatsapp", "media", 'kind = "delay", ms = 1200', 1, "out")
    assert verdict.mechanism == "delay"
    assert verdict.delay_ms == pytest.approx(1200, rel=0.05)
