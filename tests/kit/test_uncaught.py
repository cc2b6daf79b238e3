"""What Python prints by itself goes through the log: no secret, no raw bytes; and Ctrl+C says none.

The values are drawn anew from seeds: `SEED=7 python -m pytest -m slow tests/kit/test_uncaught.py`.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys

import pytest

from .cases import env
from .kit import API_KEY, PING, SCRIPTS, SOURCE, WORKER, Kit, RunningScript
from .marks import posix, slow
from .tcp import Listener

SEED = int(os.environ.get("SEED", "24"))
RAW = ["\x1b[2J", "\x1b]0;title\x07", "\r", "\0", "\x9b31m", "\u202e", "\x7f", "\b\b\b"]
TERMINAL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")

PROGRAM = """
import sys
from pathlib import Path
ROOT = Path(__file__).parent
from temporal_kit import load_env_file, run_script
load_env_file(ROOT / ".env")
import argparse, asyncio, atexit, gc, threading, warnings

SAID = ROOT.joinpath("said").read_bytes().decode()
kinds = sys.argv.pop(1).split(",")

def fail():
    raise ValueError(SAID)

class Fails:
    def __del__(self):
        fail()

class Panic(BaseException):
    pass

class Unspeakable(Exception):
    def __str__(self):
        fail()

def in_thread():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

async def in_task():
    fail()

def begin(kind, loop=None):
    if kind == "warning": warnings.warn(SAID)
    if kind == "thread": in_thread()
    if kind == "del": Fails()
    if kind == "exit hook": atexit.register(fail)
    if kind == "callback" and loop: loop.call_soon(fail)
    if kind == "task" and loop: asyncio.ensure_future(in_task())
    if kind == "bug" and loop: fail()
    if kind == "panic" and loop: raise Panic(SAID)
    if kind == "unspeakable" and loop: raise Unspeakable
    if kind == "import" and not loop: fail()
    if kind == "syntax" and not loop: exec("x = = '" + SAID.replace("\\0", "") + "'")

for kind in kinds:
    begin(kind)

async def main(args):
    for kind in kinds:
        begin(kind, asyncio.get_running_loop())
        await asyncio.sleep(0.01)
        gc.collect()

parser = argparse.ArgumentParser()
parser.add_argument("--number", type=int)
parser.add_argument("--color", choices=["red"])
parser.add_subparsers().add_parser("below")
run_script(main, parser)
"""
AT_ONCE = "warning,thread,del,exit hook,callback,task,bug"  # of one process
ALONE = ("import", "syntax", "panic", "unspeakable")
ARGUMENTS = [
    ["--number", "{}"],
    ["--color", "{}"],
    ["--unknown", "{}"],
    ["--unknown={}"],
    ["{}"],
    ["below", "{}"],
    ["--api-key", "{}"],
    ["--my-token={}"],
]


def say(kit: Kit, said: str) -> None:
    (kit.root / "uncaught.py").write_text(PROGRAM)
    (kit.root / "said").write_bytes(said.encode())


def drawn(chance: random.Random) -> str:
    """Some control characters, and the key among them."""
    pieces = [*chance.sample(RAW, 3), API_KEY, "words", f"Bearer {API_KEY}"]
    chance.shuffle(pieces)
    return " ".join(pieces)


def expect_clean(run: RunningScript, code: int) -> str:
    """Neither the key nor a part of it, nor anything that a terminal would obey."""
    assert run.wait() == code, run.stderr
    for text in (run.stdout, run.stderr):
        assert API_KEY not in text
        assert API_KEY[:20] not in text
        assert not TERMINAL.search(text), repr(text)
    return run.stderr


def test_what_nobody_catches_is_logged_without_secrets_and_raw_bytes(kit: Kit) -> None:
    kit.write_env(f"TEMPORAL_API_KEY={API_KEY}\n")
    say(kit, drawn(random.Random(1)))
    runs = [kit.start("uncaught.py", kinds) for kinds in (AT_ONCE, *ALONE[:2])]
    said, imported, syntax = [expect_clean(run, 1) for run in runs]
    assert said.count("ValueError: ") >= 2 * 7
    assert said.count("WARNING - UserWarning: ") == 1  # Python warns once of each line
    assert said.count("in thread Thread-") == 2
    assert "Fails.__del__" in said
    assert "atexit callback" in said
    # A bug keeps its traceback, also in an import.
    assert re.search(r'ERROR - ValueError: .*\n  Traceback .*\n    File ".*uncaught.py"', imported)
    assert "SyntaxError" in syntax


@slow
@pytest.mark.parametrize("seed", range(SEED, SEED + 6))
def test_nor_do_they_with_whatever_is_said(kit: Kit, seed: int) -> None:
    chance = random.Random(seed)
    say(kit, drawn(chance))
    settings = env(API_KEY=API_KEY)
    for kinds in (AT_ONCE, *ALONE):
        said = expect_clean(kit.start("uncaught.py", kinds, **settings), 1)
        assert "Traceback" in said
    for arguments in ARGUMENTS:
        command = [one.format(drawn(chance).replace("\0", "")) for one in arguments]
        said = expect_clean(kit.start("uncaught.py", "none", *command, **settings), 2)
        assert said.startswith("usage: ")
    command = [f"--token={drawn(chance)}".replace("\0", ""), "-x\x1b"]
    for script in SCRIPTS:
        assert expect_clean(kit.start(script, *command, **settings), 2).startswith("usage: ")


OWNERS = """
import sys, threading, warnings
if sys.argv[1] == "before":
    def mine(*args): print("mine")
    sys.excepthook = threading.excepthook = mine
    warnings.showwarning = mine
from pathlib import Path
from temporal_kit import load_env_file
load_env_file(Path(__file__).with_name(".env"))
if sys.argv[1] == "after":
    below = sys.excepthook
    def mine(*args): print("mine"); args[0] is ValueError and below(*args)
    sys.excepthook = threading.excepthook = mine
    warnings.showwarning = mine
warnings.warn("warning")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise ValueError("at the end")
"""
FOREIGN = """
import sys, threading, warnings
hooks = lambda: (sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning)
before = hooks()
import temporal_kit, workers.worker, scripts.start_ping
from temporal_client import get_temporal_client
assert hooks() == before
"""


def test_an_owners_hooks_win_and_who_only_connects_keeps_pythons(kit: Kit) -> None:
    (kit.root / "owners.py").write_text(OWNERS)
    before, after = kit.start("owners.py", "before"), kit.start("owners.py", "after")
    foreign = kit.start("-c", FOREIGN, cwd=kit.root)
    assert (before.wait(), before.stdout, before.stderr) == (1, "mine\n" * 3, "")
    assert (after.wait(), after.stdout) == (1, "mine\n" * 3)
    assert after.stderr.startswith("ERROR - ValueError: at the end\n  Traceback")
    assert foreign.wait() == 0, foreign.stderr


def rude(connection: object) -> None:
    """A proxy that answers each CONNECT with what is no HTTP, and raw bytes."""
    connection.recv(65_536)  # type: ignore[attr-defined]
    connection.sendall(b"HTTP/1.1 abc\x1b[2J\0\r\n\r\n")  # type: ignore[attr-defined]


@slow
@pytest.mark.parametrize("name", ["payments.a1b2c.tmprl.cloud", "zahlung-ü.example"])
def test_a_peers_raw_bytes_reach_no_terminal(kit: Kit, name: str) -> None:
    with Listener(rude) as proxy:
        settings = env(ADDRESS=f"{name}:7233", NAMESPACE="payments.a1b2c", API_KEY=API_KEY)
        settings["HTTPS_PROXY"] = f"http://{proxy.address}"
        expect_clean(kit.start(PING, **settings), 1)


# Counts imports from the first of the kit's on, and presses Ctrl+C at one of them.
PRESS = """
import os, signal, sys
left = [int(os.environ["PRESS_AT"])]

def audit(event, args):
    first = "temporal_kit.credentials"
    if event == "import" and (args[0] == first or first in sys.modules):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)

sys.addaudithook(audit)
"""


def press_within_the_imports(kit: Kit, script: str, moment: int) -> None:
    (kit.home / "sitecustomize.py").write_text(PRESS)
    run = kit.start(script, "--help", PYTHONPATH=kit.home, PRESS_AT=moment)
    assert run.wait() in (-signal.SIGINT, 0 if moment > 400 else -signal.SIGINT), run.stdout
    assert run.stderr == ""


@posix
def test_ctrl_c_within_the_imports_says_nothing(kit: Kit) -> None:
    for moment in (2, 60):
        press_within_the_imports(kit, WORKER, moment)


@slow
@posix
@pytest.mark.parametrize("seed", range(SEED, SEED + 10))
def test_nor_does_it_at_whichever_import(kit: Kit, seed: int) -> None:
    chance = random.Random(seed)
    press_within_the_imports(kit, chance.choice(SCRIPTS), chance.randrange(1, 900))


def test_pytest_keeps_its_own_hooks() -> None:
    hooks = "sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning"
    asked = f"import sys, threading, warnings, conftest; print([h.__module__ for h in ({hooks})])"
    said = subprocess.check_output([sys.executable, "-c", asked], cwd=SOURCE, text=True)
    assert said == "['sys', 'sys', '_thread', 'warnings']\n"
