"""The scripts as a user runs them: processes of their own, against a real server."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cloud_front import NAMESPACE, Certificates, CloudFront
from kit import DevServer, Kit, RunningScript, free_port
from pings import connect
from temporalio.client import WorkflowExecutionStatus

WORKER, PING = "workers/worker.py", "scripts/start_ping.py"
CHECK, LOCAL = "scripts/check_temporal_config.py", "scripts/run_local.py"
SCRIPTS = (WORKER, PING, CHECK, LOCAL)
RUNNING = "Worker running... (Ctrl+C to stop)"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and devices are POSIX's")
slow = pytest.mark.slow
Settings = dict[str, Any]


@pytest.fixture
def settings(dev_server: DevServer) -> Settings:
    """Settings for the development server, with a task queue that no other test polls."""
    return {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": f"queue-{uuid4()}"}


@pytest.fixture
def together() -> Iterator[ExitStack]:
    """Keeps scripts that run at the same time, and ends those that are left."""
    with ExitStack() as stack:
        yield stack


def expect_plain(*runs: RunningScript) -> None:
    """No traceback and no colour on any output."""
    for text in (run.stdout + run.stderr for run in runs):
        assert "Traceback" not in text
        assert "\x1b" not in text


def expect_failure(run: RunningScript) -> str:
    """It ends with 1 and nothing on standard output; gives what it says from the error on."""
    assert (run.wait(), run.stdout) == (1, ""), run.stderr
    return run.stderr[run.stderr.index("ERROR - ") :]


# --- three terminals ------------------------------------------------------------------------------


def test_worker_ping_and_check_in_three_terminals(kit: Kit, dev_server: DevServer) -> None:
    address: Settings = {"TEMPORAL_ADDRESS": dev_server.address}
    with kit.start(WORKER, **address) as worker:
        worker.wait_for(RUNNING)
        with kit.start(PING, **address) as ping, kit.start(CHECK, **address) as check:
            assert ping.wait() == check.wait() == 0, ping.stderr + check.stdout
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    assert worker.stdout == ""
    assert worker.stderr.splitlines() == [
        "INFO - Starting worker on task queue 'ap-default'...",
        f"INFO - Connected to Temporal server: {dev_server.address}",
        "INFO - Worker created with:",
        "INFO -   - Namespace: default",
        "INFO -   - Task queue: ap-default",
        "INFO -   - Workflows: 1 (PingWorkflow)",
        "INFO -   - Activities: 0 (none registered)",
        "INFO - Worker running... (Ctrl+C to stop)",
        "INFO - Stopping... (Ctrl+C again to end at once)",
        "INFO - Worker stopped",
    ]
    assert ping.stdout == "ok\n"
    lines = ping.stderr.splitlines()
    assert re.fullmatch(r"INFO - Workflow started: ping-\w+", lines.pop(3))
    assert lines == [
        "INFO - Starting ping workflow...",
        f"INFO - Connected to Temporal server: {dev_server.address}",
        "INFO - Starting PingWorkflow on task queue 'ap-default'...",
        "INFO - Waiting for result...",
        "INFO - ✓ Workflow completed successfully",
    ]
    assert check.stderr == ""
    assert check.stdout.endswith("\n\nNext: python scripts/start_ping.py\n")
    assert set(marks(check)) == {"✓"}
    expect_plain(worker, ping, check)


def test_on_cloud_the_namespace_is_named_and_the_run_linked(
    kit: Kit, dev_server: DevServer, cloud: CloudFront, certificates: Certificates, api_key: str
) -> None:
    settings: Settings = {
        "TEMPORAL_ADDRESS": cloud.address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
        "TEMPORAL_API_KEY": api_key,
        "TEMPORAL_TLS_SERVER_NAME": f"{NAMESPACE}.tmprl.cloud",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file,
    }
    with kit.start(WORKER, **settings) as worker, kit.start(PING, **settings) as ping:
        assert (ping.wait(), ping.stdout) == (0, "ok\n"), ping.stderr
        worker.wait_for(RUNNING)
    connected = f"INFO - Connected to Temporal Cloud: {NAMESPACE}"
    assert worker.stderr.splitlines()[1:4:2] == [connected, f"INFO -   - Namespace: {NAMESPACE}"]
    lines = ping.stderr.splitlines()
    assert lines[1] == connected
    name = lines[3].removeprefix("INFO - Workflow started: ")
    base = f"INFO - https://cloud.temporal.io/namespaces/{NAMESPACE}/workflows/{name}/"
    assert lines[4].startswith(base)

    async def status(run: str) -> WorkflowExecutionStatus | None:
        client = await connect(dev_server.address, NAMESPACE)
        return (await client.get_workflow_handle(name, run_id=run).describe()).status

    # The link's last part is this very run.
    run = lines[4].removeprefix(base)
    assert asyncio.run(status(run)) == WorkflowExecutionStatus.COMPLETED
    expect_plain(worker, ping)


@slow
@pytest.mark.parametrize("way", ["as modules", "from elsewhere", "from their folders"])
def test_the_scripts_start_in_every_usual_way(
    kit: Kit, settings: Settings, tmp_path: Path, way: str
) -> None:
    def start(script: str, *args: str) -> RunningScript:
        path = kit.root / script
        command, cwd = {
            "as modules": (["-m", script.removesuffix(".py").replace("/", ".")], kit.root),
            "from elsewhere": ([str(path)], tmp_path),
            "from their folders": ([path.name], path.parent),
        }[way]
        return RunningScript([sys.executable, *command, *args], kit.env(**settings), cwd)

    with (
        start(WORKER),
        start(PING) as ping,
        start(CHECK, "--offline") as check,
        start(LOCAL) as local,
    ):
        assert (ping.wait(), check.wait(), local.wait()) == (0, 0, 0)
    assert ping.stdout == local.stdout == "ok\n"
    expect_plain(ping, check, local)


# --- no worker ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_that_no_worker_polls_is_told_within_seconds(kit: Kit, settings: Settings) -> None:
    """One ping ends by itself; a worker that comes late is in time for the other."""
    queue, other = settings["TEMPORAL_TASK_QUEUE"], {**settings, "TEMPORAL_TASK_QUEUE": "later"}
    with kit.start(PING, "--timeout", "4", **settings) as ping, kit.start(PING, **other) as late:
        late.wait_for("no worker polls the task queue 'later'", 6)
        with kit.start(WORKER, **other):
            assert late.wait() == 0, late.stderr
            assert late.stdout == "ok\n"
            said = expect_failure(ping)
    told = (
        f"WARNING - ⚠ no worker polls the task queue '{queue}' in namespace 'default'\n  → python"
    )
    assert told in ping.stderr
    assert "no answer" in said
    expect_plain(ping, late)


# --- own workflows and activities -----------------------------------------------------------------

OWN = """
import asyncio, threading
from datetime import timedelta
from temporalio import activity, workflow

def thread() -> str:
    return "main" if threading.current_thread() is threading.main_thread() else "own"

class Greetings:
    pool = "the pool"

    @activity.defn
    def in_a_thread(self, name: str) -> str:
        return f"{name} in {thread()}, by {self.pool}"

    @activity.defn
    async def in_the_loop(self, name: str) -> str:
        return f"{name} in {thread()}, by {self.pool}"

@workflow.defn
class Greet:
    @workflow.run
    async def run(self, name: str) -> list[str]:
        limit = timedelta(seconds=10)
        return [
            await workflow.execute_activity(do, name, start_to_close_timeout=limit)
            for do in ("in_a_thread", "in_the_loop")
        ]
"""
WITH_A_POOL = """
    from workflows.greet import Greetings
    await asyncio.sleep(0.01)
    greetings = Greetings()
    yield [greetings.in_a_thread, greetings.in_the_loop]
    print("the pool is closed", flush=True)
"""


def test_own_workflows_and_activities_with_what_they_need(
    kit: Kit, dev_server: DevServer, settings: Settings
) -> None:
    (kit.root / "workflows" / "greet.py").write_text(OWN)
    kit.register("workflows.greet", workflows=["Greet"])
    worker_file = kit.root / WORKER
    text = worker_file.read_text()
    assert "    yield ACTIVITIES\n" in text
    worker_file.write_text(text.replace("    yield ACTIVITIES\n", WITH_A_POOL))
    queue = settings["TEMPORAL_TASK_QUEUE"]

    async def greet() -> object:
        client = await connect(dev_server.address)
        running = client.execute_workflow("Greet", "Ada", id=f"greet-{uuid4()}", task_queue=queue)
        return await asyncio.wait_for(running, 30)

    with kit.start(WORKER, **settings) as worker:
        worker.wait_for("  - Activities: 2 (in_a_thread, in_the_loop)")
        worker.wait_for(RUNNING)
        answers = asyncio.run(greet())
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    assert answers == ["Ada in own, by the pool", "Ada in main, by the pool"]
    assert "  - Workflows: 2 (" in worker.stderr
    assert worker.stdout == "the pool is closed\n"
    expect_plain(worker)


# --- failures -------------------------------------------------------------------------------------

FAILING = """
from temporal_script import arguments, run

async def main(_):
    try:
        raise ValueError("the bank is closed\\nand more")
    except ValueError as error:
        raise RuntimeError("the order failed") from error

run(main, arguments("Fails."))
"""


def test_failures_are_one_clear_error_each(
    kit: Kit, settings: Settings, together: ExitStack
) -> None:
    nowhere: Settings = {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    unknown = {**settings, "TEMPORAL_NAMESPACE": "ordres"}
    (kit.root / "failing.py").write_text(FAILING)
    ping = together.enter_context(kit.start(PING, **nowhere))
    worker = together.enter_context(kit.start(WORKER, **unknown))
    failing = together.enter_context(kit.start("failing.py"))
    verbose = together.enter_context(kit.start("failing.py", "--verbose"))
    own = "ERROR - RuntimeError: the order failed\nValueError: the bank is closed\n"
    assert expect_failure(failing) == own
    assert expect_failure(ping).startswith("ERROR - ✗ ")
    assert "refused" in ping.stderr or "nothing listens" in ping.stderr
    assert expect_failure(worker).startswith("ERROR - ✗ ")
    assert "ordres" in worker.stderr
    expect_plain(ping, worker, failing)
    said = expect_failure(verbose)
    assert said.startswith(own)
    assert "Traceback (most recent call last):" in said


@slow
def test_without_the_doctor_all_works_and_failures_have_one_line(
    kit: Kit, settings: Settings, together: ExitStack
) -> None:
    shutil.rmtree(kit.root / "temporal_doctor", ignore_errors=True)
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(RUNNING)
        for run in [together.enter_context(kit.start(one, **settings)) for one in SCRIPTS[1:]]:
            assert run.wait() == 0, run.stdout + run.stderr
    nowhere = {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    for wrong in (nowhere, {"TEMPORAL_TLS_CLIENT_CERT_PATH": "/none"}):
        for script in (PING, WORKER):
            with kit.start(script, cwd=None, **wrong) as run:
                assert len(re.findall("^ERROR - ✗", expect_failure(run), re.M)) == 1
            expect_plain(run)
        with kit.start(CHECK, cwd=None, **wrong) as check:
            assert check.wait() == 1
        assert "✗" in check.stdout + check.stderr


@slow
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_says_by_its_code_what_stopped_it(
    kit: Kit, settings: Settings, number: signal.Signals
) -> None:
    with DevServer() as server:
        server.freeze()
        with (
            kit.start(CHECK, TEMPORAL_ADDRESS=server.address) as check,
            kit.start(PING, TEMPORAL_ADDRESS=server.address) as connecting,
            kit.start(PING, **settings) as ping,
        ):
            ping.wait_for("Waiting for result")
            connecting.wait_for("Starting ping workflow")
            check.wait_for("Checks:")
            for one in (ping, connecting, check):
                one.signal(number)
            for one in (ping, connecting, check):
                assert one.wait(10) == 128 + number
    assert ping.stdout == connecting.stdout == ""
    expect_plain(ping, connecting, check)


@slow
def test_help_is_0_and_wrong_usage_2(kit: Kit, together: ExitStack) -> None:
    wrong = [[script, "--nonsense"] for script in SCRIPTS]
    wrong += [[PING, "--timeout", text] for text in ("soon", "", "nan", "inf", "-1", "0")]
    shown = [together.enter_context(kit.start(script, "--help")) for script in SCRIPTS]
    usage = [together.enter_context(kit.start(*command)) for command in wrong]
    for one in shown:
        assert (one.wait(), one.stderr) == (0, "")
        assert "--verbose" in one.stdout
    for one in usage:
        assert (one.wait(), one.stdout) == (2, "")
        assert one.stderr.startswith("usage: ")
    expect_plain(*shown, *usage)


# --- standard output ------------------------------------------------------------------------------


@slow
def test_standard_output_is_the_result_alone_though_the_server_goes_and_comes(
    kit: Kit, tmp_path: Path
) -> None:
    with DevServer(db=tmp_path / "data.db") as server:
        settings: Settings = {"TEMPORAL_ADDRESS": server.address}
        with (
            kit.start(WORKER, **settings, TEMPORAL_TASK_QUEUE="other") as other,
            kit.start(PING, **settings) as ping,
            kit.start(PING, "--verbose", **settings) as verbose,
        ):
            other.wait_for(RUNNING)
            for waiting in (ping, verbose):
                waiting.wait_for("Waiting for result...")
            server.kill()
            # Long enough for the SDK's own log to have lines to put between the results, and
            # short enough for the SDK to try again by itself.
            verbose.wait_for("retried 5 times")
            server.start()
            with kit.start(WORKER, "--verbose", **settings) as worker:
                for waiting in (ping, verbose):
                    assert waiting.wait(90) == 0, waiting.stderr
        assert ping.stdout == verbose.stdout == "ok\n"
        assert worker.stdout == other.stdout == ""
        assert "DEBUG - " in verbose.stderr
        assert "DEBUG - " in worker.stderr
        expect_plain(ping, worker, other)


OUTPUTS = {
    "full device": '"$@" > /dev/full; echo "code: $?" >&2',
    "closed pipe": '{ "$@"; echo "code: $?" >&2; } | :',
    "closed by who started it": '"$@" >&-; echo "code: $?" >&2',
}


@slow
@posix
@pytest.mark.parametrize("way", OUTPUTS)
def test_a_result_that_cannot_be_written_is_a_failure_unless_nobody_wants_it(
    kit: Kit, settings: Settings, together: ExitStack, way: str
) -> None:
    if way == "full device" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code = 0 if way.startswith("closed by") else 1
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(RUNNING)
        for script in (PING, CHECK, LOCAL):
            command = ["/bin/sh", "-c", OUTPUTS[way], "sh", sys.executable, str(kit.root / script)]
            lost = together.enter_context(RunningScript(command, kit.env(**settings)))
            assert lost.wait_for("code: ").strip() == f"code: {code}"
            assert lost.wait() == 0
            assert lost.stderr.count("ERROR - ") == code
            expect_plain(lost)


# --- the check ------------------------------------------------------------------------------------


def marks(run: RunningScript) -> str:
    """The marks under "Checks:"; each fix stands under a ✗ or ⚠."""
    found = ""
    for line in run.stdout.partition("\nChecks:\n")[2].partition("\n\nNext: ")[0].splitlines():
        assert re.match(r"[✓✗⚠–] |  → ", line), line
        assert line[0] != " " or found[-1:] in ("✗", "⚠"), line
        found += line[0].strip()
    return found


@slow
def test_the_check_ends_with_0_if_a_ping_could_run(kit: Kit, dev_server: DevServer) -> None:
    address = dev_server.address
    cases: list[tuple[str, Settings, int, str]] = [
        ("", {"TEMPORAL_ADDRESS": address, "TEMPORAL_TASK_QUEUE": "nobody"}, 0, "✓+⚠"),
        ("--offline", {}, 0, "✓"),
        ("--offline", {"TEMPORAL_ADDRESS": "127.0.0.1:1"}, 0, "✓"),
        ("--offline", {"TEMPORAL_PROFILE": "none"}, 1, "✗"),
        ("--verbose", {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}, 1, "✓+✗–+"),
        ("", {"TEMPORAL_ADDRESS": address, "TEMPORAL_API_KEY_FILE": "/none"}, 1, "✗+–+"),
    ]
    for option, settings, code, expected in cases:
        with kit.start(CHECK, *filter(None, [option]), cwd=None, **settings) as run:
            assert run.wait() == code, run.stdout
        assert re.fullmatch(expected, marks(run)), run.stdout
        assert ("Next: fix what is marked ✗" in run.stdout) == bool(code)
        expect_plain(run)


# --- terminals ------------------------------------------------------------------------------------

TERMINALS: list[Settings] = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1", "FORCE_COLOR": "1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "CLICOLOR_FORCE": "1"},
]


@slow
@pytest.mark.parametrize("terminal", TERMINALS, ids=str)
def test_a_terminal_without_the_marks_or_with_colours_is_no_reason_to_fail(
    kit: Kit, settings: Settings, terminal: Settings
) -> None:
    kit.write_env("# Schlüssel\nTEMPORAL_WORKER_BUILD_ID=\n")
    env = {**settings, **terminal}
    with kit.start(WORKER, **env) as worker:
        worker.wait_for(RUNNING)
        with (
            kit.start(PING, **env) as ping,
            kit.start(CHECK, **env) as check,
            kit.start(CHECK, "--offline", **terminal, TEMPORAL_PROFILE="schlü ssel") as wrong,
        ):
            assert (ping.wait(), check.wait(), wrong.wait()) == (0, 0, 1)
    assert ping.stdout == "ok\n"
    assert r"\u2713 Workflow completed" in ping.stderr
    assert check.stdout.count(r"\u2713") > 1
    expect_plain(worker, ping, check, wrong)
