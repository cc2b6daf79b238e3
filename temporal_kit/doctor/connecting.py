"""Which step fails when there is no connection, and which ones were seen to work before it."""

import asyncio
from dataclasses import dataclass, replace
from threading import Thread

from temporalio.service import HttpConnectProxyConfig, RPCError

from ..findings import Finding, error
from ..redaction import shorten
from ..settings import Settings
from .evidence import Evidence, Seen
from .looking import Look, look_at
from .reasons import Reason, explain
from .reasons_calls import AUTHENTICATION
from .reasons_network import NAME, TCP
from .reasons_tls import TLS
from .target import Target
from .values import with_rivals

LONGEST_ANSWER = 4000  # letters of an error
TITLES = ("name resolution", "TCP", "TLS", "authentication", "namespace", "workers")


@dataclass(frozen=True)
class Step:
    """A step of connecting, and why it may fail; a proxy is `on_the_way` to it, not beyond."""

    reasons: tuple[Reason, ...]
    on_the_way: bool = False

    def has_detour(self, target: Target) -> bool:
        """Whether a proxy, or going around one, may help."""
        return self.on_the_way and not target.is_local


STEPS = (Step(NAME, on_the_way=True), Step(TCP, on_the_way=True), Step(TLS), Step(AUTHENTICATION))


async def explain_connecting(
    problem: Exception, settings: Settings, proxy: HttpConnectProxyConfig | None
) -> list[Finding]:
    """What an error of connecting says of each step, those that worked among them."""
    target = Target(settings, proxy)
    if isinstance(problem, RPCError):  # it had connected, and asked for the namespace
        steps = [Finding("ok", text) for text in connected_texts(target)]
        return titled(settings, [*steps, explain_call(target, problem)])
    said = shorten(str(problem), LONGEST_ANSWER)
    look = await _look(target, said)
    texts = connected_texts(target, verified=False)
    findings = []
    for number, (step, text) in enumerate(zip(STEPS, texts, strict=True)):
        fault = explain(step.reasons, target, look.evidence)
        if not fault and number == look.reached:  # the SDK's words are not about this step
            fault = explain(step.reasons, target, look.fault)
        if fault:
            detour = (f"or, {target.detour_line}",) if step.has_detour(target) else ()
            findings.append(replace(fault, fixes=(*fault.fixes, *detour)))
            break
        findings.append(Finding("ok", text))
    return titled(settings, findings)


def connected_texts(target: Target, verified: bool = True) -> list[str]:
    """What is said of the steps from the name to the credential when they have worked.

    Whether the server's certificate is `verified` only the SDK can tell.
    """
    name, tcp = f"{target.host} is known", f"connected to {target.where}"
    if target.proxy:
        name = f"left to {target.proxy_in_words}"
        tcp += f", through {target.proxy_in_words}"
    tls = "the server's certificate is trusted" if verified else "the server speaks it"
    shown = target.has_api_key or target.has_certificate
    return [
        name,
        tcp,
        tls if target.uses_tls else "off, plain text",
        f"{target.credential} accepted" if shown else "none needed",
    ]


def titled(settings: Settings, steps: list[Finding], rest_is_skipped: bool = True) -> list[Finding]:
    """The findings with the titles of their steps, and the steps that were not reached."""
    found = [
        with_rivals(settings, replace(step, text=f"{title}: {step.text}"))
        for title, step in zip(TITLES, steps, strict=False)
    ]
    rest = TITLES[len(steps) :] if rest_is_skipped else ()
    return found + [Finding("skipped", f"{title}: not reached") for title in rest]


async def _look(target: Target, said: str) -> Look:
    """How far a look at the server gets within two seconds, and what it adds to the SDK's words."""
    look = Look()
    # A daemon: no script is to wait for a silent name server, not even at its end.
    looking = Thread(target=look_at, args=(target, said, look), daemon=True)
    looking.start()
    for _ in range(100):
        if looking.is_alive():
            await asyncio.sleep(0.02)
    if not looking.is_alive():
        return look
    waits_for = (Seen.NO_NAME_SERVER, Seen.NO_ANSWER, Seen.SILENT, Seen.SILENT)[look.reached]
    fault = Evidence("", waits_for)
    return Look(look.reached, fault, Evidence(said) if said else fault)


def explain_call(target: Target, problem: RPCError) -> Finding:
    """What the status of a call means."""
    said = f'code: {problem.status.name}, message: "{shorten(problem.message, LONGEST_ANSWER)}", '
    return explain(AUTHENTICATION, target, Evidence(said)) or error(said)  # never the latter
