"""What is set for a run in virtual time is as it was afterwards."""

import gc

import pytest

from ringback.cli.garbage import SELDOM, seldom_sought


def test_garbage_is_sought_seldom_and_then_as_before() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(ValueError, match="amid"), seldom_sought():
        assert gc.get_threshold() == (SELDOM, *before[1:])
        assert gc.get_freeze_count() > frozen
        raise ValueError("amid")
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
