"""What a reason is, and how the one that fits is found.

The reasons themselves are in tables, by the step that fails: `reasons_network.py` has name
resolution and TCP, `reasons_tls.py` TLS, and `reasons_calls.py` what fails once there is a
connection. Within a table the first that fits counts, so what is more special stands further up.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..findings import Finding, error
from .evidence import Claims, Evidence, Seen, claim
from .target import Target


def sdk_words(pattern: str) -> re.Pattern[str]:
    """A pattern of what the SDK says, in any case; its group `told` is for the message."""
    return re.compile(pattern, re.I)


def status(names: str) -> re.Pattern[str]:
    """A pattern of the SDK's status of a call; not of what the server says in quotes behind it."""
    return sdk_words(rf'^[^"]*code: ({names})')


def always(_: Target) -> bool:
    """The condition of a reason that needs none."""
    return True


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why something fails: how to recognize it, how to say it, and what fixes it.

    It fits if the SDK's words match `said`, or a look at the server showed `seen`, and `when` holds
    for the target. The message may have what the other side claims; the fixes are made from the
    target alone.
    """

    said: re.Pattern[str] | None = None
    seen: Seen | None = None
    when: Callable[[Target], bool] = always
    message: Callable[[Target, Claims], str]
    fixes: Callable[[Target], Iterable[str]]


def explain(reasons: Iterable[Reason], target: Target, evidence: Evidence) -> Finding | None:
    """The first reason that fits, as an error with its fixes."""
    for reason in reasons:
        found = reason.said.search(evidence.said) if reason.said else None
        seen = evidence.seen is not None and evidence.seen is reason.seen
        if (found or seen) and reason.when(target):
            told = found.groupdict("").get("told", "") if found else ""
            claims = Claims(claim(told) or evidence.told, evidence.certificate)
            # Where the message ends in what was told, and nothing was, a space is left.
            return error(reason.message(target, claims).strip(), *reason.fixes(target))
    return None
