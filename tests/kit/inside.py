"""Runs the kit's scripts in this process, many at a time, and catches all that each of them says.

With `captured` around it, `run_script` is a script's `main` as `temporal_kit.run_script` calls it
with `--verbose`: its own settings, standard streams and log, tracebacks included.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import io
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from temporal_kit import Settings, read_settings
from temporal_kit.known_errors import log_error
from temporal_kit.logs import FORMAT, PlainFormatter

from .delivered import delivered

SECONDS = 15.0  # the longest that a script may take to fail, on a server that stays silent too


@dataclass
class Script:
    """A script that runs or has run: what it has said, and its exit code."""

    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    code: int | None = None

    @property
    def stdout(self) -> str:
        return "".join(self.out)

    @property
    def stderr(self) -> str:
        return "".join(self.err)

    async def wait_for(self, text: str) -> None:
        """Wait until standard error has this text."""
        end = time.monotonic() + 10
        while text not in self.stderr:
            late = self.code is not None or time.monotonic() > end
            assert not late, f"no {text!r} in {self.stderr}"
            await asyncio.sleep(0.01)


# Of each task its own script; whatever else speaks is none of them.
_running: ContextVar[Script] = ContextVar("_running", default=Script())  # noqa: B039
# And its own environment and `.env`.
_sources: ContextVar[tuple[Mapping[str, str], Path | None]] = ContextVar("_sources")


def _read_settings(_: object, __: object, defaults: Mapping[str, str]) -> Settings:
    """Read the settings of the script that asks."""
    return read_settings(*_sources.get(), defaults)


class _Stream(io.TextIOBase):
    def __init__(self, name: str, number: int) -> None:
        self._name, self._number = name, number

    def write(self, text: str) -> int:
        getattr(_running.get(), self._name).append(text)
        return len(text)

    def fileno(self) -> int:
        return self._number


@contextmanager
def captured() -> Iterator[None]:
    """Have scripts run in here: settings and standard streams are each script's own."""
    root = logging.getLogger()
    handler = logging.StreamHandler(_Stream("err", 2))
    handler.setFormatter(PlainFormatter(FORMAT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", _Stream("out", 1))
        patch.setattr(sys, "stderr", _Stream("err", 2))
        patch.setattr(delivered("temporal_client"), "read_settings", _read_settings)
        patch.setattr(root, "handlers", [handler])
        patch.setattr(root, "level", root.level)
        root.setLevel(logging.DEBUG)
        yield


def start_script(
    path: str, settings: Mapping[str, str], env_file: Path | None = None, **options: Any
) -> tuple[Script, asyncio.Task[None]]:
    """Start a script's `main` with this environment, and no `.env` unless one is given."""
    script, main = Script(), delivered(path).main
    verbose = options.pop("verbose", True)
    defaults = {"offline": False, "timeout": 10.0, "task_queue": None, "no_reload": False}
    args = argparse.Namespace(**{**defaults, **options})

    async def run() -> None:
        _running.set(script)
        _sources.set((settings, env_file))
        try:
            script.code = await (main(args) if inspect.signature(main).parameters else main()) or 0
        except asyncio.CancelledError:
            script.code = 130
        except Exception as problem:
            log_error(problem, verbose)
            script.code = 1

    return script, asyncio.create_task(run())


async def run_script(
    path: str, settings: Mapping[str, str], env_file: Path | None = None, **options: Any
) -> Script:
    """Run a script's `main` to its end; its code stays `None` if that does not come in time."""
    script, task = start_script(path, settings, env_file, **options)
    await asyncio.wait([task], timeout=SECONDS)
    return script


def run_now(
    path: str, settings: Mapping[str, str], env_file: Path | None = None, **options: Any
) -> Script:
    """Run a script, and nothing beside it, to its end."""
    with captured():
        return asyncio.run(run_script(path, settings, env_file, **options))
