"""What is set for a run in virtual time is as it was afterwards, also after a run that failed."""

import gc

import pytest

from ringback.cli.garbage import SELDOM, seldom_sought


def test_garbage_is_sought_seldom_and_then_as_before() -> None:
    before = gc.get_threshold()
    with seldom_sought():
        assert gc.get_threshold() == (SELDOM, *before[1:])
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_also_after_a_run_that_failed() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), seldom_sought():
        _ = 1 / 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
