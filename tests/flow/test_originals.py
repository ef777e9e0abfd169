"""What the originals say when the wire codecs read them, and that the controls say nothing."""

import pytest

from ringback.flow import DatagramScript, Send, StreamScript, neutral_name, render
from ringback.flow.keystream import Keystream
from ringback.flow.sealing import area, sealed
from ringback.wire import Malformed, dns, mtproto, noise, openvpn, rtp, stun, telegram, tls, wireguard
from ringback.wire.stun_attributes import build, read
from tests.flow.specs import KNOWN, SEED, every_form, spec


def datagrams(app: str, function: str, form: str, payload: str = "original") -> DatagramScript:
    script = render(spec(app, function, form, payload=payload), SEED)
    assert isinstance(script, DatagramScript)
    return script


def turns(app: str, function: str, form: str, payload: str = "original") -> list[bytes]:
    script = render(spec(app, function, form, payload=payload), SEED)
    assert isinstance(script, StreamScript)
    return [turn.data for turn in script.turns]


def message(send: Send) -> stun.Message:
    decoded = stun.decode(send.data)
    assert isinstance(decoded, stun.Message)
    return decoded


def test_whatsapp_asks_its_relay_twice_and_pings_it_each_second() -> None:
    script = datagrams("whatsapp", "voice", "relay-call")
    asked = [s for s in script.near if s.data[:2] == b"\0\3"]
    assert [s.at for s in asked] == [0.0, 0.25]
    allocate = message(asked[0])
    assert [hex(a.type) for a in allocate.attributes] == [
        "0x4000", "0x4024", "0x4025", "0x4023", "0x4021", "0x805a", "0x16", "0x8"
    ]  # fmt: skip
    answers = [s for s in script.far if s.data[:2] == b"\1\3"]
    assert [len(s.data) for s in answers] == [68, 68]
    assert [script.near[s.after].data[8:20] for s in answers if s.after is not None] == [s.data[8:20] for s in answers]
    pings = [s for s in script.near if s.data[:2] == b"\x08\x01"]
    assert {len(s.data) for s in pings} == {20}
    assert len(pings) == 11
    pongs = [s for s in script.far if s.data[:2] == b"\x08\x02"]
    assert [s.data[8:] for s in pongs] == [s.data[8:] for s in pings]


def test_whatsapp_talks_each_60_ms_in_its_own_rtp_profile() -> None:
    script = datagrams("whatsapp", "voice", "relay-call")
    for side in (script.near, script.far):
        packets = [(s.at, rtp.decode(s.data)) for s in side if rtp.looks_like(s.data)]
        times = [at for at, _ in packets]
        assert all(abs(b - a - 0.06) < 1e-9 for a, b in zip(times, times[1:], strict=False))
        read_packets = [p for _, p in packets if isinstance(p, rtp.Packet)]
        assert len(read_packets) == len(packets)
        assert {p.payload_type for p in read_packets} == {120}
        assert {p.extension.profile for p in read_packets if p.extension} == {0xDEBE}
        assert len({p.ssrc for p in read_packets}) == 1
        steps = {
            (b.timestamp - a.timestamp, b.sequence - a.sequence)
            for a, b in zip(read_packets, read_packets[1:], strict=False)
        }
        assert steps == {(960, 1)}
        assert {len(p.extension.data) for p in read_packets if p.extension} <= {0, 4}


def test_telegram_greets_its_reflector_each_half_second() -> None:
    script = datagrams("telegram", "voice", "relay-call")
    hellos = [s for s in script.near if telegram.looks_like_hello(s.data)]
    assert [s.at for s in hellos][:3] == [0.0, 0.5, 1.0]
    answers = [telegram.decode(s.data) for s in script.far if s.after is not None]
    assert all(isinstance(a, telegram.HelloAnswer) for a in answers)
    assert len(answers) == len(hellos)
    media = [s.data for s in script.near if not telegram.looks_like_hello(s.data)]
    assert all(isinstance(telegram.decode(data), telegram.Media) and 188 <= len(data) <= 210 for data in media)


@pytest.mark.parametrize("app", ["signal", "max"])
def test_turn_is_refused_without_and_granted_with_credentials_of_the_apps_realm(app: str) -> None:
    script = datagrams(app, "voice", "relay-call")
    realm = KNOWN.apps[app].functions["voice"].marks["realm"]
    refused = next(message(s) for s in script.far if s.data[:2] == b"\x01\x13")
    assert read(refused, "ERROR-CODE").code == 401
    assert read(refused, "REALM") == realm
    again = next(s for s in script.near if s.after is not None)
    assert again.after is not None
    assert script.far[again.after].data[:2] == b"\x01\x13"  # the client waits for the refusal
    assert read(message(again), "REALM") == realm
    assert any(s.data[:2] == b"\x01\x09" for s in script.far)
    framed = [stun.decode_channel(s.data) for s in script.near if 0x40 <= s.data[0] < 0x50]
    assert all(isinstance(f, stun.ChannelData) for f in framed)
    inside = [rtp.decode(f.data) for f in framed if isinstance(f, stun.ChannelData) and rtp.looks_like(f.data)]
    assert len(inside) > 150


@pytest.mark.parametrize("app", ["whatsapp", "telegram", "signal", "max"])
def test_peers_check_their_path_both_ways(app: str) -> None:
    script = datagrams(app, "voice", "p2p-call")
    for asking, answering in ((script.near, script.far), (script.far, script.near)):
        requests = [s for s in asking if s.data[:2] == b"\0\1"]
        answers = [s for s in answering if s.data[:2] == b"\1\1"]
        assert requests
        assert [asking[s.after].data[8:20] for s in answers if s.after is not None] == [s.data[8:20] for s in answers]
        assert len(answers) == len(requests)
        assert all(stun.fingerprint_holds(message(s)) is not False for s in requests + answers)
    if app == "whatsapp":
        assert {len(s.data) for s in script.near if stun.looks_like(s.data)} == {44}


def test_quick_seals_equal_the_codecs() -> None:
    key = b"k" * 16
    attributes = (build("REALM", "example.org"), build("NONCE", "abc"))
    for number in range(20):
        transaction = Keystream(SEED, number).block("id", 12)
        slow = stun.with_integrity(stun.Message(0x0003, transaction, attributes), key)
        assert sealed(0x0003, area(attributes), transaction, key) == stun.encode(slow)
        assert sealed(0x0003, area(attributes), transaction, key, True) == stun.encode(stun.with_fingerprint(slow))


def test_whatsapps_chat_opens_with_its_noise_handshake() -> None:
    opening, server, finish, *frames = turns("whatsapp", "text", "noise")
    decoded = noise.decode_opening(opening)
    assert not isinstance(decoded, Malformed)
    assert decoded[1] == len(opening)
    for data, kind in ((server, noise.ServerHello), (finish, noise.ClientFinish)):
        unframed = noise.unframe(data)
        assert not isinstance(unframed, Malformed)
        assert isinstance(noise.decode_handshake(unframed[0]), kind)
    assert 340 <= len(server) <= 360
    assert all(not isinstance(noise.unframe(f), Malformed) for f in frames)


@pytest.mark.parametrize("function", ["text", "media"])
def test_telegrams_obfuscated_stream_holds_a_key_exchange(function: str) -> None:
    near, far, *_ = turns("telegram", function, "obfuscated")
    opening = mtproto.parse_opening(near)
    assert isinstance(opening, mtproto.Opening)
    assert (opening.dc < 0) == (function == "media")  # the only mark that tells the two apart
    server = mtproto.Obfuscation(opening, client=False)
    asked = mtproto.unframe(opening.tag, server.open(near[64:]))
    assert not isinstance(asked, Malformed)
    assert isinstance(mtproto.decode(asked[0]), mtproto.ReqPq)
    client = mtproto.Obfuscation(opening, client=True)
    answered = mtproto.unframe(opening.tag, client.open(far))
    assert not isinstance(answered, Malformed)
    assert isinstance(mtproto.decode(answered[0]), mtproto.ResPq)


def test_no_control_of_a_chat_opens_as_one() -> None:
    for number in range(200):
        script = render(spec("telegram", "text", "obfuscated", number=number, payload="control"), SEED)
        assert isinstance(script, StreamScript)
        first = script.turns[0].data
        assert isinstance(mtproto.parse_opening(first), Malformed)
        assert not noise.looks_like(first)
        assert not tls.looks_like(first)


@pytest.mark.parametrize("form", [f for f in every_form() if f[2] == "tls"], ids="/".join)
def test_tls_arms_name_the_app_and_a_neutral_host(form: tuple[str, str, str]) -> None:
    app, function, _ = form
    names = []
    for payload in ("original", "control"):
        hello, server, *_ = turns(*form, payload=payload)
        asked, answered = tls.decode_hello(hello), tls.decode_hello(server)
        assert isinstance(asked, tls.Hello)
        assert isinstance(answered, tls.Hello)
        assert answered.session == asked.session
        names.append(asked.server_name)
    wanted = KNOWN.apps[app].functions[function].name_of["tls"]
    assert names == [wanted, neutral_name(wanted)]


@pytest.mark.parametrize("app", ["whatsapp", "telegram", "signal", "max"])
def test_a_web_chat_goes_to_and_fro_so_that_each_message_waits_for_its_own_round_trip(app: str) -> None:
    script = render(spec(app, "text", "tls"), SEED)
    assert isinstance(script, StreamScript)
    assert [turn.by_near for turn in script.turns] == [i % 2 == 0 for i in range(len(script.turns))]
    assert sum(turn.by_near for turn in script.turns) >= 5


def test_neutral_names_are_as_long_as_asked_and_valid() -> None:
    for size in range(9, 120):
        name = neutral_name("x" * size)
        assert len(name) == size
        assert all(1 <= len(label) <= 63 for label in name.split("."))
        assert name.endswith(".example")


@pytest.mark.parametrize("form", [f for f in every_form() if f[2] == "dns"], ids="/".join)
def test_a_lookup_asks_twice_and_gets_an_agreed_documentation_address(form: tuple[str, str, str]) -> None:
    app, function, _ = form
    wanted = KNOWN.apps[app].functions[function].name_of["dns"]
    for payload, name in (("original", wanted), ("control", neutral_name(wanted))):
        script = datagrams(*form, payload=payload)
        assert len(script.near) == len(script.far) == 2
        asked, answered = dns.decode(script.near[0].data), dns.decode(script.far[0].data)
        assert isinstance(asked, dns.Message)
        assert isinstance(answered, dns.Message)
        assert asked.questions[0].name == answered.questions[0].name == name
        assert asked.cookie is not None
        assert (answered.answers[0].address or "").startswith("198.51.100.")
        assert [s.after for s in script.far] == [0, 1]


def test_vpn_protocols_shake_hands_and_carry_data() -> None:
    script = datagrams("wireguard", "outer", "outer")
    kinds = [type(wireguard.decode(s.data)).__name__ for s in script.near]
    assert kinds[:2] == ["Initiation", "Initiation"]
    assert set(kinds[2:]) == {"Data"}
    assert {len(s.data) for s in script.far if s.after is not None} == {92}
    script = datagrams("openvpn", "outer", "outer")
    assert openvpn.looks_like_reset(script.near[0].data)
    assert all(isinstance(openvpn.decode(s.data), openvpn.Control | openvpn.Data) for s in script.near + script.far)


@pytest.mark.parametrize("form", [f for f in every_form() if f[2] in ("relay-call", "p2p-call", "outer")], ids="/".join)
def test_a_controls_datagrams_begin_like_no_protocol(form: tuple[str, str, str]) -> None:
    for number in range(10):
        script = render(spec(*form, number=number, payload="control"), SEED)
        assert isinstance(script, DatagramScript)
        for send in script.near + script.far:
            assert 5 <= send.data[0] <= 15  # RFC 7983: nobody's; WhatsApp's own types begin with 8
            assert send.data[0] != 8
            assert b"\x21\x12\xa4\x42" not in send.data
            assert b"\xff" * 12 not in send.data
