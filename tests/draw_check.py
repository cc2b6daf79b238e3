"""Draws what the check shows in a terminal: docs/check-in-terminal.svg. Linux only.

    python tests/draw_check.py [FILE]

The check runs for real, in a pseudo-terminal and in a network of its own, before a development
server on the usual port whose namespace is not the one in `.env`.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from html import escape
from pathlib import Path

import docs_network
from kit import SOURCE, DevServer, Kit

ENV = "TEMPORAL_NAMESPACE=payment\nTEMPORAL_HOST=localhost\n"
COMMAND = "python scripts/check_temporal_config.py"
PLAIN = "#e6edf3"
COLOURS = {"31": "#ff6b6b", "32": "#5fd38d", "33": "#ffd166", "0": PLAIN, "": PLAIN}
WIDTH, LINE = 8.4, 19  # of a character, and of a line's height, in pixels
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14" fill="#e6edf3">
{lines}
</g>
</svg>
"""


def in_terminal(kit: Kit, script: str) -> str:
    """What a script of the copy writes to a terminal, colours included."""
    ours, theirs = pty.openpty()
    env = {name: text for name, text in kit.env(TERM="xterm").items() if name != "NO_COLOR"}
    with subprocess.Popen([sys.executable, script], env=env, cwd=kit.root, stdout=theirs):
        os.close(theirs)
        parts = []
        with suppress(OSError):  # how Linux says that the other end was closed
            while part := os.read(ours, 65536):
                parts.append(part)
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


def draw(text: str) -> str:
    """The picture of a terminal that shows this text."""
    lines, drawn = text.rstrip("\n").split("\n"), []
    for number, line in enumerate(lines):
        parts = re.findall(r"(?:\x1b\[(\d+)m)?([^\x1b]+)", line)
        spans = [f'<tspan fill="{COLOURS[code]}">{escape(part)}</tspan>' for code, part in parts]
        place = f'x="16" y="{LINE * number + 26}" xml:space="preserve"'
        drawn.append(f"<text {place}>{''.join(spans)}</text>")
    longest = max(len(re.sub(r"\x1b\[\d+m", "", line)) for line in lines)
    width, height = WIDTH * longest + 32, LINE * len(lines) + 30
    return SVG.format(width=width, height=height, lines="\n".join(drawn))


def main(target: Path) -> None:
    """Run the check and draw it."""
    with tempfile.TemporaryDirectory() as folder, DevServer(port=7233):
        kit = Kit(Path(folder) / "kit")
        kit.write_env(ENV)
        output = in_terminal(kit, COMMAND.split()[1])
    target.write_text(draw(f"$ {COMMAND}\n{output}"), encoding="utf-8")


if __name__ == "__main__":
    wanted = Path(sys.argv[1] if sys.argv[1:] else SOURCE / "docs" / "check-in-terminal.svg")
    if not docs_network.here():
        again = docs_network.inside(sys.executable, __file__, str(wanted.resolve()))
        os.execvp(again[0], again)
    main(wanted)
