"""A stand-in for Temporal Cloud's front door: its locks, before a real development server.

What arrives is judged as Cloud judges it (TLS, client certificate, API key, namespace header) and
then forwarded, byte for byte, to the server behind. Every answer is therefore a real server's,
unless a test has it changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # handshakes that fail are what tests are about

import grpc
import trustme
from cryptography import x509
from temporalio.api.workflowservice import v1 as workflow_messages

from .kit import NAMESPACES, SERVICE, write

NAMESPACE = NAMESPACES[0]
NAMES = (f"{NAMESPACE}.tmprl.cloud", "localhost", "127.0.0.1")
_THREADS = 400  # every long poll holds one for up to a minute, as does every call during a silence

# Read from the messages: the service's own description needs a package that is not installed. The
# operator service is left out, because the SDK sends no header with its calls.
_NEED_NAMESPACE = frozenset(
    f"/{SERVICE}/{name.removesuffix('Request')}"
    for name, message in vars(workflow_messages).items()
    if name.endswith("Request") and "namespace" in message.DESCRIPTOR.fields_by_name
)


@dataclass(frozen=True)
class KeyPair:
    """The PEM files of one certificate."""

    certificate: Path
    key: Path
    combined: Path
    serial: int


class Certificates:
    """Three authorities, the server's, the clients' and one that nobody trusts, and PEM files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server_ca = trustme.CA(organization_name="Test server CA")
        self.client_ca = trustme.CA(organization_name="Test client CA")
        self.untrusted_ca = trustme.CA(organization_name="Test CA that nobody trusts")
        self.server_ca_file = write(folder / "server-ca.pem", self.server_ca.cert_pem.bytes())

    def server(self, *names: str, **how: Any) -> bytes:
        """Key and certificate for these names, or for the usual ones; `how` as `issue_cert`."""
        ca: trustme.CA = how.pop("ca", self.server_ca)
        return ca.issue_cert(*(names or NAMES), **how).private_key_and_cert_chain_pem.bytes()

    def client(self, name: str, **how: Any) -> KeyPair:
        """A client certificate with this common name; the same name again is a rotation."""
        ca: trustme.CA = how.pop("ca", self.client_ca)
        leaf = ca.issue_cert(f"{name}@clients.test", common_name=name, **how)
        certificate = b"".join(part.bytes() for part in leaf.cert_chain_pems)
        return self.pair(name, certificate, leaf.private_key_pem.bytes())

    def pair(self, name: str, certificate: bytes, key: bytes) -> KeyPair:
        """The files of a certificate."""
        return KeyPair(
            write(self.folder / f"{name}.pem", certificate),
            write(self.folder / f"{name}.key", key),
            write(self.folder / f"{name}-combined.pem", certificate + key),
            x509.load_pem_x509_certificate(certificate).serial_number,
        )


@dataclass(frozen=True)
class Call:
    """One call as it reached the front, refused ones included."""

    method: str
    metadata: dict[str, str]
    client_name: str | None
    client_serial: int | None

    @property
    def api_key(self) -> str | None:
        """The bearer token, `None` without one."""
        scheme, _, key = self.metadata.get("authorization", "").partition(" ")
        return key if scheme.lower() == "bearer" else None

    @property
    def namespace(self) -> str | None:
        """The `temporal-namespace` header, `None` without one."""
        return self.metadata.get("temporal-namespace")


class CloudFront(AbstractContextManager["CloudFront"]):
    """Cloud's locks on a loopback port, before the development server at `backend`.

    It shows `certificate`, a PEM with its key, and asks for a client certificate of `client_ca`,
    and for one of the API `keys`: with both, a call may come without a key, but none with a wrong
    one. `namespaces` are those that the `temporal-namespace` header may name. `refuses` are what
    calls begin with that nobody may make; `read_only` lets nobody start a run or poll for one.
    Revoking a key also ends the polls that run under it, as Cloud does.
    """

    def __init__(
        self,
        backend: str,
        *,
        certificate: bytes,
        client_ca: trustme.CA | None = None,
        keys: Iterable[str] | None = None,
        namespaces: Iterable[str] = (NAMESPACE,),
        read_only: bool = False,
        refuses: tuple[str, ...] = (),
    ) -> None:
        clients = client_ca and client_ca.cert_pem.bytes()
        locks = grpc.ssl_server_credentials([(certificate, certificate)], clients, bool(clients))
        self._keys = None if keys is None else set(keys)
        self._namespaces = set(namespaces)
        self.read_only = read_only
        self._refuses = refuses
        self.silent = False  # answers no call more, as a server that is stuck
        self.silences: tuple[str, ...] = ()  # what calls begin with that it does not answer
        self.changes: dict[str, Callable[[bytes], bytes]] = {}  # of answers, by the call's name
        self.calls: list[Call] = []
        self._running: dict[grpc.Future, Call] = {}
        behind = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(backend, behind)
        # Without this option two servers may share a port, and a test would ask the wrong one.
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(futures.ThreadPoolExecutor(_THREADS), options=options)
        self._server.add_generic_rpc_handlers((EveryMethod(self.answer),))
        self.address = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', locks)}"
        self._server.start()

    def accept(self, key: str) -> None:
        self._keys = {key, *(self._keys or ())}

    def revoke(self, key: str) -> None:
        """Accept this API key no more."""
        self._keys = (self._keys or set()) - {key}
        for pending, call in list(self._running.items()):
            if self._refusal(call):
                pending.cancel()

    def stop(self) -> None:
        self._server.stop(None).wait(10)
        self._channel.close()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _refusal(self, call: Call) -> tuple[grpc.StatusCode, str] | None:
        keyless = call.api_key is None and call.client_serial is not None
        if self._keys is not None and not keyless and call.api_key not in self._keys:
            return grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized."
        if call.method not in _NEED_NAMESPACE:
            return None
        if not call.namespace:  # The SDK sends an empty header for an empty name.
            return grpc.StatusCode.INVALID_ARGUMENT, "The temporal-namespace header is missing."
        refuses = (*self._refuses, *(("Start", "Poll", "Respond") if self.read_only else ()))
        refused = call.method.rpartition("/")[2].startswith(refuses)
        if call.namespace not in self._namespaces or refused:
            return grpc.StatusCode.PERMISSION_DENIED, "Request unauthorized."
        return None

    def _judge(self, call: Call, context: Any) -> None:
        """End the call if it may not go on; a caller that has given up keeps no thread."""
        name = call.method.rpartition("/")[2]
        while (self.silent or name.startswith(self.silences)) and context.is_active():
            time.sleep(0.1)
        if refusal := self._refusal(call):
            context.abort(*refusal)

    def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """Judge a call, and have the server behind answer it."""
        call = _arrived(method, context)
        self.calls.append(call)
        self._judge(call, context)
        pending = self._channel.unary_unary(method).future(
            request,
            timeout=context.time_remaining(),
            # What is left out belongs to the one connection; the channel sets its own.
            metadata=[(k, v) for k, v in context.invocation_metadata() if not _of_transport(k)],
        )
        self._running[pending] = call
        # The caller may have gone meanwhile, and a key revoked meanwhile found no call to end.
        if not context.add_callback(pending.cancel) or self._refusal(call) is not None:
            pending.cancel()
        try:
            # Ends by itself: the server behind answers, or the caller's deadline passes.
            code = pending.code()
        finally:
            del self._running[pending]
        self._judge(call, context)
        trailing = pending.trailing_metadata() or ()
        context.set_trailing_metadata([(k, v) for k, v in trailing if not _of_transport(k)])
        if code is not grpc.StatusCode.OK:
            context.abort(code, pending.details())
        answer: bytes = pending.result()
        change = self.changes.get(method.rpartition("/")[2])
        return change(answer) if change else answer


class EveryMethod(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every method of every service, undecoded."""

    def __init__(self, answer: Callable[[str, bytes, Any], bytes]) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        """The handler for a call; gRPC asks for it by this name."""
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, details.method))


def _of_transport(name: str) -> bool:
    # Error details, which the SDK's own error types are made from, are the one exception.
    return name != "grpc-status-details-bin" and (
        name.startswith(("grpc-", ":")) or name in ("user-agent", "te", "content-type", "host")
    )


def _arrived(method: str, context: Any) -> Call:
    peer = context.auth_context()
    names = peer.get("x509_common_name", [])
    pems = peer.get("x509_pem_cert", [])
    return Call(
        method=method,
        metadata={k: v for k, v in context.invocation_metadata() if isinstance(v, str)},
        client_name=names[0].decode() if names else None,
        client_serial=x509.load_pem_x509_certificate(pems[0]).serial_number if pems else None,
    )
