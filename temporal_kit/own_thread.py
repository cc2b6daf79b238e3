"""Runs a function in a thread of its own, where `asyncio.to_thread` shares a few with everybody."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def in_own_thread(function: Callable[[], Result]) -> Result:
    """What the function returns or raises; it waits behind no other work, and nothing for it.

    The loop's executor has 6 threads on two cores, and activities may use all of them for minutes.
    A daemon thread that reads from a dead network drive does not hold up the end of the process
    either.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def deliver(result: Result | None, error: BaseException | None) -> None:
        if answer.done():  # its caller was cancelled
            return
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            outcome = context.run(function), None
        except Exception as error:
            outcome = None, error  # type: ignore[assignment]
        except BaseException as error:  # `sys.exit()` of the owner's, or a panic of the SDK
            outcome = None, RuntimeError(repr(error))  # type: ignore[assignment]
        with suppress(RuntimeError):  # the loop has been closed: the script has ended
            loop.call_soon_threadsafe(deliver, *outcome)

    threading.Thread(target=run, daemon=True, name="own thread").start()
    return await answer
