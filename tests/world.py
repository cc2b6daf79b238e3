"""The files and servers, right and wrong, that the configurations in `cases.py` speak of."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import struct
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import trustme
from cloud_front import NAMESPACE, Certificates, CloudFront, KeyPair
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kit import DevServer, free_port

HOST = f"{NAMESPACE}.tmprl.cloud"
NOW = datetime.now(timezone.utc)


def days(number: float) -> datetime:
    """A point in time that many days from now."""
    return NOW + timedelta(days=number)


def jwt(expires: float = 300, account: str = "a1b2c", signature: int = 86) -> str:
    """An API key in the form that Temporal Cloud gives out today, expiring in so many days."""

    def part(content: dict[str, Any]) -> str:
        text = json.dumps(content).encode()
        return base64.urlsafe_b64encode(text).decode().rstrip("=")

    claims = {
        "account_id": account,
        "aud": ["temporal.io"],
        "exp": int(days(expires).timestamp()),
        "iss": "temporal.io",
        "jti": "Zq3Kd8Wm5Xp1Rt7Lv",
        "key_id": "Zq3Kd8Wm5Xp1Rt7Lv",
        "sub": "9f2c61d07be94a5e83",
    }
    tail = "hT5gVr9NcX2bKe7QyPw4LmJz8DfSa1Uo" * 16
    return f"{part({'alg': 'ES256', 'kid': 'wvuts'})}.{part(claims)}.{tail[:signature]}"


class Listener:
    """A TCP server on loopback that treats every connection as told."""

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    treat(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


def stay_silent(peer: socket.socket) -> None:
    """Read whatever comes and never answer."""
    while peer.recv(4096):
        pass


def reset(peer: socket.socket) -> None:
    """End the connection with a TCP reset at the first word, as some firewalls do."""
    peer.recv(1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(text: bytes) -> Callable[[socket.socket], None]:
    """Say these words and hang up once the peer has."""

    def treat(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(text)

    return treat


WEB_PAGE = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
# HTTP/2: SETTINGS, then for stream 1 ":status: 503" (HPACK, literal) and the end of the stream.
BAD_GATEWAY = b"\0\0\0\4\0\0\0\0\0" + b"\0\0\5\1\5\0\0\0\1" + b"\x08\x03503"
# The same, but the stream ends with a page of its own.
BAD_GATEWAY_PAGE = BAD_GATEWAY.replace(b"\1\5\0", b"\1\4\0") + b"\0\0\6\0\1\0\0\0\1<html>"


def proxy_without_backend(peer: socket.socket, answer: bytes = BAD_GATEWAY) -> None:
    """A load balancer that speaks HTTP/2 and has no server behind it."""
    peer.sendall(answer[:9])
    said = b""
    while data := peer.recv(4096):
        said += data
        if b"\x01\4\0\0\0\1" in said:  # the headers of the first call
            peer.sendall(answer[9:])
            said = b""


class _Always(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Has one handler for every method."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def service(self, _: Any) -> Any:
        """Called by gRPC for each call."""
        return self._handler


@dataclass
class World:
    """The files and servers that configurations name, each made when first asked for."""

    folder: Path
    dev: DevServer
    certificates: Certificates
    key: str
    namespace: str = NAMESPACE
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    # --- API keys -------------------------------------------------------------------------------
    good_jwt = jwt()
    expired_jwt = jwt(expires=-3)
    expiring_jwt = jwt(expires=9.5)
    foreign_jwt = jwt(account="z9y8x")
    cut_jwt = jwt()[:120]
    cut_signature_jwt = jwt(signature=51)

    def file(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        """A file with this content."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    @cached_property
    def key_file(self) -> Path:
        return self.file("api-key", self.key + "\n")

    @cached_property
    def open_key_file(self) -> Path:
        return self.file("open-api-key", self.key + "\n", 0o644)

    @cached_property
    def utf16_key_file(self) -> Path:
        return self.file("api-key-utf16", self.key.encode("utf-16"))

    @cached_property
    def json_key_file(self) -> Path:
        return self.file("api-key.json", json.dumps({"token": self.key}))

    @cached_property
    def empty(self) -> Path:
        return self.file("empty.pem", "")

    @cached_property
    def text(self) -> Path:
        return self.file("notes.pem", "the certificate is with Carol\n")

    # --- Certificates ---------------------------------------------------------------------------
    @property
    def server_ca(self) -> Path:
        return self.certificates.server_ca_file

    @cached_property
    def client(self) -> KeyPair:
        return self.certificates.client("payments-worker")

    @cached_property
    def renewed(self) -> KeyPair:
        return self.certificates.client("payments-worker-renewed")

    @cached_property
    def expired(self) -> KeyPair:
        return self.certificates.expired()

    @cached_property
    def expiring(self) -> KeyPair:
        return self.certificates.expiring()

    @cached_property
    def not_yet_valid(self) -> KeyPair:
        return self.certificates.not_yet_valid()

    @cached_property
    def untrusted(self) -> KeyPair:
        return self.certificates.untrusted()

    @cached_property
    def encrypted(self) -> KeyPair:
        return self.certificates.encrypted()

    @cached_property
    def rsa(self) -> KeyPair:
        return self.certificates.rsa()

    def _key_as(self, name: str, encryption: Any, form: PrivateFormat) -> Path:
        key = load_pem_private_key(self.rsa.key.read_bytes(), None)
        return self.file(name, key.private_bytes(Encoding.PEM, form, encryption))

    @cached_property
    def old_encrypted_key(self) -> Path:
        return self._key_as(
            "old-encrypted.key", BestAvailableEncryption(b"open"), PrivateFormat.TraditionalOpenSSL
        )

    @cached_property
    def openssh_key(self) -> Path:
        return self._key_as("id_rsa", NoEncryption(), PrivateFormat.OpenSSH)

    @cached_property
    def pkcs8_key(self) -> Path:
        return self._key_as("pkcs8.key", NoEncryption(), PrivateFormat.PKCS8)

    @cached_property
    def public_key(self) -> Path:
        public = load_pem_private_key(self.client.key.read_bytes(), None).public_key()
        return self.file(
            "client.pub", public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )

    @cached_property
    def request(self) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateSigningRequestBuilder().subject_name(_name("payments"))
        return self.file(
            "client.csr", builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        )

    @cached_property
    def der(self) -> Path:
        certificate = x509.load_pem_x509_certificate(self.client.certificate.read_bytes())
        return self.file("client.der", certificate.public_bytes(Encoding.DER))

    @cached_property
    def p12(self) -> Path:
        key = load_pem_private_key(self.client.key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(self.client.certificate.read_bytes())
        return self.file(
            "client.p12",
            pkcs12.serialize_key_and_certificates(
                b"client",
                key,  # type: ignore[arg-type]
                certificate,
                None,
                NoEncryption(),
            ),
        )

    @cached_property
    def certificate_pem(self) -> str:
        return self.client.certificate.read_text()

    @cached_property
    def private_pem(self) -> str:
        return self.client.key.read_text()

    @cached_property
    def cut_certificate(self) -> Path:
        return self.file("cut.pem", self.client.certificate.read_bytes()[:300])

    @cached_property
    def damaged_certificate(self) -> Path:
        lines = self.client.certificate.read_text().splitlines()
        return self.file("damaged.pem", "\n".join([*lines[:3], *lines[5:]]))

    @cached_property
    def utf16_certificate(self) -> Path:
        return self.file("client-utf16.pem", self.client.certificate.read_text().encode("utf-16"))

    @cached_property
    def one_line_certificate(self) -> str:
        return self.client.certificate.read_text().replace("\n", "\\n")

    @cached_property
    def one_line_key(self) -> str:
        return self.private_pem.replace("\n", "\\n")

    @cached_property
    def server_ca_pem(self) -> str:
        return self.server_ca.read_text()

    @cached_property
    def base64_certificate(self) -> str:
        return base64.b64encode(self.client.certificate.read_bytes()).decode()

    @cached_property
    def crlf_certificate(self) -> Path:
        return self.file("crlf.pem", self.client.certificate.read_bytes().replace(b"\n", b"\r\n"))

    @cached_property
    def upside_down(self) -> Path:
        ca = self.certificates.client_ca.cert_pem.bytes()
        return self.file("upside-down.pem", ca + self.client.certificate.read_bytes())

    @cached_property
    def chain(self) -> Path:
        ca = self.certificates.client_ca.cert_pem.bytes()
        return self.file("chain.pem", self.client.certificate.read_bytes() + ca)

    @cached_property
    def own_ca(self) -> KeyPair:
        """The CA that was uploaded to the namespace, with its key: not what a client shows."""
        ca = self.certificates.client_ca
        certificate = self.file("own-ca.pem", ca.cert_pem.bytes())
        key = self.file("own-ca.key", ca.private_key_pem.bytes())
        return KeyPair(certificate, key, certificate, 0)

    @cached_property
    def small(self) -> KeyPair:
        key = rsa.generate_private_key(65537, 1024)
        certificate = self.file("small.pem", _self_signed("small", key, ca=False))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return KeyPair(certificate, self.file("small.key", pem), certificate, 0)

    @cached_property
    def open_key(self) -> Path:
        return self.file("open.key", self.client.key.read_bytes(), 0o644)

    @cached_property
    def open_combined(self) -> Path:
        return self.file("open-combined.pem", self.client.combined.read_bytes(), 0o644)

    @cached_property
    def expired_ca(self) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        return self.file("expired-ca.pem", _self_signed("Old CA", key, ca=True, end=days(-2)))

    @cached_property
    def damaged_ca(self) -> Path:
        lines = self.server_ca.read_text().splitlines()
        return self.file("damaged-ca.pem", "\n".join([*lines[:3], *lines[5:]]))

    @cached_property
    def bundle(self) -> Path:
        other = self.certificates.untrusted_ca.cert_pem.bytes()
        return self.file("bundle.pem", b"# our CAs\n" + other + self.server_ca.read_bytes())

    @cached_property
    def for_servers(self) -> KeyPair:
        """A certificate of the clients' CA that was made for servers."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._made_for(usage, "for-servers", self.certificates.client_ca)

    def _made_for(self, usage: x509.ObjectIdentifier, name: str, ca: trustme.CA) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes()).subject
        signer: Any = load_pem_private_key(ca.private_key_pem.bytes(), None)
        certificate = (
            x509.CertificateBuilder(issuer, _name(name), key.public_key(), 4711)
            .not_valid_before(days(-1))
            .not_valid_after(days(99))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
            .sign(signer, hashes.SHA256())
        )
        file = self.file(f"{name}.pem", certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return KeyPair(file, self.file(f"{name}.key", pem), file, 4711)

    @cached_property
    def marked_certificate(self) -> Path:
        """Begins with a byte-order mark, as some Windows editors write."""
        return self.file("marked.pem", b"\xef\xbb\xbf" + self.client.certificate.read_bytes())

    @cached_property
    def marked_key_file(self) -> Path:
        return self.file("marked-api-key", b"\xef\xbb\xbf" + self.key.encode())

    @cached_property
    def indented_certificate(self) -> Path:
        return self.file("indented.pem", textwrap.indent(self.certificate_pem, "    "))

    @cached_property
    def noted_certificate(self) -> Path:
        """With a line above that is not ASCII, as `openssl pkcs12` writes a friendly name."""
        return self.file("noted.pem", f"friendlyName: J\u00fcrgen\n{self.certificate_pem}")

    @cached_property
    def noted_ca(self) -> Path:
        return self.file("noted-ca.pem", b"# f\xfcr alle\n" + self.server_ca.read_bytes())

    @cached_property
    def base64_key(self) -> str:
        return base64.b64encode(self.good_jwt.encode()).decode()

    @cached_property
    def missing(self) -> Path:
        return self.folder / "missing.pem"

    @cached_property
    def relative(self) -> str:
        return "certs/client.pem"

    # --- TOML -----------------------------------------------------------------------------------
    def _toml(self, name: str, text: str) -> Path:
        return self.file(name, text.format(w=self))

    @cached_property
    def broken_toml(self) -> Path:
        return self._toml("broken.toml", '[profile.default]\napi_key = "{w.key}" x\n')

    @cached_property
    def typed_toml(self) -> Path:
        text = '[profile.default]\naddress = "h:1"\n[profile.default.tls]\ndisabled = "{w.key}"\n'
        return self._toml("typed.toml", text)

    @cached_property
    def yaml_toml(self) -> Path:
        return self._toml("temporal.yaml", "profile:\n  default:\n    address: {w.dev.address}\n")

    @cached_property
    def misspelt_toml(self) -> Path:
        return self._toml("misspelt.toml", '[profile.default]\nadress = "{w.dev.address}"\n')

    @cached_property
    def both_toml(self) -> Path:
        text = '[profile.default.tls]\nclient_cert_path = "/c"\nclient_cert_data = "d"\n'
        return self._toml("both.toml", text)

    @cached_property
    def lost_toml(self) -> Path:
        text = """
            [profile.default]
            address = "127.0.0.1:7233"
            [profile.default.tls]
            client_cert_path = "{w.missing}"
            client_key_path = "{w.client.key}"
        """
        return self._toml("lost.toml", text)

    @cached_property
    def cloud_toml(self) -> Path:
        text = """
            [profile.default]
            address = "{w.cloud}"
            namespace = "payments.a1b2c"
            api_key = "{w.key}"
            [profile.default.tls]
            server_name = "payments.a1b2c.tmprl.cloud"
            server_ca_cert_path = "{w.server_ca}"
            [profile.bare]
            address = "payments.a1b2c.tmprl.cloud:7233"
            api_key = "{w.key}"
        """
        return self._toml("cloud.toml", text)

    # --- Servers that are right -----------------------------------------------------------------
    def _front(self, **how: Any) -> CloudFront:
        how = {
            "certificate": self.certificates.server(),
            "keys": [self.key, self.good_jwt],
            "namespaces": [NAMESPACE, "default"],
            **how,
        }
        return self.closing.enter_context(CloudFront(self.dev.address, **how))

    @cached_property
    def cloud(self) -> str:
        """Cloud, for API keys."""
        return self._front().address

    @cached_property
    def mtls_cloud(self) -> str:
        """Cloud, for client certificates."""
        return self._front(client_ca=self.certificates.client_ca, keys=[]).address

    @cached_property
    def own_tls(self) -> str:
        """An own server with TLS, which asks for no credential."""
        return self._front(keys=None).address

    @cached_property
    def private_link(self) -> str:
        """Cloud through a private link: its certificate is for the namespace endpoint alone."""
        return self._front(certificate=self.certificates.server(HOST)).address

    @cached_property
    def regional(self) -> str:
        """A regional endpoint through a private link."""
        names = ("*.aws.api.temporal.io", "us-east-1.aws.api.temporal.io")
        return self._front(certificate=self.certificates.server(*names)).address

    # --- Servers that are not -------------------------------------------------------------------
    @cached_property
    def revoked(self) -> str:
        return self._front(keys=[]).address

    @cached_property
    def refusing(self) -> str:
        return self._front(namespaces=[]).address

    @cached_property
    def read_only(self) -> str:
        return self._front(read_only=True).address

    @cached_property
    def forgotten(self) -> str:
        """Lets a namespace through that the server behind does not know."""
        return self._front(namespaces=["invoices.a1b2c"]).address

    @cached_property
    def silenced(self) -> str:
        front = self._front()
        front.silence()
        return front.address

    @cached_property
    def expired_server(self) -> str:
        return self._front(certificate=self.certificates.server(not_after=days(-1))).address

    @cached_property
    def early_server(self) -> str:
        return self._front(certificate=self.certificates.server(not_before=days(1))).address

    @cached_property
    def other_name(self) -> str:
        return self._front(certificate=self.certificates.server("temporal.internal")).address

    @cached_property
    def nameless_server(self) -> str:
        return self._tls(stay_silent, *self._own_signed(ca=False)).address

    @cached_property
    def ca_as_server(self) -> str:
        """A server that shows the CA's own certificate, which is also the CA that is set."""
        certificate, key = self._own_signed(ca=True)
        shown = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        return self._front(certificate=_Shown(shown), keys=None).address

    @cached_property
    def nameless_server_file(self) -> Path:
        return self._own_signed(ca=False)[0]

    @cached_property
    def ca_as_server_file(self) -> Path:
        return self._own_signed(ca=True)[0]

    @cached_property
    def self_signed(self) -> str:
        certificate, key = self._own_signed(ca=False, names=["localhost"])
        shown = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        return self._front(certificate=_Shown(shown), keys=None).address

    @cached_property
    def self_signed_file(self) -> Path:
        return self._own_signed(ca=False, names=["localhost"])[0]

    def _own_signed(self, *, ca: bool, names: list[str] | None = None) -> tuple[Path, Path]:
        names = ["localhost", HOST] if ca else names or []
        name = f"server-itself-{ca}-{len(names)}"
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        if not certificate.exists():
            made = ec.generate_private_key(ec.SECP256R1())
            self.file(certificate.name, _self_signed("127.0.0.1", made, ca=ca, names=names))
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            self.file(key.name, pem)
        return certificate, key

    def _listen(self, treat: Callable[[socket.socket], None]) -> Listener:
        listener = Listener(treat)
        self.closing.callback(listener.close)
        return listener

    def _tls(  # noqa: PLR0917
        self,
        then: Callable[[socket.socket], None],
        certificate: Path | None = None,
        key: Path | None = None,
        client_ca: trustme.CA | None = None,
        version: ssl.TLSVersion | None = None,
        alpn: str = "h2",
        on_name: Callable[..., int] | None = None,
    ) -> Listener:
        """A TLS server that treats every connection as told once hands are shaken."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols([alpn])
        context.sni_callback = on_name
        if version == ssl.TLSVersion.TLSv1_1:
            context.set_ciphers("ALL:@SECLEVEL=0")
        if version:
            with warnings.catch_warnings():  # that it is old is the point
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
        if certificate and key:
            context.load_cert_chain(certificate, key)
        else:
            self.certificates.server().configure_cert(context)
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            client_ca.configure_trust(context)

        def treat(peer: socket.socket) -> None:
            with context.wrap_socket(peer, server_side=True) as secure:
                then(secure)

        return self._listen(treat)

    @cached_property
    def wants_certificate_12(self) -> str:
        return self._tls(
            stay_silent, client_ca=self.certificates.client_ca, version=ssl.TLSVersion.TLSv1_2
        ).address

    @cached_property
    def wants_certificate_13(self) -> str:
        return self._tls(
            stay_silent, client_ca=self.certificates.client_ca, version=ssl.TLSVersion.TLSv1_3
        ).address

    @cached_property
    def old_tls(self) -> str:
        return self._tls(stay_silent, version=ssl.TLSVersion.TLSv1_1).address

    @cached_property
    def knows_no_name(self) -> str:
        def refuse(*_: object) -> int:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        return self._tls(stay_silent, on_name=refuse).address

    @cached_property
    def guarded(self) -> str:
        """An own server with TLS that lets nobody in without a credential."""
        return self._front(keys=None, namespaces=[]).address

    @cached_property
    def tls_silent(self) -> str:
        return self._tls(stay_silent).address

    @cached_property
    def tls_web(self) -> str:
        return self._tls(answer(WEB_PAGE), alpn="http/1.1").address

    @cached_property
    def tls_proxy(self) -> str:
        return self._tls(proxy_without_backend).address

    @cached_property
    def silent(self) -> str:
        return self._listen(stay_silent).address

    @cached_property
    def closing_server(self) -> str:
        return self._listen(lambda _: None).address

    @cached_property
    def closing_after_hello(self) -> str:
        return self._listen(answer(b"")).address

    @cached_property
    def resetting(self) -> str:
        return self._listen(reset).address

    @cached_property
    def web(self) -> str:
        class Quiet(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.closing.callback(server.server_close)
        self.closing.callback(server.shutdown)
        return f"127.0.0.1:{server.server_port}"

    @cached_property
    def ssh(self) -> str:
        def greet(peer: socket.socket) -> None:
            peer.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            stay_silent(peer)

        return self._listen(greet).address

    @cached_property
    def proxy(self) -> str:
        return self._listen(proxy_without_backend).address

    @cached_property
    def proxy_with_page(self) -> str:
        """A load balancer whose answer is a web page."""
        return self._listen(partial(proxy_without_backend, answer=BAD_GATEWAY_PAGE)).address

    @cached_property
    def made_for_clients(self) -> str:
        """A server with a certificate that was made for clients."""
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        pair = self._made_for(usage, "for-clients", self.certificates.server_ca)
        return self._tls(stay_silent, pair.certificate, pair.key).address

    @cached_property
    def tls_closing(self) -> str:
        """Ends every connection once hands are shaken, as a balancer with nothing behind it."""
        return self._tls(lambda _: None).address

    @cached_property
    def tls_smtp(self) -> str:
        return self._tls(answer(b"220 mail.example.com ESMTP\r\n")).address

    @cached_property
    def busy(self) -> str:
        """A server that turns every call down for now."""

        def turn_down(_: Any, context: Any) -> None:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "namespace rate limit exceeded")

        handler = grpc.unary_unary_rpc_method_handler(turn_down)
        return self._grpc([_Always(handler)])

    @cached_property
    def other_grpc(self) -> str:
        """A gRPC server of something else."""
        return self._grpc([])

    def _grpc(self, handlers: list[Any]) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(4), handlers=handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.closing.callback(lambda: server.stop(None).wait(5))
        return f"127.0.0.1:{port}"

    @cached_property
    def full(self) -> str:
        """A listener whose queue is full: packets of new connections are dropped, as by a wall."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        self.closing.callback(listener.close)
        address = listener.getsockname()
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            self.closing.callback(one.close)
        time.sleep(0.1)  # the connections complete in the kernel
        return f"127.0.0.1:{address[1]}"

    @cached_property
    def nothing(self) -> str:
        return f"127.0.0.1:{free_port()}"

    def secrets(self) -> set[str]:
        """Every secret that there is by now: API keys, and the lines of private keys' PEM."""
        keys = [value for name, value in vars(World).items() if name.endswith("_jwt")]
        found = {self.key, *keys}
        for folder in (self.folder, self.certificates.folder):
            for path in folder.iterdir():
                text = path.read_bytes().decode(errors="replace")
                for block in text.split("-----BEGIN ")[1:]:
                    if "PRIVATE KEY-----" in block.partition("\n")[0]:
                        found.update(block.partition("-----END")[0].splitlines()[1:])
        return {secret for secret in found if len(secret) > 20}


class _Shown:
    """A CA's own certificate, in the place of one that it has signed."""

    def __init__(self, ca: trustme.CA) -> None:
        self.private_key_pem = ca.private_key_pem
        self.cert_chain_pems = [ca.cert_pem]


def leaks(world: World, *outputs: str) -> set[str]:
    """The pieces of secrets, from twelve characters, that are in these outputs, in any case."""

    def pieces(text: str) -> set[str]:
        text = text.lower()
        return {text[at : at + 12] for at in range(len(text) - 11)}

    secret = set().union(*(pieces(one) for one in world.secrets()))
    return secret & set().union(*(pieces(output) for output in outputs))


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _self_signed(
    common: str, key: Any, *, ca: bool, end: datetime | None = None, names: list[str] | None = None
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .issuer_name(_name(common))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(days(-30))
        .not_valid_after(end or days(300))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if names:
        alternatives = [x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
