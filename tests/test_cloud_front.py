"""The stand-in for Temporal Cloud itself, where no test of the kit shows what it does.

Only the plain SDK is used here. When a test of the kit fails and these pass, look at the kit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from cloud_front import NAMESPACE, Certificates, CloudFront
from temporalio import workflow
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

Connect = Callable[..., Coroutine[Any, Any, Client]]


@workflow.defn
class Echo:
    @workflow.run
    async def run(self, word: str) -> str:
        return word


@pytest.fixture
def connect(cloud: CloudFront, certificates: Certificates, api_key: str) -> Connect:
    """Connects as a user of Cloud does, but never waits for ever."""
    tls = TLSConfig(server_root_ca_cert=certificates.server_ca_file.read_bytes())

    async def connect(key: str = api_key, namespace: str = NAMESPACE) -> Client:
        connecting = Client.connect(cloud.address, tls=tls, api_key=key, namespace=namespace)
        return await asyncio.wait_for(connecting, 10)

    return connect


async def status(call: Coroutine[Any, Any, object]) -> RPCStatusCode:
    """The status with which a call is refused."""
    with pytest.raises(RPCError) as caught:
        await asyncio.wait_for(call, 10)
    return caught.value.status


async def poll(client: Client) -> object:
    """A long poll of a queue to which nothing will ever come."""
    queue = TaskQueue(name=f"nothing-{uuid4()}")
    request = PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=queue)
    ask = client.workflow_service.poll_workflow_task_queue
    return await ask(request, timeout=timedelta(seconds=60))


async def arrive(front: CloudFront, polls: int) -> None:
    """Wait until so many polls have arrived; fail after ten seconds."""
    end = asyncio.get_running_loop().time() + 10
    while sum(call.method.endswith("/PollWorkflowTaskQueue") for call in front.calls) < polls:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)


def test_a_revoked_key_ends_its_polls_and_a_stopped_front_ends_all(
    cloud: CloudFront, connect: Connect, api_key: str
) -> None:
    async def scenario() -> None:
        cloud.accept("another key")
        client = await connect()
        ended = asyncio.ensure_future(status(poll(client)))
        other = asyncio.ensure_future(status(poll(await connect("another key"))))
        await arrive(cloud, 2)
        cloud.revoke(api_key)
        assert await ended is RPCStatusCode.UNAUTHENTICATED
        assert await status(client.count_workflows()) is RPCStatusCode.UNAUTHENTICATED
        assert not other.done()
        cloud.stop()
        await other
        with pytest.raises(RuntimeError, match="ConnectionRefused"):
            await connect("another key")
        cloud.start()
        client.api_key = "another key"
        await client.count_workflows()  # The old connection comes back too, by the SDK's retries.

    asyncio.run(scenario())


def test_silence_holds_calls_resume_answers_them_and_errors_keep_their_details(
    cloud: CloudFront, connect: Connect
) -> None:
    async def scenario() -> None:
        client = await connect()
        cloud.silence()
        same, queue = f"same-{uuid4()}", f"nobody-{uuid4()}"
        start = client.start_workflow(Echo.run, "", id=same, task_queue=queue)
        held = asyncio.gather(start, connect())
        done, _ = await asyncio.wait([held], timeout=0.3)
        assert not done
        cloud.resume()
        running, _ = await asyncio.wait_for(held, 5)
        with pytest.raises(WorkflowAlreadyStartedError):
            await client.start_workflow(Echo.run, "", id=same, task_queue=queue)
        await running.terminate()

    asyncio.run(scenario())


def test_a_worker_behind_it_answers_beside_a_hundred_other_polls(
    cloud: CloudFront, connect: Connect
) -> None:
    async def scenario() -> None:
        client = await connect()
        others = [asyncio.ensure_future(poll(client)) for _ in range(100)]
        await arrive(cloud, 100)
        queue, runner = f"echo-{uuid4()}", UnsandboxedWorkflowRunner()
        async with Worker(client, task_queue=queue, workflows=[Echo], workflow_runner=runner):
            asked = [
                client.execute_workflow(Echo.run, str(n), id=f"{queue}-{n}", task_queue=queue)
                for n in range(20)
            ]
            answers = await asyncio.wait_for(asyncio.gather(*asked), 30)
        assert answers == [str(n) for n in range(20)]
        assert not any(other.done() for other in others)
        for other in others:
            other.cancel()

    asyncio.run(scenario())
