"""Break what can break while pings are in flight; afterwards every one has its answer.

Run with `-m slow -rP` to see the numbers. At random, for half an hour or as long as wanted:

    SOAK_MINUTES=30 python -m pytest -m slow -rP tests/test_faults.py -k random

With the `SOAK_SEED` that it prints, the same faults strike in the same order again.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from .cases import env
from .cloud_front import NAMESPACE, Certificates, CloudFront
from .inside import run_now
from .kit import CHECK, PING, DevServer, Kit, RunningScript, temporal, write
from .marks import linux
from .pings import Load, wait_until
from .tcp import Listener, carry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))


@pytest.fixture
def server(kit: Kit, tmp_path: Path) -> Iterator[DevServer]:
    """A development server of the test's own, with its data on disk; the kit's `.env` has it."""
    with DevServer(db=tmp_path / "temporal.db") as one:
        kit.write_env(f"TEMPORAL_ADDRESS={one.address}\n")
        yield one


def alive(kit: Kit) -> list[RunningScript]:
    """The workers that run, the oldest first."""
    return [one for one in kit.started if one.process.poll() is None]


def stop_all(kit: Kit) -> None:
    """Stop every worker in order; each ends with 0 and leaves no process behind."""
    for worker in alive(kit):
        worker.signal(signal.SIGTERM)
    for worker in kit.started:
        if worker.wait() != -signal.SIGKILL:  # which was one of the faults
            assert worker.process.returncode == 0, worker.stderr
            worker.expect_nothing_left()


class Wire(Listener):
    """A network between worker and server that can drop packets without a word.

    The kernel drops what arrives at its sockets, so the other side gets no acknowledgement, as
    from behind a firewall. No privilege, no tool and no second machine is needed for that.
    """

    DROP_ALL = struct.pack("HBBI", 6, 0, 0, 0)  # one instruction for the packet filter: return 0
    ATTACH_FILTER, DETACH_FILTER = 26, 27

    def __init__(self, behind: str) -> None:
        self.behind, self.whole = behind, threading.Event()
        self.whole.set()
        super().__init__(self._carry)
        self.near = [self.socket]

    def _carry(self, near: socket.socket) -> None:
        self.near.append(near)
        carry(near, self.behind, self.whole)

    def cut(self) -> None:
        """Drop every packet from now on."""
        self.whole.clear()
        code = ctypes.create_string_buffer(self.DROP_ALL)
        program = struct.pack("HL", 1, ctypes.addressof(code))
        self._filter(self.ATTACH_FILTER, program)

    def mend(self) -> None:
        """Let packets through again."""
        self._filter(self.DETACH_FILTER, 0)
        self.whole.set()

    def _filter(self, option: int, value: bytes | int) -> None:
        self.near = [one for one in self.near if one.fileno() >= 0]
        for end in self.near:
            end.setsockopt(socket.SOL_SOCKET, option, value)


@linux  # whose socket filter drops the packets
def test_network_drops_packets(kit: Kit, server: DevServer) -> None:
    with Wire(server.address) as wire, Load(server.address) as load:
        worker = kit.work(TEMPORAL_ADDRESS=wire.address)
        load.wait_for_more(20)
        wire.cut()
        worker.wait_for("Lost the server")
        time.sleep(18)  # until the SDK has given up the connection and tries for a new one
        wire.mend()
        print(f"mended to 20 answers: {load.wait_for_more():.2f} s")
        load.judge()
        worker.wait_for("The server is back")
        assert worker.stderr.count("Lost the server") == 1
        stop_all(kit)


def _replace(file: Path, text: str) -> float:
    """Replace a file as a container platform does, by moving a link; gives the time."""
    new = write(file.with_name(f"{file.name}-{time.monotonic_ns()}"), text)
    link = new.with_suffix(".link")
    link.symlink_to(new)
    link.replace(file)
    return time.monotonic()


def test_api_key_rotated_and_revoked(
    kit: Kit, server: DevServer, certificates: Certificates, tmp_path: Path
) -> None:
    first, second, wrong, third = (f"{name}-key-{'0123456789' * 4}" for name in "abcd")
    key_file = tmp_path / "api-key"
    _replace(key_file, first)

    with CloudFront(
        server.address, certificate=certificates.server(), keys=[first, second]
    ) as front:
        settings = env(ADDRESS=front.address, NAMESPACE=NAMESPACE, API_KEY_FILE=key_file)
        worker = kit.work(**env(settings, TLS_SERVER_CA_CERT_PATH=certificates.server_ca_file))
        with Load(server.address, 10, NAMESPACE) as load:
            load.wait_for_more(20)

            rotated = _replace(key_file, second)
            wait_until(lambda: second in {call.api_key for call in front.calls}, "the second key")
            print(f"rotation to use: {time.monotonic() - rotated:.1f} s")
            worker.wait_for("Credentials changed: the new ones are in use")
            front.revoke(first)

            _replace(key_file, wrong)
            worker.wait_for("Changed settings not applied, the old ones stay in use")
            front.calls.clear()  # only now has all arrived that was on its way at the rotation
            load.wait_for_more(20)
            assert first not in {call.api_key for call in front.calls}

            front.revoke(second)
            worker.wait_for("Lost the server, still trying")
            front.accept(third)
            _replace(key_file, third)
            print(f"new key to 20 answers: {load.wait_for_more():.2f} s")
            load.judge(60)
            worker.wait_for("The server is back")
            assert worker.stderr.count("Changed settings not applied") <= 2  # wrong, and revoked
            assert worker.stderr.count("Lost the server") == 1
            of_the_sdk = [line for line in worker.stderr.splitlines() if "sdk_core" in line]
            assert len(of_the_sdk) == len(set(of_the_sdk))  # each of its warnings once
            for key in (first, second, wrong, third):
                assert key not in worker.stderr
            stop_all(kit)


DEPLOYMENT = "ping"


def make_current(server: DevServer, number: str) -> None:
    """Send new runs to this build from now on, as soon as the server knows it."""
    command = [temporal(), "worker", "deployment", "set-current-version", "--yes"]
    command += ["--address", server.address, "--deployment-name", DEPLOYMENT]
    command += ["--build-id", number] if number else ["--unversioned"]
    # A development server with two busy cores may need longer than it allows itself.
    wait_until(
        lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0,
        f"build {number} is current",
    )


def build(number: str) -> dict[str, str]:
    """The settings of a build, as Temporal's Kubernetes controller gives them."""
    return {"TEMPORAL_DEPLOYMENT_NAME": DEPLOYMENT, "TEMPORAL_WORKER_BUILD_ID": number}


def test_a_rollout_of_two_builds_answers_every_ping(kit: Kit, server: DevServer) -> None:
    one, two = (f" AND TemporalWorkerDeploymentVersion = '{DEPLOYMENT}:{n}'" for n in "12")
    old, another = kit.work(**build("1")), kit.work(**build("1"))
    assert "Version: ping, 1" in old.wait_for("  - Version")
    make_current(server, "1")
    with Load(server.address, 5) as load:
        kit.work(**build("2"))
        load.wait_for_more(20)
        make_current(server, "2")
        another.stop()  # one of the old build goes at once
        wait_until(lambda: len(load.runs(two)) >= 20, "pings on the second build")
        load.judge(40)
    first, second = len(load.runs(one)), len(load.runs(two))
    assert first + second == len(load.runs())
    assert first >= 20  # before the switch
    stop_all(kit)


def test_workers_that_new_runs_do_not_go_to_are_told_of(kit: Kit, server: DevServer) -> None:
    def warned(text: str) -> str:
        """What the ping warns of, and the check too."""
        whole = f"no worker polls the task queue 'ap-default' in namespace 'default'{text}"
        with kit.start(PING) as ping:
            ping.wait_for(whole, 10)
            ping.wait_for("  → python scripts/check_temporal_config.py tells")
        return whole

    def checked(**version: str) -> str:
        done = run_now(CHECK, {"TEMPORAL_ADDRESS": server.address, **version})
        assert done.code == 0, done
        return done.stdout

    versioned = kit.work(**build("1"))
    whole = warned(" without a version")
    command = "temporal worker deployment set-current-version --yes --deployment-name"
    whole = f"⚠ workers: {whole}; workers of the version '{DEPLOYMENT} 1' poll"
    assert f"{whole}\n  → {command} <deployment> --build-id <build>\n" in checked()
    assert f"{whole}\n  → {command} {DEPLOYMENT} --build-id 1\n" in checked(**build("1"))
    make_current(server, "1")
    # The queue hears of it later: from a worker that polls, if it was new to the version.
    wait_until(lambda: "⚠" not in checked(), "the queue knows it")
    versioned.stop()
    kit.work()
    # By two clocks, who polled within a second before the ping began may be there still.
    wait_until(lambda: not any(f"last poll {n} s" in checked() for n in (0, 1)), "it is gone")
    warned(" as the current version, 'ping 1'")
    make_current(server, "")
    kit.start(PING).ping_ok()


def end_one(kit: Kit, number: signal.Signals) -> None:
    """End one of the workers, but not the first, which is the wire's."""
    victim = random.choice(alive(kit)[1:])
    victim.signal(number)
    assert victim.wait(60) == (-number if number == signal.SIGKILL else 0), victim.stderr


@pytest.mark.timeout(300 + 60 * SOAK_MINUTES)
def test_faults_in_turn_and_at_random(kit: Kit, server: DevServer) -> None:
    with Wire(server.address) as wire, Load(server.address) as load:
        faults: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "a worker is killed": (partial(end_one, kit, signal.SIGKILL), kit.work),
            "a worker stops": (partial(end_one, kit, signal.SIGTERM), kit.work),
            "the server is killed": (server.kill, server.start),
            "the server is frozen": (server.freeze, server.thaw),
        }
        if sys.platform == "linux":
            faults["the network drops packets"] = (wire.cut, wire.mend)
        kit.work(TEMPORAL_ADDRESS=wire.address)
        kit.work()
        kit.work()
        load.wait_for_more()  # it has its client, which outlives every fault
        seed = os.environ.get("SOAK_SEED", str(time.time_ns()))
        random.seed(seed)
        print(f"SOAK_SEED={seed}")
        turns = [(fault, seconds) for seconds in (0.0, 2.0) for fault in faults]
        end = time.monotonic() + SOAK_MINUTES * 60
        while turns or (time.monotonic() < end and not load.failed):
            if not turns:
                turns.append((random.choice([*faults]), random.choice([0.5, 2, 5, 25])))
            fault, seconds = turns.pop()
            begin, mend = faults[fault]
            begin()
            time.sleep(seconds)
            mend()
            print(f"{time.strftime('%X')} {fault}; 20 answers after {load.wait_for_more():.2f} s")
        load.judge()
        stop_all(kit)
        print(f"{load.ok} pings, none lost")
