"""Take the README's picture: a completed ping in the Web UI of the local server.

    python tests/docs_picture.py [FILE]

Needs Chromium (Debian's package `chromium`) and Linux: everything runs in a network of its own, so
that the browser can talk to nobody but the server.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import docs_network
from kit import SOURCE, Kit

PICTURE = SOURCE / "docs" / "ping-in-web-ui.png"
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
]


def take(picture: Path) -> None:
    """Serve, ping, and photograph the ping's page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        raise SystemExit("no Chromium here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(Path(folder, "kit"))
        with kit.start("scripts/run_local.py", "--serve") as server:
            server.wait_for("In the next terminal")
            ping = kit.run("scripts/start_ping.py")
            link = re.search(r"http://\S+", ping.stderr)
            if ping.returncode or not link:
                raise SystemExit(ping.stderr)
            # The page is a script that asks the server: give it time, by the browser's clock.
            options = ["--window-size=1500,820", "--virtual-time-budget=20000", "--dump-dom"]
            files = [f"--user-data-dir={folder}/profile", f"--screenshot={picture}"]
            page = subprocess.run(
                [browser, *QUIET, *options, *files, link.group()],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
                env={**os.environ, "HOME": folder},
            ).stdout
            if "Completed" not in page or '"ok"' not in page.replace("&quot;", '"'):
                raise SystemExit(f"the page shows no completed ping: {page}")


if __name__ == "__main__":
    if not docs_network.here():
        again = docs_network.inside(sys.executable, *sys.argv)
        os.execvp(again[0], again)
    take(Path(sys.argv[1] if sys.argv[1:] else PICTURE).resolve())
