"""What fits hand over can be written down, whatever they reckoned with."""

import msgspec
import numpy as np

from ringback.record import Verdict
from ringback.verdict.finding import NUMBERS, Finding


def test_numbers_of_numpy_become_numbers_of_records() -> None:
    one, pair = np.float64(1004.0), (np.float64(990.0), np.float64(1020.0))
    found = Finding(
        "delay",
        after_packets=np.int64(25),  # type: ignore[arg-type]
        after_packets_interval=(np.int64(24), np.int64(26)),
        rate_kbps=one,
        delay_ms=one,
        delay_ms_interval=pair,
    )
    verdict = Verdict(status="restricted", **{name: getattr(found, name) for name in NUMBERS})
    read = msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict)
    assert read.delay_ms_interval == (990.0, 1020.0)
    assert read.after_packets == 25
    assert type(found.delay_ms) is float
