"""What the tests of the guides share: the blocks in them, and somebody who types those in."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .cloud_front import NAMESPACE
from .kit import API_KEY, PATH, SOURCE, Kit, RunningScript

GUIDES = [SOURCE / "README.md", SOURCE / ".github/CONTRIBUTING.md", *SOURCE.glob("docs/*.md")]
TEXTS = {file: file.read_text("utf-8") for file in GUIDES if file.exists()}
BLOCK = re.compile(
    r"^( *)<!-- (run|output|not run): ([^\n]+) -->\n\1```\w+\n(.*?\n)\1```$", re.M | re.S
)
CLOUD_HOST = f"{NAMESPACE}.tmprl.cloud"
CHECK, PING = "python scripts/check_temporal_config.py", "python scripts/start_ping.py"


def found(kind: str) -> Iterator[tuple[str, Path, re.Match[str]]]:
    """All blocks of a kind, by each of their names."""
    for file, text in TEXTS.items():
        for match in BLOCK.finditer(text):
            for name in match[3].split(";") if match[2] == kind else ():
                yield name.strip(), file, match


def blocks(name: str) -> list[str]:
    """The text of the blocks with this name, in order."""
    return [textwrap.dedent(one[4]).rstrip("\n") for its, _, one in found("run") if its == name]


def block(name: str) -> str:
    """The text of the one block with this name."""
    (text,) = blocks(name)
    return text


def compare(name: str, output: str) -> None:
    """Assert that the guide shows this output; with DOCS_WRITE=1 make it show that."""

    def masked(text: str) -> str:
        return re.sub(r"ping-[0-9a-f]{12}(/[0-9a-f-]{36})?", "ID", text).strip()

    output = textwrap.dedent(output)
    for its, file, match in found("output"):
        if its == name and os.environ.get("DOCS_WRITE"):
            text = file.read_text("utf-8").replace(match[4], textwrap.indent(output, match[1]))
            file.write_text(text, encoding="utf-8")
        elif its == name:
            assert masked(textwrap.dedent(match[4])) == masked(output)


THERE = {name for name, _, _ in found("run")}
USED: set[str] = set()


def runs(*names: str) -> Callable[[Any], Any]:
    """Have a test that runs the blocks with these names, if the guides have them."""
    USED.update(names)
    return lambda test: test if set(names) <= THERE else None


class Reader:
    """Types what a guide says into a shell, beside a copy of the kit and its examples."""

    def __init__(self, kit: Kit, settings: Mapping[str, Any] | None = None, *within: str) -> None:
        self.kit, self.settings, self.within = kit, dict(settings or {}), within
        if sys.prefix != sys.base_prefix:  # what the Quick start has made
            (kit.root / ".venv").symlink_to(sys.prefix)
        files = ("test_temporal_local.py", "pyproject.toml", "requirements.txt")
        for name in ("docs/examples", *files):
            (kit.root / name).parent.mkdir(exist_ok=True)
            (kit.root / name).symlink_to(SOURCE / name)

    def start(self, text: str) -> RunningScript:
        """Type a command that goes on until it is stopped; `python` is that of this test run."""
        command = [*self.within, "bash", "-euo", "pipefail", "-c", text]
        return RunningScript(command, self.kit.env(**self.settings, PATH=PATH), self.kit.root)

    def work(self, text: str = "python workers/worker.py") -> RunningScript:
        """Type what starts the worker, and wait until it polls."""
        worker = self.start(text)
        worker.wait_for("Worker running")
        return worker

    def type(self, text: str, code: int = 0, timeout: float = 60) -> RunningScript:
        """Type commands and wait until they are done."""
        with self.start(text) as shell:
            ended = shell.wait(timeout)
        assert ended == code, f"{text}\nended with {ended}\n{shell.stdout}{shell.stderr}"
        return shell

    def until(self, text: str, done: str = "") -> str:
        """Type commands again and again until they succeed and say this: servers list late."""
        end = time.monotonic() + 30
        while True:
            with self.start(text) as shell:
                if shell.wait() == 0 and done in shell.stdout:
                    return shell.stdout
            assert time.monotonic() < end, shell.stdout + shell.stderr
            time.sleep(0.2)

    def ping(self) -> str:
        """Run a ping; the ID of its run."""
        done = self.type(PING)
        assert done.stdout == "ok\n"
        return str(re.findall(r"Workflow started: (\S+)", done.stderr)[0])

    def change(self, path: str, old: str, new: str) -> None:
        """Change the first place in a file that has this text; without one, write it anew."""
        file = self.kit.root / path
        text = file.read_text("utf-8") if old else ""
        assert old in text
        file.write_text(text.replace(old, new, 1) if old else new + "\n", encoding="utf-8")


def fill_in(text: str, address: str) -> str:
    """Put values where a guide has placeholders: the stand-in's in place of Cloud's."""
    text = text.replace("<name>.<account>.tmprl.cloud:7233", address).replace("<API key>", API_KEY)
    return text.replace("<host:port>", address).replace("<name>.<account>", NAMESPACE) + "\n"
