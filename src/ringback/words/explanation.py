"""What a verdict means, what it does not mean, and what to try next."""

from collections.abc import Sequence

import msgspec

from ringback.record import Measurement, NetworkRecord
from ringback.words.cell import cell
from ringback.words.naming import listed
from ringback.words.phrases import Language, Phrases, load
from ringback.words.situation import case


class Explanation(msgspec.Struct, frozen=True):
    """about: the apps and functions it holds for; says: the verdict in a few words, where they share them."""

    about: str
    says: str | None
    means: str
    does_not_mean: str
    next: str


def bypass(restricted: Sequence[Measurement], session: Sequence[Measurement], phrases: Phrases) -> str:
    """What gets around it: paths shown clear, and for which of them; paths shown hit as well, or not decided; or none
    tried."""
    clear = list(dict.fromkeys(path for m in restricted for path in m.verdict.bypassed_by))
    if clear:
        around = [m for m in restricted if m.verdict.bypassed_by]
        paths = phrases.say("item.and").join(clear)
        if len(around) < len(restricted):
            return phrases.say("bypass.partly", paths=paths, items=listed(around, phrases))
        return phrases.say("bypass.works", paths=paths)
    about = {(m.app, m.function, m.direction) for m in restricted}
    others = [m for m in session if m.path != "direct" and (m.app, m.function, m.direction) in about]
    for name, status in (("fails", "restricted"), ("open", "insufficient")):
        paths = phrases.say("item.and").join(dict.fromkeys(m.path for m in others if m.verdict.status == status))
        if paths:
            return phrases.say(f"bypass.{name}", paths=paths)
    return phrases.say("bypass.untried")


def _span(values: Sequence[float], phrases: Phrases) -> str:
    low, high = (phrases.number(value, 1) for value in (min(values), max(values)))
    return low if low == high else f"{low}–{high}"


def _extras(measurements: Sequence[Measurement], phrases: Phrases) -> list[str]:
    """Sentences that the evidence adds: what triggers it, where it happens, how bad a call is."""
    verdict = measurements[0].verdict
    said = []
    if verdict.status == "restricted":
        if verdict.reason == "outer-protocol":
            said.append(phrases.say("extra.outer"))
        if verdict.trigger is not None:
            said.append(phrases.say(f"trigger.{verdict.trigger}"))
        if verdict.hop is not None and verdict.hop_asn is not None:
            said.append(phrases.say("extra.hop_asn", hop=verdict.hop, asn=verdict.hop_asn))
        elif verdict.hop is not None:
            said.append(phrases.say("extra.hop", hop=verdict.hop))
        calls = [
            (m.verdict.mos, m.verdict.control_mos)
            for m in measurements
            if m.verdict.mos is not None and m.verdict.control_mos is not None
        ]
        if calls:
            own, controls = ([pair[i] for pair in calls] for i in (0, 1))
            said.append(phrases.say("extra.quality", mos=_span(own, phrases), control=_span(controls, phrases)))
    if any(m.verdict.spillover and m.verdict.reason != "penalty" for m in measurements):
        said.append(phrases.say("extra.spillover"))
    return said


def _explain(
    measurements: Sequence[Measurement],
    phrases: Phrases,
    network: NetworkRecord | None,
    session: Sequence[Measurement],
) -> Explanation:
    name = f"case.{case(measurements[0], network)}"
    following = f"{name}.next"
    filled = {"bypass": bypass(measurements, session, phrases)} if phrases.wants(following) else {}
    told = dict.fromkeys(cell(m, phrases, network) for m in measurements)
    return Explanation(
        about=listed(measurements, phrases),
        says=next(iter(told)) if len(told) == 1 else None,
        means=" ".join([phrases.say(f"{name}.means"), *_extras(measurements, phrases)]),
        does_not_mean=phrases.say(f"{name}.not"),
        next=phrases.say(following, **filled),
    )


def explain(
    measurement: Measurement,
    language: Language = "en",
    network: NetworkRecord | None = None,
    session: Sequence[Measurement] = (),
) -> Explanation:
    """One verdict. session: the other measurements of its session, so that other paths are spoken of."""
    return _explain([measurement], load(language), network, session)


def explain_all(
    measurements: Sequence[Measurement], network: NetworkRecord | None = None, language: Language = "en"
) -> list[Explanation]:
    """One explanation for all measurements whose verdicts mean the same."""
    alike: dict[tuple[object, ...], list[Measurement]] = {}
    for m in measurements:
        verdict = m.verdict
        where = (verdict.trigger, verdict.hop, verdict.hop_asn, verdict.reason, tuple(verdict.bypassed_by))
        key = (case(m, network), verdict.spillover, where if verdict.status == "restricted" else None)
        alike.setdefault(key, []).append(m)
    order = ("restricted", "service-down", "impaired", "insufficient", "working")
    groups = sorted(alike.values(), key=lambda group: order.index(group[0].verdict.status))
    return [_explain(group, load(language), network, measurements) for group in groups]
