"""What several cells say together: one device that reads payloads is not taken for one that reads names."""

from ringback.record import Cell, Mechanism, Trigger, Verdict
from ringback.trial.conclude import by_one_device

VOICE = Cell("signal", "voice", "outgoing", "relay")
TEXT = Cell("signal", "text")


def restricted(mechanism: Mechanism, trigger: Trigger) -> Verdict:
    return Verdict(status="restricted", mechanism=mechanism, trigger=trigger)


def trigger_of_text(text: Verdict, beside: dict[Cell, Verdict]) -> Trigger | None:
    return by_one_device({TEXT: text} | beside)[TEXT].trigger


def test_a_name_is_payload_where_the_apps_calls_are_known_by_theirs() -> None:
    named = restricted("drop", "sni")
    assert trigger_of_text(named, {}) == "sni"
    assert trigger_of_text(named, {VOICE: restricted("drop", "payload")}) == "payload"


def test_a_name_stays_one_beside_another_mechanism_trigger_app_or_path() -> None:
    named = restricted("drop", "sni")
    assert trigger_of_text(named, {VOICE: restricted("loss", "payload")}) == "sni"
    assert trigger_of_text(named, {VOICE: restricted("drop", "port")}) == "sni"
    assert trigger_of_text(named, {Cell("max", "voice"): restricted("drop", "payload")}) == "sni"
    assert trigger_of_text(named, {Cell("signal", "voice", path="vpn"): restricted("drop", "payload")}) == "sni"
    assert trigger_of_text(restricted("drop", "dns"), {VOICE: restricted("drop", "payload")}) == "dns"
