"""Exchanges: what an app's function looks like on the wire, and its control, rendered to scripts from spec and seed."""

from ringback.flow.rendering import render
from ringback.flow.script import DatagramScript, Script, Send, StreamScript, Turn

__all__ = ["DatagramScript", "Script", "Send", "StreamScript", "Turn", "render"]
