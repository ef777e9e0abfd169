"""What is kept of a report: no address, no free text, no name but the day's; and where it came from, by database."""

from datetime import timedelta
from math import inf
from pathlib import Path

import msgspec
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from ringback.collect.origin import UNKNOWN, Origin, databases, nowhere
from ringback.collect.scrub import content_key, observed, scrubbed
from ringback.errors import BadInput
from ringback.record import Cost, Report
from tests.collect.reports import ADDRESS, NOW, encoded, report, with_raw
from tests.words.situations import NORMAL, measured, working

MOSCOW = Origin(64500, "RU-MOW")


def voice(**changes: object) -> Report:
    one = measured("signal", "voice", "outgoing", working("voice"))
    return report(measurements=[msgspec.structs.replace(one, **changes)])


def test_a_network_is_that_of_the_address_while_the_report_is_fresh() -> None:
    [one] = observed(scrubbed(report(), NOW, MOSCOW))
    assert (one.asn, one.region) == (64500, "RU-MOW")
    [late] = observed(scrubbed(report(), NOW + timedelta(hours=1), MOSCOW))
    assert (late.asn, late.region) == (None, None), "sent later, perhaps over a VPN or from another town"


def test_a_participants_own_word_goes_before_the_address() -> None:
    told = voice(asn=64511, region="RU-SPE")
    for now in (NOW, NOW + timedelta(days=3)):
        [one] = observed(scrubbed(told, now, MOSCOW))
        assert (one.asn, one.region) == (64511, "RU-SPE")
    [odd] = observed(scrubbed(voice(asn=None, region="Red Square 1"), NOW, MOSCOW))
    assert (odd.asn, odd.region) == (64500, "RU-MOW")


def test_times_are_cut_to_the_hour_and_names_to_the_days() -> None:
    kept = scrubbed(report(), NOW)
    assert kept.created_at == kept.measurements[0].started_at == "2025-08-13T09:00:00Z"
    [one] = observed(kept)
    assert (one.time.minute, one.time.second) == (0, 0)
    assert one.pseudonym not in (None, "5f0c")
    same_day = scrubbed(report(2), NOW)
    assert same_day.pseudonym == kept.pseudonym
    next_day = scrubbed(report(created_at="2025-08-14T09:40:00Z"), NOW + timedelta(days=1))
    assert next_day.pseudonym != kept.pseudonym, "even from a participant that uses a name again"


def test_raw_outcomes_stay_only_where_their_sender_publishes_them_and_then_without_an_address() -> None:
    closed, opened = scrubbed(with_raw(), NOW), scrubbed(with_raw(open=True), NOW)
    assert (closed.rounds, closed.tries) == ([], [])
    assert (len(opened.rounds), len(opened.tries)) == (1, 1)
    for kept in (closed, opened):
        written = encoded(kept).decode()
        for secret in (ADDRESS, "40404", "employer", "5f0c", "report-1"):
            assert secret not in written
    [answer] = opened.rounds[0].exchanges[0].outcome.answers  # type: ignore[union-attr]
    assert answer == bytes(len(ADDRESS)), "how many and how long they were is what a judge reads"


def test_a_word_that_is_none_in_a_raw_outcome_is_refused() -> None:
    raw = with_raw(open=True)
    odd = msgspec.structs.replace(raw.rounds[0], form="<script>alert(1)</script>")
    with pytest.raises(BadInput, match="rounds: holds a word that is none"):
        scrubbed(msgspec.structs.replace(raw, rounds=[odd]), NOW)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        (report(created_at="yesterday"), "created_at"),
        (report(created_at="2025-08-15T00:00:00Z"), "created_at"),
        (report(schema="ringback/report/9"), "schema"),
        (report(measurements=[]), "measurements"),
        (voice(app="a\u202eb"), r"measurements\[0\].app"),
        (voice(function="telepathy"), r"measurements\[0\]"),
        (voice(started_at="2031-01-01T00:00:00Z"), r"measurements\[0\].started_at"),
        (voice(verdict=msgspec.structs.replace(working("voice"), hop=10**400)), r"measurements\[0\].verdict.hop: "),
        (voice(verdict=msgspec.structs.replace(working("voice"), e_value=1e308)), r"measurements\[0\].verdict.e_value"),
        (
            voice(verdict=msgspec.structs.replace(working("voice"), e_working=inf)),
            r"measurements\[0\].verdict.e_working",
        ),
        (voice(verdict=msgspec.structs.replace(working("voice"), loss=1.5)), r"measurements\[0\].verdict.loss"),
        (voice(asn=-5), r"measurements\[0\].asn: is no number from 1 to 4294967295"),
        (voice(asn=0), r"measurements\[0\].asn"),
        (voice(asn=2**32), r"measurements\[0\].asn"),
        (voice(cost=Cost(-1.0, 5)), r"measurements\[0\].cost.seconds"),
    ],
)
def test_a_refusal_says_where(changed: Report, where: str) -> None:
    with pytest.raises(BadInput, match=where):
        observed(scrubbed(changed, NOW))


def test_hostile_words_come_to_nothing() -> None:
    evil = "\x1b[2J'; DROP TABLE x; --\u202e<b>" * 50
    one = measured(
        "signal", "voice", "outgoing", msgspec.structs.replace(working("voice"), reason=evil, bypassed_by=[evil])
    )
    one = msgspec.structs.replace(one, id=evil, network=evil, path=evil, family=evil, route=evil)
    network = msgspec.structs.replace(NORMAL, network=evil, participant=10**30)
    sent = report(
        measurements=[one], network=network, id=evil, software=evil, consent=evil, pseudonym=evil, transcript=[evil],
        signature=evil, peer_key=evil, notes=[evil], open=True,
    )  # fmt: skip
    kept = scrubbed(sent, NOW)
    [seen] = observed(kept)
    for written in (str(seen), str(msgspec.structs.replace(kept, measurements=[]))):
        assert "DROP" not in written


def test_the_key_is_the_contents_and_not_the_forms() -> None:
    one = report()
    spaced = msgspec.json.format(encoded(one), indent=4)
    assert content_key(msgspec.json.decode(spaced, type=Report)) == content_key(one)
    assert content_key(report(2)) != content_key(one)


def database(file: Path, rows: dict[str, dict[str, object]]) -> Path:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True)
    for network, row in rows.items():
        writer.insert_network(IPSet([network]), row)
    writer.to_db_file(str(file))
    return file


def test_databases_answer_for_what_they_know(tmp_path: Path) -> None:
    asns = database(tmp_path / "asn.mmdb", {"192.0.2.0/24": {"autonomous_system_number": 64500}})
    city = {"country": {"iso_code": "RU"}, "subdivisions": [{"iso_code": "MOW"}]}
    places = database(
        tmp_path / "city.mmdb",
        {"192.0.2.0/25": city, "192.0.2.128/25": {"country_code": "RU", "asn": "AS64511"}, "2001:db8::/32": city},
    )
    with databases([asns, places]) as look:
        assert look("192.0.2.1") == look("::ffff:192.0.2.1") == MOSCOW
        assert look("192.0.2.200") == Origin(64500, "RU")
        assert look("2001:db8::1%eth0") == Origin(None, "RU-MOW")
        assert look("203.0.113.1") == look("nobody") == look("") == UNKNOWN
    assert nowhere("192.0.2.1") == UNKNOWN


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    file = tmp_path / "no.mmdb"
    file.write_bytes(b"no database")
    for path in (file, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match=path.name), databases([path]):
            pass
