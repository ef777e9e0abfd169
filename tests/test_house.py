"""The house rules that a machine can check: one direction of imports, pure rooms, locks that fit."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ringback.errors import BadInput, RingbackError, Unavailable
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "ringback"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
ROOMS = set(re.findall(r"[a-z]+", " ".join(CONTRACTS["rooms"]["layers"])))
PURE = [room.split(".")[1] for room in CONTRACTS["pure"]["source_modules"]]
BANNED = set(CONTRACTS["pure"]["forbidden_modules"])
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4"}
SEEDED = {"Generator", "SeedSequence", "default_rng", "PCG64", "PCG64DXSM", "Philox", "SFC64", "BitGenerator"}


def impurities(source: str) -> list[str]:
    """`line: what` for each use of clock, randomness, process, loop or file system's state in a module's source."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            names = []
        found += [f"{node.lineno}: imports {name}" for name in names if name.partition(".")[0] in BANNED]
        if isinstance(node, ast.Attribute):
            parts = ast.unparse(node).split(".")
            if ".".join(parts[-2:]) in CLOCKS:
                found.append(f"{node.lineno}: {'.'.join(parts[-2:])}")
            if len(parts) == 3 and parts[0] in {"np", "numpy"} and parts[1] == "random" and parts[2] not in SEEDED:
                found.append(f"{node.lineno}: numpy's global random state, {parts[2]}")
        unseeded = isinstance(node, ast.Call) and not node.args and not node.keywords
        if unseeded and ast.unparse(node.func).endswith("default_rng"):
            found.append(f"{node.lineno}: default_rng without a seed")
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import socket",
        "import os.path",
        "from asyncio import TaskGroup",
        "def f():\n    import time",
        "x = datetime.now(UTC)",
        "x = datetime.datetime.utcnow()",
        "x = np.random.normal(0, 1)",
        "x = numpy.random.seed(1)",
        "x = np.random.default_rng()",
        "x = uuid.uuid4()",
    ],
)
def test_the_purity_check_sees_each_kind_of_impurity(line: str) -> None:
    assert impurities(line)


@pytest.mark.parametrize(
    "line", ["import datetime", "r = np.random.default_rng(7)", "def f(r: np.random.Generator): ..."]
)
def test_the_purity_check_lets_pure_code_be(line: str) -> None:
    assert impurities(line) == []


def test_the_pure_rooms_are_rooms() -> None:
    assert ROOMS.issuperset(PURE)


@pytest.mark.parametrize("room", [room for room in PURE if (SOURCE / room).is_dir()])
def test_a_pure_room_touches_no_clock_and_no_randomness(room: str) -> None:
    modules = sorted((SOURCE / room).rglob("*.py"))
    found = [f"{path.relative_to(ROOT)}:{hit}" for path in modules for hit in impurities(path.read_text())]
    assert found == []


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--config", "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def locked(name: str) -> dict[str, set[str]]:
    """Package name to the versions (one for each range of Pythons) that a list pins."""
    pins: dict[str, set[str]] = {}
    for pinned, version in re.findall(
        r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements" / name).read_text(), re.M
    ):
        pins.setdefault(canonicalize_name(pinned), set()).add(version)
    return pins


@pytest.mark.parametrize(
    ("name", "extras", "groups"),
    [("run.txt", ["observatory", "lab"], ["build"]), ("test.txt", ["observatory", "lab", "cluster"], ["build", "dev"])],
)
def test_the_lock_fits_what_the_project_asks_for(name: str, extras: list[str], groups: list[str]) -> None:
    project = PROJECT["project"]
    asked = [*project["dependencies"]]
    asked += [line for extra in extras for line in project["optional-dependencies"][extra]]
    asked += [line for group in groups for line in PROJECT["dependency-groups"][group] if isinstance(line, str)]
    pins = locked(name)
    for requirement in map(Requirement, asked):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in requirements/{name}: run `make lock`"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), str(requirement)


def test_a_participants_lock_holds_no_test_tools() -> None:
    assert locked("run.txt").keys().isdisjoint({"pytest", "nfstream", "playwright", "mypy", "pyspark-client", "av"})


@pytest.mark.parametrize("name", ["run.txt", "test.txt", "uv.txt"])
def test_locks_name_no_index_and_hash_every_pin(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


def test_errors_say_what_and_where_in_one_line() -> None:
    assert str(BadInput("no such key `hopp`", "moscow.toml:12")) == "moscow.toml:12: no such key `hopp`"
    assert str(BadInput("not\nTOML")) == "not TOML"
    assert str(Unavailable("no user namespaces", "use --net sim")) == "no user namespaces (use --net sim)"
    assert issubclass(BadInput, RingbackError)
    assert issubclass(Unavailable, RingbackError)
