"""A check from consent to exit code."""

import asyncio
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from rich.text import Text

from ringback import catalogue
from ringback.cli import consent, dry_run, exits, folders, results, speech, upload
from ringback.cli.exits import Exit, FailOn
from ringback.cli.measuring import Checked, measure
from ringback.cli.progress import progress
from ringback.cli.request import Asked, CheckRequest, read_request
from ringback.cli.tunnels import tunnels_in_use
from ringback.errors import BadInput
from ringback.net import Socks5, proxy_problem
from ringback.words import Language, Phrases, harmless, load, table, tries_table

REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


@dataclass(frozen=True)
class Answering:
    """How a check is to answer: the options of `ringback check` that are not about what is measured.

    upload: the result is sent; open: for all to read. asn, region: the participant's own word.
    """

    dry_run: bool
    yes: bool
    json: bool
    out: Path | None
    fail_on: FailOn | None
    lang: Language | None
    upload: bool = False
    open: bool = False
    asn: int | None = None
    region: str | None = None


def run(asked: Asked, how: Answering) -> Exit:
    """Raises BadInput before anything is sent, and what the engine raises on purpose."""
    language = speech.language(how.lang)
    known = catalogue.load()
    request = read_request(known, asked)
    _check_word(how, request)
    if how.dry_run:
        return _dry(request, known, how, language)
    agreed = consent.obtain(language, how.yes)
    if agreed is None:
        return Exit.NO_CONSENT
    folders.make_private(folders.results_folder())  # what can't be kept is not measured
    asyncio.run(_proxies_answer(request))
    phrases = load(language)
    tunnels = tunnels_in_use()
    if tunnels:
        print(phrases.say("progress.tunnel", interfaces=", ".join(tunnels)), file=sys.stderr)
    if request.mode == "quiet":
        print(phrases.say("progress.quiet"), file=sys.stderr)
    with speech.Records(how.json, how.out) as records:
        with progress(phrases.say("progress.check")) as report:
            checked = _by_own_word(asyncio.run(measure(request, known, report)), how)
        for record in (*checked.measurements, checked.network):
            records.write(record)
    _tell(checked, request, how.json, language, phrases)
    notes = ["a tunnel carried the default route"] if tunnels else []
    saved, made = results.save(checked.result, checked.measurements, checked.network, agreed, notes)
    print(phrases.say("progress.saved", path=saved), file=sys.stderr)
    if how.upload and request.server is not None:
        upload.put(request.server, upload.to_send(made, how.open))
    return exits.foremost([exits.of_measurements(checked.measurements, how.fail_on), _sent(phrases)])


async def _proxies_answer(request: CheckRequest) -> None:
    """A path that leads nowhere would look like a network that lets nothing through. Raises BadInput."""
    for name, path in request.paths.items():
        if isinstance(path, Socks5) and (why := await proxy_problem(path)) is not None:
            raise BadInput(why, f"--via {name}=socks5://{path.host}:{path.port}")


def _check_word(how: Answering, request: CheckRequest) -> None:
    if how.upload and request.server is None:
        raise BadInput("needs a server to send to: give --server as well", "--open" if how.open else "--upload")
    if how.asn is not None and not 0 < how.asn < 1 << 32:
        raise BadInput("is a number from 1 to 4294967295", "--asn")
    if how.region is not None and not REGION.fullmatch(how.region):
        raise BadInput("is ISO 3166-2, for example RU-MOW, or a country's two letters", "--region")


def _by_own_word(checked: Checked, how: Answering) -> Checked:
    told = {name: value for name, value in (("asn", how.asn), ("region", how.region)) if value is not None}
    return replace(checked, measurements=[msgspec.structs.replace(one, **told) for one in checked.measurements])


def _sent(phrases: Phrases) -> Exit:
    """Empties the outbox as far as it goes: also what an earlier check left."""
    sent = upload.send()
    if sent.taken:
        print(phrases.say("progress.sent", n=phrases.number(sent.taken)), file=sys.stderr)
    if sent.refused:
        print(phrases.say("progress.refused", reason=sent.refusal), file=sys.stderr)
    if sent.deferred:
        print(phrases.say("progress.deferred", n=phrases.number(sent.deferred)), file=sys.stderr)
    return Exit.DEFERRED if sent.deferred else Exit.VERDICT


def _dry(request: CheckRequest, known: catalogue.Catalogue, how: Answering, language: Language) -> Exit:
    made = dry_run.plan(request, known)
    with speech.Records(how.json, how.out) as records:
        for line in made.lines:
            records.write(line)
    speech.console(how.json).print(dry_run.told(made, request, language))
    return Exit.VERDICT


def _tell(checked: Checked, request: CheckRequest, json: bool, language: Language, phrases: Phrases) -> None:
    console = speech.console(json)
    if checked.interrupted:
        console.print(Text(phrases.say("progress.interrupted")), Text())
    elif request.server is not None and checked.result.partner == "unreachable":
        console.print(Text(_no_partner(checked, request.server, phrases)), Text())
    console.print(table(checked.measurements, checked.network, language))
    if checked.result.tries and (request.server is None or checked.result.partner == "unreachable"):
        console.print(Text(), tries_table(checked.result.tries, language))


def _no_partner(checked: Checked, url: str, phrases: Phrases) -> str:
    said = harmless(checked.refusal or "")  # it is somebody else's
    if checked.stranger:
        return phrases.say("progress.stranger", url=url, status=f" ({said})" if said else "")
    if said:
        return phrases.say("progress.refusing", url=url, reason=said.rstrip("."))
    return phrases.say("progress.partner", url=url)
