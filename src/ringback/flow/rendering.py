"""From a spec and the session's seed to the script that both ends run: deterministic, to the byte."""

from collections.abc import Callable, Mapping

from ringback import catalogue
from ringback.catalogue import FunctionEntry
from ringback.errors import BadInput
from ringback.flow import ice, telegram_call, tls_stream, whatsapp_call
from ringback.flow.draft import control_of
from ringback.flow.keystream import Keystream
from ringback.flow.script import DatagramScript, Script, StreamScript
from ringback.record import ExchangeSpec

Writer = Callable[[ExchangeSpec, FunctionEntry, Keystream], DatagramScript]

CALLS: Mapping[tuple[str, str], Writer] = {
    ("whatsapp", "relay-call"): whatsapp_call.relay_call,
    ("whatsapp", "p2p-call"): whatsapp_call.p2p_call,
    ("telegram", "relay-call"): telegram_call.relay_call,
    ("telegram", "p2p-call"): ice.p2p_call,
    ("signal", "relay-call"): ice.turn_call,
    ("signal", "p2p-call"): ice.p2p_call,
    ("max", "relay-call"): ice.turn_call,
    ("max", "p2p-call"): ice.p2p_call,
}

StreamWriter = Callable[[ExchangeSpec, FunctionEntry, Keystream], StreamScript]

STREAMS: Mapping[str, StreamWriter] = {"tls": tls_stream.tls}


def render(spec: ExchangeSpec, seed: bytes) -> Script:
    keystream = Keystream(seed, spec.number)
    entry = catalogue.load().apps[spec.app].functions[spec.function]
    if spec.form in STREAMS:
        return STREAMS[spec.form](spec, entry, keystream)
    writer = CALLS.get((spec.app, spec.form))
    if writer is None:
        raise BadInput(f"{spec.app} has no form `{spec.form}`", "exchange spec")
    original = writer(spec, entry, keystream)
    return original if spec.arm.payload == "original" else control_of(original, keystream)
