"""Many `Point`s of many networks as columns: what years of reports are read as, since one record each takes longer than
all that is then asked of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Words:
    """A column of words. places: of each row, where its word stands, -1 for none; words: each once, rising."""

    places: NDArray[np.int64]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Points:
    """Index-aligned columns, in order of time. time: microseconds since 1970 UTC; attempted, failed: -1 for unknown;
    unit: one number for each cluster, else pseudonym, else id, rising with their names; version: of the test, else of
    the software. The others are `Observation`'s."""

    time: NDArray[np.int64]
    asn: NDArray[np.int64]
    attempted: NDArray[np.int64]
    failed: NDArray[np.int64]
    unit: NDArray[np.int64]
    app: Words
    function: Words
    target: Words
    region: Words
    status: Words
    source: Words
    version: Words
    rules: Words
