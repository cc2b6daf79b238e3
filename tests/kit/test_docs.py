"""The guides do what they say: each command and each piece of code in them is run here.

Before each block stands an HTML comment: `run: NAME; NAME` for a block that tests run under these
names, `output: NAME` for one that a test compares, or `not run: REASON`. A test is there as long as
the guides have the blocks that it runs: who writes their own README, or deletes docs/, has none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from html import escape
from importlib import import_module
from pathlib import Path

import grpc
import pytest
import trustme

from .cloud_front import NAMESPACE, Certificates, CloudFront
from .guides import (
    BLOCK,
    CHECK,
    CLOUD_HOST,
    PING,
    TEXTS,
    THERE,
    USED,
    Reader,
    block,
    blocks,
    compare,
    fill_in,
    runs,
)
from .kit import API_KEY, SOURCE, WORKER, DevServer, Kit, free_port, write
from .marks import posix
from .pings import wait_until
from .tcp import Proxy
from .test_layout import as_it_came
from .test_run_local import expect_no_server

pytestmark = [pytest.mark.slow, posix]  # the guides' commands are for such a shell


@runs("quick start")
def test_the_first_command_makes_an_ok_from_nothing(kit: Kit) -> None:
    reader = Reader(kit)
    (kit.root / ".venv").unlink(missing_ok=True)
    assert reader.type(block("quick start"), timeout=100).stdout == "ok\n"


@runs("serve", "ping and check")
def test_what_to_type_into_terminals_side_by_side(alone: Reader) -> None:
    with alone.start(block("serve")) as server:
        server.wait_for("In another terminal")
        server.wait_for("Worker running")
        done = alone.type(block("ping and check"))
        assert done.stdout.startswith("ok\nSettings")
        assert "1 on 'ap-default'" in done.stdout
        compare("ping", done.stderr + "ok\n")
        server.signal_group(signal.SIGINT)
        assert server.wait() == 0


def test_served_it_answers_the_next_terminal_and_knows_the_runs_of_last_time(alone: Reader) -> None:
    serve = "exec python scripts/run_local.py --serve --db data.db"
    with alone.start(serve) as serving:
        serving.wait_for("In another terminal: python scripts/start_ping.py")
        serving.wait_for("Worker running")
        [link] = re.findall("http://.*", alone.type(PING).stderr)
        assert link.startswith("http://localhost:8233/namespaces/default/workflows/ping-")
        assert "<html" in alone.type(f"curl -sf {link}").stdout
        with alone.start(serve) as second:
            expect_no_server(second)
        assert "7233" in second.stderr
        serving.signal_group(signal.SIGINT)
        assert (serving.wait(), serving.stdout) == (0, ""), serving.stderr
        assert "http://localhost:8233" in serving.stderr
        assert "Your settings point at" not in serving.stderr
        assert "Traceback" not in serving.stderr
        serving.expect_nothing_left()
    alone.settings["TEMPORAL_ADDRESS"] = "payments.a1b2c.tmprl.cloud:7233"
    with alone.start(serve) as serving:
        serving.wait_for("Your settings point at payments.a1b2c.tmprl.cloud:7233")
        described = f"temporal workflow describe --workflow-id {link.split('/')[-2]}"
        assert "COMPLETED" in alone.type(f"env -u TEMPORAL_ADDRESS {described}").stdout
        serving.stop()
        serving.expect_nothing_left()


OWN = ("workflows/greeting_activities.py", "workflows/greeting_workflow.py")


@runs(
    *(f"own workflow, {file}" for file in (*OWN, WORKER, "a script", "started by the CLI")),
    *("own workflow", "own tests"),
)
def test_an_own_workflow_and_activity_as_the_guides_have_them(reader: Reader) -> None:
    for path in OWN:
        reader.change(path, "", block(f"own workflow, {path}"))
    reader.type(block("own workflow, a script"))
    for line in block(f"own workflow, {WORKER}").splitlines():
        name, is_list, _ = line.partition(" = ")
        if is_list:
            reader.change(WORKER, f"\n{name} = ", f"\n{line}  # not ")
        elif line and "ping_workflow" not in line:
            reader.change(WORKER, "from workflows.ping", f"{line}\nfrom workflows.ping")
    del reader.settings["TEMPORAL_TASK_QUEUE"]  # the CLI's line names the default
    reader.type("python -m ruff check workflows scripts workers")  # CI's packages have it
    with reader.work() as worker:
        worker.wait_for("Workflows: 2 (PingWorkflow, GreetingWorkflow)")
        worker.wait_for("Activities: 1 (compose_greeting)")
        compare("greeting", reader.type(block("own workflow")).stdout)
        started_by_cli = reader.type(block("own workflow, started by the CLI")).stdout
        assert "Hello, Ada!" in started_by_cli
        reader.ping()
    reader.type(block("own tests"))


@runs("settings for the CLI", "sources")
def test_the_cli_reads_env_file_and_the_environment_wins(kit: Kit, dev_server: DevServer) -> None:
    reader = Reader(kit)
    compare("sources", reader.type(block("sources")).stdout)
    kit.write_env(f"TEMPORAL_ADDRESS={dev_server.address}\n")
    reader.type(block("settings for the CLI"))


PLAIN = "#e6edf3"
COLOURS = {"31": "#ff6b6b", "32": "#5fd38d", "33": "#ffd166", "0": PLAIN, "": PLAIN}
WIDTH, LINE = 8.4, 19  # of a character, and of a line's height, in pixels
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14" fill="#e6edf3">
{lines}
</g>
</svg>
"""


def draw(text: str) -> str:
    """The picture of a terminal that shows this text."""
    lines, drawn = text.rstrip("\n").split("\n"), []
    for number, line in enumerate(lines):
        parts = re.findall(r"(?:\x1b\[(\d+)m)?([^\x1b]+)", line)
        spans = [f'<tspan fill="{COLOURS[code]}">{escape(part)}</tspan>' for code, part in parts]
        place = f'x="16" y="{LINE * number + 26}" xml:space="preserve"'
        drawn.append(f"<text {place}>{''.join(spans)}</text>")
    longest = max(len(re.sub(r"\x1b\[\d+m", "", line)) for line in lines)
    width, height = WIDTH * longest + 32, LINE * len(lines) + 30
    return SVG.format(width=width, height=height, lines="\n".join(drawn))


@runs("check")
def test_the_picture_of_the_check_is_what_it_shows(alone: Reader) -> None:
    alone.kit.write_env("TEMPORAL_NAMESPACE=payment\nTEMPORAL_HOST=localhost\n")
    there = f"--namespace={NAMESPACE} --namespace=elsewhere"
    with alone.start(f"temporal server start-dev --headless {there}") as server:
        server.wait_for("7233")
        in_terminal = f"TERM=xterm script -qec 'env -u NO_COLOR {CHECK}' /dev/null"
        shown = alone.type(in_terminal, code=1).stdout.replace("\r\n", "\n")
    drawn, file = draw(f"$ {CHECK}\n{shown}"), SOURCE / "docs" / "check-in-terminal.svg"
    if os.environ.get("DOCS_WRITE"):
        file.write_text(drawn, encoding="utf-8")
    assert drawn == file.read_text("utf-8"), "DOCS_WRITE=1 draws it anew"


@runs("cloud, with an API key", "profile", "openssl", "openssl, settings", "cloud works")
@runs("rotation, certificate")
@runs("profile of the skill")
@pytest.mark.parametrize("way", ["cloud, with an API key", "profile", "skill", "openssl"])
def test_the_way_to_cloud(
    client: Reader, cloud: CloudFront, dev_server: DevServer, certificates: Certificates, way: str
) -> None:
    front, certs, works = cloud, client.kit.root / "certs", f"{CHECK}\n{PING}"
    if way == "openssl":
        shutil.rmtree(certs)
        client.type(block("openssl"))
        ca = trustme.CA.from_pem((certs / "ca.pem").read_bytes(), (certs / "ca.key").read_bytes())
        front = CloudFront(dev_server.address, certificate=certificates.server(), client_ca=ca)
        client.kit.write_env(fill_in(block("openssl, settings"), front.address))
        # What Temporal Cloud asks of the two, beyond what the stand-in looks at.
        seen = client.type("openssl x509 -in certs/client.pem -noout -text").stdout
        wanted = ("CA:FALSE", "Digital Signature", "ecdsa-with-SHA256", "Version: 3")
        assert not [one for one in wanted if one not in seen]
        client.type("openssl verify -x509_strict -CAfile certs/ca.pem certs/client.pem")
    elif way == "profile":
        client.type(fill_in(block("profile"), front.address))
        works = block("cloud works")
    elif way == "skill":  # which writes a profile of its own name
        profile = fill_in(block("profile"), front.address).strip()
        client.type(re.sub("$", " --profile cloud-setup", profile, flags=re.M))
        client.kit.write_env(block("profile of the skill") + "\n")
    else:
        copy_example, settings, check = blocks(way)
        client.type(copy_example)
        filled = fill_in(settings, front.address)
        client.change(".env", "# --- Who", f"{filled}\n# --- Who")
        assert "no worker polls" in client.type(check).stdout
    with client.work() as worker:
        worker.wait_for(f"Connected to Temporal Cloud: {NAMESPACE}")
        assert "✗" not in client.until(works, "PingWorkflow" if way == "profile" else "ok\n")
        if way == "openssl":
            client.type(block("rotation, certificate"))
            worker.wait_for("Credentials changed")
            assert len({call.client_serial for call in front.calls}) == 2
    used = {(call.api_key, call.client_name) for call in front.calls}
    assert used == {(None, "ping-worker") if way == "openssl" else (API_KEY, None)}


EXAMPLES = ("own CA", "private link with mTLS", "proxy")


@runs(*(f"example, {name}" for name in EXAMPLES), "check")
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_for_a_server_of_your_own_connects(
    client: Reader, dev_server: DevServer, certificates: Certificates, example: str
) -> None:
    settings = block(f"example, {example}")
    del client.settings["TEMPORAL_TLS_SERVER_NAME"]  # which the example has to say by itself
    if example == "own CA":
        del client.settings["TEMPORAL_TLS_SERVER_CA_CERT_PATH"]
    namespace = NAMESPACE if "<name>" in settings else "default"
    names = [CLOUD_HOST] if "private" in example else []
    with (
        CloudFront(
            dev_server.address,
            certificate=certificates.server(*names),
            client_ca=certificates.client_ca if "mTLS" in example else None,
            keys=[API_KEY] if example == "proxy" else None,
            namespaces=[namespace],
        ) as front,
        Proxy({f"{CLOUD_HOST}:7233": front.address}) as proxy,
    ):
        address = f"{CLOUD_HOST}:7233" if example == "proxy" else front.address
        filled = fill_in(settings, address)
        client.kit.write_env(filled.replace("<proxy>", proxy.address))
        assert f"✓ namespace: {namespace}" in client.type(block("check")).stdout
        assert bool(proxy.asked) == (example == "proxy")


CLOUD = "TEMPORAL_ADDRESS=<host:port>\nTEMPORAL_NAMESPACE=<name>.<account>\n"
READ_AGAIN = {
    "key file": f"{CLOUD}TEMPORAL_API_KEY_FILE=secrets/api-key",
    ".env": f"{CLOUD}TEMPORAL_API_KEY=<API key>",
    "profile": "",
}


@runs("rotation", "profile")
@pytest.mark.parametrize("way", READ_AGAIN)
def test_what_the_table_says_is_read_again_is_read_again(
    client: Reader, cloud: CloudFront, way: str
) -> None:
    client.settings["NEW_API_KEY"] = new_key = f"{API_KEY}-the-second"
    settings = fill_in(READ_AGAIN[way], cloud.address)
    profile = fill_in(block("profile"), cloud.address)
    client.kit.write_env(settings)
    client.type(profile if way == "profile" else "true")
    with client.work() as worker:
        cloud.accept(new_key)
        if way == ".env":
            client.kit.write_env(settings.replace(API_KEY, new_key))
        elif way == "profile":
            client.type(profile.replace("$API_KEY", "$NEW_API_KEY"))
        else:
            client.type(block("rotation"))
            assert (client.kit.root / "secrets" / "api-key").stat().st_mode & 0o777 == 0o600
        compare("rotation", worker.wait_for("Credentials changed"))
    assert {call.api_key for call in cloud.calls} == {API_KEY, new_key}


ENCRYPTION = ("client_options", "a key", "look")


@runs("encryption", *(f"encryption, {part}" for part in ENCRYPTION))
def test_encrypted_payloads_by_worker_ping_local_server_and_image(
    alone: Reader, tmp_path: Path
) -> None:
    from .test_deploy import copy_files

    options, make_key, look = (block(f"encryption, {part}") for part in ENCRYPTION)
    old, new = (alone.type(make_key).stdout.strip() for _ in range(2))
    alone.type(block("encryption"))
    alone.change("temporal_client.py", "    return {}", textwrap.indent(options, "    "))
    assert "PAYLOAD_KEYS is not set" in alone.type(PING, code=1).stderr
    alone.settings["PAYLOAD_KEYS"] = old
    with alone.work("python scripts/run_local.py --serve"):
        alone.settings["ID"] = alone.ping()
        alone.type(look)
        shown = alone.type('temporal workflow show --workflow-id "$ID" --output json').stdout
        assert "Im9rIg==" not in shown  # base64 of "ok", in quotes
        # What the image has, on a queue of its own, in the middle of a rotation of the keys.
        image = copy_files(alone.kit.root, tmp_path / "image")
        alone.settings |= {"PAYLOAD_KEYS": f"{new},{old}", "TEMPORAL_TASK_QUEUE": "image"}
        with alone.work(f"cd {image} && exec python workers/worker.py"):
            alone.settings["PAYLOAD_KEYS"] = f"{old},{new}"
            alone.ping()


@runs("replay, save", "replay", "describe")
def test_saved_histories_replay_and_changed_code_is_found_out(reader: Reader) -> None:
    reader.settings["TEMPORAL_NAMESPACE"] = "replay"  # with no other test's runs in it
    reader.type("temporal operator namespace create --namespace replay")
    with reader.work():
        reader.settings["ID"] = reader.ping()
        reader.until("temporal workflow count", "Total: 1")
    assert "COMPLETED" in reader.type(block("describe")).stdout.upper()
    reader.type(block("replay, save"))
    assert reader.type(block("replay")).stdout.count("✓ ping-") == 1
    wait = "await workflow.wait_condition(lambda: False)"
    reader.change("workflows/ping_workflow.py", 'return "ok"', f'{wait}\n        return "ok"')
    reader.type(block("replay"), code=1)


FIRST_BUILD = ("worker 1", "current 1", "count", "wake")


def build_2(text: str) -> str:
    """What the guide says of the first build, for the second."""
    return re.sub("(build.id[ =])1", r"\g<1>2", text, flags=re.I)


SLEEPING = """
from temporalio import workflow

@workflow.defn
class SleepingWorkflow:
    def __init__(self) -> None:
        self.done = False

    @workflow.run
    async def run(self) -> str:
        await workflow.wait_condition(lambda: self.done, timeout=3600)
        return "as it began"

    @workflow.signal
    def finish(self) -> None:
        self.done = True
"""
CHANGED = SLEEPING.replace(", timeout=3600", "").replace("as it began", "changed")


@runs(*(f"rollout, {step}" for step in (*FIRST_BUILD, "ramp 2")), "replay")
@pytest.mark.parametrize("way", ["at once", "by a ramp"])
def test_a_run_that_sleeps_through_the_first_build_meets_no_changed_code(
    reader: Reader, tmp_path: Path, way: str
) -> None:
    worker, current, count, wake = (block(f"rollout, {step}") for step in FIRST_BUILD)
    ramp, none_left = block("rollout, ramp 2"), "Total: 0\n"
    ids = [f"sleeper-{number}" for number in range(8)]
    reader.settings["TEMPORAL_NAMESPACE"] = way.replace(" ", "-")  # with these runs alone
    del reader.settings["TEMPORAL_TASK_QUEUE"]  # the guide's commands name the default
    changed = Reader(Kit(tmp_path / "changed"), reader.settings)
    for build, code in ((reader, SLEEPING), (changed, CHANGED)):
        build.kit.register("sleeping_workflow", code, workflows=["SleepingWorkflow"])

    def on(run: str, command: str, more: str = "") -> str:
        return reader.type(f"temporal workflow {command} --workflow-id {run} {more}").stdout

    begin = "--type SleepingWorkflow --task-queue ap-default"
    reader.type('temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE"')
    with reader.work() as unversioned:
        for run in ids:
            on(run, "start", begin)
            reader.until(f"temporal workflow show --workflow-id {run}", "TimerStarted")
        reader.until(count, f"Total: {len(ids)}\n")
        with reader.start(worker) as one:
            one.wait_for("Version: ping, 1")
            if way == "by a ramp":
                half = ramp.replace("--build-id 2 --percentage 10", "--build-id 1 --percentage 50")
                assert half != ramp
                reader.until(half)
                moved = count.replace("Version IS NULL", "Version = 'ping:1'")
                assert moved != count
                reader.until(f"{wake}\n{moved} | grep -v '{none_left.strip()}'")
                reader.until(wake)
            reader.until(current)
            left = reader.type(count).stdout
            assert left != none_left
            assert (left == f"Total: {len(ids)}\n") == (way == "at once")
            reader.until(f"{wake}\n{count}", none_left)
            unversioned.stop()
            with changed.start(build_2(worker)) as two:
                two.wait_for("Version: ping, 2")
                changed.until(ramp)
                changed.until(build_2(current))
                for run in ids:
                    on(run, "signal", "--name finish")
                    assert "as it began" in on(run, "result")
    for run in ids:
        assert "WORKFLOW_TASK_FAILED" not in on(run, "show", "--output json")
        assert '"buildId": "1"' in on(run, "describe", "--output json")
    # Build 2's code would have broken such a run.
    for build in (reader, changed):
        write(build.kit.root / "histories/sleeper.json", on(ids[0], "show", "--output json"))
    assert "✓ sleeper" in reader.type(block("replay")).stdout
    assert "✗ sleeper" in changed.type(block("replay"), code=1).stdout


ROLLOUT = ("worker 1", "current 1", "ramp 2", "back to 1", "drained")


@runs(*(f"rollout, {step}" for step in (*ROLLOUT, "move one", "describe")))
def test_a_rollout_and_its_rollback(reader: Reader) -> None:
    def step(name: str) -> str:
        # A version can be made current once its worker polls, which "running" does not wait for.
        return reader.until(block(f"rollout, {name}"))

    def patient(build: str) -> None:
        reader.until("temporal workflow describe --workflow-id patient --output json", build)

    def current() -> str:
        shown = reader.type(f"{block('rollout, describe')} --output json").stdout
        reader.ping()
        return str(json.loads(shown)["routingConfig"]["currentVersionBuildID"])

    reader.type("cp docs/examples/patient_workflow.py workflows/")
    reader.kit.register("patient_workflow", "", workflows=["PatientWorkflow"])
    reader.settings["ID"] = "patient"
    start = "temporal workflow start --type PatientWorkflow --workflow-id patient --input 1"
    with reader.work():
        reader.type(f"{start} --task-queue {reader.settings['TEMPORAL_TASK_QUEUE']}")
        patient("mostRecentWorkerVersionStamp")
        with reader.start(block("rollout, worker 1")) as one:
            one.wait_for("Version: ping, 1")
            step("current 1")
            patient('"buildId": "1"')  # what began without a version has moved over
    worker = block("rollout, worker 1")
    with reader.work(worker), reader.start(build_2(worker)) as two:
        two.wait_for("Version: ping, 2")
        step("ramp 2")
        assert current() == "1"
        reader.until(build_2(block("rollout, current 1")))
        assert current() == "2"
        patient('"buildId": "2"')  # pinned, and yet it went over as it continued as new
        assert "drain" in step("drained").lower()
        step("back to 1")
        assert current() == "1"
        step("move one")
        patient('"buildId": "1"')
        reader.type('temporal workflow terminate --workflow-id "$ID"')


@runs("metrics, worker", "metrics, look", "metrics, prometheus.yml")
def test_metrics_are_where_the_guide_says(alone: Reader) -> None:
    alone.change("prometheus.yml", "", block("metrics, prometheus.yml"))
    shutil.copy2(SOURCE / "docs" / "deploy" / "alerts.yml", alone.kit.root)
    alone.type("! which promtool || promtool check config prometheus.yml")
    with alone.start("temporal server start-dev --headless") as server:
        server.wait_for("7233")
        with alone.work(block("metrics, worker")):
            alone.ping()
            compare("metrics, look", alone.type(block("metrics, look")).stdout)
            metrics = alone.type("curl -s http://127.0.0.1:9464/metrics").stdout
    guide = TEXTS[SOURCE / "docs" / "watch-a-worker.md"]
    named = set(re.findall(r"^\|[^|]*\|.*?`(temporal_\w+)`", guide, re.M))
    assert len(named) > 3
    # Those that count failures are not there before the first one.
    for name in named:
        assert f"# TYPE {name} " in metrics or "fail" in name or "activity" in name


@runs("port")
def test_the_metrics_answer_on_a_platforms_port(reader: Reader) -> None:
    reader.settings["PORT"] = port = free_port()
    with reader.work(block("port")):
        ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{port}"
        assert [reader.type(f"{ask}/{path}").stdout for path in ("metrics", "")] == ["200", "404"]


class Collector(AbstractContextManager["Collector"]):
    """Receives traces and metrics by OTLP, as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.received = {"trace": b"", "metrics": b""}
        self._server = grpc.server(ThreadPoolExecutor(4))
        for kind in self.received:
            service = f"opentelemetry.proto.collector.{kind}.v1.{kind.title()}Service"
            export = grpc.unary_unary_rpc_method_handler(partial(self._keep, kind))
            handler = grpc.method_handlers_generic_handler(service, {"Export": export})
            self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _keep(self, kind: str, request: bytes, _: object) -> bytes:
        self.received[kind] += request
        return b""

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(10)


@runs("telemetry", "telemetry, client_options", "telemetry, settings")
def test_traces_and_metrics_reach_a_collector(reader: Reader) -> None:
    install, copy = block("telemetry").splitlines()
    assert install.startswith("pip install ")  # the tests' packages have them
    reader.type(copy)
    options = textwrap.indent(block("telemetry, client_options"), "    ")
    reader.change("temporal_client.py", "    return {}", options)
    with Collector() as collector:
        settings = block("telemetry, settings").replace("localhost:4317", collector.address)
        reader.kit.write_env(settings + "\n")
        reader.settings["OTEL_METRIC_EXPORT_INTERVAL"] = "500"
        with reader.work() as worker:
            reader.ping()
            wait_until(lambda: b"temporal_num_pollers" in collector.received["metrics"], "metrics")
            worker.stop()
            assert worker.stdout == ""  # the SDK's log is where the kit's is
        spans, metrics = collector.received["trace"], collector.received["metrics"]
    for name in (b"StartWorkflow:PingWorkflow", b"RunWorkflow:PingWorkflow", b"ping-worker"):
        assert name in spans, name
    assert b"temporal_worker_task_slots_available" in metrics
    assert "ok" in reader.type("python scripts/run_local.py").stdout


MODELS = """
from pydantic import BaseModel

class Order(BaseModel):
    item: str
    count: int = 1
"""
ORDERED = """
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.models import Order

@workflow.defn
class OrderedWorkflow:
    @workflow.run
    async def run(self, order: Order) -> Order:
        return order.model_copy(update={"count": order.count + 1})
"""


@runs("pydantic, client_options")
def test_pydantic_models_go_in_and_out(reader: Reader) -> None:
    options = textwrap.indent(block("pydantic, client_options"), "    ")
    reader.change("temporal_client.py", "    return {}", options)
    reader.change("workflows/models.py", "", MODELS)
    reader.kit.register("ordered_workflow", ORDERED, workflows=["OrderedWorkflow"])
    with reader.work():
        run = 'temporal workflow execute --type OrderedWorkflow --task-queue "$TEMPORAL_TASK_QUEUE"'
        assert '"count":2' in reader.type(f'{run} --input \'{{"item": "tea"}}\'').stdout
        refused = reader.start(f"{run} --workflow-id bad --input '{{}}'")
        with refused:
            reader.until("temporal workflow show --workflow-id bad", "WorkflowTaskFailed")


@runs("orders")
def test_an_update_answers_and_may_be_refused(reader: Reader) -> None:
    reader.type(block("orders"))
    reader.kit.register("order_workflow", "", ["OrderWorkflow"])
    reader.settings["TEMPORAL_NAMESPACE"] = "updates"  # the order's ID is another test's too
    reader.type("temporal operator namespace create --namespace updates")
    update = "temporal workflow update execute --workflow-id order-1 --name send_to --input"
    with reader.work():
        reader.type("python scripts/start_order.py")
        done = reader.type("python scripts/change_order.py")
        assert done.stdout == "1 Main Street, not ''\n"
        assert "an address is needed" in reader.type(f"{update} '\"\"'", code=1).stderr
        assert "1 Main Street" in reader.type(f"{update} '\"2 High Street\"'").stdout
        assert reader.type("python scripts/pay_order.py").stdout == "paid: 12.5\n"


BIG = """
import asyncio
from datetime import timedelta
from temporalio import workflow

@workflow.defn
class BigWorkflow:
    @workflow.run
    async def run(self, count: int, size: int) -> int:
        limit = timedelta(seconds=30)
        calls = [
            workflow.execute_activity("measure", "x" * size, start_to_close_timeout=limit)
            for _ in range(count)
        ]
        return sum(await asyncio.gather(*calls))
"""
MEASURE = """
from temporalio import activity

@activity.defn
def measure(text: str) -> int:
    return len(text)
"""


@runs("orders")  # of the page that says so
def test_what_is_too_large_stands_still_or_is_terminated(reader: Reader) -> None:
    reader.kit.register("big_workflow", BIG, workflows=["BigWorkflow"])
    reader.kit.register("measure", MEASURE, activities=["measure"])
    status = {"1 1500000": "COMPLETED", "1 2500000": "RUNNING", "4 1500000": "TERMINATED"}
    start = 'temporal workflow start --type BigWorkflow --task-queue "$TEMPORAL_TASK_QUEUE"'
    with reader.work() as worker:
        for size in status:
            name = f"--workflow-id 'big {size}'"
            reader.type(f"{start} {name} --input {size.replace(' ', ' --input ')}")
        worker.wait_for(
            "[TMPRL1103] Attempted to upload payloads with size that exceeded the error"
        )
        for size, ends in status.items():
            describe = f"temporal workflow describe --workflow-id 'big {size}' --output json"
            reader.until(describe, f'"WORKFLOW_EXECUTION_STATUS_{ends}"')
        reader.type("temporal workflow terminate --workflow-id 'big 1 2500000'")


@runs("backlog")
def test_the_backlog_shows_what_waits(reader: Reader) -> None:
    queue = reader.settings["TEMPORAL_TASK_QUEUE"]
    look = block("backlog").replace("ap-default", queue)
    assert look != block("backlog")
    for _ in range(3):
        reader.type(f"temporal workflow start --type PingWorkflow --task-queue {queue}")
    assert re.search(r"UNVERSIONED +workflow +3 ", reader.type(look).stdout)


@runs("log, time stamps", "log, JSON", "log, JSON, in the worker")
def test_the_log_in_other_forms(reader: Reader) -> None:
    stamped, as_json = (block(f"log, {form}") for form in ("time stamps", "JSON, in the worker"))
    plain = "    run_script(main, __doc__)"
    reader.settings["TEMPORAL_ADDRESS"] = "nowhere.invalid:7233"
    reader.change(WORKER, plain, indented := textwrap.indent(stamped, "    "))
    said = reader.type(f"python {WORKER}", code=1).stderr
    assert re.match(r"\d{4}-\d\d-\d\d .* INFO - ", said)
    reader.type(block("log, JSON"))
    reader.change(WORKER, indented, textwrap.indent(as_json, "    "))
    said = reader.type(f"python {WORKER}", code=1).stderr
    lines = [json.loads(line) for line in said.splitlines()]
    assert {line["level"] for line in lines} == {"INFO", "ERROR"}
    assert "nowhere.invalid" in lines[-1]["message"]


def anchors(file: Path) -> set[str]:
    """What a link to a heading of this file may end with."""
    text = re.sub(r"^```.*?^```", "", file.read_text("utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings}


@runs("quick start", "sources")
def test_every_block_says_how_it_is_run_and_links_lead_somewhere() -> None:
    for file in Path(__file__).parent.glob("test_*.py"):
        if "from .guides import" in file.read_text("utf-8"):
            import_module(f".{file.stem}", __package__)
    assert not THERE - USED, "no test runs these"
    for guide, text in TEXTS.items():
        fences = len(re.findall(r"^ *```", text, re.M))
        assert fences == 2 * len(BLOCK.findall(text)), f"{guide.name}: a block without a comment"
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = link.partition("#")
            target = (guide.parent / path).resolve() if path else guide
            if not link.startswith("https://"):
                assert target.exists(), f"{guide.name}: {link}"
                assert not anchor or anchor in anchors(target), f"{guide.name}: {link}"


@as_it_came
def test_the_guides_stay_short() -> None:
    pages = [file for file in TEXTS if file.parent.name == "docs"]
    lines = {file.name: len(TEXTS[file].splitlines()) for file in pages}
    assert sum(lines.values()) <= 1500
    assert {name: count for name, count in lines.items() if count > 120} == {}
    assistants = (SOURCE / "AGENTS.md").read_text("utf-8")
    assert len(assistants.splitlines()) <= 25


LEAVING = "leave the kit"


@runs(LEAVING, f"{LEAVING}, worker", f"{LEAVING}, ping")
def test_worker_and_ping_run_without_the_kit(client: Reader, cloud: CloudFront) -> None:
    client.type(block(LEAVING))
    assert not (client.kit.root / "temporal_kit").exists()
    filled = fill_in(block("example, proxy"), cloud.address)  # an API key, in `.env`
    client.kit.write_env(re.sub("(HTTPS|NO)_PROXY=.*\n", "", filled))
    with client.work(block(f"{LEAVING}, worker")) as worker:
        with client.start(block(f"{LEAVING}, ping")) as plain:
            assert (plain.wait(), plain.stdout) == (0, "ok\n")
        worker.stop()
    assert {call.api_key for call in cloud.calls} == {API_KEY}


@runs("upgrade the kit")
def test_a_later_kit_takes_the_place_of_this_one_and_nothing_else(reader: Reader) -> None:
    root, kits = reader.kit.root, reader.kit.root.with_name("the-kits")
    shutil.copytree(root, kits, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    for path in (root, kits):  # each a repository of its own
        (path / "tests" / "kit").mkdir(parents=True)
        write(path / "tests" / "kit" / "test_it.py", f"# {path.name}\n")
    init = kits / "temporal_kit" / "__init__.py"
    init.write_text(init.read_text("utf-8").replace('__version__ = "1', '__version__ = "9'))
    (kits / "temporal_kit" / "proxy.py").rename(kits / "temporal_kit" / "proxies.py")
    settings = kits / "temporal_kit" / "settings.py"
    settings.write_text(settings.read_text("utf-8").replace("from .proxy ", "from .proxies "))
    git = "git -c user.name=me -c user.email=me@example.com"
    begin = f"git init -q -b main && git add -A && {git} commit -q -m begin"
    reader.change("workers/worker.py", "log.info(", 'log.info("mine")\n    log.info(')
    reader.type(f"echo .venv > .gitignore && {begin} && cd {kits} && {begin}")
    replace, look = blocks("upgrade the kit")
    reader.type(replace.replace("<the kit's address>", str(kits)))
    done = reader.type(look)
    assert re.match(r"9\.\d+\.\d+\nok\n", done.stdout), done.stdout
    changed = set(reader.type("git diff --name-only HEAD").stdout.split())
    assert changed
    assert all(path.startswith(("temporal_kit/", "tests/kit/")) for path in changed), changed
