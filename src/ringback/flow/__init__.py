"""Exchanges: what an app's function looks like on the wire, and its control, rendered to scripts from spec and seed.

What is said to hosts that run no script of ours stands in `flow.tries`.
"""

from ringback.flow.forms import FormPlan, forms_of
from ringback.flow.names import neutral_name
from ringback.flow.rendering import render
from ringback.flow.replay import Replay, ReplayPacket
from ringback.flow.script import DatagramScript, Script, Send, StreamScript, Turn

__all__ = [
    "DatagramScript",
    "FormPlan",
    "Replay",
    "ReplayPacket",
    "Script",
    "Send",
    "StreamScript",
    "Turn",
    "forms_of",
    "neutral_name",
    "render",
]
