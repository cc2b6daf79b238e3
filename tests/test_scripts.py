"""The scripts as a user runs them: processes of their own, against a real server."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cloud_front import Certificates, CloudFront
from kit import DevServer, Kit, RunningScript, call, free_port
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client

from scripts import start_ping

WORKER, PING = "workers/worker.py", "scripts/start_ping.py"
CHECK, LOCAL = "scripts/check_temporal_config.py", "scripts/run_local.py"
SCRIPTS = (WORKER, PING, CHECK, LOCAL)
RUNNING = "Worker running... (Ctrl+C to stop)"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and devices are POSIX's")


@pytest.fixture
def settings(dev_server: DevServer) -> dict[str, Any]:
    """Settings for the development server, with a task queue that no other test polls."""
    return {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": f"queue-{uuid4()}"}


@pytest.fixture
def cloud_settings(
    cloud: CloudFront, certificates: Certificates, cloud_namespace: str, api_key: str
) -> dict[str, Any]:
    """Settings for the stand-in for Cloud, under the name of a namespace endpoint."""
    return {
        "TEMPORAL_ADDRESS": cloud.address,
        "TEMPORAL_NAMESPACE": cloud_namespace,
        "TEMPORAL_API_KEY": api_key,
        "TEMPORAL_TLS_SERVER_NAME": f"{cloud_namespace}.tmprl.cloud",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file,
    }


def expect_plain(*runs: RunningScript | subprocess.CompletedProcess[str]) -> None:
    """No traceback and no colour on any output."""
    for run in runs:
        for text in (run.stdout, run.stderr):
            assert "Traceback" not in text
            assert "\x1b" not in text


def expect_failure(run: subprocess.CompletedProcess[str]) -> list[str]:
    """Exit code 1 and six lines at most that say why, which are returned."""
    assert run.returncode == 1, run
    assert run.stdout == ""
    expect_plain(run)
    lines = run.stderr.splitlines()
    said = lines[next(n for n, line in enumerate(lines) if line.startswith("ERROR - ")) :]
    assert len(said) <= 6, run.stderr
    return said


def ping_id(running: RunningScript) -> str:
    return running.wait_for("Workflow started: ").split()[-1]


# --- three terminals ------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_worker_ping_and_check_in_three_terminals(
    kit: Kit, dev_server: DevServer, number: signal.Signals
) -> None:
    address: dict[str, Any] = {"TEMPORAL_ADDRESS": dev_server.address}
    with kit.start(WORKER, **address) as worker:
        worker.wait_for(RUNNING)
        ping = kit.run(PING, **address)
        check = kit.run(CHECK, **address)
        worker.signal(number)
        assert worker.wait() == 0
    assert worker.stdout == ""
    assert worker.stderr.splitlines() == [
        "INFO - Starting worker on task queue 'ap-default'...",
        f"INFO - Connected to Temporal server: {dev_server.address}",
        "INFO - Worker created with:",
        "INFO -   - Namespace: default",
        "INFO -   - Task queue: ap-default",
        "INFO -   - Workflows: 1 (PingWorkflow)",
        "INFO - Worker running... (Ctrl+C to stop)",
        "INFO - Stopping worker... (Ctrl+C again to end at once)",
        "INFO - Worker stopped",
    ]
    assert (ping.returncode, ping.stdout) == (0, "ok\n")
    lines = ping.stderr.splitlines()
    assert re.fullmatch(r"INFO - Workflow started: ping-\w+", lines.pop(3))
    assert lines == [
        "INFO - Starting ping workflow...",
        f"INFO - Connected to Temporal server: {dev_server.address}",
        "INFO - Starting PingWorkflow on task queue 'ap-default'...",
        "INFO - Waiting for result...",
        "INFO - ✓ Workflow completed successfully",
    ]
    assert (check.returncode, check.stderr) == (0, "")
    assert "✓ workers: " in check.stdout
    assert check.stdout.endswith("\nNext: python scripts/start_ping.py\n")
    expect_plain(worker, ping, check)


def test_on_cloud_the_namespace_is_named_and_the_run_linked(
    kit: Kit, dev_server: DevServer, cloud_settings: dict[str, Any], cloud_namespace: str
) -> None:
    with kit.start(WORKER, **cloud_settings) as worker:
        worker.wait_for(RUNNING)
        ping = kit.run(PING, **cloud_settings)
    assert worker.stderr.splitlines()[:7] == [
        "INFO - Starting worker on task queue 'ap-default'...",
        f"INFO - Connected to Temporal Cloud: {cloud_namespace}",
        "INFO - Worker created with:",
        f"INFO -   - Namespace: {cloud_namespace}",
        "INFO -   - Task queue: ap-default",
        "INFO -   - Workflows: 1 (PingWorkflow)",
        "INFO - Worker running... (Ctrl+C to stop)",
    ]
    assert (ping.returncode, ping.stdout) == (0, "ok\n")
    lines = ping.stderr.splitlines()
    assert lines[1] == f"INFO - Connected to Temporal Cloud: {cloud_namespace}"
    run = lines[3].removeprefix("INFO - Workflow started: ")
    base = f"INFO - https://cloud.temporal.io/namespaces/{cloud_namespace}/workflows/{run}/"
    assert lines[4].startswith(base)
    # The last part is this very run.
    request = DescribeWorkflowExecutionRequest(
        namespace=cloud_namespace,
        execution=WorkflowExecution(workflow_id=run, run_id=lines[4].removeprefix(base)),
    )
    completed = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    assert describe(dev_server.address, request) == completed
    expect_plain(worker, ping)


def describe(address: str, request: DescribeWorkflowExecutionRequest) -> int:
    answer = call(address, "DescribeWorkflowExecution", request, DescribeWorkflowExecutionResponse)
    return answer.workflow_execution_info.status


@pytest.mark.parametrize("way", ["by path", "as modules", "from elsewhere", "from their folders"])
def test_the_scripts_start_in_every_usual_way(
    kit: Kit, settings: dict[str, Any], tmp_path: Path, way: str
) -> None:
    env = kit.env(**settings)

    def start(script: str, *args: str) -> RunningScript:
        path = kit.root / script
        command, cwd = {
            "by path": ([script], kit.root),
            "as modules": (["-m", script.removesuffix(".py").replace("/", ".")], kit.root),
            "from elsewhere": ([str(path)], tmp_path),
            "from their folders": ([path.name], path.parent),
        }[way]
        return RunningScript([sys.executable, *command, *args], env, cwd)

    with start(WORKER) as worker:
        worker.wait_for(RUNNING)
        with start(PING) as ping, start(CHECK) as check, start(CHECK, "--offline") as offline:
            assert ping.wait() == check.wait() == offline.wait() == 0
        assert ping.stdout == "ok\n"
        assert "✓ workers: 1 on" in check.stdout
    expect_plain(worker, ping, check, offline)


# --- no worker ------------------------------------------------------------------------------------


def test_without_a_worker_ping_ends_by_itself_and_so_does_the_run(
    kit: Kit, dev_server: DevServer, settings: dict[str, Any]
) -> None:
    with kit.start(PING, "--timeout", "4", **settings) as ping:
        run = ping_id(ping)
        warning = ping.wait_for("WARNING - ")
        assert settings["TEMPORAL_TASK_QUEUE"] in warning
        assert "namespace 'default'" in warning
        ping.wait_for("python workers/worker.py")
        code = ping.wait(30)
    done = subprocess.CompletedProcess(PING, code, ping.stdout, ping.stderr)
    said = "\n".join(expect_failure(done))
    assert "no answer within 4 s" in said
    assert settings["TEMPORAL_TASK_QUEUE"] in said
    assert "namespace 'default'" in said
    assert "python workers/worker.py" in said
    request = DescribeWorkflowExecutionRequest(
        namespace="default", execution=WorkflowExecution(workflow_id=run)
    )
    end = time.monotonic() + 30
    timed_out = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
    while describe(dev_server.address, request) != timed_out:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_worker_that_has_gone_is_noticed_at_once(kit: Kit, settings: dict[str, Any]) -> None:
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(RUNNING)
        assert kit.run(PING, **settings).stdout == "ok\n"
        worker.signal(signal.SIGKILL)
        worker.wait()
    time.sleep(1.5)  # for who polled in the last second before a ping may be there
    with kit.start(PING, "--timeout", "6", **settings) as ping:
        assert "is busy, or gone" in ping.wait_for("WARNING - ", 15)
        assert "is busy, or gone" in ping.wait_for("ERROR - ✗ no answer within 6 s", 30)


def test_a_worker_that_comes_late_is_in_time(kit: Kit, settings: dict[str, Any]) -> None:
    with kit.start(PING, **settings) as ping:
        ping.wait_for("no worker polls the task queue")
        with kit.start(WORKER, **settings):
            assert ping.wait() == 0
        assert ping.stdout == "ok\n"


def test_a_worker_without_the_workflow_is_a_clear_reason(
    kit: Kit, settings: dict[str, Any], tmp_path: Path
) -> None:
    other = Kit(tmp_path / "other")
    shutil.copy(other.root / "workflows/ping_workflow.py", other.root / "workflows/other.py")
    for name, old, new in (
        ("other.py", "PingWorkflow", "OtherWorkflow"),
        (
            "__init__.py",
            '"PingWorkflow": "workflows.ping_workflow"',
            '"OtherWorkflow": "workflows.other"',
        ),
    ):
        file = other.root / "workflows" / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    with other.start(WORKER, **settings) as worker:
        worker.wait_for("Workflows: 1 (OtherWorkflow)")
        worker.wait_for(RUNNING)
        said = "\n".join(expect_failure(kit.run(PING, "--timeout", "4", **settings)))
    assert "PingWorkflow is not registered on this worker" in said
    assert "OtherWorkflow" in said


# --- own workflows and activities -----------------------------------------------------------------

OWN = """
import asyncio
import threading
import time
from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
def in_a_thread(name: str) -> str:
    time.sleep(0.05)
    return f"{name} in {'main' if threading.current_thread() is threading.main_thread() else 'own'}"


@activity.defn
async def in_the_loop(name: str) -> str:
    await asyncio.sleep(0.05)
    return f"{name} in {'main' if threading.current_thread() is threading.main_thread() else 'own'}"


@workflow.defn
class Greet:
    @workflow.run
    async def run(self, name: str) -> list[str]:
        return [
            await workflow.execute_activity(
                do, name, start_to_close_timeout=timedelta(seconds=10)
            )
            for do in (in_a_thread, in_the_loop)
        ]
"""


def test_own_workflows_and_activities_need_one_line_each(
    kit: Kit, dev_server: DevServer, settings: dict[str, Any]
) -> None:
    (kit.root / "workflows" / "greet.py").write_text(OWN)
    listing = kit.root / "workflows" / "__init__.py"
    text = listing.read_text()
    for old, new in (
        ("WORKFLOWS = {\n", 'WORKFLOWS = {\n    "Greet": "workflows.greet",\n'),
        (
            "ACTIVITIES: dict[str, str] = {}",
            'ACTIVITIES = {\n    "in_a_thread": "workflows.greet",\n'
            '    "in_the_loop": "workflows.greet",\n}',
        ),
    ):
        assert old in text
        text = text.replace(old, new)
    listing.write_text(text)
    queue = settings["TEMPORAL_TASK_QUEUE"]

    async def greet() -> Any:
        client = await Client.connect(dev_server.address)
        running = client.execute_workflow("Greet", "Ada", id=f"greet-{uuid4()}", task_queue=queue)
        return await asyncio.wait_for(running, 30)

    with kit.start(WORKER, **settings) as worker:
        worker.wait_for("  - Workflows: 2 (Greet, PingWorkflow)")
        worker.wait_for("  - Activities: 2 (in_a_thread, in_the_loop)")
        worker.wait_for(RUNNING)
        assert asyncio.run(greet()) == ["Ada in own", "Ada in main"]
        assert kit.run(PING, **settings).stdout == "ok\n"
    expect_plain(worker)


def test_an_error_is_told_with_all_that_it_came_from(kit: Kit) -> None:
    (kit.root / "scripts" / "failing.py").write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).resolve().parents[1]))\n"
        "from temporal_script import arguments, run\n"
        "async def main(_):\n"
        "    try:\n"
        "        raise ValueError('the bank is closed\\nand more')\n"
        "    except ValueError as error:\n"
        "        raise RuntimeError('the order failed') from error\n"
        "run(main, arguments('Fails.'))\n"
    )
    done = kit.run("scripts/failing.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "ERROR - RuntimeError: the order failed\n"
        "  because of ValueError: the bank is closed (--verbose shows where)\n"
    )


def test_workflows_can_be_imported_from_their_package_which_imports_none_by_itself(
    kit: Kit,
) -> None:
    program = (
        "import sys\n"
        "import workflows\n"
        "assert 'workflows.ping_workflow' not in sys.modules\n"
        "assert 'temporalio' not in sys.modules\n"
        "from workflows import PingWorkflow\n"
        "from workflows.ping_workflow import PingWorkflow as same\n"
        "assert PingWorkflow is same\n"
        "try:\n"
        "    from workflows import PongWorkflow\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    with RunningScript([sys.executable, "-c", program], kit.env(), kit.root) as running:
        assert running.wait() == 0, running.stderr
    assert "PongWorkflow" in running.stdout


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_0_and_wrong_usage_2(kit: Kit, script: str) -> None:
    shown = kit.run(script, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--verbose" in shown.stdout
    done = kit.run(script, "--nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")
    expect_plain(shown, done)


@pytest.mark.parametrize(
    "args",
    [
        *(["--timeout", text] for text in ("0", "-1", "soon", "nan", "inf", "")),
        *(["-c", text] for text in ("0", "-3", "1.5", "many")),
        ["-c", "5", "--concurrency", "0"],
        ["--timeout"],
    ],
    ids=" ".join,
)
def test_a_number_that_is_none_is_wrong_usage(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        start_ping.parser().parse_args(args)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert args[-1] in err.splitlines()[-1]


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("many", [False, True])
def test_a_stopped_ping_says_by_its_code_what_stopped_it(
    kit: Kit, settings: dict[str, Any], number: signal.Signals, many: bool
) -> None:
    with kit.start(PING, *(["-c", "5"] if many else []), **settings) as ping:
        ping.wait_for("no worker polls the task queue" if many else "Waiting for result")
        ping.signal(number)
        assert ping.wait(10) == 128 + number
    assert (ping.stdout == "") != many
    expect_plain(ping)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_check_says_by_its_code_what_stopped_it(kit: Kit, number: signal.Signals) -> None:
    with DevServer() as server:
        server.freeze()
        with kit.start(CHECK, TEMPORAL_ADDRESS=server.address) as check:
            check.wait_for("✓ TCP")
            check.signal(number)
            assert check.wait(10) == 128 + number
        expect_plain(check)


@pytest.mark.parametrize("script", [WORKER, PING])
def test_a_server_that_is_not_there_is_one_clear_error(kit: Kit, script: str) -> None:
    port = free_port()
    said = expect_failure(kit.run(script, TEMPORAL_ADDRESS=f"127.0.0.1:{port}"))
    assert f"nothing listens on 127.0.0.1, port {port}" in said[0]
    assert said[1].startswith("  → ")
    assert "check_temporal_config.py" in said[-1]


@pytest.mark.parametrize("script", [WORKER, PING])
def test_an_unknown_namespace_is_one_clear_error(
    kit: Kit, settings: dict[str, Any], script: str
) -> None:
    said = expect_failure(kit.run(script, **settings, TEMPORAL_NAMESPACE="ordres"))
    assert "no namespace ordres" in said[0]


@pytest.mark.parametrize(("script", "address"), [(WORKER, "nonsense"), (PING, "127.0.0.1:{}")])
def test_verbose_adds_the_traceback_and_keeps_the_rest(kit: Kit, script: str, address: str) -> None:
    address = address.format(free_port())
    brief = expect_failure(kit.run(script, TEMPORAL_ADDRESS=address))
    done = kit.run(script, "--verbose", TEMPORAL_ADDRESS=address)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback (most recent call last):" in done.stderr
    assert "\x1b" not in done.stderr
    for line in brief:
        assert line in done.stderr


def test_verbose_says_more_and_leaves_standard_output_alone(
    kit: Kit, settings: dict[str, Any]
) -> None:
    with kit.start(WORKER, "--verbose", **settings) as worker:
        worker.wait_for(RUNNING)
        done = kit.run(PING, "--verbose", **settings)
    assert (done.returncode, done.stdout, worker.stdout) == (0, "ok\n", "")
    assert "DEBUG - " in done.stderr
    expect_plain(done, worker)


# --- standard output ------------------------------------------------------------------------------


def test_standard_output_is_the_result_alone_though_the_server_goes_and_comes(
    kit: Kit, tmp_path: Path
) -> None:
    with DevServer(db=tmp_path / "data.db") as server:
        settings: dict[str, Any] = {"TEMPORAL_ADDRESS": server.address}
        with (
            kit.start(WORKER, **settings, TEMPORAL_TASK_QUEUE="other") as other,
            kit.start(PING, **settings) as ping,
            kit.start(PING, "--verbose", **settings) as verbose,
            kit.start(PING, "-c", "3", **settings) as many,
        ):
            other.wait_for(RUNNING)
            for waiting in (ping, verbose):
                waiting.wait_for("Waiting for result...")
            many.wait_for("no worker polls the task queue")
            server.kill()
            other.wait_for("Lost the server")
            # Long enough for the SDK's own log to have lines to put between the results.
            time.sleep(3)
            server.start()
            other.wait_for("The server is back")
            with kit.start(WORKER, **settings) as worker:
                for waiting in (ping, verbose, many):
                    assert waiting.wait(90) == 0, waiting.stderr
        assert ping.stdout == verbose.stdout == "ok\n"
        assert re.fullmatch(r"3 pings: 3 ok, 0 failed in .*\n", many.stdout)
        assert worker.stdout == other.stdout == ""
        expect_plain(ping, many, worker, other)


def shell(kit: Kit, line: str, script: str, *args: str, **settings: Any) -> RunningScript:
    """A script in a line of shell, where it is `"$@"`."""
    command = ["/bin/sh", "-c", line, "sh", sys.executable, str(kit.root / script), *args]
    return RunningScript(command, kit.env(**settings))


LOST = {
    "full device": '"$@" > /dev/full; echo "code: $?" >&2',
    "closed pipe": '{ "$@"; echo "code: $?" >&2; } | :',
}


@posix
@pytest.mark.parametrize("way", LOST)
@pytest.mark.parametrize("script", [PING, CHECK, LOCAL])
def test_a_result_that_cannot_be_written_is_a_failure(
    kit: Kit, settings: dict[str, Any], script: str, way: str
) -> None:
    if way == "full device" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(RUNNING)
        with shell(kit, LOST[way], script, **settings) as lost:
            assert lost.wait_for("code: ").strip() == "code: 1"
            lost.wait()
    assert lost.stderr.count("ERROR - ") == 1
    expect_plain(lost)


@posix
@pytest.mark.parametrize("script", [PING, CHECK, LOCAL])
def test_who_closes_standard_output_does_not_want_the_result(
    kit: Kit, settings: dict[str, Any], script: str
) -> None:
    line = '"$@" >&-; echo "code: $?" >&2'
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(RUNNING)
        with shell(kit, line, script, **settings) as closed:
            assert closed.wait_for("code: ").strip() == "code: 0"
    expect_plain(closed)


# --- the check ------------------------------------------------------------------------------------


def checks(run: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines under "Checks:", without the remedies, each of which stands under a ✗ or ⚠."""
    expect_plain(run)
    assert run.stderr == ""
    body = run.stdout.partition("\nChecks:\n")[2].partition("\n\nNext: ")[0]
    lines: list[str] = []
    for line in body.splitlines():
        assert re.match(r"[✓✗⚠–] |  → ", line), line
        if line.startswith("  → "):
            assert lines[-1][0] in "✗⚠"
        else:
            lines.append(line)
    return lines


def marks(run: subprocess.CompletedProcess[str]) -> str:
    return "".join(line[0] for line in checks(run))


RUNGS = ["name resolution", "TCP", "TLS", "authentication", "namespace", "workers"]


def rungs(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [line[2:].partition(":")[0] for line in checks(run)[-len(RUNGS) :]]


def test_the_check_with_a_worker_is_all_good(kit: Kit, settings: dict[str, Any]) -> None:
    with kit.start(WORKER, **settings) as worker:
        worker.wait_for(RUNNING)
        done = kit.run(CHECK, **settings)
    assert done.returncode == 0
    assert marks(done) == "✓✓✓✓✓✓✓"
    assert rungs(done) == RUNGS


def test_the_check_without_a_worker_warns_and_passes(kit: Kit, settings: dict[str, Any]) -> None:
    done = kit.run(CHECK, **settings)
    assert done.returncode == 0
    assert marks(done) == "✓✓✓✓✓✓⚠"
    queue = settings["TEMPORAL_TASK_QUEUE"]
    assert f"no worker polls the task queue '{queue}' in namespace 'default'" in done.stdout
    assert "  → python workers/worker.py" in done.stdout


def test_the_check_without_a_server_stops_where_it_breaks(kit: Kit) -> None:
    done = kit.run(CHECK, TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert marks(done) == "✓✓✗––––"
    assert rungs(done) == RUNGS
    assert "\n  → " in done.stdout
    assert "Next: mend what is marked ✗" in done.stdout


def test_the_check_with_wrong_settings_does_not_go_near_the_network(
    kit: Kit, dev_server: DevServer
) -> None:
    wrong: dict[str, Any] = {
        "TEMPORAL_ADDRESS": f"http://{dev_server.address}",
        "TEMPORAL_TLS": "maybe",
    }
    done = kit.run(CHECK, **wrong)
    assert done.returncode == 1
    assert marks(done) == "✗✗––––––"
    assert f"  → TEMPORAL_ADDRESS={dev_server.address}" in done.stdout


@pytest.mark.parametrize(
    ("settings", "code", "expected"),
    [
        ({}, 0, "✓"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:1"}, 0, "✓"),
        ({"TEMPORAL_SERVER": "127.0.0.1:1"}, 0, "⚠✓"),
        ({"TEMPORAL_ADDRESS": "nonsense"}, 1, "✗"),
    ],
)
def test_offline_the_check_judges_the_settings_alone(
    kit: Kit, settings: dict[str, Any], code: int, expected: str
) -> None:
    done = kit.run(CHECK, "--offline", **settings)
    assert (done.returncode, marks(done)) == (code, expected)


# --- terminals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_a_terminal_without_the_marks_is_no_reason_to_fail(
    kit: Kit, settings: dict[str, Any], locale: Mapping[str, Any]
) -> None:
    kit.write_env("# Schlüssel\nTEMPORAL_WORKER_BUILD_ID=\n")
    with kit.start(WORKER, **settings, **locale) as worker:
        worker.wait_for(RUNNING)
        ping = kit.run(PING, **settings, **locale)
        check = kit.run(CHECK, **settings, **locale)
    assert (ping.returncode, ping.stdout) == (0, "ok\n")
    assert r"\u2713 Workflow completed" in ping.stderr
    assert check.returncode == 0
    assert r"\u2713 workers" in check.stdout
    expect_plain(ping, check)
    wrong = kit.run(CHECK, "--offline", **locale, TEMPORAL_NAMESPACE="schlü ssel")
    assert wrong.returncode == 1
    expect_plain(wrong)


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "CLICOLOR_FORCE"])
def test_no_colours_come_though_the_environment_asks_for_them(
    kit: Kit, settings: dict[str, Any], variable: str
) -> None:
    settings[variable] = "1"
    expect_plain(kit.run(CHECK, **settings), kit.run(PING, "--timeout", "1", **settings))
