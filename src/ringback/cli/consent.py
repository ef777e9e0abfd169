"""Consent: asked once for each version of its text, kept in the user's configuration, never assumed."""

import sys
from datetime import UTC, datetime

import msgspec

from ringback.cli import folders
from ringback.words import Language, load

FILE = "consent.json"


class Consent(msgspec.Struct, frozen=True):
    """version: of the text that was agreed to; given_at: RFC 3339 in UTC; language: in which it was read."""

    version: str
    given_at: str
    language: str


def recorded() -> Consent | None:
    """What is on record; None where nothing readable is."""
    try:
        return msgspec.json.decode((folders.config_folder() / FILE).read_bytes(), type=Consent)
    except (OSError, msgspec.MsgspecError):
        return None


def obtain(language: Language, yes: bool) -> str | None:
    """The version of the text consented to, or None. yes: given on the command line, for this run and not for later.

    Asks on a terminal where the current text was not agreed to before; an answer of yes is recorded.
    """
    phrases = load(language)
    version = phrases.say("consent.version")
    if yes:
        return version
    before = recorded()
    if before is not None and before.version == version:
        return version
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(phrases.say("consent.needed"), file=sys.stderr)
        return None
    print(phrases.say("consent.text"), file=sys.stderr)
    print(phrases.say("consent.question"), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "д", "да"):
        print(phrases.say("consent.refused"), file=sys.stderr)
        return None
    given = Consent(version, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), language)
    folders.write_private(folders.make_private(folders.config_folder()) / FILE, msgspec.json.encode(given))
    return version
