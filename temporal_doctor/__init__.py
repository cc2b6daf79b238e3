"""What is wrong when a ping cannot run, and what fixes it. Nothing else needs this folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from temporalio.service import RPCError, RPCStatusCode

from temporal_client import find_problems
from temporal_doctor.settings import check_settings
from temporal_doctor.steps import TITLES, explain_call, walk
from temporal_doctor.target import Target
from temporal_findings import Finding, error, redact
from temporal_settings import Settings

DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


async def check(settings: Settings, *, offline: bool = False) -> AsyncIterator[Finding]:
    """Check the settings and, unless `offline` or one is wrong, the server, step by step."""
    findings = _judge_settings(settings)
    for finding in findings:
        yield finding
    if _errors(findings):
        for title in () if offline else TITLES:
            yield Finding("skipped", f"{title}: not reached")
        return
    yield Finding("ok", "settings: complete and sound")
    if not offline:
        async for finding in walk(settings):
            yield finding


async def diagnose(problem: BaseException, settings: Settings) -> list[Finding]:
    """What an error of the SDK means: wrong settings, a broken step, or else its own words."""
    if errors := _errors(_judge_settings(settings)):
        return errors
    steps: list[Finding] = []
    with suppress(Exception):  # a failed search must not hide what it was to explain
        steps = [finding async for finding in walk(settings, seconds=3)]
    if errors := _errors(steps):
        return errors
    if isinstance(problem, RPCError) and problem.status in DENIED:
        return [explain_call(Target(settings), problem)]
    if isinstance(problem, asyncio.TimeoutError) and steps:
        workers = steps[-1]
        fixes = workers.fixes or ("see the worker's log",)
        return [error(f"no answer in time; {workers.text}", *fixes)]
    return [error(f"{type(problem).__name__}: {redact(str(problem).partition(chr(10))[0], 200)}")]


def _judge_settings(settings: Settings) -> list[Finding]:
    problems = list(find_problems(settings))
    return [*problems, *check_settings(settings, problems)]


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "error"]
