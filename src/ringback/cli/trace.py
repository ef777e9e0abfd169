"""`ringback trace`: which exchanges a capture holds."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.words import Language, Phrases, harmless, load

if TYPE_CHECKING:
    from ringback.capture import Exchange


def trace(capture: Path, /, *, out: Path | None = None, json: bool = False, lang: Language | None = None) -> Exit:
    """Find the exchanges of messengers in a capture (pcap or pcapng, gzipped or not), calls first of all.

    An app is named only where the bytes say so, or an address of a network that is its alone (Telegram's). Nothing is
    sent.

    Parameters
    ----------
    capture
        The capture file.
    out
        Write each call into this folder, without addresses, to be sent again by `ringback check --replay`.
    json
        One exchange a line on standard output; words go to standard error.
    lang
        Language of the words. Default: from the environment.
    """
    from ringback.capture import replays, save
    from ringback.capture import trace as read

    phrases = load(speech.language(lang))
    found = read(capture)
    with speech.Records(json, None) as records:
        for exchange in found.exchanges:
            records.write(exchange)
    if not json:
        _tell(found.exchanges, phrases)
    for note in found.notes:
        print(harmless(note), file=sys.stderr)
    if out is not None:
        for file in save(replays(capture), out):
            print(phrases.say("trace.written", path=file), file=sys.stderr)
    return Exit.VERDICT


def _tell(exchanges: "Sequence[Exchange]", phrases: Phrases) -> None:
    """Those of which something is known, one a row, times in UTC; the others are counted."""
    from ringback.words.naming import app_title

    console = speech.console(json=False)
    if not exchanges:
        console.print(phrases.say("trace.nothing"))
        return
    known = [one for one in exchanges if one.app is not None or one.function is not None]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for key in ("app", "function", "start"):
        table.add_column(phrases.say(f"trace.{key}"))
    for key in ("seconds", "packets"):
        table.add_column(phrases.say(f"trace.{key}"), justify="right")
    table.add_column(phrases.say("trace.endpoints"), overflow="fold")
    for one in known:
        function = f"voice-{one.direction}" if one.direction else one.function
        table.add_row(
            app_title(one.app) if one.app else phrases.say("trace.unknown"),
            phrases.say(f"function.{function}") if function else phrases.say("trace.unknown"),
            datetime.fromtimestamp(one.start, UTC).strftime("%H:%M:%S"),
            phrases.number(one.seconds, 1),
            phrases.number(one.packets),
            "\n".join(one.endpoints),
        )
    if known:
        console.print(table)
    if len(known) < len(exchanges):
        console.print(phrases.say("trace.others", n=phrases.number(len(exchanges) - len(known))))
