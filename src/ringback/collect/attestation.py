"""Does a report's transcript carry a peer's signature (Ed25519, RFC 8032), and is it one of a peer known here?

A peer signs, at a session's end, the digests of what it saw in each round. What that proves is little, and is said in
docs/decisions/0008: a key costs nothing, so an unknown peer's word is its own; a known peer's says that a session took
place, not that the report tells it truly.
"""

from collections.abc import Set
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ringback.record import Report
from ringback.record.observation import Attested
from ringback.trial.far import SIGNED

Keys = Set[bytes]
"""Public keys of peers, 32 bytes each."""
NOBODY: Keys = frozenset()


def attested(report: Report, known: Keys = NOBODY) -> Attested | None:
    """See `record.Observation`. None where the report has no transcript: nothing is signed then. Never raises."""
    if not report.transcript:
        return None
    try:
        key = bytes.fromhex(report.peer_key or "")
        message = SIGNED + b"".join(map(bytes.fromhex, report.transcript))
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(report.signature or ""), message)
    except (ValueError, InvalidSignature):
        return "failed"
    return "known-peer" if key in known else "other-peer"


def named(report: Report) -> str:
    """A transcript's name: the first half of SHA-256 over its digests and the peer's key, as hex."""
    return sha256("\0".join([report.peer_key or "", *report.transcript]).encode()).hexdigest()[:32]
