"""What the kit costs over the plain SDK, both measured in turn on the same server.

    python tests/benchmark/run.py                        the whole table, about eight minutes
    python tests/benchmark/run.py worker --rounds 9      one of its parts, more closely

Linux only. In each round both sides do the same, and the one that goes first changes from round to
round; the table has the medians. CPU time is the operating system's own count. Where one side alone
varies too much to say on which side of its goal a ratio is, the table says so in place of a
verdict: try again on a quieter machine, or with more rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit import DevServer, Kit, RunningScript
from pings import connect, send

PLAIN = Path(__file__).resolve().parent / "plain"
TICKS = os.sysconf("SC_CLK_TCK")
MODULES = 50
IDLE_SECONDS = 2.0
RUNS = 5  # of a short process, each side, in one round


@dataclass(frozen=True)
class Line:
    """One line of the table: what is measured, and what it is to be against the other side."""

    what: str
    unit: str
    goal: float | None = None
    at_least: bool = False


Measured = Iterator[tuple[Line, float]]


@dataclass
class Bench:
    """The server, the kit, a copy of it with many modules, and how many queues there were."""

    server: DevServer
    kit: Kit
    big: Kit
    queues: int = 0

    def env(self, **settings: str) -> dict[str, str]:
        """A user's environment; Python keeps what it has compiled, as it does unless forbidden."""
        env = self.kit.env(TEMPORAL_ADDRESS=self.server.address, **settings)
        forbidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
        return {name: value for name, value in env.items() if name not in forbidden}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far: all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Rss:\s+(\d+) kB", rollup, re.M)
    return int(found[1]) / 1024 if found else math.nan


@contextmanager
def worker(bench: Bench, kit: Kit | None) -> Iterator[tuple[int, str, float]]:
    """Run a kit's worker or the plain one; gives its process, queue and seconds to start."""
    bench.queues += 1
    queue = f"bench-{bench.queues}"
    file = kit.root / "workers/worker.py" if kit else PLAIN / "plain_worker.py"
    began = time.perf_counter()
    command = [sys.executable, str(file)]
    with RunningScript(command, bench.env(TEMPORAL_TASK_QUEUE=queue)) as script:
        script.wait_for("Worker running")
        try:
            yield script.process.pid, queue, time.perf_counter() - began
        finally:
            script.process.kill()


def ping(
    bench: Bench, pid: int, queue: str, count: int, concurrency: int
) -> tuple[float, float, float]:
    """Send pings by the same client to either worker; its CPU time for one, p99 and rate."""

    async def send_all() -> tuple[float, list[float]]:
        client = await connect(bench.server.address)
        began = time.perf_counter()
        seconds = await send(client, queue, count, concurrency)
        return count / (time.perf_counter() - began), sorted(seconds)

    before = cpu_seconds(pid)
    rate, seconds = asyncio.run(send_all())
    cpu = cpu_seconds(pid) - before
    return cpu / count * 1000, seconds[math.ceil(0.99 * count) - 1] * 1000, rate


def measure_worker(bench: Bench, ours: bool) -> Measured:
    """A worker that does nothing, and then pings at several loads."""
    with worker(bench, bench.kit if ours else None) as (pid, queue, seconds):
        yield Line("worker: start until it polls", "s"), seconds
        time.sleep(IDLE_SECONDS)
        yield Line("worker: idle memory", "MB", 1.05), memory(pid)
        ping(bench, pid, queue, 40, 20)
        cpu, _, _ = ping(bench, pid, queue, 100, 1)
        yield Line("worker: CPU per ping, one at a time", "ms", 1.00), cpu
        for concurrency in (20, 50):
            cpu, p99, rate = ping(bench, pid, queue, 300, concurrency)
            at = f"{concurrency} at a time"
            yield Line(f"worker: CPU per ping, {at}", "ms", 1.00), cpu
            yield Line(f"300 pings, {at}: p99", "ms", 0.55), p99
            yield Line(f"300 pings, {at}: throughput", "/s", 1.00, at_least=True), rate
        yield Line("worker: memory after 740 pings", "MB"), memory(pid)


def add_modules(kit: Kit) -> Kit:
    """Give a copy of the kit fifty workflow modules, each added as the README says."""
    first = (kit.root / "workflows/ping_workflow.py").read_text(encoding="utf-8")
    for number in range(2, MODULES + 1):
        text = first.replace("PingWorkflow", f"PingWorkflow{number}")
        (kit.root / f"workflows/ping_workflow{number}.py").write_text(text, encoding="utf-8")
        kit.register(f"workflows.ping_workflow{number}", [f"PingWorkflow{number}"])
    return kit


def measure_modules(bench: Bench, ours: bool) -> Measured:
    """The kit with 50 workflow modules against the kit with one."""
    with worker(bench, bench.big if ours else bench.kit) as (pid, queue, seconds):
        yield Line("50 modules against 1: start", "s"), seconds
        ping(bench, pid, queue, 40, 20)
        cpu, _, _ = ping(bench, pid, queue, 300, 20)
        yield Line("50 modules against 1: CPU per ping", "ms", 1.10), cpu


def measure_script(script: str, goal: float | None, bench: Bench, ours: bool) -> Measured:
    """A script, from the start of its process to its end; the kit's worker answers both sides."""
    file = bench.kit.root / "scripts" / script if ours else PLAIN / script
    command = [sys.executable, str(file)]
    with worker(bench, bench.kit) as (_, queue, _), tempfile.TemporaryFile() as output:
        env = bench.env(TEMPORAL_TASK_QUEUE=queue)
        for _ in range(RUNS):
            began = time.perf_counter()
            process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            # The plain side now and then does its work and dies of a signal at its exit.
            if process.returncode > 0 or (process.returncode < 0 and ours):
                output.seek(0)
                raise RuntimeError(f"{command}: {process.returncode}\n{output.read().decode()}")
            yield Line(f"{script}: time", "s", goal), seconds
            yield Line(f"{script}: CPU", "s"), usage.ru_utime + usage.ru_stime


PARTS: dict[str, Callable[[Bench, bool], Measured]] = {
    "worker": measure_worker,
    "modules": measure_modules,
    "ping": partial(measure_script, "start_ping.py", 1.10),
    "check": partial(measure_script, "check_temporal_config.py", None),
    "local": partial(measure_script, "run_local.py", None),
}


def spread(values: list[float]) -> float:
    """How much one side varies: the half of its values that lies in the middle, over its median."""
    if len(values) < 2:
        return math.inf
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / statistics.median(values)


def verdict(line: Line, ours: list[float], others: list[float]) -> tuple[str, str]:
    """What the two medians are to each other, and whether that is the goal."""
    mine, other = statistics.median(ours), statistics.median(others)
    if line.goal is None:
        return f"{mine / other:.2f}", ""
    # The error of a median shrinks with the root of the number of values.
    errors = (spread(one) * statistics.median(one) / math.sqrt(len(one)) for one in (ours, others))
    value, doubt = round(mine / other, 2), math.hypot(*errors) / other
    goal = f"{'≥' if line.at_least else '≤'} {line.goal:.2f}"
    if abs(value - line.goal) < doubt and value != line.goal:
        return f"{value:.2f}", f"{goal} too noisy to tell"
    met = value >= line.goal if line.at_least else value <= line.goal
    return f"{value:.2f}", f"{goal} {'met' if met else 'NOT MET'}"


def measure(bench: Bench, parts: list[str], rounds: int) -> None:
    """Measure these parts in turn, and print the table."""
    found: dict[Line, tuple[list[float], list[float]]] = {}
    for turn in range(-1, rounds):
        for name in parts:
            for ours in (True, False) if turn % 2 else (False, True):
                for line, value in PARTS[name](bench, ours):
                    if turn < 0:
                        break  # has started once, so that everything is compiled
                    found.setdefault(line, ([], []))[0 if ours else 1].append(value)
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    print(f"\n{'':44}{'kit':>10}{'against':>10}{'ratio':>10}  goal")
    for line, (ours_found, others) in found.items():
        mine, other = (f"{statistics.median(values):.3g}" for values in (ours_found, others))
        shown, text = verdict(line, ours_found, others)
        print(f"{f'{line.what} ({line.unit})':44}{mine:>10}{other:>10}{shown:>10}  {text}")


def main() -> None:
    """Measure what was asked for."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load average {load:.2f}")
    with tempfile.TemporaryDirectory() as folder, DevServer() as server:
        kit, big = Kit(Path(folder, "kit")), add_modules(Kit(Path(folder, "big")))
        measure(Bench(server, kit, big), args.parts or list(PARTS), args.rounds)


if __name__ == "__main__":
    main()
