"""Captures: which exchanges of which app a file holds, and its calls as exchanges that can be sent again."""

from ringback.capture.exchanges import Exchange, Trace, exchanges, trace
from ringback.capture.replays import replay_file, replays, save

__all__ = ["Exchange", "Trace", "exchanges", "replay_file", "replays", "save", "trace"]
