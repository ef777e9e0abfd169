"""The participant's end on real sockets."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ringback.net.failures import failure_of
from ringback.net.opening import Flows
from ringback.net.paths import PathBinding
from ringback.net.pump import Pump
from ringback.trial.seam import Answer, Ask, Close, End, Event, Open, Write


async def drive(
    end: End,
    *,
    ask: Callable[[str, bytes], Awaitable[bytes]],
    paths: Mapping[str, PathBinding],
    stop: asyncio.Event | None = None,
) -> None:
    """Run `end` until it is finished, or until `stop` is set. The end's clock is 0 when this is called.

    ask: puts (what, body) to the peer; what it raises becomes the answer's failure. paths: by the names that `Open`
    uses. However this ends, cancelled too, all sockets are closed and what was measured stays in `end`.

    Raises what the end raises, and BadInput for an `Open` that can't be performed (unknown path, host no address).
    """
    problems: list[Exception] = []
    over = asyncio.Event()
    asking: set[asyncio.Task[None]] = set()

    def fail(error: Exception) -> None:
        problems.append(error)
        over.set()

    async with asyncio.TaskGroup() as group:

        async def put(command: Ask) -> None:
            body, failure = b"", None
            try:
                body = await ask(command.what, command.body)
            except Exception as error:
                failure = failure_of(error)
            pump.feed(Answer(command.number, pump.now(), body, failure))

        def begin(command: Ask) -> None:
            task = group.create_task(put(command))
            asking.add(task)
            task.add_done_callback(asking.discard)

        def feed(event: Event) -> None:
            pump.feed(event)

        flows = Flows(paths, feed, lambda instant: pump.when(instant))
        perform: dict[type, Callable[[Any], None]] = {
            Open: flows.open,
            Write: flows.write,
            Close: flows.close,
            Ask: begin,
        }
        pump = Pump(end, perform, flows.send, fail, over.set)
        try:
            pump.start()
            if stop is None:
                await over.wait()
            else:
                await _either(group, over, stop)
        finally:
            pump.close()
            flows.close_all()
            for task in tuple(asking):
                task.cancel()
    if problems:
        raise problems[0]


async def _either(group: asyncio.TaskGroup, first: asyncio.Event, second: asyncio.Event) -> None:
    waiting = [group.create_task(event.wait()) for event in (first, second)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
