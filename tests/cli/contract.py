"""The contract's own checker, where it lies beside the project."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

CHECKER = ROOT.parent / "shared" / "tools" / "check_contract.py"


def hold_to_the_contract(lines: str, *options: str) -> None:
    """Fails on a departure; skips where there is no checker."""
    if not CHECKER.exists():
        pytest.skip("the contract's checker is not beside the project")
    done = subprocess.run(
        [sys.executable, CHECKER, *options], input=lines, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout
