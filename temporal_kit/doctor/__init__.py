"""What is wrong when a ping cannot run, and what fixes it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from temporalio.service import HttpConnectProxyConfig, RPCError, RPCStatusCode

from ..findings import Failure, Finding, error
from ..problems import find_problems
from ..server import Connect
from ..settings import Settings, SettingsError
from .connecting import TITLES, explain_call, explain_connecting
from .settings import check_settings
from .steps import walk
from .suspects import CHECK, find_suspects
from .target import Target
from .values import with_rivals

DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


async def check_everything(
    load_settings: Callable[[], Settings], connect: Connect, offline: bool, task_queue: str | None
) -> AsyncIterator[Finding]:
    """Check the settings and, unless `offline` or one is wrong, the server, step by step."""
    try:
        settings = load_settings()
    except SettingsError as wrong:
        settings = wrong.settings
    if task_queue:
        settings = settings.with_task_queue(task_queue)
    findings = _judge_settings(settings)
    for finding in findings:
        yield finding
    if any(finding.stops_ping for finding in findings):
        for title in () if offline else TITLES:
            yield Finding("skipped", f"{title}: not reached")
        return
    sound = "; see above" if findings else " and sound"
    yield Finding("ok", f"settings: complete{sound}")
    if not offline:
        async for finding in walk(settings, connect):
            yield finding


async def diagnose(
    problem: Exception,
    settings: Settings,
    connect: Connect | None,
    proxy: HttpConnectProxyConfig | None,
) -> Failure | None:
    """What an error of the SDK means: wrong settings or a broken step; None if neither is found.

    With `connect` it is asked again how far one gets; without, the error is one of connecting.
    """
    judged = _judge_settings(settings)
    if errors := [finding for finding in judged if finding.stops_ping]:
        return Failure(*errors)
    steps = await _retrace(problem, settings, connect, proxy)
    errors = _errors(steps)
    if not errors and isinstance(problem, RPCError) and problem.status in DENIED:
        # All steps work, and still this call was refused: the call itself is what is wrong.
        errors = steps = [with_rivals(settings, explain_call(Target(settings, proxy), problem))]
    if errors:
        return _broken(errors, find_suspects(settings, judged, errors), steps)
    if isinstance(problem, asyncio.TimeoutError):
        fixes = steps[-1].fixes or ("see the worker's log",)
        return Failure(error(f"no answer in time; {steps[-1].text}", *fixes))
    return None


async def _retrace(
    problem: Exception,
    settings: Settings,
    connect: Connect | None,
    proxy: HttpConnectProxyConfig | None,
) -> list[Finding]:
    """What becomes of each step now; without `connect`, what the error of connecting says of it."""
    if connect:
        return [finding async for finding in walk(settings, connect)]
    return await explain_connecting(problem, settings, proxy)


def with_suspects(wrong: SettingsError) -> Failure:
    """The same errors of settings, with the check's name, and with what may be their cause."""
    errors = [with_rivals(wrong.settings, finding) for finding in wrong.findings]
    judged = [finding for finding in _judge_settings(wrong.settings) if finding not in errors]
    return _broken(errors, find_suspects(wrong.settings, judged, errors), errors)


def _broken(errors: list[Finding], suspects: list[Finding], steps: list[Finding]) -> Failure:
    """The errors, the last of which says what tells more, and then the suspects."""
    *before, last = errors
    last = replace(last, fixes=(*last.fixes, CHECK))
    return Failure(*before, last, *suspects, steps=tuple(steps))


def _judge_settings(settings: Settings) -> list[Finding]:
    problems = list(find_problems(settings))
    return [with_rivals(settings, one) for one in (*problems, *check_settings(settings, problems))]


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "error"]
