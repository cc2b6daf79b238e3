"""What is wrong when a ping cannot run, and what fixes it. Nothing else needs this folder."""

import asyncio
import re
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from temporalio.service import RPCError, RPCStatusCode

from temporal_client import find_problems
from temporal_doctor.settings import check_settings
from temporal_doctor.steps import TITLES, explain_call, walk
from temporal_doctor.target import Target
from temporal_doctor.values import with_rivals
from temporal_findings import Finding, error, redact
from temporal_settings import Settings

DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
ROOT = re.escape(str(Path(__file__).parents[1]))


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
    """What an error of the SDK means: wrong settings, a broken step, or its own words."""
    if str(problem).startswith("Failed validating workflow"):
        return [_explain_sandbox(problem)]
    if errors := _errors(_judge_settings(settings)):
        return errors
    steps: list[Finding] = []
    with suppress(Exception):  # a failed search must not hide what it was to explain
        steps = [finding async for finding in walk(settings, seconds=3)]
    if isinstance(problem, RPCError) and problem.status in DENIED and not _errors(steps):
        steps = [with_rivals(settings, explain_call(Target(settings), problem))]
    if errors := _errors(steps):
        return errors
    if isinstance(problem, asyncio.TimeoutError) and steps:
        fixes = steps[-1].fixes or ("see the worker's log",)
        return [error(f"no answer in time; {steps[-1].text}", *fixes)]
    return [error(_first_line(problem))]


def _explain_sandbox(problem: BaseException) -> Finding:
    cause = problem
    while cause.__cause__:
        cause = cause.__cause__
    text = f"{problem}: {_first_line(cause)}"
    for line in traceback.extract_tb(cause.__traceback__):
        if own := re.match(rf"{ROOT}/((?!temporal_|.*-packages/).*)", line.filename):
            text = f"{own[1]}, line {line.lineno}: {line.line}: {_first_line(cause)}"
    fix = "with workflow.unsafe.imports_passed_through():   # around it, if it is an import"
    return error(text, fix, "or move it into an activity")


def _first_line(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {redact(str(problem).partition(chr(10))[0], 200)}"


def _judge_settings(settings: Settings) -> list[Finding]:
    problems = list(find_problems(settings))
    return [with_rivals(settings, one) for one in (*problems, *check_settings(settings, problems))]


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "error"]
