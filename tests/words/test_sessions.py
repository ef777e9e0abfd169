"""What a person reads after a measurement, on six kinds of network, at 80 columns and without colour.

`RINGBACK_GOLDEN=write` writes the golden files anew; read them before they are committed.
"""

import os
import re

import pytest

from ringback.record import ClearTo, NetworkRecord, Try, Verdict
from ringback.words import LANGUAGES, Language, explain, load, plain, sentence, summarise, table, tries_table
from tests.conftest import ROOT
from tests.words.situations import CUT, NORMAL, SITUATIONS, measured, session, working

GOLDEN = ROOT / "tests" / "golden"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_answer_reads_as_it_was_agreed(name: str, language: Language) -> None:
    measurements, network = SITUATIONS[name]
    written = plain(table(measurements, network, language))
    golden = GOLDEN / f"{name}.{language}.txt"
    if os.environ.get("RINGBACK_GOLDEN") == "write":
        golden.write_text(written, "utf-8")
    assert written == golden.read_text("utf-8")
    assert max(map(len, written.splitlines())) <= 80
    assert "\x1b" not in written


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", SITUATIONS)
def test_each_answer_says_whether_it_is_me_whether_it_is_the_app_and_what_next(name: str, language: Language) -> None:
    phrases = load(language)
    written = plain(table(*SITUATIONS[name], language))
    for part in ("me", "app", "next"):
        answer = re.search(rf"^{re.escape(phrases.say(f'ask.{part}'))} +(\S.*)$", written, re.M)
        assert answer is not None, part
    for part in ("means", "not", "next"):
        assert re.search(rf"^  {phrases.say(f'part.{part}')} +\S", written, re.M), part


@pytest.mark.parametrize("name", [name for name in SITUATIONS if name != "calls-cut"])
def test_nobody_is_accused_where_nothing_was_shown(name: str) -> None:
    written = plain(table(*SITUATIONS[name], "en"))
    assert "treats them differently" not in written
    assert "worse than other traffic" not in written


def test_three_paths_still_fit() -> None:
    found = session(("whatsapp", "voice", CUT), apps=["whatsapp"])
    found += [measured("whatsapp", "voice", "outgoing", working("voice"), path) for path in ("vpn", "office", "tor")]
    written = plain(table(found, NORMAL, "ru"))
    assert max(map(len, written.splitlines())) <= 80


def test_a_network_is_named_only_with_a_hop_in_it() -> None:
    nowhere = explain(measured("whatsapp", "voice", "outgoing", CUT))
    assert "the network of this path" in nowhere.means
    assert "AS6" not in nowhere.means
    assert "firewall at home" in nowhere.does_not_mean
    somewhere = explain(measured("whatsapp", "voice", "outgoing", with_hop(CUT, 2, 64500)))
    assert "router 2 on the way, in the network AS64500" in somewhere.means
    assert "firewall at home" not in somewhere.does_not_mean
    assert "firewall at home" in plain(table([measured("whatsapp", "voice", "outgoing", CUT)]))
    assert "firewall at home" not in plain(table([measured("whatsapp", "voice", "outgoing", with_hop(CUT, 2, 64500))]))
    counted = explain(measured("whatsapp", "voice", "outgoing", with_hop(CUT, 2, None)))
    assert "router 2 on the way, counted from here" in counted.means
    assert "firewall at home" in counted.does_not_mean


def with_hop(verdict: Verdict, hop: int, asn: int | None) -> Verdict:
    import msgspec

    return msgspec.structs.replace(verdict, hop=hop, hop_asn=asn)


def test_a_contrast_is_called_one() -> None:
    verdict = Verdict(status="restricted", scope="app", basis="contrast", mechanism="drop", trigger="destination")
    told = explain(measured("signal", "text", None, verdict))
    assert "Different destinations are compared" in told.means
    assert "no error rate is promised" in told.means
    assert "random order" not in told.means
    drawn = explain(measured("whatsapp", "voice", "outgoing", CUT))
    assert "in random order" in drawn.means
    assert "one session of 1,000" in drawn.means


def test_an_exit_that_is_hit_is_not_called_the_apps_own_server() -> None:
    verdict = Verdict(
        status="restricted", scope="app", basis="contrast", mechanism="drop", trigger="destination", reason="exit"
    )
    told = explain(measured("signal", "text", None, verdict, "vpn"))
    assert told.says == "messages do not get through by way of this VPN's exit: nothing arrives"
    assert "The VPN's exit fails from here while it answers from outside" in told.means
    assert "own servers" not in told.means


def test_the_scope_decides_what_working_may_say() -> None:
    peer = explain(measured("signal", "text", None, working("text")))
    assert "Towards this partner" in peer.means
    assert peer.does_not_mean.startswith("That the app works")
    assert peer.says == "no difference seen towards this partner, up to 6.2 kB"
    app = explain(measured("signal", "text", None, working("text", "app")))
    assert "the app's own servers answered too" in app.means


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (CUT, "calls do not get through here: cut after about 25 packets (about 1.1 s)"),
        (
            Verdict(status="restricted", mechanism="police", rate_kbps=143.2),
            "calls are made worse here: held to about 140 kbit/s, the rest is thrown away",
        ),
        (
            Verdict(status="restricted", mechanism="delay", delay_ms=304.0),
            "calls are made worse here: held back by about 300 ms",
        ),
        (Verdict(status="restricted", mechanism="unknown"), "calls do not get through here: how is not clear"),
        (Verdict(status="insufficient", reason="a reason of tomorrow"), "not decided: too little evidence"),
        (
            Verdict(status="working", clear_to=ClearTo(1, 172, 10.5)),
            "no difference seen towards this partner, up to 1 packet (about 10 s)",
        ),
    ],
)
def test_verdicts_in_plain_words(verdict: Verdict, says: str) -> None:
    assert explain(measured("whatsapp", "voice", "outgoing", verdict)).says == says


def test_what_gets_around_it_is_said_and_what_does_not_too() -> None:
    blocked = measured("whatsapp", "text", None, Verdict(status="restricted", mechanism="reset", trigger="sni"))
    over = measured("whatsapp", "text", None, Verdict(status="restricted", mechanism="reset", trigger="sni"), "vpn")
    assert "Try over a VPN" in explain(blocked, session=[blocked]).next
    assert "The other path was hit as well (vpn)" in explain(blocked, session=[blocked, over]).next
    around = explain(measured("whatsapp", "voice", "outgoing", CUT)).next
    assert around == "Use vpn for these: no difference was seen there."


def test_a_path_is_advised_for_what_it_carried_and_not_for_the_rest() -> None:
    call = measured("whatsapp", "voice", "outgoing", CUT)
    blocked = measured("telegram", "text", None, Verdict(status="restricted", mechanism="drop", trigger="payload"))
    undecided = measured("telegram", "text", None, Verdict(status="insufficient", reason="undecided"), "vpn")
    over = measured("whatsapp", "voice", "outgoing", working("voice"), "vpn")
    held = [call, blocked, over, undecided]
    *_, (_, following) = summarise(held).questions
    assert following == "Use vpn for WhatsApp (calls from you): no difference was seen there."
    assert explain(blocked, session=held).next == "Over vpn it was not decided. Measure again with a larger --budget-s."


def test_the_summary_is_the_networks_where_the_whole_network_is_off() -> None:
    off = Verdict(status="impaired", reason="offline")
    network = NetworkRecord(network="here", participant=0, state="offline", udp="blocked")
    assert sentence(session(("*", "*", off)), network) == "Nothing gets through on this network at all."


def test_tries_are_counted_for_people() -> None:
    def tried(answered: int, where: str = "here") -> Try:
        return Try(where, "direct", "app", "chat.signal.org", "signal", "text", "tls", "tcp", 443, 0.0, 1, answered)  # type: ignore[arg-type]

    written = plain(tries_table([tried(1), tried(0), tried(1, "vantage")]))
    assert re.search(r"Signal +messages +1 of 2 answered +1 of 1 answered", written)


def test_a_quick_look_says_what_it_can_not_say_and_what_to_do() -> None:
    short = Verdict(status="insufficient", reason="quick")
    written = " ".join(plain(table(session(("*", "*", short)), NORMAL)).split())
    assert "No restriction was found in this quick look. It is too short to call these working" in written
    assert written.count("(--quick --app NAME)") == 2
    assert "larger --budget-s" not in written
    some = sentence(session(("*", "voice", short)), NORMAL)
    assert some.startswith("Nothing that was decided fared worse")
    found = sentence(session(("*", "*", short), ("signal", "voice", CUT)), NORMAL)
    assert "lets these through worse than other traffic: Signal (calls)" in found


def test_a_name_that_is_denied_is_no_answer_to_people() -> None:
    denied = Try("here", "direct", "app", "g.whatsapp.net", "whatsapp", "text", "dns", "udp", 53, 0.0, 2, 2,
                 "dns_nxdomain_error")  # fmt: skip
    assert re.search(r"WhatsApp +messages +0 of 6 answered", plain(tries_table([denied] * 6)))


def test_a_captured_call_that_is_too_short_asks_for_a_longer_one() -> None:
    """More time, which is what else is asked for where nothing was decided, would not help."""
    short = [measured("signal", "voice", "outgoing", Verdict(status="insufficient", reason="short-call"))]
    written = " ".join(plain(table(short, NORMAL)).split())
    assert "the captured call is too short: it takes 10 seconds and 30 packets" in written
    assert "leave --replay out" in written
    assert "longer, without --quick" not in written
    assert "Measuring again won't help" in " ".join(plain(explain(short[0])).split())
    assert "запись звонка длиннее" in " ".join(plain(table(short, NORMAL, "ru")).split())


@pytest.mark.parametrize("reasons", [{"interrupted"}, {"interrupted", "undecided"}])
def test_who_stopped_it_is_not_told_to_measure_for_longer(reasons: set[str]) -> None:
    held = [measured("signal", "text", None, Verdict(status="insufficient", reason=reason)) for reason in reasons]
    assert summarise(held).head.startswith("Stopped before anything was decided: Signal")
    assert summarise(held).questions[-1][1] == "Run it again, and let it come to its end."


def test_a_partner_that_went_silent_is_said() -> None:
    held = [measured("signal", "text", None, Verdict(status="insufficient", reason="partner-lost"))]
    assert "went silent before this was decided: Signal (messages)" in summarise(held).head
    assert "another partner" in summarise(held).questions[-1][1]
