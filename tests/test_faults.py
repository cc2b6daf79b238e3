"""Break what can break while pings are in flight; afterwards every one has its answer.

Run with `-rP` to see the numbers. Longer, and at random: `python tests/soak.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_front import NAMESPACE, Certificates, CloudFront
from kit import DevServer, Kit, RunningScript, create_namespace
from pings import ENDLESS, Pings, judge, wait_until

pytestmark = pytest.mark.timeout(240)

WORKER, PING = "workers/worker.py", "scripts/start_ping.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DevServer]:
    """A development server of the test's own, with its data on disk."""
    with DevServer(db=tmp_path / "temporal.db") as one:
        yield one


class Team:
    """Workers that come and go, and the pings that they are to answer."""

    def __init__(self, kit: Kit, server: DevServer, **settings: str | Path) -> None:
        self.kit, self.server, self.settings = kit, server, settings
        self.plain = Kit(kit.root.with_name("pings"))  # where no test writes a .env
        self.workers: list[RunningScript] = []
        self.stack = contextlib.ExitStack()

    def hire(self) -> RunningScript:
        """Start a worker and wait until it polls."""
        settings = {"TEMPORAL_ADDRESS": self.server.address, **self.settings}
        worker = self.stack.enter_context(self.kit.start(WORKER, cwd=None, **settings))
        worker.wait_for("Worker running")
        self.workers.append(worker)
        return worker

    def pings(
        self, concurrency: int = 100, namespace: str = "default", timeout: int = 90
    ) -> RunningScript:
        """Start pings without end, straight to the server, and go on."""
        args = (*ENDLESS, "--concurrency", str(concurrency), "--timeout", str(timeout))
        settings = {"TEMPORAL_ADDRESS": self.server.address, "TEMPORAL_NAMESPACE": namespace}
        return self.stack.enter_context(self.plain.start(PING, *args, cwd=None, **settings))

    def let_go(self) -> None:
        """Stop every worker in order; each ends with 0 and leaves no process behind."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGTERM)
                assert worker.wait() == 0, worker.stderr
                with pytest.raises(ProcessLookupError):
                    os.killpg(worker.process.pid, 0)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()


def test_workers_killed_at_random(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Team(kit, server) as team:
        for _ in range(3):
            team.hire()
        load = team.pings()
        chance = random.Random(4)
        for _ in range(4):
            pings.wait_for_more(60)
            victim = chance.choice([one for one in team.workers if one.process.poll() is None])
            victim.signal(signal.SIGKILL)
            team.hire()
        judge(load, pings, "4 of 7 workers killed")
        team.let_go()


def test_workers_stopped_in_the_middle(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Team(kit, server) as team:
        team.hire()
        load = team.pings()
        for _ in range(4):
            pings.wait_for_more(60)
            leaving = team.workers[-1]
            team.hire()
            leaving.signal(signal.SIGTERM)
            assert leaving.wait() == 0, leaving.stderr
        judge(load, pings, "4 of 5 workers stopped")
        print(f"{pings.tasks_timed_out()} tasks were handed out and never answered")
        team.let_go()


def test_server_killed_and_started_again(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Team(kit, server) as team:
        for _ in range(2):
            team.hire()
        load = team.pings()
        seconds = []
        for round_ in range(3):
            pings.wait_for_more(60)
            server.kill()
            time.sleep(round_)  # away for a moment, or for longer
            server.start()
            back = time.time()
            seconds.append(pings.first_answer_after(back))
        first = ", ".join(f"{one:.2f}" for one in seconds)
        judge(load, pings, "server killed 3 times", f"back to first answer: {first} s")
        team.let_go()


def test_server_frozen_and_thawed(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Team(kit, server) as team:
        team.hire()
        load = team.pings()
        pings.wait_for_more(50)
        server.freeze()
        team.workers[0].wait_for("Lost the server")
        server.thaw()
        back = time.time()
        judge(load, pings, "server frozen", f"{pings.first_answer_after(back):.2f} s to an answer")
        team.workers[0].wait_for("The server is back")
        team.let_go()


class Wire:
    """A network between worker and server that can drop packets without a word.

    The kernel drops what arrives at its sockets, so the other side gets no acknowledgement, as
    from behind a firewall. No privilege, no tool and no second machine is needed for that.
    """

    DROP_ALL = struct.pack("HBBI", 6, 0, 0, 0)  # one instruction for the packet filter: return 0
    ATTACH_FILTER, DETACH_FILTER = 26, 27

    def __init__(self, port: int) -> None:
        self.behind = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.near, self.far = [self.listener], list[socket.socket]()
        self.whole = threading.Event()
        self.whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.behind)
                self.near.append(near)
                self.far.append(far)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                self.whole.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Drop every packet from now on."""
        self.whole.clear()
        code = ctypes.create_string_buffer(self.DROP_ALL)
        program = struct.pack("HL", 1, ctypes.addressof(code))
        for end in self.near:
            end.setsockopt(socket.SOL_SOCKET, self.ATTACH_FILTER, program)

    def mend(self) -> None:
        """Let packets through again."""
        for end in self.near:
            end.setsockopt(socket.SOL_SOCKET, self.DETACH_FILTER, 0)
        self.whole.set()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.whole.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        for end in [*self.near, *self.far]:
            end.close()


@pytest.mark.skipif(sys.platform != "linux", reason="drops packets with Linux's socket filter")
def test_network_drops_packets(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Wire(server.port) as wire, Team(kit, server, TEMPORAL_ADDRESS=wire.address) as team:
        worker = team.hire()
        load = team.pings()
        pings.wait_for_more(50)
        wire.cut()
        worker.wait_for("Lost the server")
        assert "something drops the packets" in worker.wait_for("TCP")
        time.sleep(18)  # until the SDK has given up the connection and tries for a new one
        wire.mend()
        back = time.time()
        judge(
            load, pings, "packets dropped", f"{pings.first_answer_after(back):.2f} s to an answer"
        )
        worker.wait_for("The server is back")
        assert worker.stderr.count("Lost the server") == 1
        team.let_go()


def _through(front: CloudFront, certificates: Certificates) -> dict[str, str | Path]:
    return {
        "TEMPORAL_ADDRESS": front.address,
        "TEMPORAL_NAMESPACE": NAMESPACE,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": certificates.server_ca_file,
    }


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
    create_namespace(server.address, NAMESPACE)
    pings = Pings(server.address, NAMESPACE)
    key_file = tmp_path / "api-key"
    _replace(key_file, first)

    with CloudFront(
        server.address, certificate=certificates.server(), keys=[first, second]
    ) as front:
        settings = {**_through(front, certificates), "TEMPORAL_API_KEY_FILE": key_file}
        with Team(kit, server, **settings) as team:
            worker = team.hire()
            load = team.pings(10, NAMESPACE)
            pings.wait_for_more(20)

            rotated = _replace(key_file, second)
            wait_until(lambda: second in {call.api_key for call in front.calls}, "the second key")
            to_use = time.monotonic() - rotated
            worker.wait_for("Credentials changed: the new ones are in use")
            front.revoke(first)

            _replace(key_file, wrong)
            worker.wait_for("Changed settings not taken up, the old ones stay in use")
            worker.wait_for("does not accept the API key in TEMPORAL_API_KEY_FILE")
            front.forget_calls()  # only now has all arrived that was on its way at the rotation
            pings.wait_for_more(20)
            assert first not in {call.api_key for call in front.calls}

            front.revoke(second)
            worker.wait_for("Lost the server, trying on")
            front.accept(third)
            _replace(key_file, third)
            back = time.time()
            recovered = pings.first_answer_after(back)
            judge(
                load,
                pings,
                "API key rotated and revoked",
                f"rotation to use {to_use:.1f} s",
                f"new key to first answer {recovered:.1f} s",
            )
            worker.wait_for("The server is back")
            assert worker.stderr.count("Changed settings not taken up") <= 2  # wrong, and revoked
            assert worker.stderr.count("Lost the server") == 1
            assert "sdk_core" not in worker.stderr
            for key in (first, second, wrong, third):
                assert key not in worker.stderr
            team.let_go()


def test_client_certificate_rotated(
    kit: Kit, server: DevServer, certificates: Certificates, tmp_path: Path
) -> None:
    create_namespace(server.address, NAMESPACE)
    pings = Pings(server.address, NAMESPACE)
    old, new = certificates.client("before"), certificates.client("after")
    cert_file, key_file = tmp_path / "tls.crt", tmp_path / "tls.key"
    _replace(cert_file, old.certificate.read_text())
    _replace(key_file, old.key.read_text())

    with CloudFront(
        server.address,
        certificate=certificates.server(),
        client_ca=certificates.client_ca,
        keys=[],
    ) as front:
        settings = {
            **_through(front, certificates),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": cert_file,
            "TEMPORAL_TLS_CLIENT_KEY_PATH": key_file,
        }
        with Team(kit, server, **settings) as team:
            worker = team.hire()
            load = team.pings(10, NAMESPACE)
            pings.wait_for_more(20)

            _replace(cert_file, new.certificate.read_text())  # its key is still to come
            worker.wait_for("do not belong together")
            _replace(key_file, new.key.read_text()[:120])  # half of it
            worker.wait_for("is cut off")
            pings.wait_for_more(10)
            assert {call.client_serial for call in front.calls} == {old.serial}

            rotated = _replace(key_file, new.key.read_text())
            wait_until(
                lambda: new.serial in {call.client_serial for call in front.calls},
                "the new certificate",
            )
            to_use = time.monotonic() - rotated
            worker.wait_for("Credentials changed: the new ones are in use")
            judge(load, pings, "certificate rotated", f"rotation to use {to_use:.1f} s")
            assert worker.stderr.count("Changed settings not taken up") == 2
            assert "Lost the server" not in worker.stderr
            team.let_go()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a disk: needs root")
def test_disk_full(kit: Kit, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
    try:
        with DevServer(db=disk / "temporal.db") as server, Team(kit, server) as team:
            pings = Pings(server.address)
            team.hire()
            load = team.pings()
            pings.wait_for_more(50)
            filler = disk / "filler"
            refused, end = 0, 0.0
            with filler.open("wb", 0) as file:
                while not refused or time.monotonic() < end:
                    try:
                        file.write(b"\0" * 4096)
                    except OSError as error:  # what the server frees meanwhile is filled as well
                        if error.errno != errno.ENOSPC:
                            raise
                        if not refused:
                            answered, end = pings.count(), time.monotonic() + 5
                        refused += 1
                        time.sleep(0.01)
            assert refused > 1
            print(f"{pings.count() - answered} pings answered in 5 s on a full disk")
            filler.unlink()
            back = time.time()
            first = f"{pings.first_answer_after(back):.2f} s to an answer"
            judge(load, pings, "disk full", first)
            team.let_go()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
