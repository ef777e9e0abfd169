"""From a spec and the session's seed to the script that both ends run: deterministic, to the byte."""

from collections.abc import Callable, Mapping

from ringback import catalogue
from ringback.catalogue import FunctionEntry
from ringback.errors import BadInput
from ringback.flow import chat_stream, ice, telegram_call, tls_stream, whatsapp_call
from ringback.flow.draft import control_of
from ringback.flow.keystream import Keystream
from ringback.flow.lookup import lookup
from ringback.flow.outer import outer
from ringback.flow.replay import Replay, replayed
from ringback.flow.script import DatagramScript, Script, StreamScript
from ringback.record import ExchangeSpec

CallWriter = Callable[[ExchangeSpec, FunctionEntry, Keystream], DatagramScript]
StreamWriter = Callable[[ExchangeSpec, FunctionEntry, Keystream], StreamScript]

CALLS: Mapping[tuple[str, str], CallWriter] = {
    ("whatsapp", "relay-call"): whatsapp_call.relay_call,
    ("whatsapp", "p2p-call"): whatsapp_call.p2p_call,
    ("telegram", "relay-call"): telegram_call.relay_call,
    ("telegram", "p2p-call"): ice.p2p_call,
    ("signal", "relay-call"): ice.turn_call,
    ("signal", "p2p-call"): ice.p2p_call,
    ("max", "relay-call"): ice.turn_call,
    ("max", "p2p-call"): ice.p2p_call,
}
CHATS: Mapping[str, StreamWriter] = {"noise": chat_stream.noise, "obfuscated": chat_stream.obfuscated}


def render(spec: ExchangeSpec, seed: bytes, replays: Mapping[str, Replay] | None = None) -> Script:
    """The script of one exchange. seed: the session's 32 bytes. replays: by digest, for the form `replay`.

    Original and control of one spec have equal sizes, times and replies. Raises BadInput for an app, function, form or
    replay that is not known.
    """
    keystream = Keystream(seed, spec.number)
    original = spec.arm.payload == "original"
    if spec.form == "replay":
        if spec.replay is None or spec.replay not in (replays or {}):
            raise BadInput(f"no replay `{spec.replay}`", "exchange spec")
        script = replayed((replays or {})[spec.replay], spec.seconds, keystream)
        return script if original else control_of(script, keystream)
    if spec.function == "outer":
        vpns = catalogue.load().vpns
        if spec.app not in vpns:
            raise BadInput(f"no VPN protocol `{spec.app}`", "exchange spec")
        script = outer(spec, vpns[spec.app], keystream)
        return script if original else control_of(script, keystream)
    entry = _entry(spec)
    if spec.form == "tls":
        return tls_stream.tls(spec, entry, keystream)
    if spec.form == "dns":
        return lookup(spec, entry, keystream)
    if spec.form in CHATS:
        stream = CHATS[spec.form](spec, entry, keystream)
        return stream if original else chat_stream.control_of(stream, keystream)
    script = CALLS[spec.app, spec.form](spec, entry, keystream)
    return script if original else control_of(script, keystream)


def _entry(spec: ExchangeSpec) -> FunctionEntry:
    app = catalogue.load().apps.get(spec.app)
    entry = app.functions.get(spec.function) if app else None
    if entry is None or spec.form not in entry.forms:
        raise BadInput(f"no form `{spec.form}` of {spec.app} {spec.function}", "exchange spec")
    return entry
