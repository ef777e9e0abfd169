"""`ringback check`: what can be asked of it. The work is in `checking`, which is loaded when it is needed."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ringback.cli.exits import Exit, FailOn
from ringback.words.phrases import Language


def check(
    *,
    server: str | None = None,
    app: list[str] | None = None,
    function: list[str] | None = None,
    via: list[str] | None = None,
    route: Literal["relay", "p2p"] = "relay",
    budget_s: float | None = None,
    quick: bool = False,
    quiet: bool = False,
    replay: Path | None = None,
    locate: bool = False,
    dry_run: Annotated[bool, Parameter(name="--dry-run")] = False,
    yes: bool = False,
    json: bool = False,
    out: Path | None = None,
    upload: bool = False,
    open: bool = False,
    asn: int | None = None,
    region: str | None = None,
    fail_on: FailOn | None = None,
    lang: Language | None = None,
) -> Exit:
    """Measure this network: do calls, messages and files of each app get through, and what gets around it.

    With --server, look-alikes run beside the app's traffic to a partner, another Ringback. Without it, only what needs
    no partner is tried: whether the messengers' own hosts answer. The first measurement asks for consent. What was
    measured is saved in a folder that only you can read. Ctrl-C keeps what was measured so far.

    Parameters
    ----------
    server
        The partner's address, http://HOST:PORT or https://HOST.
    app
        Measure this app; may be given several times. Default: all in the catalogue.
    function
        text, media or voice; may be given several times. Default: all.
    via
        NAME=PATH: measure over this path as well what does not work directly. A path is interface:NAME (for example
        a WireGuard interface) or socks5://HOST:PORT; one that is not there is refused. May be given several times.
    route
        How calls go: through the app's relay, or from device to device.
    budget_s
        Start nothing that could not end within so many seconds. Default: 200; 1800 with --quiet; with --quick, no
        limit.
    quick
        Text and outgoing calls only, one round each: about 25 seconds. It finds what is plainly restricted. Of several
        apps it calls no call working, and ends with exit code 3 where nothing is restricted: for more name one --app,
        or leave --quick out.
    quiet
        Everything, but never more than two flows at once: the app's traffic and its look-alike. So many calls at once
        as usual would stand out, and a limit on all that you send would hit them. About half an hour for four apps.
        Not together with --quick or --locate.
    replay
        A capture with a call, or a file that `ringback trace --out` wrote: its bytes are sent in place of the app's
        call. Only that app is measured.
    locate
        Look afterwards for the hop at which what is restricted on the direct path is treated: packets whose TTL ends on
        the way there. Some 40 seconds for each such call, a little more for a connection that is reset. No hop is told
        where that can't be known.
    dry_run
        Print what would be sent where, and send nothing.
    yes
        Consent for this run, without being asked.
    json
        One JSON record a line on standard output; words go to standard error.
    out
        Write the same records to this file, readable by you alone.
    upload
        Send the result to the server named by --server, which adds it to its observatory: verdicts, no raw outcomes.
        What can't be sent now is kept and sent after the next measurement.
    open
        Send it with its raw outcomes, for anybody to read. They hold no address of yours.
    asn
        The number of your network (AS), if you know it and want it told instead of being looked up by your address.
    region
        Where you are, as ISO 3166-2, for example RU-MOW, likewise.
    fail_on
        interference: end with exit code 10 when any verdict is `restricted`.
    lang
        Language of the words. Default: from the environment.
    """
    from ringback.cli.checking import Answering, run
    from ringback.cli.request import Asked

    asked = Asked(
        server=server,
        apps=app,
        functions=function,
        via=via,
        route=route,
        quick=quick,
        quiet=quiet,
        budget_s=budget_s,
        replay=replay,
        locate=locate,
    )
    return run(asked, Answering(dry_run, yes, json, out, fail_on, lang, upload or open, open, asn, region))
