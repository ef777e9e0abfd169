"""`ringback publish`: pages and data as static files."""

from pathlib import Path

from ringback.cli import speech
from ringback.cli.exits import Exit
from ringback.cli.folders import data_folder, kept_lake
from ringback.cli.needs import observatory
from ringback.words import Language, load


def publish(folder: Path, /, *, data: Path | None = None, lang: Language | None = None) -> Exit:
    """Write the pages and their data as static files, for any web server, mirror or memory stick.

    Every link is relative, there is no script, and no file asks another host for anything.

    Parameters
    ----------
    folder
        Where to write; made where it is not there. Files of the same names are replaced.
    data
        The data folder. Default: the user's.
    lang
        Language of the words on the terminal; the pages are in all. Default: from the environment.
    """
    with observatory():
        from ringback.view import Pages
        from ringback.view import publish as write

    written = write(Pages.of(data if data is not None else data_folder(), kept_lake(data)), folder)
    print(load(speech.language(lang)).say("page.demo.written", n=written, folder=folder))
    return Exit.VERDICT
