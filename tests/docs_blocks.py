"""The code blocks of README and guides, and the sample outputs in them.

Before each block stands an HTML comment: `run: NAME; NAME` for a block that tests run under these
names, `output: NAME` for one that a test compares, or `not run: REASON`.
"""

from __future__ import annotations

import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from kit import SOURCE

GUIDES = [
    SOURCE / "README.md",
    SOURCE / ".github" / "CONTRIBUTING.md",
    *sorted((SOURCE / "docs").glob("*.md")),
]
MARKER = re.compile(r"\s*<!-- (run|output|not run): (.+) -->$")
FENCE = re.compile(r"(\s*)```(\w*)$")
# What differs from run to run, and what it looks like in a comparison.
VARYING = (
    (r"ping-[0-9a-f]{12}", "ping-ID"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "RUN"),
    (r"\b\d+ s ago", "N s ago"),
    (r"in [\d.]+ s \([\d.]+/s\)", "in S s (R/s)"),
    (r"[\d.]+(/[\d.]+){4}$", "A/B/C/D/E"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE"),
    (r"[A-Z][a-z]{2} [ \d]\d( \d\d:\d\d:\d\d)?( \d\d:\d\d)? \d{4} (GMT|UTC)", "DATE"),
    (r"in \d+ days", "in N days"),
    (r"\b\d+@[\w.-]+", "PID@HOST"),
)


@dataclass(frozen=True)
class Block:
    """A fenced block and the comment before it; an empty `kind` is a block without one."""

    file: Path
    line: int
    language: str
    text: str
    kind: str
    label: str

    @property
    def names(self) -> list[str]:
        """The names that it is run or compared under."""
        return [] if self.kind == "not run" else [name.strip() for name in self.label.split(";")]

    def __str__(self) -> str:
        return f"{self.file.relative_to(SOURCE)}:{self.line}"


def parse(file: Path) -> list[Block]:
    """The blocks of a guide."""
    found = []
    lines = file.read_text(encoding="utf-8").splitlines()
    numbers = iter(range(len(lines)))
    for start in numbers:
        if not (fence := FENCE.match(lines[start])):
            continue
        end = next(n for n in numbers if lines[n].strip() == "```")
        kind, label = "", ""
        if start and (marker := MARKER.match(lines[start - 1])):
            kind, label = marker.groups()
        text = textwrap.dedent("\n".join(lines[start + 1 : end]))
        found.append(Block(file, start + 1, fence.group(2), text, kind, label))
    return found


def every_block() -> list[Block]:
    """The blocks of all guides."""
    return [block for file in GUIDES for block in parse(file)]


def blocks(name: str, kind: str = "run") -> list[str]:
    """The text of the blocks with this name, in order."""
    found = [b.text for b in every_block() if b.kind == kind and name in b.names]
    if not found:
        raise LookupError(f"no block {kind}: {name}")
    return found


def block(name: str) -> str:
    """The text of the one block with this name."""
    (text,) = blocks(name)
    return text


def masked(text: str) -> str:
    """A text in which what differs from run to run is named alike."""
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text, flags=re.M)
    return "\n".join(line.rstrip() for line in textwrap.dedent(text).strip().splitlines())


def compare(name: str, output: str) -> None:
    """Assert that the guide shows this output; with DOCS_WRITE=1 make it show that."""
    output = textwrap.dedent(output).strip()
    if os.environ.get("DOCS_WRITE"):
        for shown in every_block():
            if shown.kind == "output" and name in shown.names:
                lines = shown.file.read_text(encoding="utf-8").splitlines()
                indent = " " * (len(lines[shown.line - 1]) - len(lines[shown.line - 1].lstrip()))
                end = next(n for n in range(shown.line, len(lines)) if lines[n].strip() == "```")
                lines[shown.line : end] = textwrap.indent(output, indent).splitlines()
                shown.file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for text in blocks(name, "output"):
        assert masked(text) == masked(output)
