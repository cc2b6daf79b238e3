"""The scripts as a user runs them: processes of their own, against a real server."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from temporal_kit import Failure
from temporal_kit.limits import check_limits

from .cases import DATA, NO_PAIR, PAIR, filled
from .delivered import delivered
from .kit import CHECK, LOCAL, PING, SCRIPTS, WORKER, DevServer, Kit, RunningScript, write
from .marks import posix, slow
from .world import World

Settings = dict[str, Any]


@pytest.fixture(autouse=True)
def plain(kit: Kit) -> Iterator[None]:
    """No script ends in colours or, unless it is verbose, in a traceback."""
    yield
    for text in (one.stdout + one.stderr for one in kit.started):
        verbose = re.search("DEBUG - |ERROR - RuntimeError: the order", text)
        assert verbose or "Traceback" not in text
        assert "\x1b" not in text


def expect_failure(run: RunningScript) -> str:
    """It ends with 1 and nothing on standard output; gives what it says from the error on."""
    assert (run.wait(), run.stdout) == (1, ""), run.stderr
    return run.stderr[run.stderr.index("ERROR - ") :]


def said_by_the_kit(script: RunningScript) -> list[str]:
    """The lines of its log, without those that the owner may have added to the script."""
    mine = re.compile("INFO - +(-|[^ ]*ing|Worker|Connected|Workflow|✓)")
    return [line for line in script.stderr.splitlines() if mine.match(line)]


def test_worker_ping_and_check_in_three_terminals(kit: Kit, dev_server: DevServer) -> None:
    address: Settings = {"TEMPORAL_ADDRESS": dev_server.address}
    worker = kit.work(**address)
    ping, check = kit.start(PING, **address), kit.start(CHECK, **address)
    assert ping.wait() == check.wait() == 0, ping.stderr + check.stdout
    worker.stop()
    assert worker.stdout == ""
    assert said_by_the_kit(worker) == [
        "INFO - Starting worker on task queue 'ap-default'...",
        f"INFO - Connected to Temporal server: {dev_server.address}",
        "INFO - Worker created with:",
        "INFO -   - Namespace: default",
        "INFO -   - Task queue: ap-default",
        "INFO -   - Workflows: 1 (PingWorkflow)",
        "INFO -   - Activities: 0 (none registered)",
        "INFO - Worker running... (Ctrl+C to stop)",
        "INFO - Stopping... (Ctrl+C again to end at once)",
        "INFO - Worker stopped",
    ]
    assert ping.stdout == "ok\n"
    lines = said_by_the_kit(ping)
    assert re.fullmatch(r"INFO - Workflow started: ping-\w+", lines.pop(3))
    assert lines == [
        "INFO - Starting ping workflow...",
        f"INFO - Connected to Temporal server: {dev_server.address}",
        "INFO - Starting PingWorkflow on task queue 'ap-default'...",
        "INFO - Waiting for result...",
        "INFO - ✓ Workflow completed successfully",
    ]
    assert check.stderr == ""
    assert check.stdout.endswith("\n\nNext: python scripts/start_ping.py\n")
    assert not set("✗⚠–") & set(check.stdout.partition("\nChecks:\n")[2])


@slow
def test_that_no_worker_polls_is_told_within_seconds(kit: Kit, here: Settings) -> None:
    """One ping ends by itself; a worker that comes late is in time for the other."""
    queue, other = here["TEMPORAL_TASK_QUEUE"], {**here, "TEMPORAL_TASK_QUEUE": "later"}
    ping, late = kit.start(PING, "--timeout", "4", **here), kit.start(PING, **other)
    late.wait_for("no worker polls the task queue 'later'", 12)  # 3 s, and two busy cores
    kit.start(WORKER, **other)
    late.ping_ok()
    assert "no answer" in expect_failure(ping)
    told = f"no worker polls the task queue '{queue}' in namespace 'default'\n  → python"
    assert f"WARNING - ⚠ {told}" in ping.stderr


@posix
def test_too_few_open_files_or_threads_are_explained(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ["/bin/sh", "-c", 'ulimit -n 24; exec "$0" "$@"']
    said = expect_failure(kit.start(PING, within=few))
    assert said.startswith("ERROR - ✗ this system lets the process open fewer than 40 more files")
    assert "\n  → ulimit -n 1024\n" in said
    started = []

    def start(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) > 3:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(Failure, match=r"fewer than 11 more threads\n  → ulimit -u 4096"):
        check_limits()


FAILING = """
from temporal_kit import run_script

async def main():
    try:
        raise ValueError("the bank is closed\\nand more")
    except ValueError as error:
        raise RuntimeError("the order failed") from error

run_script(main, "Fails.")
"""


@slow
def test_a_failure_is_one_clear_error_with_its_causes(kit: Kit) -> None:
    (kit.root / "failing.py").write_text(FAILING)
    failing, verbose = kit.start("failing.py"), kit.start("failing.py", "--verbose")
    own = ["ERROR - RuntimeError: the order failed", "ValueError: the bank is closed"]
    for script in (failing, verbose):
        said = expect_failure(script)
        assert [line.strip() for line in said.splitlines()[:2]] == own
        assert "Traceback (most recent call last):" in said
        assert re.search(r'failing\.py", line \d+, in main', said)
        assert ("asyncio" in said or "temporal_kit" in said) == (script is verbose)


@slow
@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_says_by_its_code_what_stopped_it(
    kit: Kit, here: Settings, number: signal.Signals
) -> None:
    with DevServer() as server:
        server.freeze()
        frozen: Settings = {"TEMPORAL_ADDRESS": server.address}
        moments = {
            kit.start(PING, **here): "Waiting for result",
            kit.start(PING, **frozen): "Starting ping workflow",
            kit.start(CHECK, **frozen): "Checks:",
        }
        for script, moment in moments.items():
            script.wait_for(moment)
            script.signal(number)
        for script in moments:
            assert script.wait(10) == 128 + number
            assert "ok" not in script.stdout.split()


@slow
def test_help_is_0_and_wrong_usage_2(kit: Kit) -> None:
    wrong = [[script, "--nonsense"] for script in SCRIPTS]
    wrong.append([PING, "--timeout", "0"])
    shown = [kit.start(script, "--help") for script in SCRIPTS]
    for one in [kit.start(*command) for command in wrong]:
        assert (one.wait(), one.stdout) == (2, "")
        assert one.stderr.startswith("usage: ")
    for one in shown:
        assert (one.wait(), one.stderr) == (0, "")
        assert "--verbose" in one.stdout
    for text in ("soon", "", "nan", "inf", "-1"):
        with pytest.raises(ValueError, match=r"^(could not .*)?$"):
            delivered(PING).seconds(text)


@slow
def test_standard_output_is_the_result_alone_though_the_server_goes_and_comes(
    kit: Kit, tmp_path: Path
) -> None:
    with DevServer(db=tmp_path / "data.db") as server:
        settings: Settings = {"TEMPORAL_ADDRESS": server.address}
        other = kit.work(**settings, TEMPORAL_TASK_QUEUE="other")
        pings = [kit.start(PING, **settings), kit.start(PING, "--verbose", **settings)]
        for ping in pings:
            ping.wait_for("Waiting for result...")
        server.kill()
        # Long enough for the SDK's own log to have lines to put between the results, and short
        # enough for the SDK to try again by itself.
        pings[1].wait_for("retried 5 times")
        server.start()
        worker = kit.start(WORKER, "--verbose", **settings)
        for ping in pings:
            assert (ping.wait(90), ping.stdout) == (0, "ok\n"), ping.stderr
    assert worker.stdout == other.stdout == ""
    assert "DEBUG - " in pings[1].stderr
    assert "DEBUG - " in worker.stderr


OUTPUTS = {
    "full device": '"$@" > /dev/full; echo "code: $?" >&2',
    "closed pipe": '{ "$@"; echo "code: $?" >&2; } | :',
    "closed by who started it": '"$@" >&-; echo "code: $?" >&2',
    "log closed by who started it": '"$@" 2>&-; echo "code: $?" >&2',
}


@slow
@posix
@pytest.mark.parametrize("way", OUTPUTS)
def test_a_result_that_cannot_be_written_is_a_failure_unless_nobody_wants_it(
    kit: Kit, here: Settings, way: str
) -> None:
    if way == "full device" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code = 0 if "closed by" in way else 1
    kit.work(**here)
    for script in (PING, CHECK, LOCAL):
        lost = kit.start(script, within=["/bin/sh", "-c", OUTPUTS[way], "sh"], **here)
        assert lost.wait_for("code: ").strip() == f"code: {code}"
        assert lost.wait() == 0
        assert lost.stderr.count("ERROR - ") == code


AUDIT = """
import os, sys

def audit(event, args):
    if event == "open" and not isinstance(args[0], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        os.write(2, f"opened to write: {args[0]}\\n".encode())

sys.addaudithook(audit)
"""


@slow
@pytest.mark.parametrize("pair", [PAIR, DATA], ids=["files", "texts"])
def test_a_private_key_is_written_to_no_file(pair: Settings, kit: Kit, world: World) -> None:
    (kit.home / "sitecustomize.py").write_text(AUDIT)
    settings = filled({**NO_PAIR, **pair}, world) | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = kit.start(CHECK, PYTHONPATH=kit.home, **settings)
    assert done.wait() == 0, done.stdout
    assert set(re.findall("opened to write: (.*)", done.stderr)) == {os.devnull}


TERMINALS: list[Settings] = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1", "FORCE_COLOR": "1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "CLICOLOR_FORCE": "1"},
]


@slow
@pytest.mark.parametrize("terminal", TERMINALS, ids=str)
def test_a_terminal_without_the_marks_or_with_colours_is_no_reason_to_fail(
    kit: Kit, here: Settings, terminal: Settings
) -> None:
    kit.write_env("# Schlüssel\nTEMPORAL_WORKER_BUILD_ID=\n")
    env = {**here, **terminal}
    kit.work(**env)
    ping, check = kit.start(PING, **env), kit.start(CHECK, **env)
    wrong = kit.start(CHECK, "--offline", **terminal, TEMPORAL_PROFILE="schlü ssel")
    assert (ping.wait(), check.wait(), wrong.wait()) == (0, 0, 1)
    assert ping.stdout == "ok\n"
    assert r"\u2713 Workflow completed" in ping.stderr
    assert check.stdout.count(r"\u2713") > 1


@pytest.mark.parametrize(
    "parser",
    [
        "p = ArgumentParser(); p.add_argument('-v', '--verbose', dest='loud', action='store_true')",
        "p = ArgumentParser(argument_default=SUPPRESS)",
    ],
)
def test_a_parser_of_ones_own_may_have_options_as_it_likes(kit: Kit, parser: str) -> None:
    text = f"""
from argparse import SUPPRESS, ArgumentParser
from temporal_kit import run_script

async def main(args):
    print("ran")

{parser}
run_script(main, p)
"""
    write(kit.root / "own.py", text)
    done = kit.start("own.py")
    assert (done.wait(), done.stdout) == (0, "ran\n"), done.stderr
