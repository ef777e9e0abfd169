"""The participant's driver against plain sockets on loopback."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from ringback.errors import BadInput
from ringback.net import Direct, Interface, Socks5, drive, opening
from ringback.trial.seam import (
    Answer,
    Ask,
    Close,
    Connected,
    Delivered,
    Ended,
    Event,
    Open,
    Received,
    Refused,
    Send,
    Sent,
    Write,
)
from tests.net.ends import Diarist
from tests.net.proxy import Proxy

PATHS = {"direct": Direct()}


async def nobody(what: str, body: bytes) -> bytes:
    raise AssertionError("nothing was to be asked")


class Echo(asyncio.DatagramProtocol):
    """Answers every datagram, and remembers where each came from."""

    def __init__(self) -> None:
        self.sources: list[int] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        self.sources.append(source[1])
        self.transport.sendto(b"re " + data, source)


async def echo(host: str) -> Echo:
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=(host, 0))
    return protocol


@pytest.fixture
async def server() -> AsyncIterator[Echo]:
    protocol = await echo("127.0.0.1")
    yield protocol
    protocol.transport.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on: held by a bound socket of the other transport's kind until the test is over."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


async def run(end: Diarist, **changes: object) -> Diarist:
    arguments: dict = {"ask": nobody, "paths": PATHS} | changes
    await asyncio.wait_for(drive(end, **arguments), 10)
    return end


async def test_datagrams_leave_at_their_time_and_answers_come_back(server: Echo) -> None:
    sends = [Send(1, 0.02 * i, b"packet %d" % i, i) for i in range(6)]
    end = await run(
        Diarist(
            [Open(1, "udp", "127.0.0.1", server.port, "direct"), *reversed(sends)],
            until=lambda diary: sum(type(e) is Received for e in diary) == 6,
        )
    )

    assert [e.index for e in end.heard(Sent)] == list(range(6))
    lateness = sorted(e.at - 0.02 * e.index for e in end.heard(Sent))
    assert lateness[0] >= 0
    assert lateness[3] < 0.01
    assert [e.data for e in end.heard(Received)] == [b"re packet %d" % i for i in range(6)]
    trips = sorted(got.at - out.at for out, got in zip(end.heard(Sent), end.heard(Received), strict=True))
    assert 0 < trips[3] < 0.01


async def test_a_datagram_is_stamped_when_the_kernel_got_it_not_when_we_read_it() -> None:

    def dawdle(event: Event) -> tuple[()]:
        if type(event) is Sent:
            threading.Event().wait(0.05)  # the loop stands still; the answer comes meanwhile
        return ()

    # The echo must answer while our loop stands still, so it lives on a thread of its own.
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("127.0.0.1", 0))

    def answer() -> None:
        data, source = plain.recvfrom(100)
        plain.sendto(data, source)

    thread = threading.Thread(target=answer)
    thread.start()
    end = await run(
        Diarist(
            [Open(1, "udp", "127.0.0.1", plain.getsockname()[1], "direct"), Send(1, 0.0, b"x", 0)],
            reply=dawdle,
            until=lambda diary: any(type(e) is Received for e in diary),
        )
    )
    thread.join()
    plain.close()
    assert end.heard(Received)[0].at - end.heard(Sent)[0].at < 0.03


async def test_every_flow_has_a_local_port_that_was_never_used(server: Echo) -> None:
    rounds = 200

    def next_flow(event: Event) -> list:
        if type(event) is not Received:
            return []
        flow = event.flow + 1
        return [
            Close(event.flow),
            Open(flow, "udp", "127.0.0.1", server.port, "direct"),
            Send(flow, 0.0, b"x", 0),
        ]

    await run(
        Diarist(
            [Open(0, "udp", "127.0.0.1", server.port, "direct"), Send(0, 0.0, b"x", 0)],
            reply=next_flow,
            until=lambda diary: sum(type(e) is Received for e in diary) == rounds,
        )
    )
    assert len(server.sources) >= rounds
    assert len(set(server.sources)) == len(server.sources)


async def test_a_port_that_is_handed_out_again_is_not_taken(server: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is made to offer the first flow's port to the second one; it must ask for another."""
    offered: list[int] = []
    free = opening.bind_anywhere

    def stubborn(sock: socket.socket) -> None:
        if len(offered) == 1:
            sock.bind(("", offered[0]))
        else:
            free(sock)
        offered.append(sock.getsockname()[1])

    monkeypatch.setattr(opening, "bind_anywhere", stubborn)

    def second(event: Event) -> list:
        if type(event) is Received and event.flow == 1:
            return [Close(1), Open(2, "udp", "127.0.0.1", server.port, "direct"), Send(2, 0.0, b"y", 0)]
        return []

    await run(
        Diarist(
            [Open(1, "udp", "127.0.0.1", server.port, "direct"), Send(1, 0.0, b"x", 0)],
            reply=second,
            until=lambda diary: sum(type(e) is Received for e in diary) == 2,
        )
    )
    assert len(set(server.sources)) == 2
    assert offered == [server.sources[0], server.sources[0], server.sources[1]]


async def test_an_icmp_error_is_told_with_who_sent_it(closed_port: int) -> None:
    end = await run(
        Diarist(
            [Open(1, "udp", "127.0.0.1", closed_port, "direct"), *(Send(1, 0.03 * i, b"%d" % i, i) for i in range(3))],
            until=lambda diary: sum(type(e) is Refused for e in diary) == 3,
        )
    )
    assert [(e.type, e.code, e.source) for e in end.heard(Refused)] == [(3, 3, "127.0.0.1")] * 3
    assert [e.index for e in end.heard(Sent)] == [0, 1, 2]


async def test_ipv6_works_the_same_way() -> None:
    try:
        server = await echo("::1")
    except OSError:
        pytest.skip("no IPv6 on loopback")
    end = await run(
        Diarist(
            [Open(1, "udp", "::1", server.port, "direct"), Send(1, 0.0, b"six", 0, ttl=5)],
            until=lambda diary: any(type(e) is Received for e in diary),
        )
    )
    server.transport.close()
    assert end.heard(Received)[0].data == b"re six"


async def test_a_stream_connects_carries_bytes_and_ends() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(300_000)
        writer.write(data.upper())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        end = await run(
            Diarist(
                [Open(1, "tcp", "127.0.0.1", port, "direct"), Write(1, b"abc" * 100_000)],
                until=lambda diary: any(type(e) is Ended for e in diary),
            )
        )
    assert type(end.diary[0]) is Connected
    assert b"".join(e.data for e in end.heard(Delivered)) == b"ABC" * 100_000
    assert end.heard(Ended)[0].failure is None


async def test_what_goes_wrong_with_a_stream_has_oonis_words(closed_port: int) -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(slam, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        end = await run(
            Diarist(
                [
                    Open(1, "tcp", "127.0.0.1", closed_port, "direct"),
                    Open(2, "tcp", "127.0.0.1", port, "direct"),
                    Write(2, b"hello, and more than the one byte that is read"),
                ],
                until=lambda diary: sum(type(e) is Ended for e in diary) == 2,
            )
        )
    assert {e.flow: e.failure for e in end.heard(Ended)} == {1: "connection_refused", 2: "connection_reset"}


async def test_what_was_written_before_a_close_still_arrives() -> None:
    size = 8_000_000
    counted = asyncio.get_running_loop().create_future()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        counted.set_result(len(await reader.read(-1)))
        writer.close()

    async def ask(what: str, body: bytes) -> bytes:
        await counted
        return b""

    def close(event: Event) -> list:
        return [Write(1, bytes(size)), Close(1), Ask(1, "x", b"")] if type(event) is Connected else []

    async with await asyncio.start_server(count, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        end = Diarist(
            [Open(1, "tcp", "127.0.0.1", port, "direct")],
            close,
            until=lambda diary: any(type(e) is Answer for e in diary),
        )
        await run(end, ask=ask)
    assert counted.result() == size
    assert [type(e) for e in end.diary] == [Connected, Answer]


async def test_the_peer_is_asked_beside_everything_else() -> None:
    async def ask(what: str, body: bytes) -> bytes:
        if what == "round":
            raise ConnectionRefusedError(111, "refused")
        return what.encode() + body

    end = await run(
        Diarist(
            [Ask(1, "open", b"!"), Ask(2, "round", b"?")],
            until=lambda diary: sum(type(e) is Answer for e in diary) == 2,
        ),
        ask=ask,
    )
    answers = {e.number: (e.body, e.failure) for e in end.heard(Answer)}
    assert answers == {1: (b"open!", None), 2: (b"", "connection_refused")}


async def test_the_end_is_woken_when_it_wants_to_be() -> None:
    end = Diarist(wake_at=0.05, on_wake=[Ask(1, "x", b"")], until=lambda diary: bool(diary))

    async def ask(what: str, body: bytes) -> bytes:
        return b""

    await run(end, ask=ask)
    assert 0.05 <= end.woken[0] < 0.15


async def test_stop_ends_it_and_keeps_what_was_measured(server: Echo) -> None:
    stop = asyncio.Event()

    def reply(event: Event) -> tuple[()]:
        if type(event) is Received:
            stop.set()
        return ()

    end = Diarist([Open(1, "udp", "127.0.0.1", server.port, "direct"), Send(1, 0.0, b"x", 0)], reply=reply)
    await run(end, stop=stop)
    assert len(end.heard(Received)) == 1


async def test_cancelling_closes_every_socket_and_keeps_what_was_measured(server: Echo) -> None:
    arrived = asyncio.Event()

    def reply(event: Event) -> tuple[()]:
        if type(event) is Received:
            arrived.set()
        return ()

    async def ask(what: str, body: bytes) -> bytes:
        await asyncio.sleep(3600)
        return b""

    end = Diarist(
        [Ask(1, "open", b""), Open(1, "udp", "127.0.0.1", server.port, "direct"), Send(1, 0.0, b"x", 0)], reply=reply
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(drive(end, ask=ask, paths=PATHS))
        await arrived.wait()
        task.cancel()
    assert task.cancelled()
    assert len(end.heard(Received)) == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", server.sources[0]))  # free once more: the flow's socket is closed


async def test_an_error_in_the_end_is_not_swallowed(server: Echo) -> None:
    def reply(event: Event) -> tuple[()]:
        raise RuntimeError("a bug")

    end = Diarist([Open(1, "udp", "127.0.0.1", server.port, "direct"), Send(1, 0.0, b"x", 0)], reply=reply)
    with pytest.raises(RuntimeError, match="a bug"):
        await run(end)


async def test_an_unknown_path_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="vpn"):
        await run(Diarist([Open(1, "udp", "127.0.0.1", 9, "vpn")]))


async def test_a_path_can_be_an_interface(server: Echo) -> None:
    end = await run(
        Diarist(
            [Open(1, "udp", "127.0.0.1", server.port, "lo"), Send(1, 0.0, b"x", 0)],
            until=lambda diary: any(type(e) is Received for e in diary),
        ),
        paths={"lo": Interface("lo")},
    )
    assert end.heard(Received)


async def test_on_an_interface_that_is_not_there_streams_fail_and_no_datagram_counts_as_sent() -> None:
    end = await run(
        Diarist(
            [
                Open(1, "udp", "127.0.0.1", 9, "gone"),
                Send(1, 0.0, b"x", 0),
                Open(2, "tcp", "127.0.0.1", 9, "gone"),
            ],
            until=lambda diary: any(type(e) is Ended for e in diary),
        ),
        paths={"gone": Interface("ringback-no")},
    )
    assert [type(e) for e in end.diary] == [Ended]
    assert end.heard(Ended)[0].failure == "network_unreachable"


async def test_through_a_socks_proxy_everything_arrives_from_the_proxy(server: Echo) -> None:

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello " + await reader.readexactly(2))
        writer.close()

    async with Proxy() as proxy, await asyncio.start_server(greet, "127.0.0.1", 0) as tcp:
        port = tcp.sockets[0].getsockname()[1]
        end = await run(
            Diarist(
                [
                    Open(1, "udp", "127.0.0.1", server.port, "vpn"),
                    Send(1, 0.0, b"early", 0),
                    Send(1, 0.1, b"later", 1),
                    Open(2, "tcp", "127.0.0.1", port, "vpn"),
                    Write(2, b"me"),
                ],
                until=lambda diary: sum(type(e) in (Received, Ended) for e in diary) == 3,
            ),
            paths={"vpn": Socks5("127.0.0.1", proxy.port)},
        )
        assert [e.data for e in end.heard(Received)] == [b"re early", b"re later"]
        assert b"".join(e.data for e in end.heard(Delivered)) == b"hello me"
        assert sorted(proxy.seen) == sorted([f"udp 127.0.0.1:{server.port}"] * 2 + [f"tcp 127.0.0.1:{port}"])


async def test_what_a_socks_proxy_refuses_is_a_failure_of_the_stream_and_datagrams_were_not_sent() -> None:
    async with Proxy(refuse=5) as proxy:
        end = await run(
            Diarist(
                [
                    Open(1, "udp", "127.0.0.1", 9, "vpn"),
                    Send(1, 0.0, b"x", 0),
                    Open(2, "tcp", "127.0.0.1", 9, "vpn"),
                ],
                until=lambda diary: any(type(e) is Ended for e in diary),
            ),
            paths={"vpn": Socks5("127.0.0.1", proxy.port)},
        )
    assert [e.failure for e in end.diary if type(e) is Ended] == ["connection_refused"]
    assert not end.heard(Sent)
