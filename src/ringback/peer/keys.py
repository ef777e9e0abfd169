"""The peer's signing key (Ed25519, RFC 8032), made at first start and kept for its owner's eyes."""

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringback.errors import BadInput

KEY_FILE = "peer.key"


def load(folder: Path) -> tuple[Callable[[bytes], bytes], bytes]:
    """(sign, public key of 32 bytes). Raises BadInput for a key file that holds no key."""
    file = folder / KEY_FILE
    if file.exists():
        raw = file.read_bytes()
        if len(raw) != 32:
            raise BadInput(f"{len(raw)} bytes instead of a key of 32; move it away to make a new one", str(file))
        key = Ed25519PrivateKey.from_private_bytes(raw)
    else:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        raw = key.private_bytes_raw()
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(raw)
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return key.sign, public
