"""One verdict in a few plain words, as a cell of the table says it."""

from ringback import catalogue
from ringback.record import Measurement, NetworkRecord, Verdict
from ringback.words.phrases import Phrases
from ringback.words.situation import case

SLOWED = ("loss", "police", "shape", "delay")  # what gets through, but worse


def call_seconds(app: str, route: str | None, packets: int) -> float | None:
    """About how long a call lasts until `packets` went both ways, from the catalogue's shape; None where unknown."""
    entry = catalogue.load().apps.get(app)
    voice = entry.functions.get("voice") if entry else None
    shape = voice.calls.get(f"{route or 'relay'}-call") if voice else None
    if shape is None:
        return None
    return shape.starts_s + packets * shape.media_s / 2


def _how(measurement: Measurement, phrases: Phrases) -> str:
    verdict = measurement.verdict
    key = f"how.{verdict.mechanism}"
    match verdict.mechanism:
        case "drop-after" if verdict.after_packets is not None:
            packets = phrases.counted("packets", verdict.after_packets)
            seconds = None
            if measurement.function == "voice":
                seconds = call_seconds(measurement.app, measurement.route, verdict.after_packets)
            if seconds is None:
                return phrases.say("how.drop-after-packets", packets=packets)
            after = "unit.first_second" if seconds < 1 else "unit.seconds"
            told = phrases.say(after, n=phrases.rough(seconds)) if seconds >= 1 else phrases.say(after)
            return phrases.say("how.drop-after-packets-seconds", packets=packets, seconds=told)
        case "drop-after" if verdict.after_bytes is not None:
            return phrases.say("how.drop-after-bytes", bytes=phrases.amount(verdict.after_bytes))
        case "loss" if verdict.loss is not None:
            return phrases.say("how.loss-share", share=phrases.rough(100 * verdict.loss))
        case "police" | "shape" if verdict.rate_kbps is not None:
            return phrases.say(f"{key}-rate", rate=phrases.rough(verdict.rate_kbps))
        case "delay" if verdict.delay_ms is not None:
            return phrases.say("how.delay-ms", delay=phrases.rough(verdict.delay_ms))
        case _:
            return phrases.say(key)


def _up_to(function: str, verdict: Verdict, phrases: Phrases) -> str:
    clear = verdict.clear_to
    if clear is None:
        return ""
    if function == "voice":
        seconds = phrases.say("unit.seconds", n=phrases.rough(clear.seconds))
        return phrases.say("up_to.packets", packets=phrases.counted("up_to_packets", clear.packets), seconds=seconds)
    return phrases.say("up_to.bytes", bytes=phrases.amount(clear.bytes))


def why(reason: str | None, phrases: Phrases) -> str:
    """A reason's words; one that the tables do not know is too little evidence, which holds always."""
    key = f"reason.{reason}"
    return phrases.say(key if phrases.has(key) else "reason.unknown")


def cell(measurement: Measurement, phrases: Phrases, network: NetworkRecord | None = None) -> str:
    verdict = measurement.verdict
    name = case(measurement, network)
    match verdict.status:
        case "working":
            return phrases.say(f"cell.{name}", up_to=_up_to(measurement.function, verdict, phrases))
        case "restricted":
            function = measurement.function
            what = f"worse.{function}" if verdict.mechanism in SLOWED else f"fails.{function}"
            return phrases.say(
                "cell.restricted-exit" if name == "restricted-exit" else f"cell.restricted-{verdict.basis}",
                what=phrases.say(what),
                how=_how(measurement, phrases),
            )
        case "insufficient" if name != "insufficient-offline":
            return phrases.say("cell.insufficient", why=why(verdict.reason, phrases))
        case _:
            return phrases.say(f"cell.{name}")
