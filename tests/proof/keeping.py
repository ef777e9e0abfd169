"""Results of whole sessions kept by what they depend on, so that a proof that was interrupted goes on where it was."""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

import ringback

ROOMS = ("record", "catalogue", "wire", "flow", "verdict", "trial", "sim", "lab")
"""What a session in virtual time runs on: a change there makes results stale."""

T = TypeVar("T")


def folder() -> Path:
    """RINGBACK_VALIDATE_DIR, else .cache/validate under the project."""
    wanted = os.environ.get("RINGBACK_VALIDATE_DIR")
    return Path(wanted) if wanted else Path(__file__).parents[2] / ".cache" / "validate"


@cache
def code_version() -> str:
    """Of the rooms above, their code and data."""
    root = Path(ringback.__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in (".py", ".toml", ".json"):
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def kept(what: str, text: str, seed: int, kind: type[T], work: Callable[[], T]) -> T:
    """`work()`, or what it gave before for the same text, seed and code."""
    name = hashlib.blake2b(f"{what}\0{text}\0{seed}".encode(), digest_size=12).hexdigest()
    path = folder() / code_version() / f"{what}-{name}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        pass
    found = work()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(msgspec.json.encode(found))
    partial.replace(path)
    return found
