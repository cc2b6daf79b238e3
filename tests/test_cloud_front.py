"""The stand-in for Temporal Cloud itself: what it lets through, refuses, and records.

Only the plain SDK is used here. When a test of the kit fails and these pass, look at the kit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
import trustme
from cloud_front import PASSPHRASE, Certificates, CloudFront, KeyPair
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from kit import DevServer
from temporalio import workflow
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    PollWorkflowTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

NOW = datetime.now(timezone.utc)


@workflow.defn
class Echo:
    """The least that a worker can do."""

    @workflow.run
    async def run(self, word: str) -> str:
        """Give back what came."""
        return word


async def connect(
    front: CloudFront,
    certificates: Certificates,
    *,
    key: str | None = None,
    pair: KeyPair | None = None,
    namespace: str = "payments.a1b2c",
) -> Client:
    """Connect as a user of Cloud does, but never wait for ever."""
    tls = TLSConfig(
        server_root_ca_cert=certificates.server_ca_file.read_bytes(),
        client_cert=pair.certificate.read_bytes() if pair else None,
        client_private_key=pair.key.read_bytes() if pair else None,
    )
    connecting = Client.connect(front.address, namespace=namespace, api_key=key, tls=tls)
    return await asyncio.wait_for(connecting, 10)


async def look(client: Client, namespace: str | None = None) -> str:
    """Make one call that names a namespace, without retries; the name that the server gives."""
    wanted = client.namespace if namespace is None else namespace
    request = DescribeNamespaceRequest(namespace=wanted)
    asking = client.workflow_service.describe_namespace(request)
    return (await asyncio.wait_for(asking, 10)).namespace_info.name


async def refusal(client: Client, namespace: str | None = None) -> RPCStatusCode:
    """The status with which a call is refused."""
    with pytest.raises(RPCError) as caught:
        await look(client, namespace)
    return caught.value.status


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread; fail after ten seconds."""
    end = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.01)


def poll(client: Client) -> asyncio.Task[object]:
    """Start a long poll of a queue to which nothing will ever come."""
    request = PollWorkflowTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=f"nothing-{uuid4()}")
    )

    async def ask() -> object:
        return await client.workflow_service.poll_workflow_task_queue(
            request, timeout=timedelta(seconds=60)
        )

    return asyncio.create_task(ask())


def polls(front: CloudFront) -> int:
    """How many polls have arrived."""
    return sum(call.method.endswith("/PollWorkflowTaskQueue") for call in front.calls)


def test_an_accepted_key_passes_and_what_arrived_is_recorded(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key)
        assert await look(client) == client.namespace

    asyncio.run(scenario())
    hello, question = cloud.calls
    assert hello.method == "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo"
    assert hello.namespace is None
    assert question.method == "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace"
    assert question.namespace == question.metadata["temporal-namespace"] == "payments.a1b2c"
    for call in (hello, question):
        assert call.tls
        assert call.api_key == api_key
        assert [name for name, value in call.metadata.items() if api_key in value] == [
            "authorization"
        ]
        assert (call.client_name, call.client_serial) == (None, None)


@pytest.mark.parametrize("key", ["wrong", None])
def test_any_other_key_is_refused_at_connect(
    cloud: CloudFront, certificates: Certificates, key: str | None
) -> None:
    with pytest.raises(RuntimeError, match="code: Unauthenticated"):
        asyncio.run(connect(cloud, certificates, key=key))
    assert [call.api_key for call in cloud.calls] == [key]


def test_a_revoked_key_is_refused_until_another_one_is_set(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key)
        cloud.revoke(api_key)
        assert await refusal(client) is RPCStatusCode.UNAUTHENTICATED
        cloud.accept("the next one")
        assert await refusal(client) is RPCStatusCode.UNAUTHENTICATED
        client.api_key = "the next one"
        await look(client)

    asyncio.run(scenario())


def test_revoking_a_key_ends_the_polls_that_run_under_it(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        cloud.accept("another key")
        ended = poll(await connect(cloud, certificates, key=api_key))
        untouched = poll(await connect(cloud, certificates, key="another key"))
        await until(lambda: polls(cloud) == 2)
        cloud.revoke(api_key)
        with pytest.raises(RPCError) as caught:
            await asyncio.wait_for(ended, 5)
        assert caught.value.status is RPCStatusCode.UNAUTHENTICATED
        assert not untouched.done()
        untouched.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["client", "rsa", "expiring"])
def test_a_client_certificate_passes_without_a_key(
    mtls_cloud: CloudFront, certificates: Certificates, kind: str
) -> None:
    pair: KeyPair = getattr(certificates, kind)()

    async def scenario() -> None:
        await look(await connect(mtls_cloud, certificates, pair=pair))

    asyncio.run(scenario())
    assert len(mtls_cloud.calls) == 2
    for call in mtls_cloud.calls:
        assert (call.client_name, call.client_serial) == (kind, pair.serial)
        assert "authorization" not in call.metadata


@pytest.mark.parametrize("kind", [None, "untrusted", "expired", "not_yet_valid"])
def test_any_other_client_certificate_is_refused_by_tls(
    mtls_cloud: CloudFront, certificates: Certificates, kind: str | None
) -> None:
    pair: KeyPair | None = getattr(certificates, kind)() if kind else None
    with pytest.raises(RuntimeError, match=r"transport error|operation was canceled"):
        asyncio.run(connect(mtls_cloud, certificates, pair=pair))
    assert mtls_cloud.calls == []


def test_a_key_beside_a_client_certificate_must_be_good_as_well(
    mtls_cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    pair = certificates.client()
    with pytest.raises(RuntimeError, match="code: Unauthenticated"):
        asyncio.run(connect(mtls_cloud, certificates, key=api_key, pair=pair))
    mtls_cloud.accept(api_key)
    asyncio.run(connect(mtls_cloud, certificates, key=api_key, pair=pair))


def test_a_namespace_is_refused_by_its_header(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key, namespace="other.a1b2c")
        assert await refusal(client) is RPCStatusCode.PERMISSION_DENIED
        cloud.allow_namespace("other.a1b2c")
        # From here on it is the server behind that answers.
        assert await refusal(client) is RPCStatusCode.NOT_FOUND
        assert await refusal(client, namespace="") is RPCStatusCode.INVALID_ARGUMENT
        assert await look(client, namespace="payments.a1b2c")
        cloud.refuse_namespace("payments.a1b2c")
        assert await refusal(client, "payments.a1b2c") is RPCStatusCode.PERMISSION_DENIED

    asyncio.run(scenario())


def test_silence_holds_new_and_running_calls_and_resume_answers_them(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key)
        cloud.silence()
        held = {
            asyncio.create_task(look(client)),
            asyncio.create_task(connect(cloud, certificates, key=api_key)),
        }
        await until(lambda: len(cloud.calls) == 3)
        done, _ = await asyncio.wait(held, timeout=0.5)
        assert not done
        cloud.resume()
        await asyncio.wait_for(asyncio.gather(*held), 5)

    asyncio.run(scenario())


def test_it_comes_back_on_the_same_port(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key)
        running = poll(client)
        await until(lambda: polls(cloud) == 1)
        cloud.stop()
        with pytest.raises(RPCError):
            await asyncio.wait_for(running, 5)
        with pytest.raises(RuntimeError, match="ConnectionRefused"):
            await connect(cloud, certificates, key=api_key)
        cloud.start()
        await connect(cloud, certificates, key=api_key)
        await client.count_workflows()  # The old connection comes back too, by the SDK's retries.

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (lambda c: c.server(ca=c.untrusted_ca), "UnknownIssuer"),
        (lambda c: c.server("other.a1b2c.tmprl.cloud"), "NotValidForName"),
        (lambda c: c.server(not_after=NOW - timedelta(days=1)), "Expired"),
        (lambda c: c.server(not_before=NOW + timedelta(days=1)), "NotValidYet"),
    ],
)
def test_the_server_certificate_can_be_wrong(
    dev_server: DevServer,
    certificates: Certificates,
    server: Callable[[Certificates], trustme.LeafCert],
    said: str,
) -> None:
    with (
        CloudFront(dev_server.address, certificate=server(certificates)) as front,
        pytest.raises(RuntimeError, match=said),
    ):
        asyncio.run(connect(front, certificates))


def test_plaintext_is_possible_and_shows_in_the_record(
    dev_server: DevServer, cloud_namespace: str
) -> None:
    async def scenario(address: str) -> None:
        await look(await Client.connect(address, namespace=cloud_namespace, tls=False))

    with CloudFront(dev_server.address, certificate=None) as front:
        asyncio.run(scenario(front.address))
        assert [call.tls for call in front.calls] == [False, False]


def test_errors_keep_the_details_that_the_sdk_reads(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key)
        same, queue = f"same-{uuid4()}", f"nobody-{uuid4()}"
        running = await client.start_workflow(Echo.run, "", id=same, task_queue=queue)
        with pytest.raises(WorkflowAlreadyStartedError):
            await client.start_workflow(Echo.run, "", id=same, task_queue=queue)
        await running.terminate()

    asyncio.run(scenario())


def test_a_worker_behind_it_answers_beside_two_hundred_other_polls(
    cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    async def scenario() -> None:
        client = await connect(cloud, certificates, key=api_key)
        others = [poll(client) for _ in range(200)]
        await until(lambda: polls(cloud) == 200)
        queue = f"echo-{uuid4()}"
        async with Worker(
            client,
            task_queue=queue,
            workflows=[Echo],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            answers = await asyncio.wait_for(
                asyncio.gather(
                    *(
                        client.execute_workflow(
                            Echo.run, str(n), id=f"{queue}-{n}", task_queue=queue
                        )
                        for n in range(20)
                    )
                ),
                30,
            )
        assert answers == [str(n) for n in range(20)]
        assert not any(other.done() for other in others)
        for other in others:
            other.cancel()

    asyncio.run(scenario())


def test_the_files_are_what_their_names_say(certificates: Certificates) -> None:
    encrypted = certificates.encrypted()
    with pytest.raises(TypeError, match="Password was not given"):
        load_pem_private_key(encrypted.key.read_bytes(), None)
    load_pem_private_key(encrypted.key.read_bytes(), PASSPHRASE)
    assert (
        encrypted.combined.read_bytes()
        == encrypted.certificate.read_bytes() + encrypted.key.read_bytes()
    )
    expiring = x509.load_pem_x509_certificate(certificates.expiring().certificate.read_bytes())
    assert timedelta(days=9) < expiring.not_valid_after_utc - NOW < timedelta(days=11)
    assert certificates.client("again").serial != certificates.client("again").serial
