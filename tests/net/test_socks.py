"""The SOCKS5 client's side, fed byte by byte and with nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.net.socks import CONNECT, Handshake, unwrap, wrap

GOOD = b"\x05\x00" + b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"


@pytest.mark.parametrize("size", range(1, len(GOOD) + 1))
def test_the_handshake_does_not_care_how_bytes_are_cut(size: int) -> None:
    handshake = Handshake(CONNECT, "192.0.2.1", 443)
    said = handshake.start()
    for at in range(0, len(GOOD), size):
        said += handshake.receive(GOOD[at : at + size])
    assert said == b"\x05\x01\x00" + b"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"
    assert handshake.bound == ("127.0.0.1", 1080)
    assert handshake.failure is None


def test_what_comes_behind_the_handshake_is_kept() -> None:
    handshake = Handshake(CONNECT, "2001:db8::1", 443)
    handshake.receive(GOOD + b"hello")
    assert handshake.rest == b"hello"


@pytest.mark.parametrize(
    ("bytes_", "failure"),
    [
        (b"\x05\xff", "socks_not_allowed"),
        (b"\x04\x00", "socks_protocol_error"),
        (b"\x05\x00\x05\x03", "network_unreachable"),
        (b"\x05\x00\x05\x05", "connection_refused"),
        (b"\x05\x00\x05\x63", "socks_protocol_error"),
        (b"\x05\x00\x05\x00\x00\x09", "socks_protocol_error"),
    ],
)
def test_refusals_are_named(bytes_: bytes, failure: str) -> None:
    handshake = Handshake(CONNECT, "192.0.2.1", 443)
    handshake.receive(bytes_)
    assert handshake.failure == failure
    assert handshake.bound is None


@given(st.binary(max_size=64))
def test_no_answer_of_a_proxy_breaks_the_client(data: bytes) -> None:
    handshake = Handshake(CONNECT, "192.0.2.1", 443)
    handshake.receive(data)
    assert not (handshake.bound and handshake.failure)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=100))
def test_a_wrapped_datagram_unwraps(address: object, port: int, data: bytes) -> None:
    assert unwrap(wrap(str(address), port, data)) == (str(address), port, data)


@given(st.binary(max_size=64))
def test_no_datagram_of_a_relay_breaks_the_client(data: bytes) -> None:
    got = unwrap(data)
    assert got is None or data.endswith(got[2])
