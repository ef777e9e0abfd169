"""Words: path names in, failure strings out."""

import errno

import pytest

from ringback.errors import BadInput
from ringback.net import Direct, Interface, Socks5, parse_path
from ringback.net.failures import failure_of, failure_of_errno


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("direct", Direct()),
        ("interface:wg0", Interface("wg0")),
        ("socks5://127.0.0.1:1080", Socks5("127.0.0.1", 1080)),
        ("socks5://localhost:1080", Socks5("127.0.0.1", 1080)),
        ("socks5://[2001:db8::1]:9050", Socks5("2001:db8::1", 9050)),
    ],
)
def test_paths_are_read_as_the_contract_writes_them(text: str, path: object) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", "vpn", "interface:", "interface:a/b", "interface:sixteen--letters", "socks5://h", "socks5:127.0.0.1:1",
             "socks5://127.0.0.1:0", "socks5://127.0.0.1:99999", "socks4://127.0.0.1:1080"]
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_path(text)


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ECONNREFUSED, "connection_refused"),
        (errno.ECONNRESET, "connection_reset"),
        (errno.EPIPE, "connection_reset"),
        (errno.EHOSTUNREACH, "host_unreachable"),
        (errno.ENETUNREACH, "network_unreachable"),
        (errno.ETIMEDOUT, "generic_timeout_error"),
        (errno.EISDIR, "unknown_failure"),
    ],
)
def test_each_errno_has_one_failure(number: int, failure: str) -> None:
    assert failure_of_errno(number) == failure
    assert failure_of(OSError(number, "x")) == failure


def test_a_failure_is_found_behind_other_peoples_exceptions() -> None:
    error = ValueError("client library")
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert failure_of(error) == "connection_reset"
    assert failure_of(TimeoutError()) == "generic_timeout_error"
    assert failure_of(EOFError()) == "eof_error"
    assert failure_of(ValueError()) == "unknown_failure"
