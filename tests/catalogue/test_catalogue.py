"""The shipped catalogue says where everything comes from; a wrong one is refused with file and key."""

import ipaddress
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from ringback import catalogue
from ringback.errors import BadInput

KNOWN = catalogue.load()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(str(files("ringback.catalogue").joinpath("data")), folder)
    return folder


def change(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def test_the_four_messengers_come_in_order_with_three_functions_each() -> None:
    assert list(KNOWN.apps) == ["whatsapp", "telegram", "signal", "max"]
    for app in KNOWN.apps.values():
        assert list(app.functions) == ["text", "media", "voice"]


def test_every_key_of_an_app_has_a_dated_source() -> None:
    for app in KNOWN.apps.values():
        for function in app.functions:
            for key in ("hosts", "ports", "forms", "prefixes"):
                assert all(f.source and f.date.year > 1980 for f in app.facts_about(f"functions.{function}.{key}"))
                assert app.facts_about(f"functions.{function}.{key}"), (app.name, function, key)


def test_nothing_of_max_is_called_verified() -> None:
    assert not KNOWN.apps["max"].verified
    assert not any(fact.verified for fact in KNOWN.apps["max"].facts)


def test_text_and_media_have_hosts_and_their_names_match_no_other_function() -> None:
    for app in KNOWN.apps.values():
        for entry in app.functions.values():
            assert entry.name == "voice" or entry.hosts
            for name in entry.names:
                assert catalogue.functions_with_host(KNOWN, name) == ((app.name, entry.name),)


def test_neutral_names_and_sites_belong_to_no_app() -> None:
    for name in (*KNOWN.neutral_names, *KNOWN.sites, *(host.name for host in KNOWN.neutral_hosts)):
        assert catalogue.functions_with_host(KNOWN, name) == ()
    assert not set(KNOWN.neutral_names) & set(KNOWN.sites)


def test_ports_are_known_with_their_transport() -> None:
    assert ("whatsapp", "voice") in catalogue.functions_on_port(KNOWN, "udp", 3496)
    assert catalogue.functions_on_port(KNOWN, "udp", 3494) == ()
    assert catalogue.functions_on_port(KNOWN, "tcp", 597) == ()
    assert ("telegram", "voice") in catalogue.functions_on_port(KNOWN, "udp", 597)


def test_every_name_and_relay_lies_in_its_functions_overlay_prefix() -> None:
    overlay = KNOWN.overlay
    for app in KNOWN.apps.values():
        for entry in app.functions.values():
            prefix = ipaddress.IPv4Network(overlay.prefixes[app.name, entry.name])
            assert all(ipaddress.IPv4Address(overlay.hosts[name]) in prefix for name in entry.names)
        voice = ipaddress.IPv4Network(overlay.prefixes[app.name, "voice"])
        assert all(ipaddress.IPv4Address(relay) in voice for relay in overlay.relays[app.name])
    inside = [ipaddress.IPv4Network(p) for p in overlay.prefixes.values()]
    outsiders = (overlay.peer, overlay.resolver, overlay.vpn_exit, *overlay.neutral, *overlay.sites.values())
    assert not any(ipaddress.IPv4Address(a) in p for a in outsiders for p in inside)
    assert len(set(overlay.neutral)) == 6


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "what"),
    [
        ("whatsapp.toml", 'hosts = ["e*', 'hostz = ["e*', "whatsapp.toml: functions.text", "hostz"),
        ("signal.toml", "rtcp_s = 1.5", "rtcp = 1.5", "signal.toml: functions.voice.calls.relay-call", "rtcp"),
        ("signal.toml", "bpl = 25.1", 'bpl = "much"', "signal.toml: quality.bpl", "float"),
        ("signal.toml", '"udp/3478", "udp/443"', '"udp/3478", "sctp/443"', "functions.voice.ports", "sctp/443"),
        ("signal.toml", '"udp/3478", "udp/443"', '"udp/3478", "udp/70000"', "functions.voice.ports", "70000"),
        ("telegram.toml", '"quality"]', '"qualities"]', "telegram.toml: fact", "qualities"),
        ("telegram.toml", '"functions.voice.marks"', '"functions.voice.hosts"', "voice.marks.realm", "source"),
        ("max.toml", "verified = false", "verified = true", "max.toml: verified", "functions.voice.ports"),
        ("max.toml", 'name = "max"', 'name = "min"', "max.toml: name", "min"),
        ("max.toml", 'tls = "i.oneme.ru"', 'tls = "i.twome.ru"', "functions.media", "i.twome.ru"),
        ("max.toml", "tls = 443, dns = 53", "dns = 53", "functions.text.app_port", "tls"),
        ("overlay.toml", "203.0.113.8/29", "203.0.113.0/29", "prefixes.whatsapp.media", "overlaps"),
        ("overlay.toml", "203.0.113.8/29", "8.8.8.0/29", "prefixes.whatsapp.media", "Internet"),
        ("overlay.toml", '"203.0.113.17"', '"203.0.113.7"', "relays.whatsapp", "inside"),
        ("vpn.toml", "app_port = 51820", "app_port = 51821", "wireguard.app_port", "51821"),
        ("common.toml", "sites = [", "sites = [[", "common.toml", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_naming_file_and_key(
    copied: Path, file: str, old: str, new: str, where: str, what: str
) -> None:
    change(copied, file, old, new)
    with pytest.raises(BadInput) as caught:
        catalogue.load(copied)
    assert where in caught.value.where
    assert what in caught.value.what


def test_an_app_without_a_file_is_refused(copied: Path) -> None:
    (copied / "max.toml").unlink()
    with pytest.raises(BadInput, match="max"):
        catalogue.load(copied)
