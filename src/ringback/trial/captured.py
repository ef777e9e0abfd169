"""The captured calls of a session, as both ends hand them to the renderer."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from ringback.errors import BadInput
from ringback.flow import Replay


def by_digest(encoded: Sequence[bytes]) -> Mapping[str, Replay]:
    """The replays of a session's `open` request (msgpack), by digest. Raises BadInput for bytes that are none."""
    return {replay.digest: replay for replay in map(_decoded, encoded)}


@lru_cache(8)  # both ends render dozens of exchanges from the same one
def _decoded(data: bytes) -> Replay:
    try:
        return msgspec.msgpack.decode(data, type=Replay)
    except msgspec.MsgspecError as error:
        raise BadInput(f"is no captured call: {error}", "open.replays") from error
