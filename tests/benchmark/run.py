"""What the kit costs over the plain SDK, both measured in turn on the same server.

    python tests/benchmark/run.py                        the whole table, about six minutes
    python tests/benchmark/run.py worker --rounds 9      one of its parts, more closely
    python tests/benchmark/run.py sizing                 one to four worker processes
    python tests/benchmark/run.py compression pollers    what these settings of the kit are worth
    python tests/benchmark/run.py eager                  what its layout of workflows/ is worth

Linux only; needs requirements-dev.txt. In each round both sides do the same, and the one that goes
first changes from round to round; the table has the medians. CPU time is the operating system's own
count. Where one side alone varies too much to say on which side of its goal a ratio is, the table
says so in place of a verdict: try again on a quieter machine, or with more rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit import DevServer, Kit, RunningScript
from temporalio.client import Client

PLAIN = Path(__file__).resolve().parent / "plain"
TICKS = os.sysconf("SC_CLK_TCK")
MODULES = 50
COMPUTE = 1_000_000  # numbers to add up: 10 to 20 ms of CPU
IDLE_SECONDS = 2.0
RUNS = 5  # of a short process, each side, in one round


@dataclass(frozen=True)
class Line:
    """One line of the table: what is measured, and what it is to be against the other side."""

    what: str
    unit: str
    goal: float | None = None
    at_least: bool = False
    difference: bool = False


@dataclass
class Bench:
    """The server, where copies of the kit go, and what has been found so far, the kit first."""

    server: DevServer
    folder: Path
    bytecode: bool
    kits: dict[str, Kit] = field(default_factory=dict)
    found: dict[Line, tuple[list[float], list[float]]] = field(default_factory=dict)
    queues: int = 0

    def kit(self, name: str = "kit", change: Callable[[Kit], None] | None = None) -> Kit:
        """A copy of the kit, changed when it is made."""
        if name not in self.kits:
            self.kits[name] = Kit(self.folder / name)
            if change:
                change(self.kits[name])
        return self.kits[name]

    def env(self, **settings: str | Path) -> dict[str, str]:
        """A user's environment; Python keeps what it has compiled, as it does unless forbidden."""
        env = self.kit().env(TEMPORAL_ADDRESS=self.server.address, **settings)
        for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
            env.pop(name, None)
        return env if self.bytecode else {**env, "PYTHONDONTWRITEBYTECODE": "1"}

    def new_queue(self) -> str:
        """A task queue that nobody has used yet."""
        self.queues += 1
        return f"bench-{self.queues}"


Part = Callable[[Bench, bool], Iterator[tuple[Line, float]]]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far: all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Rss:\s+(\d+) kB", rollup, re.M)
    return int(found[1]) / 1024 if found else math.nan


@dataclass(frozen=True)
class Running:
    """A worker that polls."""

    pid: int
    queue: str
    start_seconds: float


@contextmanager
def worker(bench: Bench, kit: Kit | None, queue: str = "") -> Iterator[Running]:
    """Run a kit's worker, or without a kit the plain one, on a queue of its own unless told."""
    queue = queue or bench.new_queue()
    file = kit.root / "workers/worker.py" if kit else PLAIN / "plain_worker.py"
    began = time.perf_counter()
    command = [sys.executable, str(file)]
    with RunningScript(command, bench.env(TEMPORAL_TASK_QUEUE=queue)) as script:
        script.wait_for("Worker running")
        seconds = time.perf_counter() - began
        try:
            yield Running(script.process.pid, queue, seconds)
        finally:
            script.process.kill()


@dataclass(frozen=True)
class Load:
    """What a number of pings took."""

    cpu_ms: float
    rate: float
    p99: float


def ping(bench: Bench, to: Running, count: int, concurrency: int) -> Load:
    """Send pings, by the same client whichever worker answers them."""
    script = str(bench.kit().root / "scripts/start_ping.py")
    command = [sys.executable, script, "-c", str(count), "--concurrency", str(concurrency)]
    before = cpu_seconds(to.pid)
    done = subprocess.run(
        command,
        env=bench.env(TEMPORAL_TASK_QUEUE=to.queue),
        capture_output=True,
        text=True,
        check=True,
    )
    cpu = cpu_seconds(to.pid) - before
    said = re.search(rf"{count} ok, 0 failed .*\(([\d.]+)/s\).*/(\d+)/\d+$", done.stdout.strip())
    assert said, done.stdout
    return Load(cpu / count * 1000, float(said[1]), float(said[2]))


def measure_worker(
    bench: Bench, ours: bool, other: Kit | None = None
) -> Iterator[tuple[Line, float]]:
    """A worker that does nothing, and then pings at several loads."""
    with worker(bench, bench.kit() if ours else other) as running:
        yield Line("worker: start until it polls", "s"), running.start_seconds
        time.sleep(IDLE_SECONDS)
        yield Line("worker: idle memory", "MB", 1.05), memory(running.pid)
        ping(bench, running, 40, 20)
        alone = ping(bench, running, 100, 1)
        yield Line("worker: CPU per ping, one at a time", "ms", 1.00), alone.cpu_ms
        for concurrency in (20, 50):
            load = ping(bench, running, 300, concurrency)
            at = f"{concurrency} at a time"
            yield Line(f"worker: CPU per ping, {at}", "ms", 1.00), load.cpu_ms
            yield Line(f"300 pings, {at}: p99", "ms", 0.55), load.p99
            yield Line(f"300 pings, {at}: throughput", "/s", 1.00, at_least=True), load.rate
        yield Line("worker: memory after 740 pings", "MB"), memory(running.pid)


def measure_compression(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """The kit against itself with gRPC's compression, which it switches off."""
    other = bench.kit("compression", lambda kit: edit(kit, "temporal_client.py", ".NONE", ".GZIP"))
    yield from _named("compression", measure_worker(bench, ours, other))


def measure_pollers(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """The kit against itself with the SDK's own limit for pollers that grow with the load."""
    other = bench.kit("pollers", lambda kit: edit(kit, "workers/worker.py", "(maximum=20)", "()"))
    yield from _named("pollers", measure_worker(bench, ours, other))


def _named(name: str, lines: Iterator[tuple[Line, float]]) -> Iterator[tuple[Line, float]]:
    """The same lines, told apart and without goals."""
    for line, value in lines:
        yield Line(f"{name}: {line.what.removeprefix('worker: ')}", line.unit), value


def add_modules(kit: Kit) -> None:
    """Give a copy of the kit fifty workflow modules, each added as the README says."""
    first = (kit.root / "workflows/ping_workflow.py").read_text(encoding="utf-8")
    lines = ""
    for number in range(2, MODULES + 1):
        text = first.replace("PingWorkflow", f"PingWorkflow{number}")
        (kit.root / f"workflows/ping_workflow{number}.py").write_text(text, encoding="utf-8")
        lines += f'    "PingWorkflow{number}": "workflows.ping_workflow{number}",\n'
    edit(kit, "workflows/__init__.py", "WORKFLOWS = {\n", f"WORKFLOWS = {{\n{lines}")


def add_modules_eagerly(kit: Kit) -> None:
    """The same in the usual layout, which imports every workflow with the package."""
    add_modules(kit)
    imports = "".join(
        f"from .ping_workflow{number} import PingWorkflow{number}\n"
        for number in range(2, MODULES + 1)
    )
    edit(kit, "workflows/__init__.py", "def __getattr__", f"{imports}\n\ndef __getattr__")


def edit(kit: Kit, file: str, old: str, new: str) -> None:
    """Change a file of a copy of the kit."""
    path = kit.root / file
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{file} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def measure_modules(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """The kit with 50 workflow modules against the kit with one."""
    kit = bench.kit("modules", add_modules) if ours else bench.kit()
    yield from _modules(bench, kit, "50 modules against 1", 0.3, 1.10)


def measure_eager(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """What the layout avoids: 50 modules imported by the package, against the kit with one."""
    kit = bench.kit("eager", add_modules_eagerly) if ours else bench.kit()
    yield from _modules(bench, kit, "50 imported at once against 1", None, None)


def _modules(
    bench: Bench, kit: Kit, what: str, start: float | None, cpu: float | None
) -> Iterator[tuple[Line, float]]:
    with worker(bench, kit) as running:
        yield Line(f"{what}: start", "s", start, difference=True), running.start_seconds
        ping(bench, running, 40, 20)
        yield Line(f"{what}: CPU per ping", "ms", cpu), ping(bench, running, 300, 20).cpu_ms


def measure_process(
    what: str, command: list[str], env: dict[str, str], goal: float
) -> Iterator[tuple[Line, float]]:
    """Run a short process some times: how long it takes, and the CPU time of it and its own."""
    for _ in range(RUNS):
        with tempfile.TemporaryFile() as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, env=env, stdout=output, stderr=output, start_new_session=True
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            with suppress(ProcessLookupError):  # what one that crashed at its exit left running
                os.killpg(process.pid, signal.SIGKILL)
            # The plain side now and then does its work and dies of a signal at its exit.
            if process.returncode > 0 or (process.returncode < 0 and "plain" not in command[-1]):
                output.seek(0)
                raise RuntimeError(f"{command}: {process.returncode}\n{output.read().decode()}")
        yield Line(f"{what}: time", "s", goal), seconds
        yield Line(f"{what}: CPU", "s"), usage.ru_utime + usage.ru_stime


def measure_ping(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """One ping, from the start of the process to its end; the kit's worker answers both."""
    file = bench.kit().root / "scripts/start_ping.py" if ours else PLAIN / "plain_ping.py"
    with worker(bench, bench.kit()) as running:
        env = bench.env(TEMPORAL_TASK_QUEUE=running.queue)
        command = [sys.executable, str(file)]
        yield from measure_process("start_ping.py", command, env, 1.10)


def measure_offline(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """The check of the settings alone, against the import of Temporal's own loader."""
    script = str(bench.kit().root / "scripts/check_temporal_config.py")
    arguments = [script, "--offline"] if ours else ["-c", "import temporalio.envconfig"]
    command = [sys.executable, *arguments]
    yield from measure_process("check --offline", command, bench.env(), 1.15)


def measure_check(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """The full check of a healthy server with a worker."""
    script = bench.kit().root / "scripts/check_temporal_config.py"
    file = script if ours else PLAIN / "plain_check.py"
    with worker(bench, bench.kit()) as running:
        env = bench.env(TEMPORAL_TASK_QUEUE=running.queue)
        yield from measure_process("full check", [sys.executable, str(file)], env, 1.5)


def measure_local(bench: Bench, ours: bool) -> Iterator[tuple[Line, float]]:
    """From nothing to `ok`: a server, a worker and a ping."""
    file = bench.kit().root / "scripts/run_local.py" if ours else PLAIN / "plain_local.py"
    env = bench.env(SERVER_BINARY=Path(sys.executable).with_name("temporal"))
    yield from measure_process("run_local.py", [sys.executable, str(file)], env, 1.15)


WAITING = """
from temporalio import workflow


@workflow.defn
class Waiting:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)
"""


def add_waiting(kit: Kit) -> None:
    """Give a copy of the kit a workflow that a worker has to remember."""
    (kit.root / "workflows/waiting.py").write_text(WAITING, encoding="utf-8")
    added = 'WORKFLOWS = {\n    "Waiting": "workflows.waiting",\n'
    edit(kit, "workflows/__init__.py", "WORKFLOWS = {\n", added)


def measure_cache(bench: Bench) -> None:
    """Print what workflows that have begun and not ended take of a worker's memory."""
    count = 500

    async def start(queue: str) -> None:
        client = await Client.connect(bench.server.address)
        for number in range(count):
            await client.start_workflow(
                "Waiting",
                id=f"{queue}-{number}",
                task_queue=queue,
                execution_timeout=timedelta(minutes=5),
            )

    with worker(bench, bench.kit("waiting", add_waiting)) as running:
        ping(bench, running, 40, 20)
        before = memory(running.pid)
        asyncio.run(start(running.queue))
        ping(bench, running, 20, 1)  # they are answered after all that came before them
        each = (memory(running.pid) - before) / count * 1024
    print(f"memory of a worker: {each:.0f} kB for each workflow that waits")


def add_computing(kit: Kit) -> None:
    """Let the ping of a copy of the kit compute for some time before it answers."""
    edit(kit, "workflows/ping_workflow.py", 'return "ok"', f'sum(range({COMPUTE})); return "ok"')


def measure_sizing(bench: Bench, rounds: int) -> None:
    """Print what one to four worker processes do together, and who is busy meanwhile."""
    names = ("workers", "pings/s", "p99 ms", "worker CPU ms", "server CPU ms", "cores busy")
    header = " ".join(f"{name:>13}" for name in names)
    for title, kit in (
        ("the ping, where the server has most of the work", bench.kit()),
        ("a ping that computes, where the workers have it", bench.kit("computing", add_computing)),
    ):
        print(f"{title}\n{header}", flush=True)
        for count in (1, 2, 3, 4):
            print(_sizes(bench, kit, count, rounds), flush=True)


def _sizes(bench: Bench, kit: Kit, count: int, rounds: int) -> str:
    server = bench.server.process.pid
    rows = []
    for _ in range(rounds):
        with ExitStack() as stack:
            queue = bench.new_queue()
            workers = [stack.enter_context(worker(bench, kit, queue)) for _ in range(count)]
            ping(bench, workers[0], 40 * count, 20)
            before = [cpu_seconds(pid) for pid in (server, *(one.pid for one in workers))]
            idle_before, began = _idle_seconds(), time.perf_counter()
            load = ping(bench, workers[0], 600, 100)
            seconds = time.perf_counter() - began
            busy = (os.cpu_count() or 1) - (_idle_seconds() - idle_before) / seconds
            after = [cpu_seconds(pid) for pid in (server, *(one.pid for one in workers))]
            spent = [(b - a) / 600 * 1000 for a, b in zip(before, after, strict=True)]
            rows.append((load.rate, load.p99, sum(spent[1:]), spent[0], busy))
    rate, p99, ours, servers, busy = map(statistics.median, zip(*rows, strict=True))
    cells = (str(count), f"{rate:.0f}", f"{p99:.0f}", f"{ours:.1f}", f"{servers:.1f}")
    return " ".join(f"{cell:>13}" for cell in (*cells, f"{busy:.2f}"))


def _idle_seconds() -> float:
    """Seconds in which the machine's cores did nothing, all together."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS


PARTS: dict[str, Part] = {
    "worker": measure_worker,
    "modules": measure_modules,
    "ping": measure_ping,
    "offline": measure_offline,
    "check": measure_check,
    "local": measure_local,
    "eager": measure_eager,
    "compression": measure_compression,
    "pollers": measure_pollers,
}
TABLE = list(PARTS)[:6]


def spread(values: list[float]) -> float:
    """How much one side varies: the half of its values that lies in the middle, over its median."""
    if len(values) < 2:
        return math.inf
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / statistics.median(values)


def verdict(line: Line, ours: list[float], others: list[float]) -> tuple[str, str]:
    """What the two medians are to each other, and whether that is the goal."""
    mine, other = statistics.median(ours), statistics.median(others)
    # The error of a median shrinks with the root of the number of values.
    doubt = math.hypot(
        spread(ours) * mine / math.sqrt(len(ours)), spread(others) * other / math.sqrt(len(others))
    )
    value, doubt = (mine - other, doubt) if line.difference else (mine / other, doubt / other)
    shown = f"{value:+.2f} {line.unit}" if line.difference else f"{value:.2f}"
    if line.goal is None:
        return shown, ""
    goal = f"{'≥' if line.at_least else '≤'} {line.goal:.2f}"
    if abs(value - line.goal) < doubt and round(value, 2) != line.goal:
        widest = max(spread(ours), spread(others))
        return shown, f"{goal} too noisy to tell (one side alone varies by {widest:.0%})"
    met = value >= line.goal if line.at_least else value <= line.goal
    return shown, f"{goal} {'met' if met or round(value, 2) == line.goal else 'NOT MET'}"


def print_table(bench: Bench) -> None:
    """Print every line found so far."""
    print(f"\n{'':44}{'kit':>10}{'against':>10}{'ratio':>10}  goal")
    for line, (ours, others) in bench.found.items():
        mine, other = (f"{statistics.median(values):.3g}" for values in (ours, others))
        shown, text = verdict(line, ours, others)
        print(f"{f'{line.what} ({line.unit})':44}{mine:>10}{other:>10}{shown:>10}  {text}")


def main() -> None:
    """Measure what was asked for, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*PARTS, "sizing"]
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(names)} (default: the table)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--no-bytecode", action="store_true", help="with PYTHONDONTWRITEBYTECODE=1 on both sides"
    )
    args = parser.parse_args()
    if unknown := set(args.parts) - set(names):
        parser.error(f"no such part: {', '.join(unknown)}")
    chosen = args.parts or TABLE
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load average {load:.2f}")
    with tempfile.TemporaryDirectory() as folder, DevServer() as server:
        bench = Bench(server, Path(folder), not args.no_bytecode)
        if "sizing" in chosen:
            measure_sizing(bench, args.rounds)
            measure_cache(bench)
        parts = [name for name in chosen if name in PARTS]
        for turn in range(-1, args.rounds):
            for name in parts:
                for ours in (True, False) if turn % 2 else (False, True):
                    for line, value in PARTS[name](bench, ours):
                        if turn < 0:
                            break  # has started once, so that everything is compiled
                        bench.found.setdefault(line, ([], []))[0 if ours else 1].append(value)
            if turn >= 0 and parts:
                print(f"round {turn + 1} of {args.rounds}", file=sys.stderr, flush=True)
        if parts:
            print_table(bench)


if __name__ == "__main__":
    main()
