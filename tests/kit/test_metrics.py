"""Metrics of a real worker and the alert rules, judged by Prometheus' promtool."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from .kit import SOURCE, WORKER, DevServer, Kit, free_port
from .pings import CALLING, QUEUE, begin, connect, send, wait_until

pytestmark = pytest.mark.slow
RULES = SOURCE / "docs" / "deploy" / "alerts.yml"
has_rules = pytest.mark.skipif(not RULES.exists(), reason="the alert rules have been deleted")

FAILING = """
from temporalio import activity
from temporalio.exceptions import ApplicationError

@activity.defn
def fail() -> None:
    raise ApplicationError("as it should", non_retryable=True)

@workflow.defn
class Buggy:
    @workflow.run
    async def run(self) -> None:
        raise KeyError("as it should")
"""


def test_a_taken_port_is_a_clear_error(kit: Kit, dev_server: DevServer) -> None:
    taken = dev_server.address
    done = kit.start(WORKER, TEMPORAL_ADDRESS=taken, TEMPORAL_METRICS_ADDRESS=taken)
    assert done.wait() == 1
    assert f"✗ TEMPORAL_METRICS_ADDRESS={taken}: " in done.stderr
    assert "Address already in use" in done.stderr
    assert "→ TEMPORAL_METRICS_ADDRESS=127.0.0.1:<a free port>" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_new_credentials_are_used_though_metrics_move(kit: Kit, dev_server: DevServer) -> None:
    text = f"TEMPORAL_ADDRESS={dev_server.address}\nTEMPORAL_TLS=false\n"
    text += "TEMPORAL_METRICS_ADDRESS=127.0.0.1:{0}\nTEMPORAL_API_KEY=key-{0}\n"
    kit.write_env(text.format(free_port()))
    worker = kit.work()
    kit.write_env(text.format(free_port()))
    worker.wait_for("Credentials changed")


def promtool(*command: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run Prometheus' own tool."""
    if not shutil.which("promtool"):
        pytest.skip("no Prometheus on this machine: apt-get install prometheus")
    command = ("promtool", *command)
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False)


@has_rules
def test_every_metric_in_the_rules_is_one_that_a_worker_serves(kit: Kit) -> None:
    """It has seen pings, failures of a workflow, its code and an activity, and a lost server."""
    kit.register("failing", CALLING + FAILING, ["Buggy", "Calling"], ["fail"])
    rules = re.sub(r"#.*", "", RULES.read_text())
    # Without labels, and what only Temporal Cloud serves.
    used = set(re.findall(r"\btemporal_(?!cloud_|namespace\b|task_queue\b)\w+", rules))
    assert len(used) > 5
    at = f"127.0.0.1:{free_port()}"

    async def suffer(address: str) -> None:
        await send(await connect(address), QUEUE, 25, 5)
        await begin(address, "Buggy")
        await begin(address, "Calling", ["fail"])

    def page() -> str:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://{at}/metrics", trust_env=False).text
        return ""

    with DevServer() as server:
        worker = kit.work(TEMPORAL_ADDRESS=server.address, TEMPORAL_METRICS_ADDRESS=at)
        asyncio.run(suffer(server.address))
        worker.wait_for("Failed activation")
        wait_until(lambda: "temporal_workflow_failed{" in page(), "a failed workflow")
        server.kill()
        wait_until(lambda: all(f"\n{one}{{" in page() for one in used), f"all of {used}")
        assert promtool("check", "metrics", said=page()).returncode != 1  # 3: names to suggest


LATENCY = "temporal_workflow_task_schedule_to_start_latency_bucket"
NUMBERS = {  # one a minute, when all is well and when all goes wrong
    'up{job="temporal-worker"}': ("1x30", "1x10 0x20"),
    'temporal_long_request{job="temporal-worker"}': ("0+11x30", "0+66x30"),
    'temporal_long_request_failure{job="temporal-worker"}': ("0x10 2x20", "_x10 0+66x20"),
    "temporal_num_pollers": ("5 0x3 5x26", "5x10 0x20"),
    "temporal_cloud_v1_total_action_throttled_count": ("0 5 0x28", "0x10 5x20"),
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


@has_rules
def test_the_alert_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    names = re.findall(r"- alert: (\w+)", RULES.read_text())
    well, wrong = ({name: values[n] for name, values in NUMBERS.items()} for n in (0, 1))
    tests = [scene(well, 9, []), scene(well, 29, []), scene(wrong, 25, names)]
    tests.append(scene({}, 5, ["TemporalWorkerDown"]))  # no worker is known at all
    # One of two queues has lost its workers.
    gone = {'up{job="temporal-worker"}': "1x60", "temporal_num_pollers": "5x60"}
    gone['temporal_num_pollers{task_queue="gone"}'] = "5x9 stale"
    failure = 'temporal_request_failure{status_code="RESOURCE_EXHAUSTED"}'
    throttled = {'up{job="temporal-worker"}': "1x30", failure: "_x10 0+6x20"}
    tests.append(scene(throttled, 25, ["TemporalThrottled"]))
    misspelt = {'up{job="temporal-worker"}': "1x30"}
    misspelt["temporal_cloud_v1_no_poller_tasks_count"] = "0x10 0.5x20"
    tests += [scene(misspelt, 12, []), scene(misspelt, 25, ["TemporalNoPollers"])]
    tests += [scene(gone, 38, ["TemporalNoPollers"]), scene(gone, 50, [])]
    scenes = tmp_path / "scenes.yml"
    scenes.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(scenes)]):
        done = promtool(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout
