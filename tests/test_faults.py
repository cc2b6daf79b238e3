"""Break what can break while pings are in flight; afterwards every one has its answer.

Run with `-m slow -rP` to see the numbers. Longer, and at random: `python tests/soak.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
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
from exit_codes import expect_nothing_left
from kit import DevServer, Kit, RunningScript
from pings import Load, Pings, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WORKER = "workers/worker.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DevServer]:
    """A development server of the test's own, with its data on disk."""
    with DevServer(db=tmp_path / "temporal.db") as one:
        yield one


class Team:
    """Workers that come and go."""

    def __init__(self, kit: Kit, server: DevServer, **settings: str | Path) -> None:
        self.kit, self.server, self.settings = kit, server, settings
        self.workers: list[RunningScript] = []
        self.stack = contextlib.ExitStack()

    def hire(self) -> RunningScript:
        """Start a worker and wait until it polls."""
        settings = {"TEMPORAL_ADDRESS": self.server.address, **self.settings}
        worker = self.stack.enter_context(self.kit.start(WORKER, cwd=None, **settings))
        worker.wait_for("Worker running")
        self.workers.append(worker)
        return worker

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

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()


def test_workers_killed_and_stopped_in_the_middle(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Team(kit, server) as team, Load(server.address) as load:
        team.hire()
        for number in (signal.SIGKILL, signal.SIGTERM) * 2:
            team.hire()
            load.wait_for_more(20)
            leaving = team.alive()[0]
            leaving.signal(number)
            leaving.wait()
        pings.judge(load)
        team.let_go()


def test_server_frozen_killed_and_started_again(kit: Kit, server: DevServer) -> None:
    pings = Pings(server.address)
    with Team(kit, server) as team, Load(server.address) as load:
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
        pings.judge(load)
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
    with (
        Wire(server.port) as wire,
        Team(kit, server, TEMPORAL_ADDRESS=wire.address) as team,
        Load(server.address) as load,
    ):
        worker = team.hire()
        load.wait_for_more(20)
        wire.cut()
        worker.wait_for("Lost the server")
        time.sleep(18)  # until the SDK has given up the connection and tries for a new one
        wire.mend()
        print(f"mended to 20 answers: {load.wait_for_more():.2f} s")
        pings.judge(load)
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
    pings = Pings(server.address, NAMESPACE)
    key_file = tmp_path / "api-key"
    _replace(key_file, first)

    with CloudFront(
        server.address, certificate=certificates.server(), keys=[first, second]
    ) as front:
        settings = {**_through(front, certificates), "TEMPORAL_API_KEY_FILE": key_file}
        with Team(kit, server, **settings) as team, Load(server.address, 10, NAMESPACE) as load:
            worker = team.hire()
            load.wait_for_more(20)

            rotated = _replace(key_file, second)
            wait_until(lambda: second in {call.api_key for call in front.calls}, "the second key")
            print(f"rotation to use: {time.monotonic() - rotated:.1f} s")
            worker.wait_for("Credentials changed: the new ones are in use")
            front.revoke(first)

            _replace(key_file, wrong)
            worker.wait_for("Changed settings not taken up, the old ones stay in use")
            front.forget_calls()  # only now has all arrived that was on its way at the rotation
            load.wait_for_more(20)
            assert first not in {call.api_key for call in front.calls}

            front.revoke(second)
            worker.wait_for("Lost the server, trying on")
            front.accept(third)
            _replace(key_file, third)
            print(f"new key to 20 answers: {load.wait_for_more():.2f} s")
            pings.judge(load, 60)
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
    pings = Pings(server.address, NAMESPACE)
    old, new = certificates.client("before"), certificates.client("after")
    cert_file, key_file = tmp_path / "tls.crt", tmp_path / "tls.key"
    _replace(cert_file, old.certificate.read_text())
    _replace(key_file, old.key.read_text())

    with CloudFront(
        server.address, certificate=certificates.server(), client_ca=certificates.client_ca, keys=[]
    ) as front:
        settings = {
            **_through(front, certificates),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": cert_file,
            "TEMPORAL_TLS_CLIENT_KEY_PATH": key_file,
        }
        with Team(kit, server, **settings) as team, Load(server.address, 10, NAMESPACE) as load:
            worker = team.hire()
            load.wait_for_more(20)

            _replace(cert_file, new.certificate.read_text())  # its key is still to come
            worker.wait_for("Changed settings not taken up, the old ones stay in use")
            _replace(key_file, new.key.read_text()[:120])  # half of it
            worker.wait_for("Changed settings not taken up, the old ones stay in use", count=2)
            load.wait_for_more(10)
            assert {call.client_serial for call in front.calls} == {old.serial}

            rotated = _replace(key_file, new.key.read_text())
            serials = "the new certificate"
            wait_until(lambda: new.serial in {call.client_serial for call in front.calls}, serials)
            print(f"rotation to use: {time.monotonic() - rotated:.1f} s")
            worker.wait_for("Credentials changed: the new ones are in use")
            pings.judge(load, 60)
            assert worker.stderr.count("Changed settings not taken up") == 2
            assert "Lost the server" not in worker.stderr
            team.let_go()


def _fill(file: Path, seconds: float) -> None:
    """Fill a disk, and what the server frees meanwhile as well."""
    end = 0.0
    with file.open("wb", 0) as filler:
        while not end or time.monotonic() < end:
            try:
                filler.write(b"\0" * 4096)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                end = end or time.monotonic() + seconds
                time.sleep(0.01)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts a disk: needs root")
def test_disk_full(kit: Kit, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=True)
    try:
        with (
            DevServer(db=disk / "temporal.db") as server,
            Team(kit, server) as team,
            Load(server.address) as load,
        ):
            pings = Pings(server.address)
            team.hire()
            load.wait_for_more(20)
            _fill(disk / "filler", 4)
            (disk / "filler").unlink()
            print(f"emptied to 20 answers: {load.wait_for_more():.2f} s")
            pings.judge(load)
            team.let_go()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
