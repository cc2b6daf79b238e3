"""Keeps a client's credentials up to date while a program runs."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from .findings import Failure, error, log
from .own_thread import in_own_thread
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
    credentials that do not work are logged once, and the client in use stays. So it does if the
    server would be another one, or if a source of settings, such as `.env`, has vanished.
    """
    in_use, last_failure = settings, None
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        now_read: Settings | None = None
        try:
            now_read = await in_own_thread(load_settings)  # a network drive may not answer
            if now_read.profile != in_use.profile:
                _refuse_another_server(in_use, now_read)
                use(await connect(now_read))
                in_use = now_read
                log.info("Credentials changed: the new ones are in use")
            last_failure = None
        except Exception as problem:
            failure = _what_failed(problem, now_read)
            if failure != last_failure:
                text = problem if isinstance(problem, Failure) else redact(repr(problem))
                log.error("Changed settings not applied, the old ones stay in use:\n%s", text)
            last_failure = failure


def _refuse_another_server(in_use: Settings, now_read: Settings) -> None:
    """Raise `Failure` unless these settings lead to the same server, by all sources there were."""
    vanished = _sources(in_use) - _sources(now_read)
    if vanished:
        text = f"there are no settings any more in: {', '.join(sorted(vanished))}"
        raise Failure(error(text, "put them back, or restart to go on without them"))
    for what, before, now in (
        ("address", in_use.address, now_read.address),
        ("namespace", in_use.namespace, now_read.namespace),
        ("use of TLS", bool(in_use.tls), bool(now_read.tls)),
    ):
        if now != before:
            raise Failure(error(f"the {what} has changed", "restart to use the new one"))


def _sources(settings: Settings) -> set[str]:
    """Where settings come from: the environment, `.env`, a TOML profile."""
    return {value.source for value in settings.values if value.setting}


def _what_failed(problem: Exception, settings: Settings | None) -> object:
    """What makes a failure the same as the one before: the settings that were read, if any were.

    Not what it says: the SDK words one failure in several ways.
    """
    return settings or getattr(problem, "settings", None) or repr(problem)
