"""Pings without end, and what the server says of them: the last word on what is lost."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from threading import Event, Thread
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from temporal_kit import sdk_runtime

PING = "WorkflowType = 'PingWorkflow'"
QUEUE = "ap-default"
# A workflow that calls activities by their names, side by side.
CALLING = """
import asyncio
from datetime import timedelta
from temporalio import workflow

@workflow.defn
class Calling:
    @workflow.run
    async def run(self, names: list[str], *args: str) -> list[str]:
        limit = timedelta(seconds=90)
        begun = [workflow.start_activity(n, args=args, start_to_close_timeout=limit) for n in names]
        return await asyncio.gather(*begun)
"""


def wait_until(true: Callable[[], bool], what: str, timeout: float = 60) -> float:
    """Wait until something is so; gives the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < timeout, f"not within {timeout} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


async def connect(address: str, namespace: str = "default") -> Client:
    """A client for the test process, whose log stays off standard output."""
    return await Client.connect(address, namespace=namespace, runtime=sdk_runtime())


async def begin(
    address: str, name: str, *args: Any, namespace: str = "default", **how: Any
) -> WorkflowHandle[Any, Any]:
    """Start a workflow, with an ID of its own and on the usual queue unless `how` says more."""
    client = await connect(address, namespace)
    how = {"id": f"{name}-{time.time_ns()}", "task_queue": QUEUE, **how}
    return await client.start_workflow(name, args=args, **how)


async def ping(client: Client, queue: str = QUEUE) -> str:
    """One ping to its answer, through every outage; it runs once, however often it is asked for."""
    name = f"ping-{uuid.uuid4()}"
    once = WorkflowIDReusePolicy.REJECT_DUPLICATE
    while True:
        try:
            with suppress(WorkflowAlreadyStartedError):
                await client.start_workflow(
                    "PingWorkflow", id=name, task_queue=queue, id_reuse_policy=once
                )
            return str(await client.get_workflow_handle(name).result())
        except RPCError:
            await asyncio.sleep(0.2)


async def send(client: Client, queue: str, count: int, concurrency: int) -> list[float]:
    """So many pings, so many at a time; gives the seconds of each."""
    left = iter(range(count))
    seconds = []

    async def lane() -> None:
        for _ in left:
            began = time.perf_counter()
            assert await ping(client, queue) == "ok"
            seconds.append(time.perf_counter() - began)

    await asyncio.gather(*(lane() for _ in range(concurrency)))
    return seconds


class Load(AbstractContextManager["Load"]):
    """Pings without end, straight to a server, from a thread of this process until `stop`."""

    def __init__(self, address: str, concurrency: int = 10, namespace: str = "default") -> None:
        self.ok, self.failed = 0, ""
        self._where, self._over = (address, namespace), Event()
        self._thread = Thread(target=asyncio.run, args=(self._main(concurrency),), daemon=True)
        self._thread.start()

    async def _main(self, concurrency: int) -> None:
        client = await connect(*self._where)
        await asyncio.gather(*(self._lane(client) for _ in range(concurrency)))

    async def _lane(self, client: Client) -> None:
        while not self._over.is_set():
            try:
                answer = await ping(client)
            except WorkflowFailureError as error:
                answer = str(error.cause)
            self.ok += answer == "ok"
            self.failed = self.failed or answer.removeprefix("ok")
            await asyncio.sleep(0.3)  # leave the machine some of its time for what is tested

    def wait_for_more(self, more: int = 20) -> float:
        """Wait until so many more have their answer; gives the seconds that it took."""
        wanted = self.ok + more
        return wait_until(lambda: self.ok >= wanted, f"{wanted} answered pings")

    def stop(self) -> None:
        """Begin no more pings, and give those that run 30 s to end."""
        self._over.set()
        self._thread.join(30)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def runs(self, query: str = "") -> list[WorkflowExecution]:
        """The pings of this kind, or all, that the server knows."""

        async def ask() -> list[WorkflowExecution]:
            client = await connect(*self._where)
            return [run async for run in client.list_workflows(f"{PING}{query}")]

        return asyncio.run(ask())

    def judge(self, at_least: int = 100) -> None:
        """End it when so many have their answer; each has run once, as the server says."""

        def all_ended() -> bool:
            status = [run.status for run in self.runs()]
            return len(status) >= self.ok and WorkflowExecutionStatus.RUNNING not in status

        wait_until(lambda: self.ok >= at_least, f"{at_least} answered pings")
        self.stop()
        assert not self.failed
        wait_until(all_ended, f"{self.ok} answered pings and none that runs")
        found = self.runs()
        assert len({run.id for run in found}) == len(found) >= self.ok
        assert {run.status for run in found} == {WorkflowExecutionStatus.COMPLETED}
