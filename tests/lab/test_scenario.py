"""A scenario file is read with the contracts' defaults, or refused with file, line and reason."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.lab import nation, scenario
from ringback.lab.lines import lines_of
from ringback.lab.rules import Scenario

HEAD = 'name = "x"\n'
NETWORK = '[[network]]\nname = "n"\nasn = 64500\nregion = "RU-MOW"\nhops = 5\n'
RULE = """[[network.rule]]
hop = 2
match = { app = "whatsapp", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
"""
WHOLE = HEAD + NETWORK + RULE


def refused(text: str) -> tuple[int, str]:
    """Line and reason of the refusal."""
    with pytest.raises(BadInput) as caught:
        scenario.parse(text, "f.toml")
    file, _, line = caught.value.where.rpartition(":")
    assert file == "f.toml"
    return int(line), caught.value.what


def test_the_least_file_gets_every_default() -> None:
    read = scenario.parse(HEAD + NETWORK, "f.toml")
    network = read.networks[0]
    assert (read.seed, read.at, read.paths, read.vpn, read.down, read.rules) == (
        *(1, 1755075600.0, ("direct",), "wireguard", (), ()),
    )
    assert read.apps == ("whatsapp", "telegram", "signal", "max")
    assert read.functions == ("text", "media", "voice")
    assert (network.kind, network.participants, network.hop_asn, network.rules) == ("fixed", 1, (64500,) * 5, ())
    link = network.link
    assert (link.rtt_ms, link.jitter_ms, link.loss, link.loss_burst) == (40, 5, 0.005, 3)
    assert (link.up_kbps, link.down_kbps, link.queue_ms, link.cross_kbps) == (8000, 30000, 200, 0)


def test_a_rule_gets_its_defaults() -> None:
    rule = scenario.parse(WHOLE, "f.toml").networks[0].rules[0]
    assert (rule.direction, rule.residual_s, rule.residual, rule.share, rule.since, rule.until) == (
        *("both", 0.0, "flow", 1.0, None, None),
    )
    assert rule.line == 7


def test_a_network_overrides_keys_of_the_countrys_link_and_keeps_the_others() -> None:
    read = scenario.parse(HEAD + "[link]\nrtt_ms = 90\nloss = 0.1\n" + NETWORK + "link = { loss = 0.02 }\n", "f.toml")
    assert read.networks[0].link.rtt_ms == 90
    assert read.networks[0].link.loss == 0.02


def test_a_networks_rule_stands_at_hop_1_unless_it_says_otherwise() -> None:
    assert "hop = 2\n" in WHOLE
    assert scenario.parse(WHOLE.replace("hop = 2\n", ""), "f.toml").networks[0].rules[0].hop == 1


def test_a_country_wide_rule_stands_at_hop_1_unless_it_says_otherwise() -> None:
    rule = '[[rule]]\n{}match = {{ site = "example.org" }}\ntrigger = "sni"\naction = {{ kind = "reset" }}\n'
    assert scenario.parse(HEAD + rule.format("") + NETWORK, "f.toml").rules[0].hop == 1
    assert scenario.parse(HEAD + rule.format("hop = 5\n") + NETWORK, "f.toml").rules[0].hop == 5
    assert refused(HEAD + rule.format("hop = 6\n") + NETWORK) == (3, "no hop 6 in n, which has 5")


def test_any_host_may_be_a_site_and_what_acts_on_nothing_measured_is_accepted() -> None:
    """Refused is what can't act on the wire. A file for many runs may name apps that this one leaves out."""
    read = scenario.parse(
        WHOLE.replace('app = "whatsapp", function = "voice"', 'site = "My-News.example"').replace("payload", "sni"),
        "f.toml",
    )
    assert read.networks[0].rules[0].match.site == "my-news.example"
    for more in ('residual = "pair"\n', "share = 0.01\n"):
        assert scenario.parse(WHOLE + more, "f.toml").networks[0].rules
    assert scenario.parse(HEAD + 'apps = ["max"]\nfunctions = ["text"]\n' + WHOLE.removeprefix(HEAD), "f.toml")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    marked = tmp_path / "marked.toml"
    marked.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert scenario.load(marked).networks[0].name == "n"


def test_times_may_be_strings_or_tomls_own() -> None:
    text = WHOLE + 'from = "2025-08-11T12:00:00+03:00"\nuntil = 2025-09-01T00:00:00Z\n'
    rule = scenario.parse(text, "f.toml").networks[0].rules[0]
    assert (rule.since, rule.until) == (1754902800.0, 1756684800.0)


def changed(old: str, new: str, text: str = WHOLE) -> str:
    assert old in text
    return text.replace(old, new)


RULED = 'action = { kind = "drop" }'
REFUSALS = {
    "misspelt at the top": (HEAD + "sed = 3\n" + NETWORK, 2, "unknown key `sed`: did you mean `seed`?"),
    "misspelt table": (changed("[[network]]", "[[networks]]"), 2, "unknown key `networks`"),
    "misspelt in a network": (changed("region =", "regoin ="), 5, "unknown key `regoin`"),
    "misspelt in a link": (WHOLE.replace("hops = 5\n", "hops = 5\nlink = { rtt = 3 }\n"), 7, "unknown key `rtt`"),
    "misspelt in a rule": (WHOLE + 'residuals = "flow"\n', 12, "unknown key `residuals`"),
    "misspelt in an action": (changed(RULED, 'action = { kind = "loss", shar = 0.2 }'), 11, "unknown key `shar`"),
    "misspelt in a match": (changed("function =", "fucntion ="), 9, "unknown key `fucntion`"),
    "a number that is another action's": (
        changed(RULED, 'action = { kind = "drop", kbps = 3 }'),
        11,
        "unknown key `kbps`",
    ),
    "no name": (NETWORK, 1, "`name` is missing"),
    "no network": (HEAD, 1, "no network"),
    "no asn": (changed("asn = 64500\n", ""), 2, "`asn` is missing"),
    "no match": (changed('match = { app = "whatsapp", function = "voice" }\n', ""), 7, "`match` is missing"),
    "a hop that is not there": (changed("hop = 2", "hop = 6"), 8, "no hop 6: the network has 5"),
    "hop 0": (changed("hop = 2", "hop = 0"), 8, "`hop` is 0"),
    "hop_asn of another length": (
        changed("hops = 5", "hops = 5\nhop_asn = [1, 2]"),
        7,
        "`hop_asn` has 2 entries for 5",
    ),
    "drop-after without number": (changed(RULED, 'action = { kind = "drop-after" }'), 11, "needs its number"),
    "drop-after with both": (changed(RULED, 'action = { kind = "drop-after", packets = 1, bytes = 1 }'), 11, "either"),
    "loss without number": (changed(RULED, 'action = { kind = "loss" }'), 11, "lacks its number `share`"),
    "police without number": (
        changed(RULED, 'action = { kind = "police", burst_kbytes = 9 }'),
        11,
        "lacks its number `kbps`",
    ),
    "shape without number": (changed(RULED, 'action = { kind = "shape" }'), 11, "lacks its number `kbps`"),
    "delay without number": (changed(RULED, 'action = { kind = "delay" }'), 11, "lacks its number `ms`"),
    "loss above 1": (changed(RULED, 'action = { kind = "loss", share = 1.5 }'), 11, "`share` is 1.5"),
    "a share of participants above 1": (WHOLE + "share = 2\n", 12, "`share` is 2"),
    "link loss below 0": (WHOLE.replace("hops = 5\n", "hops = 5\nlink = { loss = -0.1 }\n"), 7, "`loss` is -0.1"),
    "a number as a string": (changed("asn = 64500", 'asn = "64500"'), 4, "`asn` must be a whole number"),
    "true as a number": (changed("hops = 5", "hops = true"), 6, "`hops` must be a whole number"),
    "not a number": (
        WHOLE.replace("hops = 5\n", "hops = 5\nlink = { rtt_ms = nan }\n"),
        7,
        "`rtt_ms` must be a number",
    ),
    "unknown app": (changed('"whatsapp"', '"whatsap"'), 9, "did you mean `whatsapp`?"),
    "unknown app to measure": (HEAD + 'apps = ["max",\n  "icq"]\n' + NETWORK, 3, "no app `icq`"),
    "unknown function": (changed('"voice"', '"video"'), 9, "no function `video`"),
    "a site that is no host": (
        changed('app = "whatsapp", function = "voice"', 'site = "my news"'),
        9,
        "no site `my news`",
    ),
    "a site that is an address": (changed('app = "whatsapp", function = "voice"', 'site = "192.0.2.7"'), 9, "no site"),
    "a share of nobody": (WHOLE + "share = 0\n", 12, "`share` is 0: it must be more than 0 and at most 1"),
    "unknown vpn": (changed('app = "whatsapp", function = "voice"', 'vpn = "pptp"'), 9, "no VPN `pptp`"),
    "unknown trigger": (changed('"payload"', '"playload"'), 10, "did you mean `payload`?"),
    "unknown action": (changed('"drop"', '"drip"'), 11, "did you mean `drop`?"),
    "unknown path": (HEAD + 'paths = ["tor"]\n' + NETWORK, 2, "no path `tor`"),
    "two networks of one name": (HEAD + NETWORK + NETWORK, 8, "a second network named `n`"),
    "no time": (WHOLE + 'from = "yesterday"\n', 12, "must be an RFC 3339 time"),
    "a time without offset": (WHOLE + 'from = "2025-08-11T09:00:00"\n', 12, "must be an RFC 3339 time"),
    "the 30th of February": (WHOLE + 'until = "2025-02-30T09:00:00Z"\n', 12, "must be an RFC 3339 time"),
    "an end before its beginning": (
        WHOLE + 'from = "2025-08-11T09:00:00Z"\nuntil = "2025-08-10T09:00:00Z"\n',
        13,
        "would never hold",
    ),
    "reset on voice": (changed(RULED, 'action = { kind = "reset" }'), 11, "`reset` can't act on voice"),
    "reset on all UDP": (
        changed(
            '"payload"',
            '"transport"',
            changed(RULED, 'action = { kind = "reset" }', changed(', function = "voice"', "")),
        ),
        11,
        "`reset` can't act with trigger `transport`",
    ),
    "nxdomain without dns": (changed(RULED, 'action = { kind = "nxdomain" }'), 11, "needs `dns`"),
    "forge without dns": (changed(RULED, 'action = { kind = "forge" }'), 11, "needs `dns`"),
    "sni on voice": (changed('"payload"', '"sni"'), 10, "calls show no names"),
    "dns where there are no names": (changed('"payload"', '"dns"'), 10, "it has no host names"),
    "sni on a vpn": (
        changed('"payload"', '"sni"', changed('app = "whatsapp", function = "voice"', 'vpn = "openvpn"')),
        10,
        "shows no names",
    ),
    "two things matched": (changed('function = "voice"', 'site = "example.org"'), 9, "exactly one of"),
    "nothing matched": (changed('app = "whatsapp", function = "voice"', ""), 9, "exactly one of"),
    "a function of nobody": (changed('app = "whatsapp", ', "all = true, "), 9, "`function` needs its `app`"),
    "a white list without its list": (
        changed('"payload"', '"not-listed"', changed('app = "whatsapp", function = "voice"', "all = true")),
        7,
        "`listed` is missing",
    ),
    "a listed site that is no host": (
        changed('"payload"', '"not-listed"', changed('app = "whatsapp", function = "voice"', "all = true"))
        + 'listed = ["max", "site:-"]\n',
        12,
        "no site `-`",
    ),
    "a listed app that is not known": (
        changed('"payload"', '"not-listed"', changed('app = "whatsapp", function = "voice"', "all = true"))
        + 'listed = ["max", "icq"]\n',
        12,
        "no app, site:NAME or peer `icq`",
    ),
    "a list without a white list": (WHOLE + "listed = []\n", 12, "belongs to trigger `not-listed` alone"),
    "a time before all clocks": (HEAD + 'at = "0001-01-01T00:00:00+10:00"\n' + NETWORK, 2, "outside the years"),
    "a time after all clocks": (WHOLE + 'until = "9999-12-31T23:59:59-05:00"\n', 12, "outside the years"),
    "a rate that no link has": (HEAD + "link = { cross_kbps = 1e12 }\n" + NETWORK, 2, "`cross_kbps` is 1e+12"),
    "a delay of years": (changed(RULED, 'action = { kind = "delay", ms = 1e300 }'), 11, "`ms` is 1e+300"),
    "a name that colours the terminal": (changed('name = "n"', 'name = "n\\u001b[31m"'), 3, "can't be printed"),
    "no TOML": (WHOLE + "hop = = 3\n", 12, "not TOML"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_it_is_refused_with_line_and_reason(case: str) -> None:
    text, line, reason = REFUSALS[case]
    at, said = refused(text)
    assert (at, reason in said) == (line, True), said


def test_every_shipped_scenario_reads_and_has_its_files_name() -> None:
    for name in scenario.shipped():
        assert scenario.load(name).name == name


def test_a_file_is_found_by_path_and_what_is_neither_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(WHOLE)
    assert scenario.load(file).name == "x"
    with pytest.raises(BadInput, match="neither a shipped one"):
        scenario.load(tmp_path / "none of mine.toml")
    file.write_bytes(b"# 1\r\n# 2\nname = '\xff'\n")
    for load in (scenario.load, nation.load):
        with pytest.raises(BadInput, match="not UTF-8") as caught:
            load(file)
        assert caught.value.where == f"{file}:3"


LINES = """# a comment with [brackets] and = signs
a = 1  # "quoted
'b.c' = '''
[not.a.table]
x = 2'''
d.e."f\\u0041" = { g = [1, {h = 2}], i = "}, z = 3" }
[[t]]
k = [
  "one",  # ] inside
  "two",
]
[[t.u]]
v = 1
[[t.u]]
v = 2
w = \"\"\"a\\\"\"\"\"\"
y = 1979-05-27 07:32:00Z
[[t]]
[t.s]
z = 0
"""


def test_each_key_has_its_line_through_comments_strings_inline_and_nested_tables() -> None:
    found = lines_of(LINES)
    expected = {
        ("a",): 2, ("b.c",): 3, ("d", "e", "fA"): 6, ("d", "e", "fA", "g", 1, "h"): 6, ("d", "e", "fA", "i"): 6,
        ("t", 0): 7, ("t", 0, "k"): 8, ("t", 0, "k", 0): 9, ("t", 0, "k", 1): 10, ("t", 0, "u", 0, "v"): 13,
        ("t", 0, "u", 1): 14, ("t", 0, "u", 1, "v"): 15, ("t", 0, "u", 1, "w"): 16, ("t", 0, "u", 1, "y"): 17,
        ("t", 1): 18, ("t", 1, "s"): 19, ("t", 1, "s", "z"): 20,
    }  # fmt: skip
    assert {path: found[path] for path in expected} == expected
    assert not any("x" in path or "not" in path for path in found)


FULL = scenario.files("ringback.lab").joinpath("scenarios", "2025-08-13.toml").read_text("utf-8")
SCRAPS = (
    "",
    "[",
    "]]",
    "{",
    '"',
    "'''",
    "\n",
    "=",
    ".",
    "-1",
    "nan",
    "true",
    "[[rule]]\n",
    "listed = []\n",
    "hop = 99\n",
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutilated_file_is_read_or_refused_but_never_crashes_the_reader(data: st.DataObject) -> None:
    text = FULL
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 40))
        text = text[:at] + data.draw(st.sampled_from(SCRAPS) | st.text(max_size=6)) + text[at + cut :]
    try:
        read, where = scenario.parse(text, "f.toml"), ""
    except BadInput as refusal:
        read, where = None, refusal.where
    assert isinstance(read, Scenario) or where.startswith("f.toml")
