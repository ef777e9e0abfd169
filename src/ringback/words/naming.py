"""Names for people: apps, functions and paths, alone and in lists."""

from collections.abc import Iterable, Sequence
from functools import cache

from ringback import catalogue
from ringback.record import Measurement
from ringback.words.phrases import Phrases

FUNCTIONS = ("text", "media", "voice", "voice-outgoing", "voice-incoming")


@cache
def _titles() -> dict[str, str]:
    return {name: app.title for name, app in catalogue.load().apps.items()}


def app_title(app: str) -> str:
    return _titles().get(app, app)


def function_key(measurement: Measurement) -> str:
    return f"voice-{measurement.direction}" if measurement.direction else measurement.function


def function_name(measurement: Measurement, phrases: Phrases) -> str:
    name = phrases.say(f"function.{function_key(measurement)}")
    return phrases.say("function.p2p", what=name) if measurement.route == "p2p" else name


def path_name(path: str, phrases: Phrases) -> str:
    return phrases.say("table.direct") if path == "direct" else phrases.say("table.path", path=path)


def paths_of(measurements: Iterable[Measurement]) -> list[str]:
    """In the order in which they were measured."""
    return list(dict.fromkeys(m.path for m in measurements))


def _functions(keys: set[str], phrases: Phrases) -> str:
    if {"voice-outgoing", "voice-incoming"} <= keys:
        keys = keys - {"voice-outgoing", "voice-incoming"} | {"voice"}
    ordered = [key for key in FUNCTIONS if key in keys]
    return phrases.say("item.and").join(phrases.say(f"function.{key}") for key in ordered)


def listed(measurements: Sequence[Measurement], phrases: Phrases) -> str:
    """`WhatsApp, Telegram (calls); Signal (messages; over vpn)`: apps with the same functions together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for path in paths_of(measurements):
        for app in dict.fromkeys(m.app for m in measurements if m.path == path):
            keys = {function_key(m) for m in measurements if m.path == path and m.app == app}
            alike.setdefault((path, _functions(keys, phrases)), []).append(app_title(app))
    parts = []
    for (path, functions), apps in alike.items():
        names = phrases.say("item.and").join(apps)
        if path == "direct":
            parts.append(phrases.say("item.one", app=names, functions=functions))
        else:
            parts.append(phrases.say("item.on_path", app=names, functions=functions, path=path))
    return phrases.say("item.next").join(parts)
