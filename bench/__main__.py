"""`python -m bench [NAME ...]`: run every `bench_NAME.py` beside this file and print one JSON object a line.

Such a module has `run() -> Iterator[dict]`; each dict has the keys of `KEYS`. `peer` names what the value is compared
with (None where nothing is), `ratio` is value / peer_value.
"""

import importlib
import json
import sys
from pathlib import Path

KEYS = {"name", "value", "unit", "peer", "peer_value", "ratio"}


def main(wanted: list[str]) -> int:
    known = {path.stem.removeprefix("bench_"): path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))}
    if unknown := sorted(set(wanted) - known.keys()):
        print(f"no such bench: {', '.join(unknown)}; there are: {', '.join(known) or 'none'}", file=sys.stderr)
        return 2
    for name in wanted or known:
        for row in importlib.import_module(f"bench.{known[name]}").run():
            if row.keys() != KEYS:
                raise ValueError(f"bench {name}: keys {sorted(row)} are not {sorted(KEYS)}")
            print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
