"""A stand-in for Temporal Cloud's front door: its locks, before a real development server.

What arrives is judged as Cloud judges it (TLS, client certificate, API key, namespace header) and
then forwarded, byte for byte, to the server behind. Every answer is therefore a real server's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # handshakes that fail are what tests are about

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from kit import NAMESPACES, free_port
from temporalio.api.workflowservice import v1 as workflow_messages

NAMESPACE = NAMESPACES[0]
NAMES = (f"{NAMESPACE}.tmprl.cloud", "localhost", "127.0.0.1")
_THREADS = 400  # every long poll holds one for up to a minute, as does every call during a silence

# Read from the messages: the service's own description needs a package that is not installed. The
# operator service is left out, because the SDK sends no header with its calls.
_NEED_NAMESPACE = frozenset(
    f"/temporal.api.workflowservice.v1.WorkflowService/{name.removesuffix('Request')}"
    for name, message in vars(workflow_messages).items()
    if name.endswith("Request") and "namespace" in message.DESCRIPTOR.fields_by_name
)


@dataclass(frozen=True)
class KeyPair:
    """The PEM files of one client certificate."""

    certificate: Path
    key: Path
    combined: Path
    serial: int


class Certificates:
    """Three authorities, the server's, the clients' and one that nobody trusts, and PEM files."""

    def __init__(self, folder: Path) -> None:
        """Make the authorities; their files, and those of all certificates, go to `folder`."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.server_ca = trustme.CA(organization_name="Test server CA")
        self.client_ca = trustme.CA(organization_name="Test client CA")
        self.untrusted_ca = trustme.CA(organization_name="Test CA that nobody trusts")
        self.server_ca_file = folder / "server-ca.pem"
        self.server_ca.cert_pem.write_to_path(str(self.server_ca_file))

    def server(self, *names: str, **how: Any) -> trustme.LeafCert:
        """A server certificate for these names, or for the usual ones where none is given.

        Options: `ca`, and what `trustme.CA.issue_cert` takes, such as `not_after`.
        """
        ca: trustme.CA = how.pop("ca", self.server_ca)
        return ca.issue_cert(*(names or NAMES), **how)

    def client(
        self, name: str = "client", *, passphrase: bytes | None = None, **how: Any
    ) -> KeyPair:
        """A client certificate with this common name, in files called after it.

        The same name again gives a new certificate in the same files: a rotation.
        """
        ca: trustme.CA = how.pop("ca", self.client_ca)
        leaf = ca.issue_cert(f"{name}@clients.test", common_name=name, **how)
        certificate = b"".join(part.bytes() for part in leaf.cert_chain_pems)
        key = leaf.private_key_pem.bytes()
        if passphrase is not None:
            key = load_pem_private_key(key, None).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
            )
        pair = KeyPair(
            certificate=self.folder / f"{name}.pem",
            key=self.folder / f"{name}.key",
            combined=self.folder / f"{name}-combined.pem",
            serial=x509.load_pem_x509_certificate(certificate).serial_number,
        )
        for file, content in (
            (pair.certificate, certificate),
            (pair.key, key),
            (pair.combined, certificate + key),
        ):
            file.write_bytes(content)
            file.chmod(0o600)
        return pair


@dataclass(frozen=True)
class Call:
    """One call as it reached the front, refused ones included."""

    method: str
    metadata: dict[str, str]
    tls: bool
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


class CloudFront:
    """Cloud's locks on a loopback port, before the development server at `backend`.

    - `certificate`: the server's own, see `Certificates.server`.
    - `client_ca`: a client certificate of this authority is required; `None` asks for none.
    - `keys`: API keys that are accepted; `None` asks for none. With `client_ca` a call may
      come without a key, but one that it brings must be an accepted one.
    - `namespaces`: those that the `temporal-namespace` header may name.
    - `read_only`: runs may be looked at, and neither started nor polled for.

    Revoking a key also ends the polls that run under it, at once and with the status that a new
    call would get. All methods may be called from any thread.
    """

    def __init__(
        self,
        backend: str,
        *,
        certificate: trustme.LeafCert,
        client_ca: trustme.CA | None = None,
        keys: Iterable[str] | None = None,
        namespaces: Iterable[str] = (NAMESPACE,),
        read_only: bool = False,
    ) -> None:
        """Start the front."""
        self.address = f"127.0.0.1:{free_port()}"
        self._backend = backend
        key = certificate.private_key_pem.bytes()
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        clients = client_ca and client_ca.cert_pem.bytes()
        self._locks = grpc.ssl_server_credentials([(key, chain)], clients, bool(clients))
        self._keys = None if keys is None else set(keys)
        self._namespaces = set(namespaces)
        self._read_only = read_only
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._running: dict[grpc.Future, Call] = {}
        self._answering = threading.Event()
        self._answering.set()
        self._server: Any = None
        self._channel: Any = None
        self.start()

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def forget_calls(self) -> None:
        with self._lock:
            self._calls.clear()

    def accept(self, key: str) -> None:
        with self._lock:
            self._keys = {key, *(self._keys or ())}

    def revoke(self, key: str) -> None:
        """Accept this API key no more."""
        with self._lock:
            self._keys = (self._keys or set()) - {key}
            running = list(self._running.items())
        for pending, call in running:
            if self._refusal(call) is not None:
                pending.cancel()

    def silence(self) -> None:
        """Answer nothing more, neither new calls nor running ones; connections stay open.

        HTTP/2 keep-alive is still answered: this is a stuck server, not a dead network.
        """
        self._answering.clear()

    def resume(self) -> None:
        self._answering.set()

    def start(self) -> None:
        """Listen, after a `stop` on the same port again."""
        # Without this option two servers may share a port, and a test would ask the wrong one.
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
        # The old sockets of a server that was just stopped are closed in the background.
        end = time.monotonic() + 10
        while True:
            server = grpc.server(futures.ThreadPoolExecutor(_THREADS), options=options)
            server.add_generic_rpc_handlers((_Everything(self),))
            try:
                server.add_secure_port(self.address, self._locks)
                break
            except RuntimeError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)
        behind = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(self._backend, behind)
        self._server = server
        server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait(10)
            self._channel.close()
            self._server = None

    def __enter__(self) -> CloudFront:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _refusal(self, call: Call) -> tuple[grpc.StatusCode, str] | None:
        with self._lock:
            keyless = call.api_key is None and call.client_serial is not None
            if self._keys is not None and not keyless and call.api_key not in self._keys:
                return grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized."
            if call.method not in _NEED_NAMESPACE:
                return None
            if not call.namespace:  # The SDK sends an empty header for an empty name.
                return grpc.StatusCode.INVALID_ARGUMENT, "The temporal-namespace header is missing."
            writes = call.method.rpartition("/")[2].startswith(("Start", "Poll", "Respond"))
            if call.namespace not in self._namespaces or (writes and self._read_only):
                return grpc.StatusCode.PERMISSION_DENIED, "Request unauthorized."
            return None

    def _wait_until_answering(self, context: Any) -> None:
        # A caller that has given up must not keep its thread.
        while not self._answering.wait(0.1) and context.is_active():
            pass

    def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """Judge a call, and have the server behind answer it."""
        call = _arrived(method, context)
        with self._lock:
            self._calls.append(call)
        self._wait_until_answering(context)
        self._refuse_if_wrong(call, context)
        pending = self._channel.unary_unary(method).future(
            request,
            timeout=context.time_remaining(),
            # What is left out belongs to the one connection; the channel sets its own.
            metadata=[(k, v) for k, v in context.invocation_metadata() if not _of_transport(k)],
        )
        with self._lock:
            self._running[pending] = call
        # The caller may have gone meanwhile, and a key revoked meanwhile found no call to end.
        if not context.add_callback(pending.cancel) or self._refusal(call) is not None:
            pending.cancel()
        try:
            # Ends by itself: the server behind answers, or the caller's deadline passes.
            code = pending.code()
        finally:
            with self._lock:
                del self._running[pending]
        self._wait_until_answering(context)
        self._refuse_if_wrong(call, context)
        trailing = pending.trailing_metadata() or ()
        context.set_trailing_metadata([(k, v) for k, v in trailing if not _of_transport(k)])
        if code is not grpc.StatusCode.OK:
            context.abort(code, pending.details())
        answer: bytes = pending.result()
        return answer

    def _refuse_if_wrong(self, call: Call, context: Any) -> None:
        refusal = self._refusal(call)
        if refusal is not None:
            context.abort(*refusal)


@dataclass
class _Everything:
    """Sends every method of every service to one front, undecoded."""

    front: CloudFront

    def service(self, details: Any) -> Any:
        """The handler for a call, whatever its method; gRPC asks for it by this name."""
        method: str = details.method
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.front.answer(method, request, context)
        )


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
        tls=peer.get("transport_security_type") == [b"ssl"],
        client_name=names[0].decode() if names else None,
        client_serial=x509.load_pem_x509_certificate(pems[0]).serial_number if pems else None,
    )
