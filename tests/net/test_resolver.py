"""Whom this machine asks for names."""

from pathlib import Path

from ringback.net import resolver


def test_the_system_resolver_is_the_first_one_named(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    assert resolver.system_resolver(file) is None
    file.write_text("# by hand\nsearch example.org\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\n")
    assert resolver.system_resolver(file) == "fe80::1"
    file.write_text("nameserver\n")
    assert resolver.system_resolver(file) is None
