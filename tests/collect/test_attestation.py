"""A peer's signature over its transcript: whose it is, and what becomes of a forged, damaged or copied one."""

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ringback.collect import api, attestation, scrub
from ringback.collect.importing import Kept, from_report, read
from ringback.collect.intake import sink
from ringback.collect.origin import UNKNOWN
from ringback.peer import keys
from ringback.record import Observation, Report
from ringback.store import Lake, Reading, Selection
from ringback.trial.far import SIGNED
from tests.collect.reports import NOW, encoded, report

PEER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PEER.public_key().public_bytes_raw()
DIGESTS = ["0a" * 32, "0b" * 32]


def signed(number: int = 1, digests: list[str] = DIGESTS, **changes: object) -> Report:
    word = PEER.sign(SIGNED + b"".join(map(bytes.fromhex, digests))).hex()
    return report(number, **({"transcript": digests, "signature": word, "peer_key": KEY.hex()} | changes))


def collected(one: Report, known: attestation.Keys = frozenset({KEY})) -> Observation:
    found: list[Observation] = []
    entry = api.entry(encoded(one), NOW, UNKNOWN)
    sink(found.extend, Path("/nowhere"), known)([entry])
    (observation,) = found
    return observation


def test_a_key_as_a_peer_keeps_it_signs_what_the_collector_reads(tmp_path: Path) -> None:
    sign, key = keys.load(tmp_path)
    word = sign(SIGNED + b"".join(map(bytes.fromhex, DIGESTS))).hex()
    one = report(transcript=DIGESTS, signature=word, peer_key=key.hex())
    assert collected(one, {key}).attested == "known-peer"
    assert collected(one).attested == "other-peer"


def test_a_report_without_a_transcript_says_nothing_about_a_peer() -> None:
    assert (collected(report()).attested, collected(report()).transcript) == (None, None)


OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": None},
        {"signature": "00" * 64},
        {"signature": "zz" * 64},
        {"signature": "00"},
        {"peer_key": None},
        {"peer_key": OTHER},
        {"peer_key": "ff" * 32},  # no point of the curve
        {"transcript": DIGESTS[:1]},
        {"transcript": DIGESTS[::-1]},
        {"transcript": [*DIGESTS, "0c" * 32]},
        {"transcript": ["0A" * 32, "0b" * 32]},
    ],
)
def test_what_was_not_signed_so_is_taken_and_marked(changes: dict[str, object]) -> None:
    found = collected(signed(**changes))
    assert (found.attested, found.transcript) == ("failed", None)


def test_a_mark_is_a_conclusion_and_changes_no_id() -> None:
    own = collected(signed())
    assert (
        msgspec.structs.replace(own, attested=None, transcript=None)
        == from_report(scrub.scrubbed(signed(), NOW), None)[0]
    )


@given(st.lists(st.text(max_size=70), max_size=3), st.none() | st.text(max_size=140), st.none() | st.text(max_size=70))
def test_no_field_of_a_signature_can_break_it(transcript: list[str], signature: str | None, key: str | None) -> None:
    one = report(transcript=transcript, signature=signature, peer_key=key)
    assert attestation.attested(one, {KEY}) == ("failed" if transcript else None)
    assert collected(one).attested in (None, "failed")


def test_a_copied_transcript_is_found_and_each_mark_can_be_chosen(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    several = [signed(1), signed(2), signed(3, ["0d" * 32]), signed(4, signature=None), report(5)]
    take = sink(lake.append, tmp_path, {KEY})
    take([api.entry(encoded(one), NOW, UNKNOWN) for one in several])
    reading = Reading(lake)
    assert reading.copied() == {attestation.named(signed()): 2}
    assert {cell.keys["attested"]: cell.n for cell in reading.cells(["attested"])} == {
        "known-peer": 3,
        "failed": 1,
        None: 1,
    }
    assert [cell.n for cell in reading.cells([], Selection(attested=["known-peer"]))] == [3]


def test_an_import_looks_itself_and_believes_no_mark_of_others(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(encoded(signed()) + b"\n" + msgspec.json.encode(collected(signed())))
    found = [one for each in read("ndjson", tmp_path / "f") if isinstance(each, Kept) for one in each.observations]
    assert [one.attested for one in found] == ["other-peer", None]
