"""A session in a few sentences: what was found, is it me, is it the app, what next."""

from collections.abc import Sequence

import msgspec

from ringback.record import Measurement, NetworkRecord, Status
from ringback.words.explanation import bypass
from ringback.words.naming import listed
from ringback.words.phrases import Language, load
from ringback.words.situation import leading, situation

ORDER: tuple[Status, ...] = ("restricted", "service-down", "impaired", "working", "insufficient")


class Summary(msgspec.Struct, frozen=True):
    """head: the finding; also: what else was found, a sentence for each status; three questions with their answers."""

    head: str
    also: dict[Status, str]
    questions: list[tuple[str, str]]


def summarise(
    measurements: Sequence[Measurement], network: NetworkRecord | None = None, language: Language = "en"
) -> Summary:
    phrases = load(language)
    name = f"summary.{situation(measurements, network)}"
    first = leading(measurements, network)
    values = {"items": listed(first, phrases), "bypass": bypass(first, measurements, phrases)}

    def say(part: str) -> str:
        return phrases.say(f"{name}.{part}", **{key: values[key] for key in phrases.wants(f"{name}.{part}")})

    others = {status: [m for m in measurements if m not in first and m.verdict.status == status] for status in ORDER}
    return Summary(
        head=say("head"),
        also={
            status: phrases.say(f"also.{status}", items=listed(rest, phrases))
            for status, rest in others.items()
            if rest
        },
        questions=[(phrases.say(f"ask.{part}"), say(part)) for part in ("me", "app", "next")],
    )


def sentence(
    measurements: Sequence[Measurement], network: NetworkRecord | None = None, language: Language = "en"
) -> str:
    """The finding alone."""
    return summarise(measurements, network, language).head
