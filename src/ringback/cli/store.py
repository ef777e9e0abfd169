"""`ringback store`: is the store sound, and what can be done about it."""

import sys
from pathlib import Path

from cyclopts import App

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.folders import kept_lake
from ringback.cli.needs import observatory
from ringback.cli.switches import SWITCHES
from ringback.words import Language, harmless, load

store = App(
    name="store", help="The store of observations: find damage, join parts, make it again.", default_parameter=SWITCHES
)


@store.command
def check(*, data: Path | None = None, json: bool = False, lang: Language | None = None) -> Exit:
    """Find missing and damaged files, and say what to do about each. Nothing is changed; ends with 1 where any is.

    Parameters
    ----------
    data
        The data folder. Default: the user's.
    json
        One JSON object a line on standard output for each: fault, path, remedy.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import Lake
        from ringback.store import check as problems_of

    phrases = load(speech.language(lang))
    out = sys.stderr if json else sys.stdout
    lake = Lake(kept_lake(data))
    problems = problems_of(lake)
    with speech.Records(json, None) as records:
        for one in problems:
            records.write(one)
            remedy = phrases.say(f"store.remedy.{one.remedy}", **({"name": harmless(one.name)} if one.name else {}))
            print(phrases.say(f"store.{one.fault}", path=harmless(one.path), remedy=remedy), file=out)
    if not problems:
        listed = lake.manifest()
        rows = phrases.number(sum(part.rows for part in listed.parts.values()))
        print(phrases.say("store.sound", parts=len(listed.parts), rows=rows, raw=len(listed.raw)), file=out)
    return Exit.FAULT if any(one.fault != "unlisted" for one in problems) else Exit.VERDICT


@store.command
def compact(*, data: Path | None = None, lang: Language | None = None) -> Exit:
    """Join the parts of each day into one. Queries become faster; nothing else changes.

    Parameters
    ----------
    data
        The data folder. Default: the user's.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import Lake

    phrases = load(speech.language(lang))
    print(phrases.say("store.compacted", n=phrases.number(Lake(kept_lake(data)).compact())))
    return Exit.VERDICT


@store.command
def rebuild(*, data: Path | None = None, lang: Language | None = None) -> Exit:
    """Make everything again that was made from raw files, by the rules of this version.

    Reports that a collector received have no raw files: parts of them that are missing or damaged can't be made again.
    Each is named with its observations, stays listed until a backup brings it back, and the command ends with 1.

    Parameters
    ----------
    data
        The data folder. Default: the user's.
    lang
        Language of the words. Default: from the environment.
    """
    with observatory():
        from ringback.store import Lake
        from ringback.store import rebuild as make_again

    phrases = load(speech.language(lang))
    lake = Lake(kept_lake(data))
    print(phrases.say("store.rebuilt", n=phrases.number(make_again(lake))))
    lost = lake.manifest().lost
    for path, part in sorted(lost.items()):
        print(phrases.say("store.lost", path=path, n=phrases.number(part.rows), day=part.day), file=sys.stderr)
    return Exit.FAULT if lost else Exit.VERDICT
