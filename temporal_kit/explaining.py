"""Turns what the SDK raises for a failed connection or call into an explained `Failure`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from traceback import walk_tb
from typing import TYPE_CHECKING

from .findings import Failure, Finding, error
from .redaction import first_line, redact
from .server import Connect, ask
from .settings import Settings, SettingsError

if TYPE_CHECKING:
    from temporalio.service import HttpConnectProxyConfig

LONGEST_CAUSE = 1000  # letters of one error
# Modules of the SDK, and the kit's.
SPEAKING_TO_THE_SERVER = ("temporalio.bridge.client", "temporalio.service", ask.__module__)


@asynccontextmanager
async def explain_errors(
    settings: Settings,
    connect: Connect | None = None,
    *,
    proxy: "HttpConnectProxyConfig | None" = None,
) -> AsyncIterator[None]:
    """Explain what goes wrong between this block and the server; raises `Failure` for it.

    Explained is what the SDK raises where it connects and calls the server, and a time limit around
    that. Everything else, such as an error of an interceptor or a plugin, passes through as it is.

    With `connect`, which is `get_temporal_client` or the like, the server is looked at anew: for
    blocks that work with a client that had connected. Without it, the block is what connects, by
    way of `proxy` if there is one.
    """
    try:
        yield
    except Exception as problem:
        if isinstance(problem, Failure) or not is_about_the_server(problem):
            raise
        raise await explain(problem, settings, connect, proxy) from problem


def is_about_the_server(problem: Exception) -> bool:
    """Whether an error was raised where the SDK speaks to the server, or is a time limit of ours.

    An error of the owner's code comes through the SDK too, but was raised elsewhere.
    """
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(problem.__traceback__)]
    if modules[-1] in SPEAKING_TO_THE_SERVER:
        return True
    within_the_sdk = any(module.startswith("temporalio.") for module in modules)
    return isinstance(problem, asyncio.TimeoutError) and not within_the_sdk


async def explain(
    problem: Exception,
    settings: Settings,
    connect: Connect | None = None,
    proxy: "HttpConnectProxyConfig | None" = None,
) -> Failure:
    """What an error of the SDK means, as the doctor sees it; else in its own words."""
    with suppress(Exception):  # a fault of the doctor's must not hide what it was to explain
        from .doctor import diagnose

        if found := await diagnose(problem, settings, connect, proxy):
            return found
    return Failure(error("; because of ".join(causes(problem))))


def explain_settings(wrong: SettingsError) -> Failure:
    """Wrong settings, with what may be their cause, as the doctor sees it."""
    with suppress(Exception):  # a fault of the doctor's must not hide what it was to explain
        from .doctor import with_suspects

        return with_suspects(wrong)
    return wrong


def causes(problem: BaseException | None) -> Iterator[str]:
    """An error and its causes, one line each: with the SDK, the last ones tell the most."""
    for cause in chain(problem):
        late = "no answer in time" if isinstance(cause, asyncio.TimeoutError) else ""
        text = ""
        with suppress(Exception):  # of the owner's own `__str__`
            text = first_line(str(cause)) or late
        yield f"{type(cause).__name__}: {redact(text, LONGEST_CAUSE)}"


def chain(problem: BaseException | None) -> list[BaseException]:
    """An error and its causes, the root cause last; each once, though they may form a circle."""
    found: list[BaseException] = []
    while problem is not None and not any(problem is known for known in found):
        found.append(problem)
        problem = problem.__cause__
    return found


async def check(
    load_settings: Callable[[], Settings],
    connect: Connect,
    *,
    offline: bool = False,
    task_queue: str | None = None,
) -> AsyncIterator[Finding]:
    """Check the settings and, unless `offline`, the server, step by step; yields each `Finding`.

    `load_settings` and `connect` are those of `temporal_client`. Wrong settings are findings among
    the others. A step that could not be reached is one with the level "skipped". Workers are looked
    for on `task_queue`, or on that of the settings.
    """
    from .doctor import check_everything

    async for finding in check_everything(load_settings, connect, offline, task_queue):
        yield finding
