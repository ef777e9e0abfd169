"""All commands. Their modules are thin: what a command needs is loaded when it is called."""

from cyclopts import App

from ringback import __version__
from ringback.cli.check import check
from ringback.cli.demo import demo
from ringback.cli.doctor import doctor
from ringback.cli.evidence import claims, contrasts, events, prevalence
from ringback.cli.exporting import export
from ringback.cli.importing import import_files
from ringback.cli.lab import lab
from ringback.cli.publishing import publish
from ringback.cli.serve import serve
from ringback.cli.store import store
from ringback.cli.switches import SWITCHES
from ringback.cli.trace import trace

HELP = """Measures which functions of a messenger a network restricts: calls, text and media, how, where, and what gets
around it."""

EPILOGUE = """Exit codes: 0 a verdict was reached, whatever it says; 1 fault; 2 usage or bad input; 3 nothing was
decided; 4 no consent; 5 saved, upload deferred; 10 interference, with --fail-on interference. Where several apply, the
first of 2, 4, 1, 10, 5, 3, 0. Interference is a verdict `restricted`. 130: Ctrl-C where there was nothing to keep.
RINGBACK_DEBUG=1 shows where a fault arose."""


def build() -> App:
    app = App(
        name="ringback",
        help=HELP,
        help_epilogue=EPILOGUE,
        version=__version__,
        default_parameter=SWITCHES,
        suppress_keyboard_interrupt=False,
    )
    measuring, observing = (check, serve, demo, lab, trace), (store, events, prevalence, contrasts, claims, publish)
    for command in (*measuring, export, *observing, doctor):
        app.command(command)
    app.command(import_files, name="import")
    return app
