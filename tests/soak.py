"""Faults at random, for as long as wanted; afterwards the server is asked whether a ping is lost.

    python tests/soak.py 30              minutes; half an hour unless told
    python tests/soak.py 30 --seed 7     the same order of faults again

Pings run without a pause while, again and again, one fault strikes: a worker is killed or stopped
and replaced, the server is killed and started again, frozen, or cut off from one worker. The last
line tells how many pings there were; exit code 1 if one is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kit import DevServer, Kit
from pings import Load
from test_faults import Team, Wire

CONCURRENCY, WORKERS = 10, 3


def strike(fault: str, server: DevServer, team: Team, wire: Wire, chance: random.Random) -> None:
    """One fault, from its beginning to its end."""
    seconds = chance.choice([0.5, 2, 5, 25])
    alive = [one for one in team.alive() if one is not team.workers[0]]  # not the wire's
    if fault in ("kill a worker", "stop a worker"):
        victim, kill = chance.choice(alive), fault == "kill a worker"
        victim.signal(signal.SIGKILL if kill else signal.SIGTERM)
        assert victim.wait(60) == (-signal.SIGKILL if kill else 0), victim.stderr
        team.hire()
    elif fault == "kill the server":
        server.kill()
        time.sleep(seconds)
        server.start()
    elif fault == "freeze the server":
        server.freeze()
        time.sleep(seconds)
        server.thaw()
    else:
        wire.cut()
        time.sleep(seconds)
        wire.mend()


def main() -> int:
    """Strike until the time is over."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    options.add_argument("minutes", type=float, nargs="?", default=30)
    options.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    args = options.parse_args()
    chance = random.Random(args.seed)
    faults = ["kill a worker", "stop a worker", "kill the server", "freeze the server"]
    if sys.platform == "linux":
        faults.append("cut the network")
    struck: Counter[str] = Counter()
    print(f"seed {args.seed}", flush=True)

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(DevServer(db=folder / "temporal.db"))
        wire = stack.enter_context(Wire(server.address))
        team = Team(Kit(folder / "kit"), server)
        team.hire(TEMPORAL_ADDRESS=wire.address)
        for _ in range(WORKERS - 1):
            team.hire()
        end = time.monotonic() + args.minutes * 60
        load = stack.enter_context(Load(server.address, CONCURRENCY))
        load.wait_for_more(1)  # it has its client, which outlives every fault
        while time.monotonic() < end and not load.failed:
            fault = chance.choice(faults)
            strike(fault, server, team, wire, chance)
            struck[fault] += 1
            time.sleep(chance.uniform(1, 10))
            print(time.strftime("%H:%M:%S"), fault, flush=True)
        load.judge()
        team.let_go()
        print(f"{load.ok} pings, none lost; {dict(struck)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
