"""Start PingWorkflow, wait for its answer and print it: `ok`.

    python scripts/start_ping.py                            one ping
    python scripts/start_ping.py -c 300 --concurrency 20    many pings and a summary

Exits with 0, with 1 if a ping failed, and with 130 on Ctrl+C.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from temporal_checks import Failure, Finding, shown_error, wrong
from temporal_client import Settings, connect, describe_namespace, load_settings
from temporal_script import arguments, explained, log, run
from workflows.ping_workflow import PingWorkflow

NO_WORKER_SECONDS = 3.0
FINAL = (  # trying again would end the same; all else may pass, as a server that restarts does
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.UNIMPLEMENTED,
)
T = TypeVar("T")
Ping = WorkflowHandle[PingWorkflow, str]


async def keep_trying(call: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Call until it answers, however often the server goes away meanwhile.

    Raises:
        asyncio.TimeoutError: No answer until the deadline, in the event loop's seconds; because of
            the last error, if there was one.
        RPCError: An answer that trying again would not change.
    """
    last: RPCError | None = None
    while True:
        try:
            left = deadline - asyncio.get_running_loop().time()
            return await asyncio.wait_for(call(), left)
        except asyncio.TimeoutError as timeout:
            raise timeout from last
        except RPCError as error:
            last = error
            # A server that comes back may not know its namespaces for a moment; `main` saw ours.
            if error.status in FINAL and not error.message.startswith("Namespace "):
                raise
            await asyncio.sleep(min(0.5, max(left, 0)))


async def start(client: Client, settings: Settings, deadline: float) -> Ping:
    """Start one ping, once; the server closes the run by itself soon after the deadline."""
    ping_id = f"ping-{uuid.uuid4().hex[:12]}"
    left = deadline - asyncio.get_running_loop().time()

    async def attempt() -> Ping:
        try:
            return await client.start_workflow(
                PingWorkflow.run,
                id=ping_id,
                task_queue=settings.task_queue,
                execution_timeout=timedelta(seconds=left + 5),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:  # by an attempt whose answer was lost
            return client.get_workflow_handle_for(PingWorkflow.run, ping_id)

    return await keep_trying(attempt, deadline)


async def say_if_no_worker(client: Client, settings: Settings) -> None:
    """After some seconds without an answer, and as soon as it is so, say that no worker polls."""
    began = time.time()
    while True:
        await asyncio.sleep(NO_WORKER_SECONDS)
        from temporal_diagnosis import find_workers

        # A worker that runs has polled since the ping began; the second is for the clocks.
        finding = await find_workers(client, settings, began - 1)
        if finding.mark == "⚠":
            log.warning("%s", finding)
            return


async def why_no_answer(
    client: Client, handle: Ping | None, settings: Settings, timeout: float, late: BaseException
) -> Finding:
    """Why a ping has no answer in time."""
    from temporal_diagnosis import TRY_AGAIN, find_workers, walk

    async for finding in walk(settings):
        if finding.mark == "✗":
            return finding
    if not handle:
        why = shown_error(late.__cause__) if late.__cause__ else "no answer"
        return wrong(f"the server did not start the run within {timeout:g} s: {why}", TRY_AGAIN)
    text = f"no answer within {timeout:g} s"
    with suppress(RPCError):
        async for event in handle.fetch_history_events(rpc_timeout=timedelta(seconds=2)):
            if failure := event.workflow_task_failed_event_attributes.failure.message:
                return wrong(f"{text}: the worker fails on it: {failure}", "see the worker's log")
    finding = await find_workers(client, settings, time.time() - timeout)
    return wrong(f"{text}: {finding.text}", *(finding.remedy or ["see the worker's log"]))


async def one_ping(client: Client, settings: Settings, timeout: float) -> str:
    """One ping, told step by step; returns what the workflow answers."""
    deadline = asyncio.get_running_loop().time() + timeout
    handle: Ping | None = None
    log.info("Starting PingWorkflow on task queue %r...", settings.task_queue)
    try:
        handle = await start(client, settings, deadline)
        log.info("Workflow started: %s", handle.id)
        if link := settings.web_ui(handle.id, handle.first_execution_run_id or ""):
            log.info("%s", link)
        log.info("Waiting for result...")
        watcher = asyncio.ensure_future(say_if_no_worker(client, settings))
        try:
            answer = await keep_trying(handle.result, deadline)
        finally:
            watcher.cancel()
    except asyncio.TimeoutError as error:
        why = await why_no_answer(client, handle, settings, timeout, error)
        raise Failure([why]) from error
    except WorkflowFailureError as error:
        raise Failure([wrong(f"the workflow failed: {error.cause}")]) from error
    log.info("✓ Workflow completed successfully")
    return answer


async def many_pings(client: Client, settings: Settings, args: argparse.Namespace) -> int:
    """`args.count` pings, `args.concurrency` at a time; prints the summary, returns the failed."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    failures: list[tuple[Ping | None, Exception]] = []
    to_start = iter(range(args.count))
    began = loop.time()

    async def lane() -> None:
        for _ in to_start:
            handle = None
            started = loop.time()
            try:
                handle = await start(client, settings, started + args.timeout)
                await keep_trying(handle.result, started + args.timeout)
                latencies.append((loop.time() - started) * 1000)
            except (RPCError, WorkflowFailureError, asyncio.TimeoutError) as error:
                failures.append((handle, error))
            if sys.stderr.isatty():
                done = len(latencies) + len(failures)
                print(f"\r{done}/{args.count} pings", end="", file=sys.stderr, flush=True)

    watcher = asyncio.ensure_future(say_if_no_worker(client, settings))
    try:
        await asyncio.gather(*(lane() for _ in range(min(args.concurrency, args.count))))
    finally:  # on Ctrl+C too, as `ping` does
        watcher.cancel()
        if sys.stderr.isatty():
            print(file=sys.stderr)
        print(summary(latencies, len(failures), loop.time() - began))
    if failures:
        handle, error = failures[0]
        if isinstance(error, asyncio.TimeoutError):
            why = await why_no_answer(client, handle, settings, args.timeout, error)
            raise Failure([why]) from error
        raise error
    return 0


def summary(latencies: list[float], failed: int, seconds: float) -> str:
    """One line; percentiles by nearest rank."""
    ordered = sorted(latencies)
    ranks = [0, *(math.ceil(share * len(ordered)) - 1 for share in (0.5, 0.95, 0.99)), -1]
    values = "/".join(f"{ordered[rank]:.0f}" if ordered else "-" for rank in ranks)
    return (
        f"{len(ordered) + failed} pings: {len(ordered)} ok, {failed} failed in {seconds:.1f} s "
        f"({len(ordered) / seconds:.1f}/s), latency ms min/p50/p95/p99/max {values}"
    )


async def main(args: argparse.Namespace) -> int:
    """Ping once, or as often as asked."""
    settings = load_settings()
    log.info("Starting ping workflow...")
    async with explained(settings):
        client = await connect(settings)
        await describe_namespace(client)
        log.info("Connected to %s", settings.server)
        if args.count:
            return await many_pings(client, settings, args)
        print(await one_ping(client, settings, args.timeout))
        return 0


def parser() -> argparse.ArgumentParser:
    """The script's options."""
    options = arguments(__doc__)
    options.add_argument("-c", "--count", type=whole, metavar="N", help="start N pings")
    options.add_argument(
        "--concurrency", type=whole, default=20, metavar="C", help="C at a time (default: 20)"
    )
    options.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="SECONDS", help="for each (default: 60)"
    )
    return options


def whole(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 86400 * 365:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return value


if __name__ == "__main__":
    run(main, parser())
