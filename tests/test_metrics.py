"""Metrics of a real worker, read by a real Prometheus; the alert rules judged by its promtool."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cloud_front import Certificates, CloudFront
from kit import SOURCE, DevServer, Kit, RunningScript, free_port
from pings import connect, send, wait_until

slow = pytest.mark.slow
RULES = SOURCE / "docs" / "deploy" / "alerts.yml"
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="no Prometheus on this machine: apt-get install prometheus",
)

has_rules = pytest.mark.skipif(not RULES.exists(), reason="the alert rules have been deleted")

FAILING = """
from datetime import timedelta
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

@activity.defn
def failing_activity() -> None:
    raise ApplicationError("as it should")

@workflow.defn
class BuggyWorkflow:
    @workflow.run
    async def run(self) -> None:
        raise KeyError("as it should")

@workflow.defn
class FailingWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            failing_activity,
            start_to_close_timeout=timedelta(seconds=9),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
"""


def get(url: str) -> str:
    """What a web server on loopback answers; nothing while it does not."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        text: str = opener.open(url, timeout=5).read().decode()
    except urllib.error.URLError:
        return ""
    return text


def listening(pid: int) -> set[int]:
    """The TCP ports that a process listens on."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    own = {re.sub(r"\D", "", str(link.readlink())) for link in links if link.is_symlink()}
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in own:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


@slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_without_the_setting_no_port_is_opened(kit: Kit, dev_server: DevServer) -> None:
    port = free_port()
    where = {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": "metrics-ports"}
    with (
        kit.start("workers/worker.py", cwd=None, **where) as plain,
        kit.start(
            "workers/worker.py", cwd=None, **where, TEMPORAL_METRICS_ADDRESS=f"127.0.0.1:{port}"
        ) as serving,
    ):
        plain.wait_for("Worker running")
        serving.wait_for("Worker running")
        beside: dict[str, Any] = {**where, "TEMPORAL_METRICS_ADDRESS": f"127.0.0.1:{port}"}
        assert kit.run("scripts/start_ping.py", **beside).stdout == "ok\n"
        assert kit.run("scripts/check_temporal_config.py", **beside).returncode == 0
        assert listening(plain.process.pid) == set()
        assert listening(serving.process.pid) == {port}


@slow
def test_a_taken_port_is_a_clear_error(kit: Kit, dev_server: DevServer) -> None:
    taken = dev_server.address
    done = kit.run("workers/worker.py", TEMPORAL_ADDRESS=taken, TEMPORAL_METRICS_ADDRESS=taken)
    assert done.returncode == 1
    assert f"✗ TEMPORAL_METRICS_ADDRESS={taken}: " in done.stderr
    assert "Address already in use" in done.stderr
    assert "→ TEMPORAL_METRICS_ADDRESS=127.0.0.1:<a free port>" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.fixture
def suffering(kit: Kit, dev_server: DevServer) -> Iterator[tuple[RunningScript, int]]:
    """A worker that has seen pings, a workflow and an activity that fail, and workflow code that
    does; and the port of its metrics.
    """
    port = free_port()
    (kit.root / "workflows" / "failing.py").write_text(FAILING)
    kinds = ["BuggyWorkflow", "FailingWorkflow"]
    kit.register("workflows.failing", workflows=kinds, activities=["failing_activity"])
    queue = f"metrics-{port}"
    where = {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": queue}

    async def suffer() -> None:
        client = await connect(dev_server.address)
        await send(client, queue, 25, 5)
        for kind in kinds:
            limit = timedelta(seconds=60)
            await client.start_workflow(
                kind, id=f"{kind}-{port}", task_queue=queue, execution_timeout=limit
            )

    with kit.start(
        "workers/worker.py", cwd=None, **where, TEMPORAL_METRICS_ADDRESS=f"127.0.0.1:{port}"
    ) as worker:
        worker.wait_for("Worker running")
        asyncio.run(suffer())
        worker.wait_for("Failed activation")
        wait_until(
            lambda: "temporal_workflow_failed{" in get(f"http://127.0.0.1:{port}/metrics"),
            "a failed workflow in the metrics",
        )
        yield worker, port


@slow
@has_rules
@needs_prometheus
def test_a_real_prometheus_scrapes_a_worker_and_evaluates_the_rules(
    suffering: tuple[RunningScript, int], tmp_path: Path
) -> None:
    worker, worker_port = suffering
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{json.dumps(str(RULES))}]\n"
        "scrape_configs:\n"
        "  - job_name: temporal-worker\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{worker_port}']}}]\n"
    )
    api = f"http://127.0.0.1:{port}/api/v1"

    def value(query: str) -> float:
        answer = get(f"{api}/query?{urllib.parse.urlencode({'query': query})}")
        found = json.loads(answer or "{}").get("data", {}).get("result", [])
        return float(found[0]["value"][1]) if found else -1

    def alerts() -> dict[str, dict[str, Any]]:
        groups = json.loads(get(f"{api}/rules") or "{}").get("data", {}).get("groups", [])
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    command = [str(shutil.which("prometheus")), f"--config.file={config}"]
    command += [f"--storage.tsdb.path={tmp_path}", f"--web.listen-address=127.0.0.1:{port}"]
    with RunningScript(command, {"HOME": str(tmp_path)}) as prometheus:
        completed = 'temporal_workflow_completed{workflow_type="PingWorkflow"}'
        wait_until(lambda: value(completed) == 25, "the pings in Prometheus", 30)
        assert value('up{job="temporal-worker"}') == 1
        assert value('temporal_worker_task_slots_available{worker_type="WorkflowWorker"}') > 0
        wait_until(
            lambda: alerts()["TemporalWorkflowTasksFail"]["state"] == "firing",
            "an alert for workflow code that fails",
        )
        assert {rule["health"] for rule in alerts().values()} == {"ok"}
        assert alerts()["TemporalWorkerDown"]["state"] == "inactive"
        worker.signal(signal.SIGKILL)
        wait_until(
            lambda: alerts()["TemporalWorkerDown"]["state"] == "pending", "an alert for the worker"
        )
        assert prometheus.process.poll() is None


@slow
@has_rules
def test_every_metric_in_the_rules_is_one_that_a_worker_serves(
    suffering: tuple[RunningScript, int], kit: Kit
) -> None:
    _, suffering_port = suffering
    used = set(re.findall(r"\btemporal_\w+", re.sub(r"#.*", "", RULES.read_text())))
    assert len(used) > 5
    with DevServer() as server:  # one that goes away
        port = free_port()
        with kit.start(
            "workers/worker.py",
            TEMPORAL_ADDRESS=server.address,
            TEMPORAL_METRICS_ADDRESS=f"127.0.0.1:{port}",
        ) as worker:
            worker.wait_for("Worker running")
            server.kill()

            def missing() -> set[str]:
                pages = (get(f"http://127.0.0.1:{one}/metrics") for one in (suffering_port, port))
                return used - set(re.findall(r"^(temporal_\w+)\{", "".join(pages), re.M))

            wait_until(lambda: not missing(), f"the rules' metrics, of which {missing()}")


def test_metrics_are_served_and_hold_no_secret(
    kit: Kit, cloud: CloudFront, certificates: Certificates, cloud_namespace: str, api_key: str
) -> None:
    port = free_port()
    with kit.start(
        "workers/worker.py",
        TEMPORAL_ADDRESS=cloud.address,
        TEMPORAL_NAMESPACE=cloud_namespace,
        TEMPORAL_API_KEY=api_key,
        TEMPORAL_TLS_SERVER_CA_CERT_PATH=certificates.server_ca_file,
        TEMPORAL_METRICS_ADDRESS=f"127.0.0.1:{port}",
    ) as worker:
        worker.wait_for("Worker running")
        url = f"http://127.0.0.1:{port}/metrics"
        wait_until(lambda: "temporal_num_pollers" in get(url), "pollers in the metrics")
        page = get(url)
    for start in range(0, len(api_key) - 8):
        assert api_key[start : start + 8] not in page


LATENCY = "temporal_workflow_task_schedule_to_start_latency_bucket"
NUMBERS = {  # one a minute, when all is well and when all goes wrong
    'up{job="temporal-worker"}': ("1x30", "1x10 0x20"),
    'temporal_long_request{job="temporal-worker"}': ("0+11x30", "0+66x30"),
    'temporal_long_request_failure{job="temporal-worker"}': ("0x10 2x20", "_x10 0+66x20"),
    "temporal_worker_task_slots_available": ("100 0x3 99x26", "9x10 0x20"),
    f'{LATENCY}{{le="1000"}}': ("0+100x30", "0+10x30"),
    f'{LATENCY}{{le="5000"}}': ("0+101x30", "0+100x30"),
    f'{LATENCY}{{le="+Inf"}}': ("0+101x30", "0+100x30"),
    'temporal_workflow_task_execution_failed{failure_reason="WorkflowError"}': ("", "_x20 1x10"),
    "temporal_activity_execution_failed": ("0+2x30", "0+90x30"),
    "temporal_activity_execution_latency_count": ("0+100x30", "0+100x30"),
}


def scene(numbers: dict[str, str], minute: int, firing: list[str]) -> dict[str, Any]:
    """The rules that are to fire after some minutes of these numbers; for promtool."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    count = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "exp_samples": samples}
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": what} for key, what in numbers.items() if what],
        "promql_expr_test": [count | {"eval_time": f"{minute}m"}],
    }


@slow
@has_rules
@needs_prometheus
def test_the_alert_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    names = re.findall(r"- alert: (\w+)", RULES.read_text())
    well, wrong = ({name: values[n] for name, values in NUMBERS.items()} for n in (0, 1))
    tests = [scene(well, 9, []), scene(well, 29, []), scene(wrong, 25, names)]
    tests.append(scene({}, 5, ["TemporalWorkerDown"]))  # no worker is known at all
    scenes = tmp_path / "scenes.yml"
    scenes.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(scenes)]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout
