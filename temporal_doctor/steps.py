"""The steps from a name to a worker, in the order in which Temporal's support takes them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from threading import Thread

from temporalio.service import RPCError, RPCStatusCode

from temporal_client import connect, describe_namespace
from temporal_doctor.reasons import AUTHENTICATION, NAME, TCP, TLS
from temporal_doctor.target import Target
from temporal_doctor.tls import look_closer
from temporal_doctor.workers import list_namespaces, look_for_workers
from temporal_findings import Finding, error
from temporal_settings import DEFAULTS, Settings

TITLES = ("name resolution", "TCP", "TLS", "authentication", "namespace", "workers")


async def walk(settings: Settings, seconds: float = 7) -> AsyncIterator[Finding]:
    """Go from step to step until one breaks: `seconds` to connect, and 5 s more at most."""
    titles = iter(TITLES)
    async for finding in _take_steps(Target(settings), seconds):
        yield replace(finding, text=f"{next(titles)}: {finding.text}")
    for title in titles:
        yield Finding("skipped", f"{title}: not reached")


async def _take_steps(target: Target, seconds: float) -> AsyncIterator[Finding]:
    said = await _connect(target, seconds)
    tls = "the server's certificate is trusted" if target.tls else "off, plain text"
    credential = "none needed" if "no credential" in target.traits else "{credential} accepted"
    texts = ("{host} is known", "connected to {where}", tls, credential)
    for rows, text in zip((NAME, TCP, TLS, AUTHENTICATION), texts, strict=True):
        fault = None if said is None else target.explain(rows, said)
        yield fault or Finding("ok", text.format_map(target.words))
        if fault:
            return
    finding = await _find_namespace(target)
    yield finding
    if finding.level == "ok":
        yield await look_for_workers(target)


async def _connect(target: Target, seconds: float) -> str | None:
    """What the SDK says when it fails to connect; it has the last word on all that leads there."""
    try:
        target.client = await asyncio.wait_for(connect(target.settings), seconds)
        return None
    except Exception as problem:
        said = str(problem)[:4000]
    found: list[str] = []
    # A daemon: no script is to wait for a name server that does not answer, at its end either.
    looking = Thread(target=lambda: found.append(look_closer(target, said)), daemon=True)
    looking.start()
    for _ in range(100):
        if looking.is_alive():
            await asyncio.sleep(0.02)
    return found[0] if found else said or "dns error: timed out"


async def _find_namespace(target: Target) -> Finding:
    try:
        await describe_namespace(target.client)
        return Finding("ok", f"{target.client.namespace} is there")
    except RPCError as problem:
        unknown = problem.status == RPCStatusCode.NOT_FOUND and "cloud" not in target.traits
        listed = await list_namespaces(target.client) if unknown else []
        return explain_call(target, problem, listed)


def explain_call(target: Target, problem: RPCError, listed: Sequence[str] = ()) -> Finding:
    """What the status of a call means, on a server that lists these namespaces."""
    likely = target.settings["TEMPORAL_NAMESPACE"].lower(), DEFAULTS["TEMPORAL_NAMESPACE"]
    known = [*filter(listed.__contains__, likely), "<name>, as the Web UI spells it"]
    target.words["known"] = known[0]
    target.claims["listed"] = f"; it says that it has {', '.join(listed[:4])}" if listed else ""
    said = f'code: {problem.status.name}, message: "{problem.message[:4000]}", '
    return target.explain(AUTHENTICATION, said) or error(said)
