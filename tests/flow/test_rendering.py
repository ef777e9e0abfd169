"""Both ends render the same script, and original and control differ in nothing but their bytes."""

import pytest

from ringback.errors import BadInput
from ringback.flow import DatagramScript, Send, StreamScript, forms_of, render
from tests.flow.specs import KNOWN, SEED, every_form, spec

DATAGRAM_FORMS = [f for f in every_form() if f[2] in ("relay-call", "p2p-call", "dns", "outer")]
STREAM_FORMS = [f for f in every_form() if f not in DATAGRAM_FORMS]
CALLS = [f for f in DATAGRAM_FORMS if f[2] != "dns"]


def shape(sends: tuple[Send, ...]) -> list[tuple[float, int, int | None]]:
    return [(send.at, len(send.data), send.after) for send in sends]


@pytest.mark.parametrize("form", every_form(), ids="/".join)
def test_both_ends_render_the_same_bytes(form: tuple[str, str, str]) -> None:
    for payload in ("original", "control"):
        assert render(spec(*form, payload=payload), SEED) == render(spec(*form, payload=payload), SEED)


@pytest.mark.parametrize("form", DATAGRAM_FORMS, ids="/".join)
def test_a_datagram_control_has_its_originals_sizes_times_and_replies(form: tuple[str, str, str]) -> None:
    for number in range(5):
        original = render(spec(*form, number=number), SEED)
        control = render(spec(*form, number=number, payload="control"), SEED)
        assert isinstance(original, DatagramScript)
        assert isinstance(control, DatagramScript)
        assert shape(original.near) == shape(control.near)
        assert shape(original.far) == shape(control.far)
        assert original.seconds == control.seconds
        assert not {s.data for s in original.near} & {s.data for s in control.near}


@pytest.mark.parametrize("form", STREAM_FORMS, ids="/".join)
def test_a_stream_control_has_its_originals_turns(form: tuple[str, str, str]) -> None:
    for number in range(5):
        original = render(spec(*form, number=number), SEED)
        control = render(spec(*form, number=number, payload="control"), SEED)
        assert isinstance(original, StreamScript)
        assert isinstance(control, StreamScript)
        assert [(t.by_near, len(t.data)) for t in original.turns] == [(t.by_near, len(t.data)) for t in control.turns]
        assert original.turns[0].by_near
        assert original.turns[0].data != control.turns[0].data
        assert original.timeout == control.timeout


@pytest.mark.parametrize("form", DATAGRAM_FORMS, ids="/".join)
def test_no_two_datagrams_of_a_session_are_equal(form: tuple[str, str, str]) -> None:
    near: list[bytes] = []
    far: list[bytes] = []
    for number in range(8):
        for payload in ("original", "control"):
            script = render(spec(*form, number=2 * number + (payload == "control"), payload=payload), SEED)
            assert isinstance(script, DatagramScript)
            near += [s.data for s in script.near]
            far += [s.data for s in script.far]
    assert len(set(near)) == len(near)
    assert len(set(far)) == len(far)


@pytest.mark.parametrize("form", STREAM_FORMS, ids="/".join)
def test_the_first_40_bytes_tell_streams_apart(form: tuple[str, str, str]) -> None:
    scripts = [render(spec(*form, number=n, payload=p), SEED) for n in range(20) for p in ("original", "control")]
    # Both arms of one number share a keystream; a session never runs both.
    starts = {script.turns[0].data[:40] for script in scripts[::2] if isinstance(script, StreamScript)}
    assert len(starts) == 20


@pytest.mark.parametrize("form", DATAGRAM_FORMS, ids="/".join)
def test_sends_are_sorted_within_the_exchange_and_follow_what_releases_them(form: tuple[str, str, str]) -> None:
    for direction in ("outgoing", "incoming"):
        for seconds in (0.4, 1.0, 10.5):
            script = render(spec(*form, direction=direction, seconds=seconds), SEED)
            assert isinstance(script, DatagramScript)
            for mine, others in ((script.near, script.far), (script.far, script.near)):
                assert [s.at for s in mine] == sorted(s.at for s in mine)
                assert all(0 <= s.at < seconds for s in mine)
                for send in mine:
                    if send.after is not None:
                        assert others[send.after].at <= send.at
            assert script.near[0].at == 0  # the participant opens the flow, whoever calls
            assert script.near[0].after is None


@pytest.mark.parametrize("form", CALLS, ids="/".join)
def test_the_callers_media_starts_first(form: tuple[str, str, str]) -> None:
    for direction in ("outgoing", "incoming"):
        script = render(spec(*form, direction=direction), SEED)
        assert isinstance(script, DatagramScript)
        near, far = (
            next(a.at for a, b in zip(sends, sends[3:], strict=False) if abs(b.at - a.at - 0.18) < 1e-9)
            for sends in ([s for s in side if s.after is None] for side in (script.near, script.far))
        )
        assert (near < far) == (direction == "outgoing")


@pytest.mark.parametrize("form", CALLS, ids="/".join)
def test_a_call_has_about_17_media_packets_a_second_each_way(form: tuple[str, str, str]) -> None:
    script = render(spec(*form), SEED)
    assert isinstance(script, DatagramScript)
    for side in (script.near, script.far):
        assert 155 <= len(side) <= 205


def test_another_seed_gives_other_bytes_for_the_same_spec() -> None:
    ours, theirs = (
        render(spec("whatsapp", "voice", "relay-call"), SEED),
        render(spec("whatsapp", "voice", "relay-call"), bytes(32)),
    )
    assert isinstance(ours, DatagramScript)
    assert isinstance(theirs, DatagramScript)
    assert not {s.data for s in ours.near} & {s.data for s in theirs.near}


def test_a_download_has_the_asked_size() -> None:
    for app, form in (("whatsapp", "tls"), ("telegram", "obfuscated")):
        for size in (1_000, 16_389, 200_000, 1_000_001):
            script = render(spec(app, "media", form, size=size), SEED)
            assert isinstance(script, StreamScript)
            assert 0 <= size - len(script.turns[-1].data) <= 5
            assert not script.turns[-1].by_near


def test_what_is_not_known_is_refused() -> None:
    good = spec("whatsapp", "text", "noise")
    for change in ({"app": "icq"}, {"form": "obfuscated"}, {"function": "video"}, {"form": "replay", "replay": "00"}):
        fields = {key: getattr(good, key) for key in good.__struct_fields__} | change
        with pytest.raises(BadInput):
            render(type(good)(**fields), SEED)


def test_forms_name_port_and_factors() -> None:
    text = {p.form: p for p in forms_of(KNOWN, "whatsapp", "text")}
    assert list(text) == ["noise", "tls", "dns"]
    assert text["dns"].factors == ("payload",)
    assert (text["dns"].transport, text["dns"].app_port) == ("udp", 53)
    assert text["tls"].factors == ("payload", "port")
    assert [p.form for p in forms_of(KNOWN, "telegram", "voice", "p2p")] == ["p2p-call"]
    assert [p.form for p in forms_of(KNOWN, "telegram", "voice")] == ["relay-call"]
    assert forms_of(KNOWN, "openvpn", "outer")[0].app_port == 1194
    for wrong in (
        ("icq", "text", None),
        ("signal", "video", None),
        ("signal", "voice", "sideways"),
        ("signal", "outer", None),
    ):
        with pytest.raises(BadInput):
            forms_of(KNOWN, *wrong)
