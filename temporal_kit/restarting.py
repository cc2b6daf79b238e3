"""Keeps a process running, and restarts it when a file is saved."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from .bound import bound
from .findings import log

STOP_SECONDS = 5.0  # for running work, at a restart; production gives it 30
INSTALL = "pip install -r requirements-dev.txt"


async def keep_running(command: list[str], env: dict[str, str], watch: Path | None) -> None:
    """Run a command until this is cancelled, anew after each save below `watch`.

    One that ends by itself, as of a syntax error, is started again at the next save.
    """
    saves = _saves(watch) if watch else _never()
    with suppress(asyncio.CancelledError):  # told to stop
        while True:
            saved = asyncio.ensure_future(anext(saves))
            await _run_until(saved, command, env)
            await saved


async def _run_until(saved: "asyncio.Future[Any]", command: list[str], env: dict[str, str]) -> None:
    """Run a command until the next save; if it ends before that, say so."""
    with bound(command[0]) as program:  # left as soon as it has ended
        process = await asyncio.create_subprocess_exec(
            program, *command[1:], env=env, close_fds=False
        )
        ended = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait([saved, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            await _stop(process)
    if not saved.done():
        log.warning("The worker has ended with code %d", process.returncode)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Tell a process to stop, and end it if it does not."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()


async def _saves(folder: Path) -> AsyncIterator[Any]:
    """Yield at each save of a Python file or of `.env`, if watchfiles is there to tell."""
    try:
        from watchfiles import PythonFilter, awatch
    except ImportError:
        log.warning("No restarts when you save: watchfiles is not installed (%s)", INSTALL)
        await asyncio.Event().wait()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it counts the changes
    of_python = PythonFilter()

    def is_source(change: Any, path: str) -> bool:
        return of_python(change, path) or Path(path).name == ".env"

    async for changes in awatch(folder, watch_filter=is_source):
        log.info("Restarting the worker: %s", ", ".join(sorted({Path(p).name for _, p in changes})))
        yield changes


async def _never() -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield None
