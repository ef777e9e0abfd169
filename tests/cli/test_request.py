"""What check refuses, before anything is sent."""

import struct
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ringback import catalogue
from ringback.cli import dry_run
from ringback.cli.request import Asked, read_request
from ringback.cli.tunnels import default_interfaces, is_tunnel, protocol
from ringback.errors import BadInput
from ringback.lab import nation, recordings
from ringback.net import Direct, Interface, Socks5
from ringback.words import load

KNOWN = catalogue.load()


def test_by_default_it_is_everything_over_the_direct_path() -> None:
    request = read_request(KNOWN, Asked())
    assert request.apps == tuple(KNOWN.apps)
    assert request.functions == ("text", "media", "voice")
    assert request.directions == ("outgoing", "incoming")
    assert request.paths == {"direct": Direct()}
    assert request.budget_s == 200.0


def test_looking_for_hops_is_asked_for_and_has_time_of_its_own() -> None:
    assert not read_request(KNOWN, Asked()).locate
    assert read_request(KNOWN, Asked(locate=True)).budget_s == 360.0
    assert read_request(KNOWN, Asked(locate=True, budget_s=30.0)).budget_s == 30.0
    assert read_request(KNOWN, Asked(locate=True, quick=True)).locate


def test_quick_is_text_and_outgoing_calls_unless_functions_are_named() -> None:
    quick = read_request(KNOWN, Asked(quick=True))
    assert (quick.functions, quick.directions, quick.mode, quick.budget_s) == (
        ("text", "voice"),
        ("outgoing",),
        "quick",
        None,
    )
    assert read_request(KNOWN, Asked(quick=True, functions=["media"])).functions == ("media",)


def test_quiet_is_everything_within_half_an_hour_and_looks_for_no_hops() -> None:
    quiet = read_request(KNOWN, Asked(quiet=True))
    assert (quiet.mode, quiet.functions, quiet.directions, quiet.budget_s) == (
        "quiet",
        ("text", "media", "voice"),
        ("outgoing", "incoming"),
        1800.0,
    )
    assert read_request(KNOWN, Asked(quiet=True, budget_s=600.0)).budget_s == 600.0


def test_paths_are_named_and_come_after_the_direct_one() -> None:
    request = read_request(KNOWN, Asked(via=["office=interface:lo", "tor=socks5://127.0.0.1:9050"]))
    assert request.paths == {
        "direct": Direct(),
        "office": Interface("lo"),
        "tor": Socks5("127.0.0.1", 9050),
    }
    assert request.outer == {}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Asked(apps=["signall"]), "no such app: signall"),
        (Asked(quiet=True, quick=True), "--quiet: can't be had together with --quick"),
        (Asked(quiet=True, locate=True), "can't be had together with --quiet"),
        (Asked(functions=["fax"]), "no such function: fax"),
        (Asked(via=["wg0"]), "NAME=PATH"),
        (Asked(via=["=direct"]), "NAME=PATH"),
        (Asked(via=["direct=interface:wg0"]), "the name direct is taken"),
        (Asked(via=["a=interface:nope0"]), "--via a=interface:nope0: no interface nope0 here; there are lo"),
        (Asked(via=["a=carrier-pigeon"]), "a path is direct"),
        (Asked(server="192.0.2.1:8080"), "http://HOST"),
        (Asked(server="ftp://192.0.2.1"), "http://HOST"),
        (Asked(server="http://192.0.2.1:99999"), "no URL"),
        (Asked(budget_s=0.0), "above 0"),
        (Asked(budget_s=float("nan")), "above 0"),
        (Asked(replay=Path("x")), "--server"),
        (Asked(replay=Path("/nonexistent"), server="http://192.0.2.1"), "can't be opened"),
    ],
)
def test_what_cannot_be_measured_is_refused(asked: Asked, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_request(KNOWN, asked)
    assert says in str(refused.value)


def test_a_capture_without_a_call_names_all_apps_that_were_looked_for(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
    for apps, says in (
        (None, "no call of whatsapp, telegram, signal, max with"),
        (["signal"], "no call of signal with"),
    ):
        with pytest.raises(BadInput, match=says):
            read_request(KNOWN, Asked(replay=empty, server="http://192.0.2.1", apps=apps))


def test_tunnels_are_recognised_by_what_the_kernel_says(tmp_path: Path) -> None:
    for name, uevent in (("vpn7", "DEVTYPE=wireguard\nINTERFACE=vpn7\n"), ("eth0", "INTERFACE=eth0\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(uevent)
    (tmp_path / "mullvad").mkdir()
    (tmp_path / "mullvad" / "tun_flags").write_text("0x1001\n")
    assert [is_tunnel(name, tmp_path) for name in ("vpn7", "eth0", "mullvad", "ppp0", "gone")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert protocol("vpn7", tmp_path) == "wireguard"
    assert protocol("mullvad", tmp_path) is None


def test_a_default_route_in_two_halves_is_one_too(tmp_path: Path) -> None:
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    rows = [
        "eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
        "tun0\t00000000\t0100000A\t0003\t0\t0\t0\t00000080\t0\t0\t0",
        "tun0\t00000080\t0100000A\t0003\t0\t0\t0\t00000080\t0\t0\t0",
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
        "down0\t00000000\t00000000\t0000\t0\t0\t0\t00000000\t0\t0\t0",
    ]
    file = tmp_path / "route"
    file.write_text(head + "\n".join(rows) + "\n")
    assert default_interfaces(file) == ["eth0", "tun0"]
    assert default_interfaces(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (Asked(via=["vpn=bogus"]), "--via vpn=bogus: a path is"),
        (Asked(via=["vpn=interface:"]), "--via vpn=interface:: "),
        (Asked(via=["vpn=socks5://here:1"]), "--via vpn=socks5://here:1: "),
        (Asked(via=["vpn=interface:nosuch0"]), "--via vpn=interface:nosuch0: "),
        (Asked(server="ftp://x"), "--server ftp://x: a server is"),
        (Asked(server="http://x:99999"), "--server http://x:99999: "),
    ],
)
def test_what_is_refused_names_its_option(asked: Asked, named: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_request(KNOWN, asked)
    assert str(refused.value).startswith(named)


def test_what_a_good_link_needs_is_told_from_the_plan_and_is_what_sessions_there_took() -> None:
    request = read_request(KNOWN, Asked(server="http://192.0.2.1:8443"))
    made = dry_run.plan(request, KNOWN)
    assert made.usual is not None
    low, high = made.usual
    assert low < high < made.bytes
    country = nation.load("ru-2025-08")
    quiet = [
        key
        for key, met in nation.situations(country).items()
        if not met.rules and met.link == country.providers[0].link
    ]
    for session in recordings.shipped().by[quiet[0]]:
        own = [one for one in session.measurements if one.path == "direct"]
        assert low <= sum(one.cost.bytes for one in own) <= high
    found = " ".join(render(dry_run.told(made, request, "en")).split())
    assert f"usually {load('en').amount(low)} to {load('en').amount(high)}" in found
    assert f"At most {load('en').amount(made.bytes)}" in found


@pytest.mark.parametrize("asked", [Asked(), Asked(quiet=True), Asked(quick=True)])
def test_where_the_most_is_usual_nothing_else_is_told(asked: Asked) -> None:
    server = None if asked == Asked() else "http://192.0.2.1:8443"
    assert dry_run.plan(read_request(KNOWN, replace(asked, server=server)), KNOWN).usual is None


def render(what: object) -> str:
    console = Console(width=120, file=StringIO())
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()
