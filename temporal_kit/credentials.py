"""Keeps a client's credentials up to date while a program runs."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from .findings import Failure, log
from .redaction import redact
from .server import Connect
from .settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client

FOLLOW_SECONDS = 5.0


async def follow_credentials(
    settings: Settings,
    connect: Connect,
    load_settings: Callable[[], Settings],
    use: Callable[["Client"], None],
) -> None:
    """Connect with changed credentials and hand the client to `use`; runs until it is cancelled.

    Every 5 s the settings, and the files that they name, are read again by `load_settings`.
    `settings` are those of the client in use; `connect(settings)` makes the next one. New
    credentials that do not work are logged once, and the client in use stays.
    """
    in_use = last_seen = settings
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        fresh = last_seen
        try:
            fresh = await asyncio.to_thread(load_settings)  # a network drive may not answer
            if fresh.profile != in_use.profile:
                use(await connect(fresh))
                in_use = fresh
                log.info("Credentials changed: the new ones are in use")
        except Exception as problem:
            fresh = getattr(problem, "settings", None) or fresh
            if fresh != last_seen:  # not by its text: the SDK words one failure in several ways
                text = problem if isinstance(problem, Failure) else redact(repr(problem))
                log.error("Changed settings not applied, the old ones stay in use:\n%s", text)
        last_seen = fresh
