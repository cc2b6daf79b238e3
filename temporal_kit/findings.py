"""What is found: a message with its fixes, and the errors that carry such messages."""

import logging
import os
from dataclasses import dataclass, field
from typing import Literal

from .redaction import for_a_terminal, redact

log = logging.getLogger("temporal_kit")

Level = Literal["error", "warning", "ok", "skipped"]
MARKS: dict[Level, str] = {"error": "✗", "warning": "⚠", "ok": "✓", "skipped": "–"}
COLOURS: dict[Level, int] = {"error": 31, "warning": 33, "ok": 32}  # of a terminal


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    `level` is "error" (nothing can run), "warning" (worth knowing), "ok" or "skipped" (not
    reached); `text` says what it is, and each of `fixes` is a line that mends it. An error of the
    `worker_only` keeps no ping from running. `str()` gives it as it is printed, over several lines,
    with every secret hidden.
    """

    level: Level
    text: str = field(repr=False)
    fixes: tuple[str, ...] = field(default=(), repr=False)
    worker_only: bool = False

    @property
    def stops_ping(self) -> bool:
        """Whether no ping can run while this is so."""
        return self.level == "error" and not self.worker_only

    def __str__(self) -> str:
        return "\n  → ".join([f"{MARKS[self.level]} {redact(self.text)}", *map(redact, self.fixes)])

    def styled(self) -> str:
        """The finding as `str` gives it; its mark in color if standard output is a terminal.

        `NO_COLOR` (no-color.org) and `TERM=dumb` switch colors off.
        """
        text, colour = str(self), COLOURS.get(self.level)
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        if plain or colour is None or not for_a_terminal():
            return text
        return f"\033[{colour}m{text[0]}\033[0m{text[1:]}"


def error(text: str, *fixes: str) -> Finding:
    """A finding that prevents a ping from running."""
    return Finding("error", text, fixes)


def warning(text: str, *fixes: str) -> Finding:
    """A finding that prevents nothing and is worth knowing."""
    return Finding("warning", text, fixes)


class Failure(Exception):
    """A script cannot go on, and the reason is known.

    `str()` is ready to print: a line for each of `findings`, its fixes below it. `steps` is what
    was seen on the way to the server, good and bad, where somebody looked.
    """

    def __init__(self, *findings: Finding, steps: tuple[Finding, ...] = ()) -> None:
        self.findings = findings
        self.steps = steps or findings
        super().__init__("\n".join(map(str, findings)))
