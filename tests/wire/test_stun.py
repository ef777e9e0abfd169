"""STUN against RFC 5769's vectors, and what its codec promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadInput
from ringback.wire import Malformed, stun, stun_attributes
from ringback.wire.stun_attributes import Endpoint, ErrorCode, build, read

# RFC 5769 sections 2.1 (request), 2.2 (IPv4 response), 2.3 (IPv6 response), 2.4 (long-term credentials).
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151"
    "263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd"
    "9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
RESPONSE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5be"
    "d2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
LONG_TERM = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"


def message(data: bytes) -> stun.Message:
    decoded = stun.decode(data)
    assert isinstance(decoded, stun.Message)
    return decoded


@pytest.mark.parametrize("vector", [REQUEST, RESPONSE, RESPONSE_V6])
def test_rfc5769_short_term_vectors_verify_and_re_encode(vector: bytes) -> None:
    decoded = message(vector)
    assert stun.integrity_holds(decoded, PASSWORD) is True
    assert stun.integrity_holds(decoded, b"wrong") is False
    assert stun.fingerprint_holds(decoded) is True
    assert stun.encode(decoded) == vector


def test_rfc5769_fields_read_as_the_rfc_says() -> None:
    request = message(REQUEST)
    assert read(request, "SOFTWARE") == "STUN test client"
    assert read(request, "USERNAME") == "evtj:h6vY"
    assert read(request, "PRIORITY") == 0x6E0001FF
    assert read(request, "ICE-CONTROLLED") == 0x932FF9B151263B36
    assert request.attributes[3].padding == b"   ", "the RFC pads with spaces here"
    assert read(message(RESPONSE), "XOR-MAPPED-ADDRESS") == Endpoint("192.0.2.1", 32853)
    assert read(message(RESPONSE_V6), "XOR-MAPPED-ADDRESS") == Endpoint("2001:db8:1234:5678:11:2233:4455:6677", 32853)
    assert read(request, "NONCE") is None


def test_rfc5769_long_term_credentials() -> None:
    decoded = message(LONG_TERM)
    user, realm = read(decoded, "USERNAME"), read(decoded, "REALM")
    assert (user, realm) == ("\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "example.org")
    assert stun.integrity_holds(decoded, stun.long_term_key(user, realm, "TheMatrIX")) is True


def test_integrity_and_fingerprint_are_rebuilt_to_the_same_bytes() -> None:
    decoded = message(RESPONSE)
    bare = stun.Message(decoded.type, decoded.transaction, decoded.attributes[:-2])
    assert stun.encode(stun.with_fingerprint(stun.with_integrity(bare, PASSWORD))) == RESPONSE
    sha256 = stun.with_integrity(bare, PASSWORD, stun.MESSAGE_INTEGRITY_SHA256)
    assert stun.integrity_holds(sha256, PASSWORD, stun.MESSAGE_INTEGRITY_SHA256) is True


def test_an_attribute_area_that_is_no_multiple_of_4_survives() -> None:
    original = stun.Message(3, bytes(12), (stun.attribute(0x4000, b"t" * 102, padded=False),))
    data = stun.encode(original)
    assert len(data) == 126
    assert stun.decode(data) == original


def test_attributes_without_any_padding_are_told_apart_from_padded_ones() -> None:
    parts = (stun.attribute(0x4003, bytes(range(9)), padded=False), stun.attribute(0x4004, bytes(475), padded=False))
    original = stun.Message(0x0801, bytes(12), parts)
    assert stun.decode(stun.encode(original)) == original


def test_telegram_turn_challenge_reads_back() -> None:
    parts = (build("ERROR-CODE", ErrorCode(401, "Unauthorized")), build("REALM", "telegram.org"))
    decoded = message(stun.encode(stun.Message(0x0113, bytes(12), parts)))
    assert read(decoded, "ERROR-CODE") == ErrorCode(401, "Unauthorized")
    assert build("REQUESTED-TRANSPORT", 17).value == b"\x11\0\0\0"


@pytest.mark.parametrize(("method", "kind", "code"), [(1, 2, 0x101), (3, 3, 0x113), (0xFFF, 3, 0x3FFF), (7, 1, 0x17)])
def test_message_types_interleave_method_and_class(method: int, kind: int, code: int) -> None:
    assert stun.message_type(method, kind) == code
    assert (stun.method_of(code), stun.class_of(code)) == (method, kind)


def test_impossible_fields_are_refused() -> None:
    for bad in (
        stun.Message(0x4000, bytes(12)),
        stun.Message(1, bytes(11)),
        stun.Message(1, bytes(12), cookie=-1),
        stun.Message(1, bytes(12), (stun.Attribute(1, b"", b"1234"),)),
        stun.Message(1, bytes(12), (stun.attribute(1, bytes(65532)),)),
    ):
        with pytest.raises(BadInput):
            stun.encode(bad)
    for name, value in (("XOR-MAPPED-ADDRESS", Endpoint("no.literal", 1)), ("LIFETIME", -1), ("NO-SUCH", b"")):
        with pytest.raises(BadInput):
            build(name, value)


def test_malformed_messages_say_why_and_where() -> None:
    assert stun.decode(b"") == Malformed("truncated", 0)
    assert stun.decode(b"\x80" + REQUEST[1:]) == Malformed("not stun", 0)
    assert stun.decode(REQUEST[:-1]) == Malformed("truncated", 2)
    assert stun.decode(REQUEST + b"x") == Malformed("trailing bytes", 2)
    overrun = stun.encode(stun.Message(1, bytes(12), (stun.attribute(6, b"abcd"),)))
    assert stun.decode(overrun[:22] + b"\xff\xff" + overrun[24:]) == Malformed("attribute overruns", 20)


transactions = st.binary(min_size=12, max_size=12)
attributes = st.builds(stun.attribute, st.integers(1, 0xFFFF), st.binary(max_size=40))


@given(st.builds(stun.Message, st.integers(0, 0x3FFF), transactions, st.lists(attributes, max_size=6).map(tuple)))
def test_any_message_round_trips(original: stun.Message) -> None:
    assert stun.decode(stun.encode(original)) == original


@given(transactions, st.ip_addresses().map(str), st.integers(0, 0xFFFF))
def test_any_address_round_trips(transaction: bytes, host: str, port: int) -> None:
    for name in ("MAPPED-ADDRESS", "XOR-PEER-ADDRESS"):
        sent = stun.Message(1, transaction, (build(name, Endpoint(host, port), transaction),))
        assert read(sent, name) == Endpoint(host, port)


@given(st.integers(0x4000, 0x4FFF), st.binary(max_size=40))
def test_channel_data_round_trips(channel: int, data: bytes) -> None:
    original = stun.ChannelData(channel, data, bytes(-len(data) % 4))
    assert stun.decode_channel(stun.encode_channel(original)) == original
    assert all(kind.code == code for code, kind in stun_attributes.KINDS.items())
