"""Break what can break while pings are in flight; afterwards every one has its answer.

Run with `-m slow -rP` to see the numbers. Longer, and at random: `python tests/soak.py`.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_front import NAMESPACE, Certificates, CloudFront
from inside import run_now
from kit import CHECK, PING, DevServer, Kit, RunningScript, expect_nothing_left, temporal
from pings import Load, wait_until
from tcp import Listener, carry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DevServer]:
    """A development server of the test's own, with its data on disk."""
    with DevServer(db=tmp_path / "temporal.db") as one:
        yield one


class Team:
    """Workers that come and go."""

    def __init__(self, kit: Kit, server: DevServer) -> None:
        self.kit, self.server = kit, server
        self.workers: list[RunningScript] = []

    def hire(self, **settings: Any) -> RunningScript:
        """Start a worker and wait until it polls."""
        here = {"TEMPORAL_ADDRESS": self.server.address}
        self.workers.append(self.kit.work(**{**here, **settings}))
        return self.workers[-1]

    def alive(self) -> list[RunningScript]:
        """Those that run, the oldest first."""
        return [one for one in self.workers if one.process.poll() is None]

    def let_go(self) -> None:
        """Stop every worker in order; each ends with 0 and leaves no process behind."""
        for worker in self.alive():
            worker.signal(signal.SIGTERM)
        for worker in self.workers:
            if worker.wait() != -signal.SIGKILL:  # which was one of the faults
                assert worker.process.returncode == 0, worker.stderr
                expect_nothing_left(worker)


def test_workers_killed_and_stopped_in_the_middle(kit: Kit, server: DevServer) -> None:
    team = Team(kit, server)
    with Load(server.address) as load:
        team.hire()
        for number in (signal.SIGKILL, signal.SIGTERM) * 2:
            team.hire()
            load.wait_for_more(20)
            leaving = team.alive()[0]
            leaving.signal(number)
            leaving.wait()
        load.judge()
        team.let_go()


def test_server_frozen_killed_and_started_again(kit: Kit, server: DevServer) -> None:
    team = Team(kit, server)
    with Load(server.address) as load:
        worker, _ = team.hire(), team.hire()
        load.wait_for_more(20)
        server.freeze()
        worker.wait_for("Lost the server")
        server.thaw()
        print(f"thawed to 20 answers: {load.wait_for_more():.2f} s")
        worker.wait_for("The server is back")
        for seconds in (0, 2):  # away for a moment, or for longer
            server.kill()
            time.sleep(seconds)
            server.start()
            print(f"back to 20 answers: {load.wait_for_more():.2f} s")
        load.judge()
        team.let_go()


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


@pytest.mark.skipif(sys.platform != "linux", reason="drops packets with Linux's socket filter")
def test_network_drops_packets(kit: Kit, server: DevServer) -> None:
    with Wire(server.address) as wire, Load(server.address) as load:
        team = Team(kit, server)
        worker = team.hire(TEMPORAL_ADDRESS=wire.address)
        load.wait_for_more(20)
        wire.cut()
        worker.wait_for("Lost the server")
        time.sleep(18)  # until the SDK has given up the connection and tries for a new one
        wire.mend()
        print(f"mended to 20 answers: {load.wait_for_more():.2f} s")
        load.judge()
        worker.wait_for("The server is back")
        assert worker.stderr.count("Lost the server") == 1
        team.let_go()


def _replace(file: Path, text: str) -> float:
    """Replace a file as a container platform does, by moving a link; gives the time."""
    new = file.with_name(f"{file.name}-{time.monotonic_ns()}")
    new.write_text(text)
    new.chmod(0o600)
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
        settings = {
            "TEMPORAL_ADDRESS": front.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file,
            "TEMPORAL_API_KEY_FILE": key_file,
        }
        team = Team(kit, server)
        worker = team.hire(**settings)
        with Load(server.address, 10, NAMESPACE) as load:
            load.wait_for_more(20)

            rotated = _replace(key_file, second)
            wait_until(lambda: second in {call.api_key for call in front.calls}, "the second key")
            print(f"rotation to use: {time.monotonic() - rotated:.1f} s")
            worker.wait_for("Credentials changed: the new ones are in use")
            front.revoke(first)

            _replace(key_file, wrong)
            worker.wait_for("Changed settings not taken up, the old ones stay in use")
            front.calls.clear()  # only now has all arrived that was on its way at the rotation
            load.wait_for_more(20)
            assert first not in {call.api_key for call in front.calls}

            front.revoke(second)
            worker.wait_for("Lost the server, trying on")
            front.accept(third)
            _replace(key_file, third)
            print(f"new key to 20 answers: {load.wait_for_more():.2f} s")
            load.judge(60)
            worker.wait_for("The server is back")
            assert worker.stderr.count("Changed settings not taken up") <= 2  # wrong, and revoked
            assert worker.stderr.count("Lost the server") == 1
            of_the_sdk = [line for line in worker.stderr.splitlines() if "sdk_core" in line]
            assert len(of_the_sdk) == len(set(of_the_sdk))  # each of its warnings once
            for key in (first, second, wrong, third):
                assert key not in worker.stderr
            team.let_go()


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
    one, two = (f"TemporalWorkerDeploymentVersion = '{DEPLOYMENT}:{n}'" for n in "12")
    team = Team(kit, server)
    first, another = team.hire(**build("1")), team.hire(**build("1"))
    assert "Version: ping, 1" in first.wait_for("  - Version")
    make_current(server, "1")
    with Load(server.address, 5) as load:
        team.hire(**build("2"))
        load.wait_for_more(20)
        make_current(server, "2")
        another.stop()  # one of the old build goes at once
        wait_until(lambda: load.count(two) >= 20, "pings on the second build")
        load.judge(40)
    assert load.count(one) + load.count(two) == load.count()
    assert load.count(one) >= 20  # before the switch
    team.let_go()


def test_workers_that_new_runs_do_not_go_to_are_told_of(kit: Kit, server: DevServer) -> None:
    address = {"TEMPORAL_ADDRESS": server.address}

    def warned(text: str) -> str:
        """What the ping warns of, and the check too."""
        whole = f"no worker polls the task queue 'ap-default' in namespace 'default'{text}"
        with kit.start(PING, **address) as ping:
            ping.wait_for(whole, 10)
            ping.wait_for("  → python scripts/check_temporal_config.py tells")
        return whole

    def checked() -> str:
        done = run_now(CHECK, address)
        assert done.code == 0, done
        return done.stdout

    team = Team(kit, server)
    versioned = team.hire(**build("1"))
    whole = warned(" without a version")
    command = f"temporal worker deployment set-current-version --yes --deployment-name {DEPLOYMENT}"
    assert f"⚠ workers: {whole}\n  → {command} --build-id 1\n" in checked()
    make_current(server, "1")
    # The queue hears of it later: from a worker that polls, if it was new to the version.
    wait_until(lambda: "⚠" not in checked(), "the queue knows it")
    versioned.stop()
    team.hire()
    warned(" as the current version, 'ping 1'")
    make_current(server, "")
    with kit.start(PING, **address) as ping:
        ping.ping_ok()
