"""The one renderer of both ends: the session's own forms here, everything else from `flow`."""

from collections.abc import Callable, Sequence

from ringback import flow
from ringback.catalogue import Catalogue
from ringback.flow.script import Script
from ringback.record import ExchangeSpec
from ringback.trial import captured, limited, probe

Renderer = Callable[[ExchangeSpec, bytes, Sequence[bytes]], Script]
"""(spec, seed, replays) -> script: `render`, bound to a catalogue."""


def render(spec: ExchangeSpec, seed: bytes, replays: Sequence[bytes], catalogue: Catalogue) -> Script:
    """The script of an exchange. seed: the session's; replays: captured calls as the session's request carried them.

    Raises BadInput for a spec that no form of this project has.
    """
    if spec.form in (probe.FORM, probe.KNOCK):
        return probe.render(spec, seed)
    known = captured.by_digest(replays)
    if limited.is_limited(spec.form):
        return limited.render(spec, seed, lambda call: flow.render(call, seed, known))
    return flow.render(spec, seed, known)


def once_for_both(renderer: Renderer) -> Renderer:
    """For two ends in one process: what the first of them had rendered is handed to the other that asks for the very
    same (spec, seed, replays), and then forgotten. Scripts are frozen, so neither end can tell."""
    left: dict[tuple[ExchangeSpec, bytes, tuple[bytes, ...]], Script] = {}

    def shared(spec: ExchangeSpec, seed: bytes, replays: Sequence[bytes]) -> Script:
        key = (spec, seed, tuple(replays))
        script = left.pop(key, None)
        if script is None:
            script = left[key] = renderer(spec, seed, replays)
        return script

    return shared
