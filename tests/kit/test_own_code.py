"""Where the owner's own code begins: second workers, errors, threads, scripts, another project."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from .cases import env
from .cloud_front import NAMESPACE, Certificates, CloudFront
from .guides import Reader, block, runs
from .kit import API_KEY, LOCAL, PING, SOURCE, WORKER, DevServer, Kit, free_port, write
from .marks import posix, slow
from .pings import CALLING, begin

pytestmark = posix

REPORTS = """
from temporalio import activity, workflow

@activity.defn
def collect() -> int:
    return 7

@activity.defn
def forgotten() -> int:
    return 8

@workflow.defn
class ReportWorkflow:
    @workflow.run
    async def run(self) -> str:
        return "report"
"""


def add_lines(reader: Reader, path: str, lines: str) -> None:
    """Put these lines in the place of those that set the same names."""
    for line in lines.splitlines():
        name = line.partition(":")[0]
        text = (reader.kit.root / path).read_text("utf-8")
        [old] = re.findall(rf"^{name}: .*$", text, re.M)
        reader.change(path, old, line)


@slow
@runs(*(f"second worker{part}" for part in ("", ", its lines", ", start", ", look")))
def test_a_second_worker_is_a_copy_with_three_lines_changed(alone: Reader) -> None:
    write(alone.kit.root / "workflows" / "reports.py", REPORTS)
    alone.type(block("second worker"))
    file = "workers/reports_worker.py"
    add_lines(alone, file, block("second worker, its lines"))
    alone.change(file, "ping_workflow import PingWorkflow", "reports import ReportWorkflow")
    with alone.start("temporal server start-dev --headless") as server:
        server.wait_for("7233")
        with alone.work(block("second worker, start")) as second, alone.work() as first:
            assert (
                "Not registered in workers/reports_worker.py: collect, forgotten\n" in second.stderr
            )
            assert "Not registered" not in first.stderr
            second.wait_for("Task queue: reports")
            alone.until(block("second worker, look"), "✓ workers: 1 on 'reports'")
            started = "temporal workflow execute --type ReportWorkflow --task-queue reports"
            assert "report" in alone.type(started).stdout
            alone.ping()
            lost = alone.start(f"python {PING} --task-queue nobody --timeout 5")
            lost.wait_for("no worker polls the task queue 'nobody'", 12)
            lost.close()


@slow
@runs("two queues")
def test_two_queues_in_one_process(alone: Reader) -> None:
    text = alone.kit.worker.read_text("utf-8")
    begins, ends = (
        text.index("    async with open_activities("),
        text.index('    log.info("Worker st'),
    )
    text = f"{text[:begins]}{textwrap.indent(block('two queues'), '    ')}\n{text[ends:]}"
    alone.kit.worker.write_text(text, encoding="utf-8")
    with alone.start("temporal server start-dev --headless") as server:
        server.wait_for("7233")
        with alone.work() as worker:
            for queue in ("ap-default", "reports"):
                done = alone.type(f"python {PING} --task-queue {queue}")
                assert done.stdout == "ok\n"
            worker.stop()
        assert worker.process.returncode == 0


def test_an_activity_only_worker_is_a_worker_like_any_other(kit: Kit, here: dict[str, Any]) -> None:
    kit.register("reports", REPORTS, activities=["collect", "forgotten"])
    text = kit.worker.read_text("utf-8").replace("= [PingWorkflow]", "= []")
    kit.worker.write_text(text.replace("import PingWorkflow", "import PingWorkflow as _"))
    worker = kit.work(**here)
    assert "WARNING" not in worker.stderr.replace("Not registered in workers/worker.py: Report", "")
    assert "Workflows: 0 (none registered)" in worker.stderr
    worker.stop()


BUGS = {
    "in open_activities": (
        "    yield ACTIVITIES",
        "    settings.server.host\n    yield ACTIVITIES",
    ),
    "in create_worker": ("    deployment = None", "    deployment = client.nothing"),
}


@pytest.mark.parametrize("where", BUGS)
def test_a_bug_of_the_owners_shows_its_line(kit: Kit, here: dict[str, Any], where: str) -> None:
    text = kit.worker.read_text("utf-8")
    old, new = BUGS[where]
    kit.worker.write_text(text.replace(old, new, 1))
    failed = kit.start(WORKER, **here)
    assert failed.wait() == 1
    said = failed.stderr[failed.stderr.index("ERROR - AttributeError") :]
    assert re.search(rf'File ".*workers/worker.py", line \d+, {where}', said)
    assert "site-packages" not in said
    assert "temporal_kit/" not in said


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from temporal_client import get_temporal_client, load_settings
from temporal_kit import run_script

async def main():
    client = await get_temporal_client()
    {body}

run_script(main, None)
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            'await client.execute_workflow("Fails", id=load_settings().task_queue, '
            "task_queue=load_settings().task_queue)",
            "ERROR - ✗ the workflow failed: ApplicationError: the bank is closed",
        ),
        (
            'await client.get_workflow_handle("none").describe()',
            "ERROR - ✗ the server answers NOT_FOUND: ",
        ),
    ],
)
def test_a_failed_workflow_and_a_refused_call_are_told_in_a_line(
    kit: Kit, here: dict[str, Any], body: str, said: str
) -> None:
    fails = "from temporalio import workflow\nfrom temporalio.exceptions import ApplicationError\n"
    fails += "@workflow.defn\nclass Fails:\n    @workflow.run\n    async def run(self) -> None:\n"
    kit.register(
        "fails", fails + '        raise ApplicationError("the bank is closed")\n', ["Fails"]
    )
    kit.work(**here)
    write(kit.root / "script.py", SCRIPT.format(root=str(kit.root), body=body))
    failed = kit.start("script.py", **here)
    assert failed.wait() == 1
    [line] = failed.stderr.splitlines()
    assert line.startswith(said)


INTERCEPTOR = """
    from temporalio.worker import Interceptor

    class OfWorkers(Interceptor):
        pass

    return {"interceptors": [OfWorkers()]}
"""
PLUGIN = """
    from temporalio.plugin import SimplePlugin

    class Mine(SimplePlugin):
        async def connect_service_client(self, config, next):
            raise {error}("mine")

    return {{"plugins": [Mine("mine")]}}
"""


def with_options(kit: Kit, body: str) -> None:
    file = kit.root / "temporal_client.py"
    text = file.read_text("utf-8").replace("    return {}\n", body)
    file.write_text(text, encoding="utf-8")


def test_a_workers_interceptor_among_the_clients_options_is_a_clear_error(
    kit: Kit, here: dict[str, Any]
) -> None:
    with_options(kit, INTERCEPTOR)
    failed = kit.start(PING, **here)
    assert failed.wait() == 1
    assert "✗ OfWorkers in client_options() is an interceptor for workers alone" in failed.stderr
    assert "→ interceptors=[...] in create_worker, in workers/worker.py" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("error", ["ValueError", "RuntimeError", "TimeoutError", "OSError"])
def test_an_error_of_the_owners_plugin_keeps_its_traceback(
    kit: Kit, here: dict[str, Any], error: str
) -> None:
    with_options(kit, PLUGIN.format(error=error))
    failed = kit.start(PING, **here)
    assert failed.wait() == 1
    assert re.search(rf"ERROR - {error}: mine\n +Traceback", failed.stderr), failed.stderr
    assert "in connect_service_client" in failed.stderr


SHARED = """
import asyncio
import time
from temporalio import activity

@activity.defn
async def read_file() -> int:
    await asyncio.to_thread(time.sleep, 2)
    return 1
"""


@slow
def test_as_many_activities_as_may_run_can_use_threads(kit: Kit, here: dict[str, Any]) -> None:
    kit.register(
        "shared", SHARED + CALLING.partition("import asyncio")[2], ["Calling"], ["read_file"]
    )
    kit.work(**here)

    async def run() -> float:
        began, queue = time.monotonic(), here["TEMPORAL_TASK_QUEUE"]
        names = ["read_file"] * 40
        handle = await begin(here["TEMPORAL_ADDRESS"], "Calling", names, task_queue=queue)
        assert await handle.result() == [1] * 40
        return time.monotonic() - began

    assert asyncio.run(run()) < 12  # with 6 threads it would be 14 at least


OWN_RUNTIME = """
    import os
    from temporalio.runtime import Runtime, TelemetryConfig

    os.write(2, b"options made\\n")
    return {"runtime": Runtime(telemetry=TelemetryConfig())}
"""


@slow
def test_client_options_are_made_once_and_a_runtime_of_ones_own_rotates(
    kit: Kit, cloud: CloudFront, certificates: Certificates
) -> None:
    with_options(kit, OWN_RUNTIME)
    second = f"{API_KEY}-2"
    cloud.accept(second)
    file = write(kit.home / "key", API_KEY)
    settings = env(ADDRESS=cloud.address, NAMESPACE=NAMESPACE, API_KEY_FILE=file)
    worker = kit.work(**env(settings, TLS_SERVER_CA_CERT_PATH=certificates.server_ca_file))
    write(file, second)
    worker.wait_for("Credentials changed")
    assert worker.stderr.count("options made") == 1
    assert "ERROR" not in worker.stderr
    refused = kit.start(WORKER, **settings, TEMPORAL_METRICS_ADDRESS=f"127.0.0.1:{free_port()}")
    assert refused.wait() == 1
    assert "TEMPORAL_METRICS_ADDRESS has no effect on a runtime of your own" in refused.stderr


SLOW = """
import asyncio
from temporalio import activity

@activity.defn
async def take_time() -> str:
    activity.logger.info("it begins")
    await asyncio.sleep(3)
    activity.logger.info("it is done")
    return "done"
"""


@slow
def test_a_second_signal_within_a_second_is_the_same_wish(kit: Kit, here: dict[str, Any]) -> None:
    kit.register("slow", SLOW + CALLING.partition("import asyncio")[2], ["Calling"], ["take_time"])
    worker = kit.work(**here)
    queue = here["TEMPORAL_TASK_QUEUE"]
    asyncio.run(begin(here["TEMPORAL_ADDRESS"], "Calling", ["take_time"], task_queue=queue))
    worker.wait_for("it begins")
    for _ in range(3):
        worker.signal(signal.SIGINT)
        time.sleep(0.05)
    worker.wait_for("it is done", 10)
    assert worker.wait(10) == 0
    assert "Asked twice" not in worker.stderr


def test_two_workers_with_one_metrics_address_are_told_both_ways_out(
    kit: Kit, dev_server: DevServer
) -> None:
    at = f"127.0.0.1:{free_port()}"
    kit.write_env(f"TEMPORAL_ADDRESS={dev_server.address}\nTEMPORAL_METRICS_ADDRESS={at}\n")
    kit.work()
    second = kit.start(WORKER)
    assert second.wait() == 1
    assert "→ TEMPORAL_METRICS_ADDRESS=127.0.0.1:<a free port>" in second.stderr
    assert "→ or TEMPORAL_METRICS_ADDRESS=127.0.0.1:0   # any free port" in second.stderr
    kit.write_env(f"TEMPORAL_ADDRESS={dev_server.address}\nTEMPORAL_METRICS_ADDRESS=127.0.0.1:0\n")
    kit.work()
    kit.work()


HANDED = """    host = client.service_client.config.target_host
    log.info("activities of %s %s", host, settings.address)
    yield ACTIVITIES
"""


def test_what_activities_share_is_of_the_server_that_they_run_on(kit: Kit) -> None:
    kit.write_env("TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233\nTEMPORAL_API_KEY=a-key\n")
    text = kit.worker.read_text("utf-8").replace("    yield ACTIVITIES\n", HANDED)
    kit.worker.write_text(text)
    local = kit.start(LOCAL)
    local.ping_ok()
    [both] = re.findall("activities of (.*)", local.stderr)
    assert re.fullmatch(r"127\.0\.0\.1:(\d+) 127\.0\.0\.1:\1", both)


@slow
@runs("orders", "own workflow, a script")
def test_scripts_that_start_signal_query_and_schedule(alone: Reader) -> None:
    for path in ("greeting_activities", "greeting_workflow"):
        code = block(f"own workflow, workflows/{path}.py")
        alone.change(f"workflows/{path}.py", "", code)
    alone.type(block("orders"))
    alone.kit.register("order_workflow", "", ["OrderWorkflow"])
    alone.kit.register("greeting_workflow", "", ["GreetingWorkflow"])
    alone.kit.register("greeting_activities", "", activities=["compose_greeting"])
    for script in (SOURCE / "docs" / "examples").glob("*_*.py"):
        if "run_script(" in script.read_text("utf-8"):
            assert len(script.read_text("utf-8").splitlines()) < 27, script
    with alone.start("temporal server start-dev --headless") as server:
        server.wait_for("7233")
        with alone.work():
            assert alone.type("python scripts/start_order.py").stdout == "order-1 has begun\n"
            assert alone.type("python scripts/pay_order.py").stdout == "paid: 12.5\n"
            alone.type("python scripts/schedule_greeting.py")
            assert "greet-daily" in alone.until("temporal schedule list", "greet-daily")


@slow
@runs("web application")
def test_a_web_application_with_a_dead_server_shows_the_explained_failure(kit: Kit) -> None:
    reader = Reader(kit, env(ADDRESS=f"127.0.0.1:{free_port()}"))
    reader.type("cp docs/examples/app.py .")
    with reader.start(f"python -m uvicorn app:app --port {free_port()}") as app:
        app.wait()
    said = app.stdout + app.stderr
    assert "✗ TCP: nothing listens on 127.0.0.1:" in said
    assert len(said.splitlines()) < 30, said


PROJECT = """
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "app"
version = "1"
dependencies = ["temporalio>=1.35,<2", "python-dotenv>=1.0.1,<2"]
"""
PARTS = ("", ", import", ", worker", ", check", ", run", ", run the check")


@slow
@runs(*(f"existing project{part}" for part in PARTS))
def test_the_kit_in_a_project_that_exists_and_its_wheel(
    kit: Kit, here: dict[str, Any], tmp_path: Path
) -> None:
    project, clean = tmp_path / "project", tmp_path / "elsewhere"
    write(project / "pyproject.toml", PROJECT)
    write(project / "src" / "app" / "__init__.py", "")
    shutil.copy2(SOURCE / "workflows" / "ping_workflow.py", project / "src" / "app")
    write(project / ".env", "".join(f"{name}={value}\n" for name, value in here.items()))
    copy, line, worker, check, run, look = (block(f"existing project{part}") for part in PARTS)

    def type_in(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
        shell = ["bash", "-euo", "pipefail", "-c", command]
        path = kit.env(PYTHONPATH="src", PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin")
        return subprocess.run(
            shell, cwd=folder, env=path, capture_output=True, text=True, check=False, timeout=120
        )

    assert type_in(project, copy.replace("<the kit>", str(kit.root))).returncode == 0
    client = project / "src" / "app" / "temporal_client.py"
    text = client.read_text("utf-8")
    [old] = re.findall("^from temporal_kit import .*$", text, re.M)
    client.write_text(text.replace(old, line), encoding="utf-8")
    write(project / "src" / "app" / "worker.py", worker)
    write(project / "src" / "app" / "check.py", check)
    (python, *arguments) = run.split()
    assert python == "python"
    kit.started.append(kit_process(kit, arguments, project, PYTHONPATH="src"))
    kit.started[-1].wait_for("Worker running")
    kit.start(PING, **here).ping_ok()
    done = type_in(project, look)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ workers: 1 on" in done.stdout
    built = type_in(project, f"python -m pip wheel -q --no-deps -w {clean} .")
    assert built.returncode == 0, built.stderr
    [wheel] = clean.glob("*.whl")
    made = type_in(clean, f"python -m pip install -q --no-deps --target there {wheel}")
    assert made.returncode == 0, made.stderr
    installed = kit_process(kit, arguments, clean, PYTHONPATH="there", **here)
    kit.started.append(installed)
    installed.wait_for("Worker running")


def kit_process(kit: Kit, arguments: list[str], folder: Path, **settings: Any) -> Any:
    from .kit import RunningScript

    return RunningScript([sys.executable, *arguments], kit.env(**settings), folder)


FORBIDDEN = {  # what a workflow calls, and what its loop has none of
    "asyncio.to_thread(len, 'a')": "run_in_executor",
    "asyncio.open_connection('127.0.0.1', 1)": "create_connection",
    "asyncio.create_subprocess_shell('true')": "subprocess_shell",
}
CALLS_IT = """
@workflow.defn
class W{}:
    @workflow.run
    async def run(self) -> None:
        await {}
"""


def test_what_a_workflow_cannot_do_is_named_with_its_line(kit: Kit, here: dict[str, Any]) -> None:
    code = "import asyncio\nfrom temporalio import workflow\n"
    code += "".join(CALLS_IT.format(n, call) for n, call in enumerate(FORBIDDEN))
    names = [f"W{n}" for n in range(len(FORBIDDEN))]
    kit.register("forbidden", code, workflows=names)
    worker = kit.work(**here)
    for n, (name, missing) in enumerate(zip(names, FORBIDDEN.values(), strict=True)):
        asyncio.run(begin(here["TEMPORAL_ADDRESS"], name, task_queue=here["TEMPORAL_TASK_QUEUE"]))
        worker.wait_for(f"workflows/forbidden.py, line {8 + 6 * n}: a workflow has no {missing}: ")


ODD_ANSWERS = """
import dataclasses
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec

class Sealed(PayloadCodec):
    async def encode(self, payloads):
        return [Payload(metadata={{"encoding": b"binary/sealed"}}, data=b"x") for _ in payloads]

    async def decode(self, payloads):
        return list(payloads)

CONVERTER = dataclasses.replace(DataConverter.default, payload_codec=Sealed())

@workflow.defn(name="PingWorkflow")
class Odd:
    @workflow.run
    async def run(self):
        return {answer}
"""


@pytest.mark.parametrize(
    ("answer", "sealed", "told"),
    [
        ("'ok'", True, "'Unknown payload encoding binary/sealed': it was encoded by a codec that"),
        ("{'a': 1}", False, "the data is of another type than the code here expects"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_with_its_line(
    kit: Kit, here: dict[str, Any], answer: str, sealed: bool, told: str
) -> None:
    write(kit.root / "workflows" / "odd.py", ODD_ANSWERS.format(answer=answer))
    text = kit.worker.read_text("utf-8")
    text = text.replace("ping_workflow import PingWorkflow", "odd import CONVERTER, Odd")
    text = text.replace("[PingWorkflow]", "[Odd]")
    if sealed:
        text = text.replace(
            "await get_temporal_client(settings, ",
            "await get_temporal_client(settings, data_converter=CONVERTER, ",
        )
    write(kit.worker, text)
    kit.work(**here)
    ping = kit.start(PING, "--timeout", "10", **here)
    assert ping.wait() == 1
    assert re.search(
        r"✗ scripts/start_ping\.py, line \d+: .*handle\.result\(\): .*Error: ", ping.stderr
    )
    assert told in ping.stderr
    assert "Traceback" not in ping.stderr


IN_THE_SANDBOX = """
import asyncio
import warnings
from temporalio import workflow

@workflow.defn
class Warns:
    @workflow.run
    async def run(self) -> str:
        warnings.warn("a word of caution")
        return "done"
"""


def test_a_warning_within_a_workflow_is_logged_and_the_run_goes_on(
    kit: Kit, here: dict[str, Any]
) -> None:
    kit.register("careful", IN_THE_SANDBOX, workflows=["Warns"])
    worker = kit.work(**here)

    async def run() -> str:
        queue = here["TEMPORAL_TASK_QUEUE"]
        handle = await begin(here["TEMPORAL_ADDRESS"], "Warns", task_queue=queue)
        return str(await asyncio.wait_for(handle.result(), 20))

    assert asyncio.run(run()) == "done"
    worker.wait_for("WARNING - UserWarning: a word of caution (")
