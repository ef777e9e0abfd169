"""The lab's operator knows a replayed real call by the signatures that know the synthetic ones, and by no more."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.capture import replays
from ringback.flow import DatagramScript, Replay, render
from ringback.lab.operator.signatures import REALMS, recognise
from ringback.lab.run import run_sim
from ringback.lab.scenario import parse
from ringback.record import Arm, ExchangeSpec, Measurement
from ringback.wire import Malformed, rtp, stun
from tests.flow.specs import SEED, spec
from tests.ndpi import name_of

pytestmark = pytest.mark.realdata

CAPTURES = {
    "wa_voice.pcap": "whatsapp",
    "wa_video.pcap": "whatsapp",
    "whatsapp_login_call.pcap": "whatsapp",
    "telegram.pcap": "telegram",
    "stun_signal.pcapng": "signal",
}


def replayed(replay: Replay, payload: str = "original", seconds: float = 30.0) -> DatagramScript:
    arm = Arm(payload, "app")  # type: ignore[arg-type]
    one = ExchangeSpec(
        4, "whatsapp", "voice", "outgoing", "relay", "replay", arm, "udp", 3478, seconds, 0, replay.digest
    )
    script = render(one, SEED, {replay.digest: replay})
    assert isinstance(script, DatagramScript)
    return script


def datagrams(script: DatagramScript) -> list[bytes]:
    return [send.data for send in script.near + script.far]


def labels(data: list[bytes]) -> set[tuple[str, str]]:
    return {label for one in data if (label := recognise(one, REALMS)) is not None}


def best(realdata: Path, capture: str) -> Replay:
    return next(one for one in replays(realdata / "pcap" / capture) if one.app == CAPTURES[capture])


@pytest.mark.parametrize("capture", CAPTURES)
def test_real_calls_and_synthetic_ones_are_caught_alike(capture: str, realdata: Path) -> None:
    app = CAPTURES[capture]
    replay = best(realdata, capture)
    synthetic = render(spec(app, "voice", "relay-call"), SEED)
    assert isinstance(synthetic, DatagramScript)
    assert labels(datagrams(synthetic)) == {(app, "voice")}
    assert labels(datagrams(replayed(replay))) == {(app, "voice")}
    assert labels(datagrams(replayed(replay, "control"))) == set()


# What is telling in a datagram of each kind, and the same datagram without it: sizes stay, one field changes.


def without_attributes(data: bytes) -> bytes:
    """Private attribute numbers become unassigned ones; read as the messages are written, padded or not."""
    message = stun.decode(data)
    if isinstance(message, Malformed):
        return data
    out, at = bytearray(data), 20
    for item in message.attributes:
        if 0x4000 <= item.type <= 0x40FF:
            out[at] = 0xCF
        at += 4 + len(item.value) + len(item.padding)
    return bytes(out)


def without_type(data: bytes) -> bytes:
    answer = data[1] in (2, 5)
    return (b"\x01\x01" if answer else b"\x00\x01") + data[2:]


KINDS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], bytes]]] = {
    "realm": (
        lambda data: b"signal.org" in data,
        lambda data: data.replace(b"signal.org", b"neutra.org"),
    ),
    "private type": (
        lambda data: stun.looks_like(data) and data[0] == 8,
        lambda data: without_attributes(without_type(data)),
    ),
    "private attribute": (lambda data: stun.looks_like(data) and data[0] in (0, 1), without_attributes),
    "extension profile": (
        rtp.looks_like,
        lambda data: data[:12] + data[12:14].replace(b"\xde\xbe", b"\xbe\xde") + data[14:],
    ),
    "run of ones": (lambda data: data[16:28] == b"\xff" * 12, lambda data: data[:20] + b"\x7f" + data[21:]),
}
BARE = "bare binding"
KINDS[BARE] = (
    lambda data: stun.looks_like(data) and len(data) == 44 and data[20:22] == b"\0\x08",
    lambda data: data[:20] + b"\xc0\x57" + data[22:],
)


def kind_of(data: bytes) -> str | None:
    """Bare bindings first: they bear a public attribute, and are telling by having no other."""
    return next((kind for kind in (BARE, *KINDS) if KINDS[kind][0](data)), None)


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_mutant_without_its_one_telling_field_passes(capture: str, realdata: Path) -> None:
    caught = 0
    for replay in replays(realdata / "pcap" / capture):
        for data in datagrams(replayed(replay)):
            if recognise(data, REALMS) is None:
                continue
            caught += 1
            kind = kind_of(data)
            assert kind is not None, data.hex()
            mutant = KINDS[kind][1](data)
            assert len(mutant) == len(data)
            assert recognise(mutant, REALMS) is None, (kind, data.hex())
    assert caught > 5


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_call_whose_telling_fields_are_all_blanked_passes_whole(capture: str, realdata: Path) -> None:
    data = datagrams(replayed(best(realdata, capture)))
    assert labels(data)
    assert labels([KINDS[kind][1](one) if (kind := kind_of(one)) else one for one in data]) == set()


@pytest.mark.ndpi
@pytest.mark.parametrize(
    ("capture", "port", "name"),
    [
        ("wa_video.pcap", 3478, "STUN.WhatsAppCall"),
        ("wa_video.pcap", 20_123, "STUN.WhatsAppCall"),
        # From peer to peer, out of its capture and so out of nDPI's memory of the relay: no name of its own.
        ("wa_voice.pcap", 32_704, "STUN.RTP"),
        ("whatsapp_login_call.pcap", 9344, "STUN.RTP"),
        ("telegram.pcap", 529, "Telegram"),
        ("stun_signal.pcapng", 3478, "STUN.SignalVoip"),
    ],
)
def test_ndpi_names_a_replay_as_it_names_the_real_call(
    capture: str, port: int, name: str, realdata: Path, tmp_path: Path
) -> None:
    replay = best(realdata, capture)
    assert name_of(tmp_path, replayed(replay, seconds=10.5), port) == name
    assert name_of(tmp_path, replayed(replay, "control", seconds=10.5), port) in ("STUN", "Unknown")


@pytest.mark.ndpi
@pytest.mark.parametrize("capture", [name for name, app in CAPTURES.items() if app == "whatsapp"])
def test_ndpi_names_the_replay_of_every_relayed_whatsapp_call(capture: str, realdata: Path, tmp_path: Path) -> None:
    relayed = [one for one in replays(realdata / "pcap" / capture) if any(p.data[:2] == b"\0\3" for p in one.near)]
    assert relayed
    for replay in relayed:
        assert name_of(tmp_path, replayed(replay, seconds=10.5), 3478).endswith("WhatsAppCall")


SCENARIO = """
name = "replay"
apps = ["whatsapp"]
functions = ["voice"]
[[network]]
name = "moscow-fixed"
asn = 64500
region = "RU-MOW"
hops = 5
"""
RULE = """
[[network.rule]]
hop = 2
match = { app = "whatsapp", function = "voice" }
trigger = "payload"
action = { kind = "drop" }
"""


@pytest.mark.parametrize("blocked", [True, False], ids=["blocked", "free"])
def test_a_check_with_a_real_call_finds_the_block_and_only_it(blocked: bool, realdata: Path) -> None:
    scenario = parse(SCENARIO + (RULE if blocked else ""), "replay.toml")
    rows = run_sim(scenario, replay=best(realdata, "wa_video.pcap"))
    verdicts = [row.verdict for row in rows if isinstance(row, Measurement)]
    assert len(verdicts) == 2  # outgoing and incoming
    for verdict in verdicts:
        assert verdict.status == ("restricted" if blocked else "working")
        assert (verdict.mechanism, verdict.trigger) == (("drop", "payload") if blocked else ("none", None))
