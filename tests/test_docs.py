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
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import docs_network
import pytest
import trustme
from cloud_front import NAMESPACE, Certificates, CloudFront
from kit import SOURCE, DevServer, Kit, RunningScript

from temporal_settings import DEFAULTS, OFFICIAL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the guides' commands are for a POSIX shell"),
]
DEPLOY = SOURCE / "docs" / "deploy"
GUIDES = ["README.md", ".github/CONTRIBUTING.md", *sorted(map(str, SOURCE.glob("docs/*.md")))]
MARKER = re.compile(r"\s*<!-- (run|output|not run): (.+) -->$")
FENCE = re.compile(r"(\s*)```(\w*)$")
# What differs from run to run, and what it looks like in a comparison.
VARYING = (
    (r"ping-[0-9a-f]{12}", "ping-ID"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "RUN"),
    (r"\b\d+ s ago", "N s ago"),
)
GRACE = int(DEFAULTS["TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS"])
CLOUD_HOST = f"{NAMESPACE}.tmprl.cloud"
Test = TypeVar("Test", bound=Callable[..., None])
Settings = Mapping[str, "str | Path"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="a tool of Linux")


@dataclass(frozen=True)
class Block:
    """A fenced block and the comment before it; an empty `kind` is a block without one."""

    file: Path
    line: int
    text: str
    kind: str
    names: tuple[str, ...]


def every_block() -> Iterator[Block]:
    """The blocks of all guides that are there."""
    for file in filter(Path.exists, (SOURCE / guide for guide in GUIDES)):
        lines = file.read_text(encoding="utf-8").splitlines()
        numbers = iter(range(len(lines)))
        for start in numbers:
            if FENCE.match(lines[start]):
                end = next((n for n in numbers if lines[n].strip() == "```"), len(lines))
                kind, label = "", ""
                if start and (marker := MARKER.match(lines[start - 1])):
                    kind, label = marker.groups()
                text = textwrap.dedent("\n".join(lines[start + 1 : end]))
                names = () if kind == "not run" else tuple(map(str.strip, label.split(";")))
                yield Block(file, start + 1, text, kind, names)


def blocks(name: str, kind: str = "run") -> list[str]:
    """The text of the blocks with this name, in order."""
    return [one.text for one in every_block() if one.kind == kind and name in one.names]


def block(name: str) -> str:
    """The text of the one block with this name."""
    (text,) = blocks(name)
    return text


def masked(text: str) -> str:
    """A text in which what differs from run to run is named alike."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text, flags=re.M)
    return "\n".join(line.rstrip() for line in textwrap.dedent(text).strip().splitlines())


def compare(name: str, output: str) -> None:
    """Assert that the guide shows this output; with DOCS_WRITE=1 make it show that."""
    output = textwrap.dedent(output).strip()
    for shown in every_block() if os.environ.get("DOCS_WRITE") else ():
        if shown.kind == "output" and name in shown.names:
            lines = shown.file.read_text(encoding="utf-8").splitlines()
            indent = " " * (len(lines[shown.line - 1]) - len(lines[shown.line - 1].lstrip()))
            end = next(n for n in range(shown.line, len(lines)) if lines[n].strip() == "```")
            lines[shown.line : end] = textwrap.indent(output, indent).splitlines()
            shown.file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for text in blocks(name, "output"):
        assert masked(text) == masked(output)


THERE = {name for found in every_block() if found.kind == "run" for name in found.names}


def runs(*names: str) -> Callable[[Test], Test | None]:
    """Have a test that runs the blocks with these names, if the guides have them."""
    return lambda test: test if set(names) <= THERE else None


def reads(*files: str) -> Callable[[Test], Test | None]:
    """Have a test that reads these files of docs/deploy, if they are there."""
    return lambda test: test if all((DEPLOY / name).exists() for name in files) else None


class Reader:
    """Types what a guide says into a shell, beside a copy of the kit."""

    def __init__(
        self, kit: Kit, settings: Settings | None = None, network: int | None = None
    ) -> None:
        self.kit = kit
        self.settings = dict(settings or {})
        self.network = network
        if sys.prefix != sys.base_prefix:  # what the Quick start has made
            (kit.root / ".venv").symlink_to(sys.prefix)

    def start(self, text: str) -> RunningScript:
        """Type a command that goes on until it is stopped; `python` is that of this test run."""
        env = self.kit.env(**self.settings)
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        command = ["bash", "-euo", "pipefail", "-c", text]
        if self.network:
            command = docs_network.joining(self.network, self.kit.root, *command)
        return started(command, env, self.kit.root)

    def type(self, text: str, code: int = 0, timeout: float = 60) -> RunningScript:
        """Type commands and wait until they are done."""
        with self.start(text) as shell:
            ended = shell.wait(timeout)
        assert ended == code, f"{text}\nended with {ended}\n{shell.stdout}{shell.stderr}"
        return shell

    def write(self, path: str, text: str) -> None:
        """Write a file as a guide shows it."""
        file = self.kit.root / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")

    def worker(self) -> RunningScript:
        """Start a worker; "running" comes to be seen on its output."""
        return self.start("python workers/worker.py")


def started(command: list[str], env: dict[str, str], folder: Path) -> RunningScript:
    """Start a command that is found on its environment's path."""
    program = shutil.which(command[0], path=env["PATH"])
    assert program, f"no {command[0]} on {env['PATH']}"
    return RunningScript([program, *command[1:]], env, folder)


def ctrl_c(shell: RunningScript) -> int:
    """What Ctrl+C does in a terminal: the signal goes to all that runs there."""
    os.killpg(shell.process.pid, signal.SIGINT)
    return shell.wait()


def own_queue() -> str:
    """A task queue that no other test's worker has polled."""
    return f"guide-{uuid.uuid4()}"


@dataclass(frozen=True)
class Cloud:
    """The stand-in for Temporal Cloud by both its doors, and a user's copy of the kit before it."""

    kit: Kit
    by_key: CloudFront
    by_certificate: CloudFront
    api_key: str
    certificates: Certificates

    @property
    def trust(self) -> Settings:
        """What tells the stand-in from the real one: its CA, and a name that no DNS knows."""
        return {
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": self.certificates.server_ca_file,
            "TEMPORAL_TLS_SERVER_NAME": CLOUD_HOST,
        }

    def door(self, example: str) -> CloudFront:
        """The one that an example's credential opens."""
        return self.by_certificate if "mTLS" in example else self.by_key

    def fill_in(self, text: str, front: CloudFront) -> str:
        """Put values where a guide has placeholders: the stand-in's in place of Cloud's."""
        for placeholder, value in (
            ("<name>.<account>.tmprl.cloud:7233", front.address),
            ("<host:port>", front.address),
            ("<name>.<account>", NAMESPACE),
            ("<API key>", self.api_key),
        ):
            text = text.replace(placeholder, value)
        assert "<" not in text
        return text

    def check(self, settings: str, front: CloudFront, trust: Settings) -> str:
        """What the check says about a `.env` with these settings."""
        self.kit.write_env(self.fill_in(settings, front))
        return Reader(self.kit, trust).type("python scripts/check_temporal_config.py").stdout


@pytest.fixture
def own_cloud(
    kit: Kit, cloud: CloudFront, mtls_cloud: CloudFront, api_key: str, certificates: Certificates
) -> Cloud:
    """Both doors, with the files that examples name in the copy."""
    pair = certificates.client("ping-worker")
    for folder in ("certs", "secrets"):
        (kit.root / folder).mkdir(mode=0o700)
    for name, file in (
        ("client.pem", pair.certificate),
        ("client.key", pair.key),
        ("client-and-key.pem", pair.combined),
        ("ca.pem", certificates.server_ca_file),
    ):
        shutil.copy2(file, kit.root / "certs" / name)
    (kit.root / "secrets" / "api-key").touch(mode=0o600)
    (kit.root / "secrets" / "api-key").write_text(api_key)
    return Cloud(kit, cloud, mtls_cloud, api_key, certificates)


@pytest.fixture
def reader(kit: Kit, dev_server: DevServer) -> Reader:
    """Someone whose settings lead to the development server."""
    return Reader(kit, {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": own_queue()})


@pytest.fixture
def own_network() -> Iterator[int]:
    """A process in a network of its own, in which the usual ports are free."""
    with docs_network.network() as process:
        yield process


# --- README -----------------------------------------------------------------------------------


@runs("quick start")
def test_the_first_command_makes_an_ok_from_nothing(kit: Kit) -> None:
    reader = Reader(kit)
    (kit.root / ".venv").unlink(missing_ok=True)
    shutil.copy2(SOURCE / "requirements.txt", kit.root)
    assert reader.type(block("quick start"), timeout=100).stdout == "ok\n"


@runs("serve", "ping and check", "server alone")
def test_what_to_type_into_terminals_side_by_side(kit: Kit, own_network: int) -> None:
    reader = Reader(kit, network=own_network)
    with reader.start(block("serve")) as server:
        server.wait_for("In the next terminal")
        done = reader.type(block("ping and check"))
        assert done.stdout.startswith("ok\nSettings")
        assert "1 on 'ap-default'" in done.stdout
        compare("ping", done.stderr + "ok\n")
        assert ctrl_c(server) == 0
    with reader.start(block("server alone")) as server:
        server.wait_for("7233")
        with reader.worker() as worker:
            worker.wait_for("Worker running")
            compare("worker", worker.stderr)
            assert reader.type("python scripts/start_ping.py").stdout == "ok\n"
            assert ctrl_c(worker) == 0


STEPS = ("cloud, with an API key", "cloud, with mTLS", "from nothing, API key")


@runs(*STEPS)
@pytest.mark.parametrize(
    "way", ["cloud, with an API key", "cloud, with mTLS", "from nothing, API key"]
)
def test_cloud_in_five_steps(own_cloud: Cloud, way: str) -> None:
    *copy_example, settings, check = blocks(way)
    front = own_cloud.door(way)
    reader = Reader(own_cloud.kit, {**own_cloud.trust, "TEMPORAL_TASK_QUEUE": own_queue()})
    reader.type("\n".join(copy_example))
    with (own_cloud.kit.root / ".env").open("a", encoding="utf-8") as file:
        file.write(own_cloud.fill_in(settings, front) + "\n")
    checked = reader.type(check).stdout
    assert "✗" not in checked
    assert "no worker polls" in checked
    with reader.worker() as worker:
        worker.wait_for(f"Connected to Temporal Cloud: {NAMESPACE}")
        worker.wait_for("Worker running")
        assert reader.type("python scripts/start_ping.py").stdout == "ok\n"
    used = {call.api_key for call in front.calls}
    assert used == {None if "mTLS" in way else own_cloud.api_key}


OWN = ("workflows/greeting_activities.py", "workflows/greeting_workflow.py")
STARTER = "scripts/start_greeting.py"


@runs(
    *(f"own workflow, {file}" for file in (*OWN, STARTER, "workers/worker.py")),
    "own workflow",
    "own workflow, started by the CLI",
)
def test_an_own_workflow_and_activity_as_the_guides_have_them(reader: Reader) -> None:
    for path in (*OWN, STARTER):
        reader.write(path, block(f"own workflow, {path}"))
    file = reader.kit.root / "workers" / "worker.py"
    text = file.read_text(encoding="utf-8")
    for line in block("own workflow, workers/worker.py").splitlines():
        if old := re.search(rf"^{re.escape(line.partition(' = ')[0])}( = .*)?$", text, re.M):
            text = text.replace(old.group(), line)
        else:
            text = text.replace("from workflows.ping", f"{line}\nfrom workflows.ping")
    file.write_text(text, encoding="utf-8")
    del reader.settings["TEMPORAL_TASK_QUEUE"]  # the CLI's line names the default
    shutil.copy2(SOURCE / "pyproject.toml", reader.kit.root)
    reader.type("python -m ruff check workflows scripts workers")  # CI's packages have it
    with reader.worker() as worker:
        worker.wait_for("Workflows: 2 (PingWorkflow, GreetingWorkflow)")
        worker.wait_for("Activities: 1 (compose_greeting)")
        worker.wait_for("Worker running")
        compare("greeting", reader.type(block("own workflow")).stdout)
        started_by_cli = reader.type(block("own workflow, started by the CLI")).stdout
        assert "Hello, Ada!" in started_by_cli
        assert reader.type("python scripts/start_ping.py").stdout == "ok\n"


# --- docs/configuration.md --------------------------------------------------------------------


@runs("settings for the CLI", "sources")
def test_the_cli_reads_env_file_and_the_environment_wins(kit: Kit, dev_server: DevServer) -> None:
    reader = Reader(kit)
    compare("sources", reader.type(block("sources")).stdout)
    kit.write_env(f"TEMPORAL_ADDRESS={dev_server.address}\n")
    reader.type(block("settings for the CLI"))


EXAMPLES = ("API key", "API key in a file", "mTLS", "mTLS with one file")


@runs(*(f"example, {name}" for name in EXAMPLES))
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_for_cloud_connects(own_cloud: Cloud, example: str) -> None:
    front, settings = own_cloud.door(example), block(f"example, {example}")
    assert f"✓ namespace: {NAMESPACE}" in own_cloud.check(settings, front, own_cloud.trust)


@runs("example, private link with mTLS", "example, own server")
@pytest.mark.parametrize("own", [True, False])
def test_an_example_for_another_address_connects(
    own_cloud: Cloud, dev_server: DevServer, certificates: Certificates, own: bool
) -> None:
    namespace = "default" if own else NAMESPACE
    trust: Settings = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file}
    with CloudFront(
        dev_server.address,
        certificate=certificates.server() if own else certificates.server(CLOUD_HOST),
        client_ca=None if own else certificates.client_ca,
        namespaces=[namespace],
    ) as front:
        settings = block(f"example, {'own server' if own else 'private link with mTLS'}")
        checked = own_cloud.check(settings, front, {} if own else trust)
    assert f"✓ namespace: {namespace}" in checked


@runs("example, profile", "in your code")
def test_a_profile_and_your_own_code_connect(own_cloud: Cloud) -> None:
    file = own_cloud.kit.home / "temporal.toml"
    file.write_text(own_cloud.fill_in(block("example, profile"), own_cloud.by_key))
    reader = Reader(own_cloud.kit, {"TEMPORAL_CONFIG_FILE": file, **own_cloud.trust})
    reader.write("mine.py", block("in your code"))
    assert reader.type("python mine.py").stdout == f"{NAMESPACE}\n"


# --- docs/temporal-cloud.md -------------------------------------------------------------------


@runs("openssl, CA", "openssl, client", "openssl, settings", "openssl, check")
def test_certificates_made_with_openssl_as_the_guide_says_let_a_worker_in(
    own_cloud: Cloud, dev_server: DevServer, certificates: Certificates
) -> None:
    certs = own_cloud.kit.root / "certs"
    shutil.rmtree(certs)
    reader = Reader(own_cloud.kit, own_cloud.trust)
    reader.type(block("openssl, CA"))
    reader.type(block("openssl, client"))
    with CloudFront(
        dev_server.address,
        certificate=certificates.server(),
        client_ca=trustme.CA.from_pem(
            *((certs / name).read_bytes() for name in ("ca.pem", "ca.key"))
        ),
        namespaces=[NAMESPACE],
    ) as front:
        own_cloud.kit.write_env(own_cloud.fill_in(block("openssl, settings"), front))
        assert "✗" not in reader.type(block("openssl, check")).stdout
        assert {call.client_name for call in front.calls} == {"ping-worker"}
    # What Temporal Cloud asks of the two, beyond what the stand-in looks at.
    for name, *wanted in (("ca", "CA:TRUE"), ("client", "CA:FALSE", "Digital Signature")):
        seen = reader.type(f"openssl x509 -in certs/{name}.pem -noout -text").stdout
        for text in (*wanted, "ecdsa-with-SHA256", "Version: 3"):
            assert text in seen
    reader.type("openssl verify -CAfile certs/ca.pem certs/client.pem")


# --- docs/production.md -----------------------------------------------------------------------

ROLLOUT = ("worker 1", "current 1", "worker 2", "ramp 2", "current 2", "back to 1", "drained")


@runs("check a deployment", *(f"rollout, {step}" for step in ROLLOUT))
def test_a_rollout_and_its_rollback(reader: Reader) -> None:
    def step(name: str) -> str:
        # A version can be made current once its worker polls, which "running" does not wait for.
        end = time.monotonic() + 30
        while True:
            with reader.start(block(f"rollout, {name}")) as shell:
                if shell.wait() == 0:
                    return shell.stdout
            assert time.monotonic() < end, shell.stderr
            time.sleep(0.2)

    def current() -> str:
        shown = reader.type("temporal worker deployment describe --name ping --output json").stdout
        assert reader.type("python scripts/start_ping.py").stdout == "ok\n"
        return str(json.loads(shown)["routingConfig"]["currentVersionBuildID"])

    with reader.start(block("rollout, worker 1")) as one:
        one.wait_for("Version: ping, 1")
        step("current 1")
        assert "✗" not in reader.type(block("check a deployment")).stdout
        with reader.start(block("rollout, worker 2")) as two:
            two.wait_for("Version: ping, 2")
            step("ramp 2")
            assert current() == "1"
            step("current 2")
            assert current() == "2"
            step("back to 1")
            assert current() == "1"
            assert "drain" in step("drained").lower()


@runs("server alone", "metrics, worker", "metrics, look")
def test_metrics_are_where_the_guide_says(kit: Kit, own_network: int) -> None:
    reader = Reader(kit, network=own_network)
    with reader.start(block("server alone")) as server:
        server.wait_for("7233")
        with reader.start(block("metrics, worker")) as worker:
            worker.wait_for("Worker running")
            reader.type("python scripts/start_ping.py")
            compare("metrics, look", reader.type(block("metrics, look")).stdout)
            metrics = reader.type("curl -s http://127.0.0.1:9464/metrics").stdout
    guide = (SOURCE / "docs" / "production.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\|[^|]*\|.*?`(temporal_\w+)`", guide, re.M))
    assert len(named) > 3
    # Those that count failures are not there before the first one.
    for name in named:
        assert f"# TYPE {name} " in metrics or "fail" in name or "activity" in name


@runs("rotation", "example, API key in a file")
def test_a_key_in_a_file_is_rotated_under_a_running_worker(own_cloud: Cloud) -> None:
    front, new_key = own_cloud.by_key, f"{own_cloud.api_key}-the-second"
    own_cloud.kit.write_env(own_cloud.fill_in(block("example, API key in a file"), front))
    reader = Reader(own_cloud.kit, {**own_cloud.trust, "NEW_API_KEY": new_key})
    with reader.worker() as worker:
        worker.wait_for("Worker running")
        front.accept(new_key)
        reader.type(block("rotation"))
        compare("rotation", worker.wait_for("Credentials changed"))
    assert new_key in {call.api_key for call in front.calls}
    mode = (own_cloud.kit.root / "secrets" / "api-key").stat().st_mode
    assert oct(mode & 0o777) == "0o600"


ENCRYPTION = ("encryption.py", "the import", "client_options", "a key")


@runs(*(f"encryption, {part}" for part in ENCRYPTION))
def test_encrypted_payloads_are_stored_encrypted_and_read_in_plain(reader: Reader) -> None:
    code, line, options, make_key = (block(f"encryption, {part}") for part in ENCRYPTION)
    keys = [reader.type(make_key).stdout.strip() for _ in range(2)]
    reader.write("encryption.py", code)
    file = reader.kit.root / "temporal_client.py"
    text = file.read_text(encoding="utf-8")
    assert "    return {}\n" in text
    text = text.replace("    return {}\n", f"    {options.strip()}\n", 1)
    file.write_text(text.replace("from temporal_findings", f"{line}\nfrom temporal_findings", 1))
    reader.write(
        "mine.py",
        "import asyncio, sys\nfrom temporal_client import get_temporal_client\n\n\n"
        "async def main():\n    client = await get_temporal_client()\n"
        "    print(await client.get_workflow_handle(sys.argv[1]).result())\n\n\n"
        "asyncio.run(main())\n",
    )
    reader.settings["PAYLOAD_KEYS"] = keys[0]
    with reader.worker() as worker:
        worker.wait_for("Worker running")
        pinged = reader.type("python scripts/start_ping.py")
        assert pinged.stdout == "ok\n"
        workflow = re.findall(r"Workflow started: (\S+)", pinged.stderr)[0]
        shown = reader.type(f"temporal workflow show --workflow-id {workflow} --output json").stdout
        assert "YmluYXJ5L2VuY3J5cHRlZA==" in shown  # base64 of binary/encrypted
        assert '"ok"' not in shown
        assert "Im9rIg==" not in shown  # base64 of "ok"
        reader.settings["PAYLOAD_KEYS"] = f"{keys[1]},{keys[0]}"
        assert reader.type(f"python mine.py {workflow}").stdout == "ok\n"


@runs("replay, save", "replay, replay.py")
def test_saved_histories_replay_and_changed_code_is_found_out(reader: Reader) -> None:
    reader.settings["TEMPORAL_NAMESPACE"] = "replay"  # with no other test's runs in it
    reader.type("temporal operator namespace create --namespace replay")
    with reader.worker() as worker:
        worker.wait_for("Worker running")
        reader.type("python scripts/start_ping.py")
        end = time.monotonic() + 20
        # The list of runs is updated in the background.
        while "Total: 0" in reader.type("temporal workflow count").stdout:
            assert time.monotonic() < end
            time.sleep(0.2)
    reader.type(block("replay, save"))
    reader.write("replay.py", block("replay, replay.py"))
    assert reader.type("python replay.py").stdout.count("✓ ping-") == 1
    ping = reader.kit.root / "workflows" / "ping_workflow.py"
    wait = "await workflow.wait_condition(lambda: False)"
    ping.write_text(ping.read_text().replace('return "ok"', f'{wait}\n        return "ok"'))
    reader.type("python replay.py", code=1)


# --- docs/deploy/ -----------------------------------------------------------------------------


def tool(name: str) -> str:
    """A tool that comes with CI's packages, or the reason to skip."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not path:
        pytest.skip(f"no {name} here")
    return path


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    words = (line.partition(" ") for line in text.splitlines() if line)
    return [(name, rest) for name, _, rest in words]


def copy(sources: list[str], target: Path) -> None:
    """What COPY does with what the build is sent."""
    for file in (file for source in sources for file in SOURCE.glob(source.rstrip("/"))):
        if file.is_dir():
            shutil.copytree(file, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif not file.name.startswith("test_"):  # which .dockerignore keeps away
            target.mkdir(exist_ok=True)
            shutil.copy2(file, target)


def build(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Do what the Dockerfile says, step by step; gives the environment and the command."""
    app, python = folder / "app", folder / "python" / "bin"
    env = {"PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    command: list[str] = []
    for name, rest in instructions():
        if name == "FROM":
            assert re.match(r"python:3\.\d+-slim", rest)
            subprocess.run([sys.executable, "-m", "venv", str(python.parent)], check=True)
        elif name == "ENV":
            env.update(dict(part.split("=", 1) for part in rest.split()))
        elif name == "COPY":
            *sources, target = rest.split()
            copy(sources, app / target)
        elif name == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=app, env=env, check=True, capture_output=True)
        elif name == "USER":
            assert int(rest.split(":")[0]) > 0
        elif name == "CMD":
            command = json.loads(rest)
        else:
            assert (name, rest) == ("WORKDIR", "/app"), f"no way to do {name}"
            app.mkdir()
    return env, command


@reads("Dockerfile")
@linux
def test_what_the_dockerfile_makes_runs_and_stops_in_order_and_is_not_root(
    dev_server: DevServer,
) -> None:
    subprocess.run([tool("hadolint"), str(DEPLOY / "Dockerfile")], check=True)
    # Not in pytest's folder: only its owner may look into that one.
    with tempfile.TemporaryDirectory(prefix="image-") as name:
        Path(name).chmod(0o755)
        run_image(Path(name), dev_server.address)


def run_image(folder: Path, address: str) -> None:
    env, command = build(folder)
    app = folder / "app"
    env |= {"TEMPORAL_ADDRESS": address, "TEMPORAL_TASK_QUEUE": own_queue(), "HOME": "/"}
    drop: list[str] = []
    if os.geteuid() == 0:  # as a user of that number who owns nothing
        drop = ["unshare", "--user", "--map-user=10001", "--map-group=10001", "--"]
    with started([*drop, *command], env, app) as worker:
        worker.wait_for("Worker running")
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
        assert re.search(r"CapEff:\s*0+$", status, re.M), "a user who may do what root may"
        ping = [*drop, "python", "scripts/start_ping.py"]
        done = subprocess.run(ping, cwd=app, env=env, check=True, capture_output=True, text=True)
        assert done.stdout == "ok\n"
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    files = {path.name for path in app.rglob("*") if path.is_file()}
    assert not any("test" in name or name.startswith(".env") for name in files)
    assert not shutil.which("temporal", path=str(folder / "python" / "bin"))


@reads("Dockerfile", "Dockerfile.dockerignore")
def test_what_the_image_copies_is_sent_to_the_build_and_nothing_secret_is() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [pattern[1:] for pattern in ignored if pattern.startswith("!")]
    assert "*" in ignored
    for name, rest in instructions():
        for source in rest.split()[:-1] if name == "COPY" else []:
            plain = re.sub(r"\[(\w)\]", r"\1", source.split("/")[0])
            assert any(fnmatch(plain, pattern) for pattern in sent), source
    for secret in (".env", "certs", "secrets", "client.pem", "client.key", ".git"):
        assert not any(fnmatch(secret, pattern) for pattern in sent)


def manifests(name: str) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="comes with the Kubernetes schemas")
    text = (DEPLOY / name).read_text(encoding="utf-8")
    text = text.replace("<name>", "payments").replace("<account>", "a1b2c")
    return list(yaml.safe_load_all(text))


@reads("kubernetes.yaml", "kubernetes-versioned.yaml")
def test_the_kubernetes_manifests_fit_the_schemas_and_give_the_worker_time_to_stop() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="comes with CI's packages")
    plain = manifests("kubernetes.yaml")
    connection, worker = manifests("kubernetes-versioned.yaml")
    # The Worker Controller's own kinds have no schema here; the pod in one of them does.
    assert (connection["kind"], worker["kind"]) == ("Connection", "WorkerDeployment")
    assert connection["apiVersion"] == worker["apiVersion"] == "temporal.io/v1alpha1"
    name = worker["spec"]["workerOptions"]["connectionRef"]["name"]
    assert name == connection["metadata"]["name"]
    template = worker["spec"]["template"]
    selector = {"matchLabels": template["metadata"]["labels"]}
    deployment = plain[-1] | {"spec": {"selector": selector, "template": template}}
    assert deployment["kind"] == "Deployment"
    for manifest in (*plain, deployment):
        schemas.validate(manifest, schemas.latest_version(), strict=True)
    for one in (plain[-1], deployment):
        pod = one["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > GRACE + 5
        used = {name["name"] for container in pod["containers"] for name in container["env"]}
        assert used <= set(OFFICIAL)


@reads("temporal-worker.service")
@linux
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


# --- Links ------------------------------------------------------------------------------------


def anchors(file: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings}


@runs("quick start", "sources")
def test_links_inside_the_repository_lead_somewhere() -> None:
    for guide in {found.file for found in every_block() if found.kind}:
        for link in re.findall(r"\]\(([^)\s]+)\)", guide.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            target = (guide.parent / path).resolve() if path else guide
            if not link.startswith("https://"):
                assert target.exists(), f"{guide.name}: {link}"
                assert not anchor or anchor in anchors(target), f"{guide.name}: {link}"
