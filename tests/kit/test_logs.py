"""The log: whose configuration counts, that nobody waits for it, and that it shows no secret."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .cases import env
from .guides import Reader, block
from .kit import API_KEY, CHECK, PING, WORKER, Kit, free_port
from .marks import posix, slow
from .pings import CALLING, connect, send, wait_until

pytestmark = posix

MINE = "%(name)s|%(levelname)s|%(message)s"
CONFIGURATIONS = {
    "basicConfig": f"import logging\nlogging.basicConfig(format={MINE!r}, level='WARNING')",
    "dictConfig": f"""import logging.config
logging.config.dictConfig({{
    "version": 1,
    "formatters": {{"mine": {{"format": {MINE!r}}}}},
    "handlers": {{"out": {{"class": "logging.StreamHandler", "formatter": "mine"}}}},
    "root": {{"level": "WARNING", "handlers": ["out"]}},
}})""",
}
MOMENTS = ("before", "after")


def configure(kit: Kit, how: str, moment: str) -> None:
    """Have `temporal_client` configure logging, when it is imported or when it connects."""
    file = kit.root / "temporal_client.py"
    text, lines = file.read_text("utf-8"), CONFIGURATIONS[how]
    if moment == "before":
        text = text.replace("\nENV_FILE", f"\n{lines}\nENV_FILE")
    else:
        body = "".join(f"    {line}\n" for line in lines.splitlines())
        text = text.replace("    return {}\n", f"{body}    return {{}}\n")
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", CONFIGURATIONS)
def test_an_owners_configuration_counts_and_silences_nothing(
    kit: Kit, here: dict[str, Any], how: str, moment: str
) -> None:
    configure(kit, how, moment)
    nowhere = env(here, ADDRESS=f"127.0.0.1:{free_port()}")
    worker = kit.start(WORKER, **here)
    worker.wait_for("temporal_kit|INFO|Worker running... (Ctrl+C to stop)")
    kit.start(PING, **here).ping_ok()
    check, failing = kit.start(CHECK, **here), kit.start(WORKER, **nowhere)
    assert (check.wait(), failing.wait()) == (0, 1)
    assert "temporal_kit|ERROR|✗ TCP: nothing listens on" in failing.stderr
    worker.stop()
    assert "temporal_kit|INFO|Stopping..." in worker.stderr
    if moment == "before":
        others = [line for line in worker.stderr.splitlines() if not re.match(r"[\w.]+\|", line)]
        assert others == []


def test_with_no_configuration_the_owners_info_is_shown_and_the_sdks_is_not(
    kit: Kit, here: dict[str, Any]
) -> None:
    kit.register("says", SAYS + CALLING, workflows=["Calling"], activities=["say"])
    worker = kit.work(**here)
    script = kit.start("-c", START.format(root=str(kit.root)), **here)
    assert script.wait() == 0, script.stderr
    line = worker.wait_for("mine by activity.logger")
    assert line == f"INFO - mine by activity.logger ({here['TEMPORAL_TASK_QUEUE']})\n"
    assert worker.wait_for("mine by logging") == "INFO - mine by logging\n"
    assert "temporalio" not in worker.stderr


SAYS = """
import logging
from temporalio import activity

@activity.defn
def say() -> dict:
    activity.logger.info("mine by %s", "activity.logger")
    logging.info("mine by logging")
    logging.getLogger("mine").debug("not shown")
    return {}
"""
START = """
import asyncio, sys
sys.path.insert(0, {root!r})
from temporal_client import get_temporal_client, load_settings

async def main():
    client, queue = await get_temporal_client(), load_settings().task_queue
    await client.execute_workflow("Calling", ["say"], id=queue, task_queue=queue)

asyncio.run(main())
"""

LEAKS = """
import logging, sys
{configuration}
sys.path.insert(0, {root!r})
from temporal_client import load_settings
from temporal_kit import run_script

key = load_settings().api_key
mine = logging.getLogger("mine")
mine.setLevel("INFO")

class Thing:
    def __repr__(self):
        return "thing of " + key

class Broken:
    def __repr__(self):
        raise ValueError(key)

async def main():
    mine.info("message " + key)
    mine.info("argument %s", key)
    mine.info("argument %s and %r", {{"deep": [key, Thing()]}}, Thing())
    mine.info("not shown %.3s", key)
    mine.info("does not fit %d", key)
    mine.info("does not fit %s %s", key)
    mine.info("%s", Broken())
    mine.info("extra", extra={{"own": key, "deep": {{key: [key, (key,)]}}, "thing": Thing()}})
    mine.info("bytes %s", key.encode())
    mine.info(Thing())
    try:
        try:
            raise ValueError("inner " + key)
        except ValueError as inner:
            raise LookupError("outer", key) from inner
    except LookupError:
        mine.exception("exception")
        mine.error("stack", stack_info=True)
    print("whole")
    raise RuntimeError("at the end " + key)

{run}
"""
OWN_HANDLER = """
import json
class Handler(logging.Handler):
    def emit(self, record):
        parts = dict(vars(record))
        if record.exc_info:
            parts["exc_info"] = [repr(record.exc_info[1]), repr(record.exc_info[1].__cause__)]
        self.seen = self.format(record), json.dumps(parts, default=repr), repr(record.args)
        print(*self.seen, file=sys.stderr)
logging.getLogger().addHandler(Handler())
"""
WAYS = {
    "nothing": ("", "run_script(main, None)"),
    "basicConfig": (CONFIGURATIONS["basicConfig"], "run_script(main, None)"),
    "dictConfig": (CONFIGURATIONS["dictConfig"], "run_script(main, None)"),
    "a handler of one's own": (OWN_HANDLER, "run_script(main, None)"),
    "no script of the kit's": (OWN_HANDLER, "import asyncio\nasyncio.run(main())"),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_handler_sees_a_secret(kit: Kit, way: str) -> None:
    configuration, run = WAYS[way]
    program = LEAKS.format(configuration=configuration, root=str(kit.root), run=run)
    (kit.root / "leaks.py").write_text(program)
    done = kit.start("leaks.py", **env(ADDRESS="h:1", API_KEY=API_KEY, TLS="false"))
    assert (done.wait(), done.stdout) == (1, "whole\n"), done.stderr
    said = done.stderr.rpartition("Traceback")[0] if "kit's" in way else done.stderr
    for piece in (API_KEY, API_KEY[:20], API_KEY[-20:]):
        assert piece not in said
    assert said.count("(hidden)") > 8
    assert "inner (hidden)" in said
    assert "ValueError" in said


JSON = """
import asyncio, logging, random, sys
sys.path.insert(0, {root!r})
from json_log import JsonFormatter
from temporal_kit import run_script

log = logging.getLogger("mine")

def fall(depth):
    if depth:
        return fall(depth - 1)
    raise ValueError("a" * 2000 + chr(10) + "\\x1b[2J \u2028 \\"quoted\\"")

async def main():
    chance = random.Random(7)
    for number in range(1000):
        try:
            fall(chance.randrange(300))
        except ValueError:
            log.exception("number %d", number, extra={{"number": number, "own": {{"a": (1,)}}}})
        await asyncio.sleep(0)
    log.info("long " + "x" * 200_000)
    log.info("ids", extra={{"temporal_workflow": {{"workflow_id": "w-1", "run_id": "r"}}}})
    while not logging.lastResort._records.empty():  # an end waits for 1 s at the most
        await asyncio.sleep(0.05)

run_script(main, None, formatter=JsonFormatter())
"""


@slow
def test_a_thousand_tracebacks_as_json_each_a_line(kit: Kit) -> None:
    reader = Reader(kit)
    reader.type(block("log, JSON"))
    (kit.root / "many.py").write_text(JSON.format(root=str(kit.root)))
    done = kit.start("many.py")
    assert done.wait() == 0, done.stderr[-2000:]
    *tracebacks, long, ids = (json.loads(line) for line in done.stderr.splitlines())
    assert [line["number"] for line in tracebacks] == list(range(1000))
    assert all("ValueError: aaa" in line["exception"] for line in tracebacks)
    assert (tracebacks[0]["logger"], tracebacks[0]["level"]) == ("mine", "ERROR")
    assert 60_000 < len(long["message"]) < 70_000
    assert "[cut]" in long["message"]
    assert ids["workflow_id"] == "w-1"


CHATTY = """
import logging, threading, time
from temporalio import activity

@activity.defn
def chat(seconds: str) -> int:
    end, count = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        activity.logger.info("line %d of many", count)
        count += 1
    return count
"""


@slow
@pytest.mark.parametrize("reader_is", ["quick", "slow"])
def test_pings_are_answered_while_thousands_of_lines_are_logged(
    kit: Kit, here: dict[str, Any], tmp_path: Path, reader_is: str
) -> None:
    import asyncio

    kit.register("chatty", CHATTY + CALLING, workflows=["Calling"], activities=["chat"])
    queue, file = here["TEMPORAL_TASK_QUEUE"], tmp_path / "log"
    pipe = (
        f"cat > {file}"
        if reader_is == "quick"
        else f"while read -r line; do echo $line >> {file}; sleep 0.005; done"
    )
    shell = ["/bin/bash", "-c", f'exec "$0" "$@" 2> >(exec 2>/dev/null; {pipe})']
    worker = kit.start(WORKER, within=shell, **here)
    wait_until(lambda: file.exists() and "Worker running" in file.read_text("utf-8"), "it runs")

    async def run() -> tuple[list[float], int]:
        client = await connect(here["TEMPORAL_ADDRESS"])
        chatting = client.execute_workflow(
            "Calling", args=[["chat"], "4"], id=queue, task_queue=queue
        )
        chat = asyncio.ensure_future(chatting)
        await asyncio.sleep(1)
        seconds = await send(client, queue, 40, 2)
        [count] = await chat
        return seconds, count

    seconds, count = asyncio.run(asyncio.wait_for(run(), 60))
    assert count > 10_000
    assert max(seconds) < 5
    worker.signal(signal.SIGTERM)
    assert worker.wait(12) == 0
    if reader_is == "slow":
        assert count > len(file.read_bytes().splitlines())


@slow
def test_a_log_that_nobody_reads_holds_no_end_up(kit: Kit) -> None:
    program = "import logging, sys\nsys.path.insert(0, %r)\nfrom temporal_kit import run_script\n"
    program += "async def main():\n    for _ in range(20000): logging.info('x' * 200)\n"
    (kit.root / "full.py").write_text(program % str(kit.root) + "run_script(main, None)\n")
    reader, writer = os.pipe()
    began = time.monotonic()
    command = [sys.executable, str(kit.root / "full.py")]
    process = subprocess.Popen(command, stderr=writer, env=kit.env())
    assert process.wait(10) == 0
    assert time.monotonic() - began < 8
    os.close(writer)
    os.close(reader)


def test_what_is_dropped_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    from temporal_kit import log_handler

    monkeypatch.setattr(log_handler, "MOST_WAITING", 3)
    said: list[str] = []
    go = __import__("threading").Event()

    def write(data: bytes) -> None:
        go.wait(10)
        said.append(data.decode())

    monkeypatch.setattr(log_handler, "_write", write)
    handler = log_handler.NeverBlockingHandler()
    for number in range(10):
        handler.handle(logging.LogRecord("mine", 20, "", 0, "line %d", (number,), None))
    go.set()
    handler.flush()
    handler.handle(logging.LogRecord("mine", 20, "", 0, "later", None, None))
    handler.flush()
    lost = 10 - sum("line" in one for one in said)
    assert 0 < lost < 10
    assert said[-2:] == [
        f"{lost} log records dropped: standard error is not read fast enough\n",
        "later\n",
    ]


FAILING = """
import logging, os, sys
sys.path.insert(0, {root!r})
from temporal_client import load_settings
from temporal_kit import run_script

key = load_settings().api_key
way = sys.argv.pop(1)

class Fails(logging.Handler):
    def emit(self, record):
        try:
            raise ValueError("cannot send " + key)
        except ValueError:
            self.handleError(record)

async def main():
    logging.getLogger().addHandler(Fails() if way == "fails" else logging.StreamHandler())
    if way == "closed":
        sys.stderr.close()
    if way == "closed descriptor":
        os.close(2)
        os.open("said", os.O_WRONLY | os.O_CREAT)
    logging.warning("hello %s", key)
    logging.warning("hello again")
    print("whole")

run_script(main, None)
"""


@pytest.mark.parametrize("way", ["fails", "closed", "closed descriptor"])
def test_a_handler_that_fails_is_told_and_fails_no_log_call(kit: Kit, way: str) -> None:
    (kit.root / "failing.py").write_text(FAILING.format(root=str(kit.root)))
    settings = env(ADDRESS="h:1", API_KEY=API_KEY, TLS="false")
    done = kit.start("failing.py", way, cwd=kit.root, **settings)
    assert (done.wait(), done.stdout) == (0, "whole\n"), done.stderr
    assert API_KEY not in done.stderr
    assert "Traceback" not in done.stderr
    if way == "fails":
        told = "WARNING - hello (hidden) (Fails failed: ValueError('cannot send (hidden)'))\n"
        assert done.stderr.startswith(told)
