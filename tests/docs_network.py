"""A network of one machine: loopback, names of the test's own choosing, and nothing else.

    python tests/docs_network.py COMMAND...

runs a command there. The guides' commands use the fixed ports and host names that their readers
will see; in a network of their own these are always free, and no packet can leave the machine.
Linux only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

MARK = "LOOPBACK_ONLY"  # in the environment of all that runs in such a network
NAMES = "/etc/nsswitch.conf"  # says how names are looked up
FILES_ONLY, DNS_TOO = "hosts: files\n", "hosts: files dns\n"
NO_SERVER = "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n"  # nothing listens there
HOSTS = """\
127.0.0.1 localhost
127.0.0.1 payments.a1b2c.tmprl.cloud us-east-1.aws.api.temporal.io temporal.example.com
"""
_MS_BIND = 4096
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def inside(*command: str) -> list[str]:
    """The command that runs this command in a network of its own."""
    unshare = ["unshare", "--map-root-user", "--net", "--mount"]
    return [*unshare, sys.executable, str(Path(__file__).resolve()), *command]


def joining(pid: int, folder: Path, *command: str) -> list[str]:
    """The command that runs this command, in this folder, in the network of a process."""
    join = ["nsenter", "--preserve-credentials", "--user", "--net", "--mount", f"--target={pid}"]
    return [*join, f"--wd={folder}", "--", *command]


def why_not() -> str:
    """Why this machine gives no network of its own; empty if it does."""
    try:
        done = subprocess.run(inside("true"), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return f"no {error.filename} here"
    return done.stderr.strip() if done.returncode else ""


def here() -> bool:
    """Whether this process runs in such a network."""
    return MARK in os.environ and [name for _, name in socket.if_nameindex()] == ["lo"]


def look_up_names(how: str) -> None:
    """Change how names are looked up in this network."""
    if not here():
        raise RuntimeError("not in a network of its own")
    Path(NAMES).write_text(how)


def _cover(path: str, text: str) -> None:
    """Put another text in place of a file of the system's, for the processes in this network."""
    mount = ctypes.CDLL(None, use_errno=True).mount
    with tempfile.NamedTemporaryFile("w") as file:  # mounted, it stays when its name is gone
        file.write(text)
        file.flush()
        if mount(file.name.encode(), path.encode(), None, _MS_BIND, None):
            raise OSError(ctypes.get_errno(), f"cannot mount over {path}")


def main() -> None:
    """Set the network up, then become the command."""
    with socket.socket() as any_socket:
        up = struct.pack("16sh14x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, up)
    os.environ[MARK] = "1"
    if not here():
        raise SystemExit("run it as inside() does")
    _cover("/etc/hosts", HOSTS)
    _cover("/etc/resolv.conf", NO_SERVER)
    _cover(NAMES, FILES_ONLY)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
