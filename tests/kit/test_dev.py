"""A working day: saved code, a held-up loop, shared clients, breakpoints, a web application."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import httpx
import pytest

from .cases import env
from .cloud_front import NAMESPACE, Certificates, CloudFront
from .guides import Reader, block, blocks, compare, runs
from .kit import DevServer, Kit, free_port, write
from .pings import CALLING, QUEUE, begin, wait_until
from .tcp import Listener

pytestmark = pytest.mark.slow
SAVES = 4

VERSIONED = """
from datetime import timedelta
from temporalio import activity, workflow

@activity.defn
def version() -> int:
    return {number}

@workflow.defn
class Versioned:
    @workflow.run
    async def run(self, wanted: int) -> int:
        while True:
            found = await workflow.execute_activity(
                version, start_to_close_timeout=timedelta(seconds=10)
            )
            if found >= wanted:
                return found
            await workflow.sleep(1)
"""


def execute(reader: Reader, name: str, *args: Any) -> Any:
    """Run a workflow to its answer."""

    async def run() -> Any:
        queue = reader.settings.get("TEMPORAL_TASK_QUEUE", QUEUE)
        address = reader.settings["TEMPORAL_ADDRESS"]
        return await (await begin(address, name, *args, task_queue=queue)).result()

    return asyncio.run(run())


@runs("reload")
@pytest.mark.timeout(400)
def test_saved_code_runs_and_server_and_data_stay(alone: Reader) -> None:
    def code(number: int) -> str:
        # Python takes its cached bytecode where a file has the second and the size that it had.
        return VERSIONED.format(number=number) + "#" * number

    def run(wanted: int, how: str = "execute") -> str:
        command = f"temporal workflow {how} --type Versioned --workflow-id v{wanted}"
        return alone.type(f"{command} --task-queue ap-default --input {wanted}").stdout

    kit = alone.kit
    kit.register("versioned", code(0), workflows=["Versioned"], activities=["version"])
    kit.write_env("TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233\nTEMPORAL_API_KEY=a-key\n")
    file = kit.root / "workflows" / "versioned.py"
    with alone.work(block("reload")) as serving:
        serving.wait_for("Workflows: 2 (Versioned, PingWorkflow)")
        run(SAVES + 1, "start")
        for number in range(1, SAVES + 1):
            write(file, code(number))
            serving.wait_for("Worker running", count=number + 1)
            assert "Completed" in run(number) or "COMPLETED" in run(number).upper()
        write(file, "def broken(\n")
        serving.wait_for("The worker has ended with code 1")
        assert serving.stderr.count("ERROR - SyntaxError") == 1
        write(file, code(SAVES + 1))
        shown = alone.until(f"temporal workflow describe --workflow-id v{SAVES + 1}", "COMPLETED")
        assert "COMPLETED" in shown.upper()
        serving.signal_group(signal.SIGINT)
        assert serving.wait() == 0
        serving.expect_nothing_left()
    assert "Your settings point at payments" in serving.stderr


REPORT = """
import time

from temporalio import activity


@activity.defn
async def build() -> str:
    time.sleep(5)
    return "built"


@activity.defn
def build_in_a_thread() -> str:
    time.sleep(5)
    return "built"
"""


def test_a_line_that_holds_the_event_loop_up_is_named_once(kit: Kit, here: dict[str, Any]) -> None:
    kit.register("calling", CALLING, workflows=["Calling"])
    kit.register("report", REPORT, activities=["build", "build_in_a_thread"])
    reader = Reader(kit, here)
    with reader.work() as worker:
        assert execute(reader, "Calling", ["build_in_a_thread", "build"]) == ["built", "built"]
        line = worker.wait_for("event loop")
        assert worker.stderr.count("event loop") == 1, worker.stderr
        assert "workflows/report.py, line 9, in build\n" in line
    compare("held up", line.replace(str(kit.root), "/app"))


@runs("activities", "activities, workers/worker.py")
def test_what_activities_share_is_made_once_and_closed(kit: Kit, here: dict[str, Any]) -> None:
    reader = Reader(kit, {**here, "LEDGER_FILE": kit.home / "ledger.db"})
    reader.type(block("activities"))
    for name in ("rates", "ledger"):
        with (kit.root / "workflows" / f"{name}.py").open("a") as copy:
            copy.write(f"\n\n__import__('os').write(2, b'{name} is loaded\\n')\n")
    kit.register("payment_workflow", "", workflows=["PaymentWorkflow"])
    text = kit.worker.read_text("utf-8")
    begins, ends = text.index("@asynccontextmanager"), "yield ACTIVITIES"
    shared = block("activities, workers/worker.py")
    shared += "\n    log.info('closed: %s', http.is_closed)"
    text = text.replace(text[begins : text.index(ends) + len(ends)], shared)
    imports = "import httpx\nimport os\nfrom contextlib import closing\n"
    imports += "from workflows.ledger import Ledger\nfrom workflows.rates import Rates\n"
    kit.worker.write_text(text.replace("from workflows.ping", f"{imports}from workflows.ping", 1))
    asked: list[socket.socket] = []

    def rates(peer: socket.socket) -> None:
        """A web service that keeps connections open: everything costs twice as much."""
        while peer.recv(65536):
            asked.append(peer)
            peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"rate": 2.0}')

    with Listener(rates) as server:
        reader.settings["RATES_URL"] = f"http://{server.address}"
        with reader.work() as worker:
            totals = [execute(reader, "PaymentWorkflow", 5.0, "EUR") for _ in range(3)]
            worker.stop()
    assert totals == [10, 20, 30]
    assert asked == asked[:1] * 3  # one client, so one connection
    marks = ("ledger is loaded", "rates is loaded", "Stopping", "closed: True", "Worker stopped")
    assert re.findall("|".join(marks), worker.stderr) == list(marks)


GREETING = """
from temporalio import workflow

@workflow.defn
class GreetingWorkflow:
    @workflow.run
    async def run(self, name: str) -> str:
        greeting = f"Hello, {name}"
        breakpoint()
        return greeting + "!"
"""


@runs("debug")
def test_a_workflow_stops_at_a_breakpoint_for_as_long_as_wanted(kit: Kit) -> None:
    kit.register("greeting", GREETING, workflows=["GreetingWorkflow"])
    # Longer than the deadlock detector (2 s), the watch on the loop and the server (10 s) wait.
    (kit.root / "typed").write_text("import time; time.sleep(11)\np greeting\nc\n")
    debugged, started = blocks("debug")
    with DevServer() as server:
        reader = Reader(kit, {"TEMPORAL_ADDRESS": server.address})
        with reader.work(f"exec env {debugged} < typed") as worker:
            assert "Hello, Ada!" in reader.type(started).stdout
            worker.stop()
        assert "(Pdb) 'Hello, Ada'\n" in worker.stdout
        assert worker.stdout.count("-> return greeting") == 1
        assert not re.search("deadlock|event loop", worker.stderr)
        with reader.work() as worker:  # without TEMPORAL_DEBUG
            reader.type(started.replace("execute", "start"))
            worker.wait_for("breakpoint() inside workflow code requires")


NOT_TAKEN = "Changed settings not applied, the old ones stay in use"


@contextmanager
def users(url: str) -> Iterator[Callable[[], None]]:
    """Three who ask without end; gives what waits until each has asked anew. All get answers."""
    over, answers = Event(), list[int]()

    def ask() -> None:
        with httpx.Client(timeout=30, trust_env=False) as http:
            while not over.wait(0.05):
                answers.append(http.get(url).status_code)

    def wait_for_more() -> None:
        wanted = len(answers) + 15
        wait_until(lambda: len(answers) >= wanted, f"{wanted} answers")

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        try:
            yield wait_for_more
        finally:
            over.set()
    assert [one.exception() for one in asking] == [None] * 3
    assert set(answers) == {200}


@runs("web application")
@pytest.mark.parametrize("way", ["API key", "certificate"])
def test_a_new_credential_is_used_and_the_old_one_can_go(
    request: pytest.FixtureRequest,
    kit: Kit,
    dev_server: DevServer,
    certificates: Certificates,
    way: str,
) -> None:
    front: CloudFront = request.getfixturevalue("cloud" if way == "API key" else "mtls_cloud")
    file = kit.home / "credential"
    if way == "API key":
        setting, old, new = "TEMPORAL_API_KEY_FILE", "the-key-in-use-now", "the-key-that-comes-next"
        first, other, right = old, "a-key-that-nobody-knows", new
        front.accept(old)
        front.accept(new)
    else:
        pairs = [certificates.client("a"), certificates.client("b")]
        pairs.append(certificates.client("c", ca=certificates.untrusted_ca))
        setting, (old, new, _) = "TEMPORAL_TLS_CLIENT_CERT_PATH", (str(one.serial) for one in pairs)
        first, right, other = (one.combined.read_text() for one in pairs)
    half = right[: len(right) // 2]

    def used() -> set[str]:
        starts = [call for call in front.calls if "StartWorkflow" in call.method]
        return {str(call.api_key or call.client_serial) for call in starts}

    ca = certificates.server_ca_file
    cloud = env(ADDRESS=front.address, NAMESPACE=NAMESPACE, TLS_SERVER_CA_CERT_PATH=ca)
    reader = Reader(kit, {**cloud, setting: file})
    following = "temporal_kit/credentials.py"
    reader.change(following, "FOLLOW_SECONDS = 5.0\n", "FOLLOW_SECONDS = 0.3\n")
    kit.work(**env(ADDRESS=dev_server.address, NAMESPACE=NAMESPACE))
    write(file, first)
    port = free_port()
    with reader.start(f"{block('web application').splitlines()[-1]} --port {port}") as web:
        web.wait_for("Uvicorn running")
        with users(f"http://127.0.0.1:{port}/ping") as wait_for_more:
            for count, text in enumerate((half, "", other), 1):
                write(file, text)
                web.wait_for(NOT_TAKEN, count=count)
                wait_for_more()
            assert used() == {old}
            write(file, right)
            wait_until(lambda: new in used(), "the new one in use")
            wait_for_more()
            front.calls.clear()
            front.revoke(old)
            wait_for_more()
            assert used() == {new}
    said = web.stdout + web.stderr
    assert said.count(NOT_TAKEN) == 3
    assert not [secret for secret in (first, other, right, half) if secret in said]
