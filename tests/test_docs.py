"""The guides do what they say: each command and each piece of code in them is run here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

import docs_network
import pytest
import trustme
from cloud_front import NAMESPACE, Certificates, CloudFront
from docs_blocks import GUIDES, block, blocks, compare, every_block, masked
from kit import SOURCE, DevServer, Kit, RunningScript

from temporal_client import CONNECTION_SETTINGS, DEFAULTS, PROCESS_SETTINGS

DEPLOY = SOURCE / "docs" / "deploy"
CLOUD_HOST = f"{NAMESPACE}.tmprl.cloud"
RUN: set[str] = set()  # the names of blocks that a test here runs
Test = TypeVar("Test", bound=Callable[..., None])
Settings = Mapping[str, "str | Path"]

posix = pytest.mark.skipif(os.name == "nt", reason="the guides' commands are for a POSIX shell")
linux = pytest.mark.skipif(sys.platform != "linux", reason="a tool of Linux")


def runs(*names: str) -> Callable[[Test], Test]:
    """Mark a test as the one that runs the blocks with these names."""
    RUN.update(names)
    return posix


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

    def env(self) -> dict[str, str]:
        """A user's environment, in which `python` is the interpreter of this test run."""
        env = self.kit.env(**self.settings)
        return {**env, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"}

    def start(self, text: str) -> RunningScript:
        """Type a command that goes on until it is stopped."""
        command = ["bash", "-euo", "pipefail", "-c", text]
        if self.network:
            command = docs_network.joining(self.network, self.kit.root, *command)
        return started(command, self.env(), self.kit.root)

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


def started(command: list[str], env: dict[str, str], folder: Path) -> RunningScript:
    """Start a command that is found on its environment's path."""
    program = shutil.which(command[0], path=env["PATH"])
    assert program, f"no {command[0]} on {env['PATH']}"
    return RunningScript([program, *command[1:]], env, folder)


def fill_in(text: str, front: CloudFront, api_key: str = "") -> str:
    """Put values where a guide has placeholders: the stand-in's in place of Cloud's."""
    for placeholder, value in (
        ("<name>.<account>.tmprl.cloud:7233", front.address),
        ("<host:port>", front.address),
        ("<name>.<account>", NAMESPACE),
        ("<API key>", api_key),
    ):
        text = text.replace(placeholder, value)
    assert "<" not in text
    return text


def own_queue() -> str:
    """A task queue that no other test's worker has polled."""
    return f"guide-{uuid.uuid4()}"


def ctrl_c(shell: RunningScript) -> int:
    """What Ctrl+C does in a terminal: the signal goes to all that runs there."""
    os.killpg(shell.process.pid, signal.SIGINT)
    return shell.wait()


@pytest.fixture
def trust(certificates: Certificates) -> Settings:
    """What tells the stand-in from Temporal Cloud: its CA, and a name that no DNS knows."""
    return {
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file,
        "TEMPORAL_TLS_SERVER_NAME": CLOUD_HOST,
    }


@pytest.fixture
def reader(kit: Kit, dev_server: DevServer) -> Reader:
    """Someone whose settings lead to the development server."""
    return Reader(kit, {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_TASK_QUEUE": own_queue()})


@pytest.fixture
def own_network(kit: Kit) -> Iterator[int]:
    """A process in a network of its own, in which the usual ports are free."""
    if why := docs_network.why_not():
        pytest.skip(f"no network of its own: {why}")
    with started(docs_network.inside("sleep", "600"), kit.env(), kit.root) as holder:
        end = time.monotonic() + 10
        while Path(f"/proc/{holder.process.pid}/comm").read_text().strip() != "sleep":
            assert time.monotonic() < end
            time.sleep(0.02)
        yield holder.process.pid


# --- What is in the files ---------------------------------------------------------------------


def test_every_code_block_is_run_or_says_why_it_cannot_be() -> None:
    for found in every_block():
        assert found.kind, f"{found}: no comment before it says who runs it"
        if found.kind == "run":
            assert set(found.names) <= RUN | {".ci/run"}, f"{found}: no test runs {found.names}"
    named = {name for found in every_block() if found.kind == "run" for name in found.names}
    assert named >= RUN, f"no guide has {RUN - named}"


def anchors(file: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_links_inside_the_repository_lead_somewhere() -> None:
    for guide in GUIDES:
        for link in re.findall(r"\]\(([^)\s]+)\)", guide.read_text(encoding="utf-8")):
            if link.startswith("https://"):
                continue
            path, _, anchor = link.partition("#")
            target = (guide.parent / path).resolve() if path else guide
            assert target.exists(), f"{guide.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{guide.name}: {link}"


def test_the_readme_begins_with_two_commands_of_one_line() -> None:
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", readme, flags=re.M)
    assert sections[1].startswith("Quick start\n")
    commands = re.findall(r"^```bash\n(.*?)\n```$", sections[1], re.M | re.S)
    assert len(commands) == 2
    assert not any("\n" in command for command in commands)


@posix
def test_ci_runs_the_second_command_of_the_readme() -> None:
    script = (SOURCE / ".ci" / "run").read_text(encoding="utf-8")
    (take,) = re.findall(r"second=\$\((awk .*)\)$", script, re.M)
    taken = subprocess.run(
        ["bash", "-c", take], cwd=SOURCE, capture_output=True, text=True, check=True
    )
    assert taken.stdout.strip() == block(".ci/run")
    assert 'bash -euo pipefail -c "$second"' in script


def table(guide: str) -> list[list[str]]:
    """The rows of all tables in a guide, as cells."""
    lines = (SOURCE / guide).read_text(encoding="utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]


def names_in(text: str) -> list[str]:
    return re.findall(r"`(TEMPORAL_\w+)`", text)


def test_configuration_md_has_every_setting_its_other_names_and_its_default_and_no_others() -> None:
    rows = [row for row in table("docs/configuration.md") if names_in(row[0])]
    known = {**CONNECTION_SETTINGS, **PROCESS_SETTINGS}
    assert [names_in(row[0]) for row in rows] == [[name] for name in known]
    for row, (name, others) in zip(rows, known.items(), strict=True):
        assert tuple(names_in(row[1])) == others
        if name in DEFAULTS:
            assert row[2] == f"`{DEFAULTS[name]}`"
        assert ("*kit*" in row[3]) == (name in PROCESS_SETTINGS or name == "TEMPORAL_API_KEY_FILE")


def test_the_readmes_table_has_every_setting_and_its_default() -> None:
    rows = [row for row in table("README.md") if names_in(row[0])]
    named = [name for row in rows for name in names_in(row[0])]
    assert sorted(named) == sorted([*CONNECTION_SETTINGS, *PROCESS_SETTINGS])
    for row in rows:
        for name in names_in(row[0]):
            if name in DEFAULTS:
                assert row[1] == f"`{DEFAULTS[name]}`"


# --- README -----------------------------------------------------------------------------------


@runs("quick start")
def test_the_first_command_makes_an_ok_from_nothing(kit: Kit) -> None:
    leave_out = shutil.ignore_patterns(".git", ".venv", ".env", "__pycache__", ".*_cache", "*.db")
    shutil.rmtree(kit.root)
    shutil.copytree(SOURCE, kit.root, ignore=leave_out)
    reader = Reader(kit)
    (kit.root / ".venv").unlink(missing_ok=True)
    assert reader.type(block("quick start"), timeout=300).stdout == "ok\n"


@runs("serve", "ping and check")
def test_serve_in_one_terminal_ping_and_check_in_another(kit: Kit, own_network: int) -> None:
    reader = Reader(kit, network=own_network)
    with reader.start(block("serve")) as server:
        server.wait_for("In the next terminal")
        done = reader.type(block("ping and check"))
        assert done.stdout.startswith("ok\nSettings")
        assert "✓ workers: 1 on 'ap-default'" in done.stdout
        compare("ping", done.stderr + "ok\n")
        assert ctrl_c(server) == 0


@runs("server alone")
def test_server_worker_and_ping_in_a_terminal_each(kit: Kit, own_network: int) -> None:
    reader = Reader(kit, network=own_network)
    with reader.start(block("server alone")) as server:
        server.wait_for("7233")
        with reader.start("python workers/worker.py") as worker:
            worker.wait_for("Worker running")
            compare("worker", worker.stderr)
            assert reader.type("python scripts/start_ping.py").stdout == "ok\n"
            assert reader.type(
                "python scripts/start_ping.py -c 100 --concurrency 20"
            ).stdout.startswith("100 pings: 100 ok, 0 failed")
            assert ctrl_c(worker) == 0


def five_steps(reader: Reader, steps: list[str], front: CloudFront, api_key: str = "") -> None:
    copy, settings, check = steps
    reader.settings["TEMPORAL_TASK_QUEUE"] = own_queue()
    reader.type(copy)
    with (reader.kit.root / ".env").open("a", encoding="utf-8") as file:
        file.write(fill_in(settings, front, api_key) + "\n")
    checked = reader.type(check).stdout
    assert "✗" not in checked
    assert "⚠ workers: no worker polls" in checked
    with reader.start("python workers/worker.py") as worker:
        worker.wait_for(f"Connected to Temporal Cloud: {NAMESPACE}")
        worker.wait_for("Worker running")
        assert reader.type("python scripts/start_ping.py").stdout == "ok\n"


@runs("cloud, with an API key")
def test_cloud_in_five_steps_with_an_api_key(
    kit: Kit, cloud: CloudFront, api_key: str, trust: Settings
) -> None:
    five_steps(Reader(kit, trust), blocks("cloud, with an API key"), cloud, api_key)
    assert {call.api_key for call in cloud.calls} == {api_key}


@runs("cloud, with mTLS")
def test_cloud_in_five_steps_with_mtls(
    kit: Kit, mtls_cloud: CloudFront, certificates: Certificates, trust: Settings
) -> None:
    give_files(kit, certificates)
    five_steps(Reader(kit, trust), blocks("cloud, with mTLS"), mtls_cloud)


def give_files(kit: Kit, certificates: Certificates) -> None:
    """The files that examples name."""
    pair = certificates.client("ping-worker")
    folder = kit.root / "certs"
    folder.mkdir()
    shutil.copy2(pair.certificate, folder / "client.pem")
    shutil.copy2(pair.key, folder / "client.key")
    shutil.copy2(pair.combined, folder / "client-and-key.pem")
    shutil.copy2(certificates.server_ca_file, folder / "ca.pem")


GREETING = (
    "workflows/greeting_activities.py",
    "workflows/greeting_workflow.py",
    "scripts/start_greeting.py",
)


def replace_registry(kit: Kit, text: str) -> None:
    """Put a guide's two registries in place of the ones in `workflows/__init__.py`."""
    file = kit.root / "workflows" / "__init__.py"
    old = file.read_text(encoding="utf-8")
    new, count = re.subn(r"^WORKFLOWS = \{.*?^ACTIVITIES.*?\}$", text, old, flags=re.M | re.S)
    assert count == 1
    file.write_text(new, encoding="utf-8")


@runs(
    "own workflow", "own workflow, workflows/__init__.py", *(f"own workflow, {f}" for f in GREETING)
)
def test_an_own_workflow_and_activity_as_the_readme_has_them(reader: Reader) -> None:
    for path in GREETING:
        reader.write(path, block(f"own workflow, {path}"))
    replace_registry(reader.kit, block("own workflow, workflows/__init__.py"))
    shutil.copy2(SOURCE / "pyproject.toml", reader.kit.root)
    reader.type(
        "python -m ruff check workflows scripts && python -m ruff format --check workflows scripts"
    )
    with reader.start("python workers/worker.py") as worker:
        worker.wait_for("Workflows: 2 (PingWorkflow, GreetingWorkflow)")
        worker.wait_for("Activities: 1 (compose_greeting)")
        worker.wait_for("Worker running")
        compare("greeting", reader.type(block("own workflow")).stdout)
        assert reader.type("python scripts/start_ping.py").stdout == "ok\n"


@linux
@pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("chromium-browser")), reason="needs Chromium"
)
@pytest.mark.usefixtures("own_network")
def test_the_picture_can_be_taken_again(tmp_path: Path) -> None:
    again = tmp_path / "again.png"
    subprocess.run([sys.executable, "tests/docs_picture.py", str(again)], cwd=SOURCE, check=True)
    for picture in (again, SOURCE / "docs" / "ping-in-web-ui.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert 20_000 < picture.stat().st_size < 200_000


# --- docs/configuration.md --------------------------------------------------------------------


@runs("settings for the CLI")
def test_the_cli_reads_env_file_as_the_guide_says(kit: Kit, dev_server: DevServer) -> None:
    kit.write_env(f"TEMPORAL_ADDRESS={dev_server.address}\n")
    assert Reader(kit).type(block("settings for the CLI")).stdout


@runs("sources")
def test_the_environment_wins_over_the_default(kit: Kit) -> None:
    compare("sources", Reader(kit).type(block("sources")).stdout)


EXAMPLES = ("API key", "API key in a file", "mTLS", "mTLS with one file")


@runs(*(f"example, {name}" for name in EXAMPLES))
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_for_cloud_connects(
    *,
    example: str,
    kit: Kit,
    cloud: CloudFront,
    mtls_cloud: CloudFront,
    api_key: str,
    certificates: Certificates,
    trust: Settings,
) -> None:
    give_files(kit, certificates)
    (kit.root / "secrets").mkdir()
    (kit.root / "secrets" / "api-key").touch(mode=0o600)
    (kit.root / "secrets" / "api-key").write_text(api_key)
    front = mtls_cloud if "mTLS" in example else cloud
    kit.write_env(fill_in(block(f"example, {example}"), front, api_key))
    checked = Reader(kit, trust).type("python scripts/check_temporal_config.py").stdout
    assert f"✓ namespace: {NAMESPACE}" in checked


@runs("example, private link with mTLS")
def test_the_example_for_a_private_link_connects(
    kit: Kit, dev_server: DevServer, cloud_namespace: str, certificates: Certificates
) -> None:
    give_files(kit, certificates)
    with CloudFront(
        dev_server.address,
        certificate=certificates.server(CLOUD_HOST),  # for no other name
        client_ca=certificates.client_ca,
        namespaces=[cloud_namespace],
    ) as front:
        kit.write_env(fill_in(block("example, private link with mTLS"), front))
        reader = Reader(kit, {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file})
        checked = reader.type("python scripts/check_temporal_config.py").stdout
    assert f"✓ namespace: {NAMESPACE}" in checked


@runs("example, own server")
def test_the_example_for_an_own_server_connects(
    kit: Kit, dev_server: DevServer, certificates: Certificates
) -> None:
    give_files(kit, certificates)
    with CloudFront(
        dev_server.address, certificate=certificates.server(), namespaces=["default"]
    ) as front:
        kit.write_env(fill_in(block("example, own server"), front))
        checked = Reader(kit).type("python scripts/check_temporal_config.py").stdout
    assert "✓ namespace: default" in checked


@runs("example, profile", "in your code")
def test_a_profile_and_your_own_code_connect(
    kit: Kit, cloud: CloudFront, api_key: str, trust: Settings
) -> None:
    reader = Reader(kit, {"TEMPORAL_CONFIG_FILE": kit.home / "temporal.toml", **trust})
    (kit.home / "temporal.toml").write_text(fill_in(block("example, profile"), cloud, api_key))
    reader.write("mine.py", block("in your code"))
    assert reader.type("python mine.py").stdout == f"{NAMESPACE}\n"


# --- docs/temporal-cloud.md -------------------------------------------------------------------


@runs("from nothing, API key")
def test_the_cloud_guide_with_an_api_key(
    kit: Kit, cloud: CloudFront, api_key: str, trust: Settings
) -> None:
    settings, check = blocks("from nothing, API key")
    kit.write_env(fill_in(settings, cloud, api_key))
    assert "✗" not in Reader(kit, trust).type(check).stdout


@runs("openssl, CA", "openssl, client", "openssl, settings", "openssl, check")
def test_certificates_made_with_openssl_as_the_guide_says_let_a_worker_in(
    kit: Kit,
    dev_server: DevServer,
    cloud_namespace: str,
    certificates: Certificates,
    trust: Settings,
) -> None:
    reader = Reader(kit, trust)
    reader.type(block("openssl, CA"))
    reader.type(block("openssl, client"))
    made = [(kit.root / "certs" / name).read_bytes() for name in ("ca.pem", "ca.key")]
    with CloudFront(
        dev_server.address,
        certificate=certificates.server(),
        client_ca=trustme.CA.from_pem(*made),
        namespaces=[cloud_namespace],
    ) as front:
        kit.write_env(fill_in(block("openssl, settings"), front))
        checked = reader.type(block("openssl, check")).stdout
        assert "✗" not in checked
        assert "✓ authentication: the client certificate is accepted" in checked
        assert {call.client_name for call in front.calls} == {"ping-worker"}
    # What Temporal Cloud asks of the two, beyond what the stand-in looks at.
    for name, wanted in (("ca.pem", "CA:TRUE"), ("client.pem", "CA:FALSE")):
        seen = reader.type(f"openssl x509 -in certs/{name} -noout -text").stdout
        assert wanted in seen
        assert "ecdsa-with-SHA256" in seen
        assert "Version: 3" in seen
    assert "Digital Signature" in seen
    reader.type("openssl verify -CAfile certs/ca.pem certs/client.pem")


# --- docs/production.md -----------------------------------------------------------------------


@runs("check a deployment", "many pings")
def test_a_deployment_is_checked_and_a_fleet_is_measured(reader: Reader) -> None:
    with (
        reader.start("python workers/worker.py") as one,
        reader.start("python workers/worker.py") as two,
    ):
        one.wait_for("Worker running")
        two.wait_for("Worker running")
        assert "✗" not in reader.type(block("check a deployment")).stdout
        compare("many pings", reader.type(block("many pings")).stdout)


ROLLOUT = ("worker 1", "current 1", "worker 2", "ramp 2", "current 2", "back to 1", "drained")


@runs(*(f"rollout, {step}" for step in ROLLOUT))
def test_a_rollout_and_its_rollback_lose_no_ping(reader: Reader) -> None:
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
        routing = json.loads(shown)["routingConfig"]
        return str(routing["currentVersionBuildID"])

    def ping() -> None:
        assert reader.type("python scripts/start_ping.py -c 5").stdout.startswith("5 pings: 5 ok")

    with reader.start(block("rollout, worker 1")) as one:
        one.wait_for("Version: ping, 1")
        step("current 1")
        ping()
        with reader.start(block("rollout, worker 2")) as two:
            two.wait_for("Version: ping, 2")
            step("ramp 2")
            ping()
            step("current 2")
            assert current() == "2"
            ping()
            step("back to 1")
            assert current() == "1"
            ping()
            assert "drain" in step("drained").lower()


@runs("metrics, worker", "metrics, look")
def test_metrics_are_where_the_guide_says(kit: Kit, own_network: int) -> None:
    reader = Reader(kit, network=own_network)
    with reader.start(block("server alone")) as server:
        server.wait_for("7233")
        with reader.start(block("metrics, worker")) as worker:
            worker.wait_for("Worker running")
            reader.type("python scripts/start_ping.py")
            compare("metrics, look", reader.type(block("metrics, look")).stdout)
            metrics = reader.type("curl -s http://127.0.0.1:9464/metrics").stdout
    rows = [row for row in table("docs/production.md") if "`temporal_" in row[1]]
    named = {name for row in rows for name in re.findall(r"`(temporal_\w+)`", row[1])}
    # Those that count failures are not there before the first one.
    for name in named:
        assert f"# TYPE {name} " in metrics or "fail" in name or "activity" in name


@runs("rotation")
def test_a_key_in_a_file_is_rotated_under_a_running_worker(
    kit: Kit, cloud: CloudFront, api_key: str, trust: Settings
) -> None:
    new_key = f"{api_key}-the-second"
    (kit.root / "secrets").mkdir(mode=0o700)
    (kit.root / "secrets" / "api-key").write_text(api_key)
    kit.write_env(fill_in(block("example, API key in a file"), cloud))
    reader = Reader(kit, {**trust, "NEW_API_KEY": new_key})
    with reader.start("python workers/worker.py") as worker:
        worker.wait_for("Worker running")
        cloud.accept(new_key)
        reader.type(block("rotation"))
        compare("rotation", worker.wait_for("Credentials changed"))
    assert new_key in {call.api_key for call in cloud.calls}
    assert oct((kit.root / "secrets" / "api-key").stat().st_mode & 0o777) == "0o600"


@runs(
    "encryption, encryption.py",
    "encryption, the import",
    "encryption, your code",
    "encryption, a key",
)
def test_encrypted_payloads_are_stored_encrypted_and_read_in_plain(reader: Reader) -> None:
    keys = [reader.type(block("encryption, a key")).stdout.strip() for _ in range(2)]
    reader.write("encryption.py", block("encryption, encryption.py"))
    for script in ("workers/worker.py", "scripts/start_ping.py"):
        file = reader.kit.root / script
        text = file.read_text(encoding="utf-8")
        line, count = re.subn(
            r"^from temporal_client import (\([^)]*\)|.*)$",
            lambda found: (
                re.sub(r"\bconnect,\s+", "", found.group()) + "\n" + block("encryption, the import")
            ),
            text,
            flags=re.M,
        )
        assert count == 1
        file.write_text(line, encoding="utf-8")
    yours = block("encryption, your code")
    reader.write(
        "mine.py",
        "from encryption import encrypted\n"
        "from temporal_client import get_temporal_client\n"
        "from temporal_script import arguments, run\n\n\n"
        "async def main(_):\n"
        f"    {yours}\n    print(await client.get_workflow_handle('the-ping').result())\n"
        "    return 0\n\n\n"
        "run(main, arguments(''))\n",
    )
    reader.settings["PAYLOAD_KEYS"] = keys[0]
    with reader.start("python workers/worker.py") as worker:
        worker.wait_for("Worker running")
        started = reader.type("python scripts/start_ping.py")
        assert started.stdout == "ok\n"
        workflow = re.findall(r"Workflow started: (\S+)", started.stderr)[0]
        shown = reader.type(f"temporal workflow show --workflow-id {workflow} --output json").stdout
        encoding = "YmluYXJ5L2VuY3J5cHRlZA=="  # base64 of binary/encrypted
        assert encoding in shown
        assert '"ok"' not in shown
        assert "Im9rIg==" not in shown  # base64 of "ok"
        mine = reader.kit.root / "mine.py"
        mine.write_text(mine.read_text().replace("the-ping", workflow))
        reader.settings["PAYLOAD_KEYS"] = f"{keys[1]},{keys[0]}"
        assert reader.type("python mine.py").stdout == "ok\n"


@runs("replay, save", "replay, replay.py")
def test_saved_histories_replay_and_changed_code_is_found_out(reader: Reader) -> None:
    with reader.start("python workers/worker.py") as worker:
        worker.wait_for("Worker running")
        reader.type("python scripts/start_ping.py")
    _wait_until_listed(reader)
    reader.type(block("replay, save"))
    saved = reader.kit.root / "histories"
    for file in saved.glob("*.json"):  # other tests' runs: of workflows that are not in this copy
        if '"PingWorkflow"' not in file.read_text():
            file.unlink()
    reader.write("replay.py", block("replay, replay.py"))
    assert reader.type("python replay.py").stdout.count("✓ ping-") >= 1
    ping = reader.kit.root / "workflows" / "ping_workflow.py"
    changed = ping.read_text().replace(
        'return "ok"', 'await workflow.wait_condition(lambda: False)\n        return "ok"'
    )
    ping.write_text(changed)
    with reader.start("python replay.py") as replay:
        assert replay.wait() != 0


def _wait_until_listed(reader: Reader) -> None:
    """The list of runs is updated in the background."""
    query = "WorkflowType='PingWorkflow' AND ExecutionStatus='Completed'"
    count = f'temporal workflow count --query "{query}"'
    end = time.monotonic() + 20
    while "Total: 0" in reader.type(count).stdout:
        assert time.monotonic() < end
        time.sleep(0.2)


# --- docs/troubleshooting.md ------------------------------------------------------------------


@linux
@pytest.mark.usefixtures("own_network")
def test_every_cause_is_in_the_troubleshooting_guide_as_the_check_prints_it(tmp_path: Path) -> None:
    today = tmp_path / "troubleshooting.md"
    done = subprocess.run(
        [sys.executable, "tests/docs_cases.py", str(today)],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"no case makes these:\n{done.stdout or done.stderr}"
    guide = (SOURCE / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    to_mend = "python tests/docs_cases.py writes it anew"
    assert masked(today.read_text(encoding="utf-8")) == masked(guide), to_mend


# --- docs/deploy/ -----------------------------------------------------------------------------


def tool(name: str) -> str:
    """A tool that comes with the test packages, or the reason to skip."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not path:
        pytest.skip(f"no {name} on this platform")
    return path


def test_the_dockerfile_passes_its_linter() -> None:
    subprocess.run([tool("hadolint"), str(DEPLOY / "Dockerfile")], check=True)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", "")
    words = (line.partition(" ") for line in text.splitlines() if line)
    return [(name, rest) for name, _, rest in words]


@pytest.fixture
def image(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], list[str]]]:
    """What the Dockerfile makes, step by step: its folder, its environment, its command."""
    # Not pytest's folder: only its owner may look into that one.
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    app, venv = folder, folder / "python"
    env = {"PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    command: list[str] = []
    for name, rest in instructions():
        if name == "FROM":
            assert re.fullmatch(r"python:3\.\d+-slim", rest)
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        elif name == "ENV":
            env.update({name: value for name, _, value in (p.partition("=") for p in rest.split())})
        elif name == "WORKDIR":
            app = folder / rest.strip("/")
            app.mkdir()
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if source.endswith("/"):
                    ignore = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(SOURCE / source, app / target, ignore=ignore)
                else:
                    (app / target).mkdir(exist_ok=True)
                    shutil.copy2(SOURCE / source, app / target)
        elif name == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=app, env=env, check=True, capture_output=True)
        elif name == "USER":
            assert int(rest.split(":")[0]) > 0
        elif name == "CMD":
            command = json.loads(rest)
        else:
            raise AssertionError(f"no way to do {name}")
    yield app, env, command
    shutil.rmtree(folder)


@linux
def test_what_the_dockerfile_makes_runs_and_stops_in_order_and_is_not_root(
    image: tuple[Path, dict[str, str], list[str]], dev_server: DevServer
) -> None:
    app, env, command = image
    env = {
        **env,
        "TEMPORAL_ADDRESS": dev_server.address,
        "TEMPORAL_TASK_QUEUE": own_queue(),
        "HOME": "/",
    }
    if os.geteuid() == 0:  # as a user of that number who owns nothing
        drop = ["unshare", "--user", "--map-user=10001", "--map-group=10001", "--"]
        command = [*drop, *command]
    else:
        drop = []
    with started(command, env, app) as worker:
        worker.wait_for("Worker running")
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
        assert re.search(r"CapEff:\s*0+$", status, re.M), "a user who may do what root may"
        ping = subprocess.run(
            [*drop, "python", "scripts/start_ping.py"],
            cwd=app,
            env=env,
            check=True,
            capture_output=True,
            text=True,
        )
        assert ping.stdout == "ok\n"
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    files = {path.name for path in app.rglob("*") if path.is_file()}
    assert not any("test" in name or name.startswith(".env") for name in files)
    assert not shutil.which("temporal", path=str(app.parent / "python" / "bin"))


def test_the_image_gets_every_module_that_the_worker_has_beside_it() -> None:
    copied = {word for name, rest in instructions() if name == "COPY" for word in rest.split()}
    assert {file.name for file in SOURCE.glob("temporal_*.py")} <= copied


def test_what_the_image_copies_is_sent_to_the_build_and_nothing_secret_is() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [pattern[1:] for pattern in ignored if pattern.startswith("!")]
    assert "*" in ignored
    for name, rest in instructions():
        for source in rest.split()[:-1] if name == "COPY" else []:
            assert any(fnmatch(source.split("/")[0], pattern) for pattern in sent), source
    for secret in (".env", "certs", "secrets", "client.pem", "client.key", ".git"):
        assert not any(fnmatch(secret, pattern) for pattern in sent)


def manifests(name: str) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="comes with the Kubernetes schemas")
    text = (DEPLOY / name).read_text(encoding="utf-8")
    text = text.replace("<name>", "payments").replace("<account>", "a1b2c")
    return list(yaml.safe_load_all(text))


def test_the_kubernetes_manifests_fit_the_schemas_of_kubernetes() -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="not on this platform")
    for manifest in manifests("kubernetes.yaml"):
        schemas.validate(manifest, schemas.latest_version(), strict=True)
    worker = manifests("kubernetes-versioned.yaml")[1]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": worker["metadata"],
        "spec": {
            "replicas": worker["spec"]["replicas"],
            "selector": {"matchLabels": worker["spec"]["template"]["metadata"]["labels"]},
            "template": worker["spec"]["template"],
        },
    }
    schemas.validate(deployment, schemas.latest_version(), strict=True)


# The part of the Worker Controller's own schemas (temporal.io/v1alpha1 as of version 1.7) that the
# manifest uses; the pod template in it is Kubernetes' own.
_SECRET_KEY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
    "required": ["name", "key"],
    "additionalProperties": False,
}
_STEP = {
    "type": "object",
    "properties": {
        "rampPercentage": {"type": "integer", "minimum": 1, "maximum": 99},
        "pauseDuration": {"type": "string", "pattern": r"^(\d+h)?(\d+m)?(\d+s)?$"},
    },
    "required": ["rampPercentage", "pauseDuration"],
    "additionalProperties": False,
}
CONTROLLER_SCHEMAS: dict[str, dict[str, Any]] = {
    "Connection": {
        "type": "object",
        "properties": {
            "hostPort": {"type": "string", "pattern": r"^[a-zA-Z0-9.-]+:[0-9]+$"},
            "apiKeySecretRef": _SECRET_KEY,
        },
        "required": ["hostPort"],
        "additionalProperties": False,
    },
    "WorkerDeployment": {
        "type": "object",
        "properties": {
            "replicas": {"type": "integer"},
            "workerOptions": {
                "type": "object",
                "properties": {
                    "connectionRef": {"type": "object", "required": ["name"]},
                    "temporalNamespace": {"type": "string", "minLength": 1},
                },
                "required": ["connectionRef", "temporalNamespace"],
                "additionalProperties": False,
            },
            "rollout": {
                "type": "object",
                "properties": {
                    "strategy": {"enum": ["Manual", "AllAtOnce", "Progressive"]},
                    "steps": {"type": "array", "items": _STEP, "minItems": 1, "maxItems": 20},
                    "gate": {"type": "object", "required": ["workflowType"]},
                },
                "required": ["strategy"],
                "additionalProperties": False,
            },
            "sunset": {
                "type": "object",
                "properties": {
                    "scaledownDelay": {"type": "string"},
                    "deleteDelay": {"type": "string"},
                },
                "additionalProperties": False,
            },
            "template": {"type": "object"},
        },
        "required": ["rollout", "sunset", "workerOptions"],
        "additionalProperties": False,
    },
}


def test_the_worker_controllers_manifests_fit_its_schemas() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="comes with the Kubernetes schemas")
    found = manifests("kubernetes-versioned.yaml")
    assert [manifest["kind"] for manifest in found] == list(CONTROLLER_SCHEMAS)
    for manifest in found:
        assert manifest["apiVersion"] == "temporal.io/v1alpha1"
        jsonschema.validate(manifest["spec"], CONTROLLER_SCHEMAS[manifest["kind"]])
    assert (
        found[1]["spec"]["workerOptions"]["connectionRef"]["name"] == found[0]["metadata"]["name"]
    )


@pytest.mark.parametrize("name", ["kubernetes.yaml", "kubernetes-versioned.yaml"])
def test_pods_get_longer_to_stop_than_the_worker_takes_and_use_names_that_are_settings(
    name: str,
) -> None:
    pod = manifests(name)[-1]["spec"]["template"]["spec"]
    grace = int(DEFAULTS["TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > grace + 5
    used = {variable["name"] for container in pod["containers"] for variable in container["env"]}
    assert used <= {*CONNECTION_SETTINGS, *PROCESS_SETTINGS}


@linux
def test_the_systemd_unit_is_valid_and_stops_no_earlier_than_the_worker(tmp_path: Path) -> None:
    unit = (DEPLOY / "temporal-worker.service").read_text(encoding="utf-8")
    stop = int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)[0])
    assert stop > int(DEFAULTS["TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS"]) + 5
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    there = tmp_path / "temporal-worker.service"  # with a program that exists on this machine
    there.write_text(unit.replace("/opt/temporal-worker", str(tmp_path)))
    command = [tool("systemd-analyze"), "verify", "--man=no", str(there)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "temporal-worker.service" not in done.stderr, done.stderr
