"""What the kit costs over the plain SDK; README.md says how to run it and what the table means."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..kit import WORKER, DevServer, Kit, RunningScript
from ..pings import connect, send

PLAIN = Path(__file__).resolve().parent / "plain"
MODULES = 50
IDLE_SECONDS = 2.0
RUNS = 5  # of a short process, each side, in one round
GOALS = {  # the most that the kit may take, as a part of what the other side takes
    "worker: idle memory (MB)": 1.05,
    "worker: CPU per ping, one at a time (ms)": 1.00,
    "worker: CPU per ping, 20 at a time (ms)": 1.00,
    "300 pings, 20 at a time: p99 (ms)": 0.55,
    "300 pings, 20 at a time: all (s)": 1.00,
    "worker: CPU per ping, 50 at a time (ms)": 1.00,
    "300 pings, 50 at a time: p99 (ms)": 0.55,
    "300 pings, 50 at a time: all (s)": 1.00,
    "same tuning: idle memory (MB)": 1.05,
    "same tuning: CPU per ping, 20 at a time (ms)": 1.04,
    "same tuning: 400 pings, p99 (ms)": 1.10,
    "50 modules against 1: CPU per ping (ms)": 1.10,
    "start_ping.py: time (s)": 1.10,
}
Measured = Iterator[tuple[str, float]]


@dataclass
class Bench:
    """The server's address, the kit, and a copy of it with many modules."""

    address: str
    kit: Kit
    big: Kit

    def env(self, queue: str) -> dict[str, str]:
        """A user's environment; Python keeps what it has compiled, as it does unless forbidden."""
        settings = {"TEMPORAL_ADDRESS": self.address, "TEMPORAL_TASK_QUEUE": queue}
        env = self.kit.env(**settings, PYTHONPATH=self.kit.root)  # the workflow, for both sides
        forbidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
        return {name: value for name, value in env.items() if name not in forbidden}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far: all its threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def worker(
    bench: Bench, kit: Kit | None, plain: str = "plain_worker.py"
) -> Iterator[tuple[int, str, float]]:
    """Run a kit's worker or a plain one; gives its process, queue and seconds to start."""
    queue = f"bench-{uuid.uuid4()}"
    file = kit.root / WORKER if kit else PLAIN / plain
    began = time.perf_counter()
    with RunningScript([sys.executable, str(file)], bench.env(queue)) as script:
        script.wait_for("Worker running")
        try:
            yield script.process.pid, queue, time.perf_counter() - began
        finally:
            script.process.kill()


def ping(
    bench: Bench, pid: int, queue: str, count: int, concurrency: int
) -> tuple[float, float, float]:
    """Send pings by the same client to either worker; its CPU ms for one, p99 ms, seconds."""

    async def send_all() -> tuple[float, list[float]]:
        client = await connect(bench.address)
        began = time.perf_counter()
        each = await send(client, queue, count, concurrency)
        return time.perf_counter() - began, sorted(each)

    before = cpu_seconds(pid)
    seconds, each = asyncio.run(send_all())
    cpu = cpu_seconds(pid) - before
    return cpu / count * 1000, each[math.ceil(0.99 * count) - 1] * 1000, seconds


def measure_worker(bench: Bench, ours: bool) -> Measured:
    """A worker that does nothing, and then pings at several loads."""
    with worker(bench, bench.kit if ours else None) as (pid, queue, start):
        yield "worker: start until it polls (s)", start
        time.sleep(IDLE_SECONDS)
        yield "worker: idle memory (MB)", memory(pid)
        ping(bench, pid, queue, 40, 20)
        yield "worker: CPU per ping, one at a time (ms)", ping(bench, pid, queue, 100, 1)[0]
        for at in (20, 50):
            cpu, p99, seconds = ping(bench, pid, queue, 300, at)
            yield f"worker: CPU per ping, {at} at a time (ms)", cpu
            yield f"300 pings, {at} at a time: p99 (ms)", p99
            yield f"300 pings, {at} at a time: all (s)", seconds
        yield "worker: memory after 740 pings (MB)", memory(pid)


def measure_tuned(bench: Bench, ours: bool) -> Measured:
    """A worker against one by the SDK alone with the same options."""
    with worker(bench, bench.kit if ours else None, "tuned_worker.py") as (pid, queue, _):
        time.sleep(IDLE_SECONDS)
        yield "same tuning: idle memory (MB)", memory(pid)
        ping(bench, pid, queue, 40, 20)
        cpu, p99, _ = ping(bench, pid, queue, 400, 20)
        yield "same tuning: CPU per ping, 20 at a time (ms)", cpu
        yield "same tuning: 400 pings, p99 (ms)", p99


def add_modules(kit: Kit) -> Kit:
    """Give a copy of the kit fifty workflow modules, each added as the README says."""
    first = (kit.root / "workflows/ping_workflow.py").read_text(encoding="utf-8")
    for number in range(2, MODULES + 1):
        text = first.replace("PingWorkflow", f"PingWorkflow{number}")
        kit.register(f"ping_workflow{number}", text, [f"PingWorkflow{number}"])
    return kit


def measure_modules(bench: Bench, ours: bool) -> Measured:
    """The kit with 50 workflow modules against the kit with one."""
    with worker(bench, bench.big if ours else bench.kit) as (pid, queue, seconds):
        yield "50 modules against 1: start (s)", seconds
        ping(bench, pid, queue, 40, 20)
        yield "50 modules against 1: CPU per ping (ms)", ping(bench, pid, queue, 300, 20)[0]


def measure_script(script: str, bench: Bench, ours: bool) -> Measured:
    """A script, from the start of its process to its end; the kit's worker answers both sides."""
    file = (bench.kit.root / "scripts" if ours else PLAIN) / script
    with worker(bench, bench.kit) as (_, queue, _):
        command, env = [sys.executable, str(file)], bench.env(queue)
        for _ in range(RUNS):
            began, before = time.perf_counter(), os.times()
            done = subprocess.run(command, env=env, capture_output=True, check=False)
            yield f"{script}: time (s)", time.perf_counter() - began
            after = os.times()
            used = after.children_user + after.children_system
            yield f"{script}: CPU (s)", used - before.children_user - before.children_system
            # The plain side now and then does its work and dies of a signal at its exit.
            if done.returncode > 0 or (done.returncode < 0 and ours):
                raise RuntimeError(done)


PARTS: dict[str, Callable[[Bench, bool], Measured]] = {
    "worker": measure_worker,
    "tuned": measure_tuned,
    "modules": measure_modules,
    "ping": partial(measure_script, "start_ping.py"),
    "check": partial(measure_script, "check_temporal_config.py"),
    "local": partial(measure_script, "run_local.py"),
}


def doubt(values: list[float]) -> float:
    """The error of their median: how far the middle half spreads, over the root of their number."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / math.sqrt(len(values))


def verdict(ratio: float, error: float, goal: float | None) -> str:
    """Whether the ratio of two medians is what it is to be."""
    if goal is None:
        return ""
    if abs(ratio - goal) < error and ratio != goal:
        return f"≤ {goal:.2f} too noisy to tell"
    return f"≤ {goal:.2f} {'met' if ratio <= goal else 'NOT MET'}"


def measure(bench: Bench, parts: list[str], rounds: int) -> None:
    """Measure these parts in turn, and print the table."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for turn in range(-1, rounds):
        for name in parts:
            for ours in (True, False) if turn % 2 else (False, True):
                for line, value in PARTS[name](bench, ours):
                    if turn < 0:
                        break  # has started once, so that everything is compiled
                    found.setdefault(line, ([], []))[0 if ours else 1].append(value)
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    print(f"\n{'':44}{'kit':>10}{'against':>10}{'ratio':>10}  goal")
    for line, sides in found.items():
        mine, other = map(statistics.median, sides)
        ratio, error = round(mine / other, 2), math.hypot(*map(doubt, sides)) / other
        said = verdict(ratio, error, GOALS.get(line))
        print(f"{line:44}{mine:>10.3g}{other:>10.3g}{ratio:>10.2f}  {said}")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--rounds", type=int, default=5, help="at least 2; default: 5")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load average {load:.2f}")
    with tempfile.TemporaryDirectory() as folder, DevServer() as server:
        kit, big = Kit(Path(folder, "kit")), add_modules(Kit(Path(folder, "big")))
        measure(Bench(server.address, kit, big), args.parts or list(PARTS), args.rounds)


if __name__ == "__main__":
    main()
