"""Whatever bytes arrive, every decoder gives an event or a Malformed, and never raises."""

import io
import os
import random
import time
from collections import Counter

import coverage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.wire import Malformed
from tests.wire.samples import DECODERS, PREDICATES, mutate, valid

VALIDATE = os.environ.get("RINGBACK_VALIDATE") == "1"


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_answered(data: bytes) -> None:
    for name, decode in DECODERS.items():
        result = decode(data)
        if isinstance(result, Malformed):
            assert 0 <= result.offset <= len(data) + 64, name
    for predicate in PREDICATES:
        predicate(data)


def test_every_prefix_of_a_valid_message_is_answered() -> None:
    for message in valid():
        for length in range(len(message) + 1):
            for decode in DECODERS.values():
                decode(message[:length])


@pytest.mark.timeout(3600 if VALIDATE else 60)
def test_damaged_datagrams_never_raise() -> None:
    rng, seeds = random.Random(20250813), valid()
    count = 1_000_000 if VALIDATE else 20_000
    accepted: Counter[str] = Counter()
    meter = coverage.Coverage(branch=True, include=["*/ringback/wire/*"], data_file=None) if VALIDATE else None
    if meter:
        meter.start()
    started = time.perf_counter()
    names = list(DECODERS)
    for index, data in enumerate(mutate(seeds, rng, count)):
        for name in names if index % 10 == 0 else rng.sample(names, 4):
            result = DECODERS[name](data)
            accepted[name] += not isinstance(result, Malformed)
        for predicate in PREDICATES:
            predicate(data)
    print(f"{count} datagrams in {time.perf_counter() - started:.1f} s; accepted: {dict(accepted)}")
    if meter:
        meter.stop()
        print(f"lines and branches reached (encoders count as missed): {meter.report(file=io.StringIO()):.1f} %")
    assert set(accepted) == set(DECODERS), "every decoder must also have accepted something"
    assert min(accepted.values()) > 0
