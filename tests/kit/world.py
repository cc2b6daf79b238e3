"""The files and servers, right and wrong, that the configurations in `cases.txt` speak of."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import ssl
import struct
import textwrap
import time
import warnings
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .cloud_front import NAMESPACE, Certificates, CloudFront, EveryMethod, KeyPair
from .kit import DevServer, free_port, write
from .tcp import Listener, Proxy

HOST = f"{NAMESPACE}.tmprl.cloud"
NOW = datetime.now(timezone.utc)
_IS_CA, _NO_CA = x509.BasicConstraints(True, None), x509.BasicConstraints(False, None)
_ONLY_SERVERS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def days(number: float) -> datetime:
    return NOW + timedelta(days=number)


def jwt(expires: float = 300) -> str:
    """An API key in the form that Temporal Cloud gives out today, expiring in so many days."""

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    claims = {"account_id": "a1b2c", "exp": int(days(expires).timestamp()), "iss": "temporal.io"}
    claims |= {"key_id": "Zq3Kd8Wm5Xp1Rt7Lv", "sub": "9f2c61d07be94a5e83"}
    signature = ("hT5gVr9NcX2bKe7QyPw4LmJz8DfSa1Uo" * 3)[:86]
    return f"{part({'alg': 'ES256', 'kid': 'wvuts'})}.{part(claims)}.{signature}"


def stay_silent(peer: socket.socket) -> None:
    """Read whatever comes and never answer."""
    while peer.recv(4096):
        pass


def hang_up(_: socket.socket) -> None:
    """End the connection at once."""


def reset(peer: socket.socket) -> None:
    """End the connection with a TCP reset at the first word, as some firewalls do."""
    peer.recv(1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(text: bytes) -> Callable[[socket.socket], None]:
    """Say these words and hang up once the peer has spoken."""

    def treat(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(text)

    return treat


def greet(peer: socket.socket) -> None:
    """Speak first, as SSH does."""
    peer.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    stay_silent(peer)


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


def _turn_down(_: str, __: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "namespace rate limit exceeded")
    return b""


made = cached_property  # when first asked for


def holding(content: Callable[[World], str | bytes], mode: int = 0o600) -> cached_property[Path]:
    """A file with this content, called as the attribute is."""
    file = cached_property[Path](lambda w: w.file(str(file.attrname), content(w), mode))
    return file


def toml(text: str, profile: str = "default", mode: int = 0o600) -> cached_property[Path]:
    return holding(lambda w: f"[profile.{profile}]\n{text}\n".format(w=w), mode)


def server(*names: str, **how: Any) -> cached_property[str]:
    return made(lambda w: w.front(*names, **how))


def tcp(treat: Callable[[socket.socket], None]) -> cached_property[str]:
    return made(lambda w: w.listen(treat))


def tls(treat: Callable[[socket.socket], None], *names: str, **how: Any) -> cached_property[str]:
    return made(lambda w: w.listen_tls(treat, *names, **how))


@dataclass
class World:
    """The files and servers that configurations name, each made when first asked for."""

    folder: Path
    dev: DevServer
    certificates: Certificates
    key: str
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def file(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        return write(self.folder / name.replace("_", "-"), content, mode)

    # --- API keys -------------------------------------------------------------------------------
    good_jwt = jwt()
    expired_jwt = jwt(expires=-3)
    expiring_jwt = jwt(expires=9.5)
    cut_jwt = jwt()[:120]
    base64_key = base64.b64encode(jwt().encode()).decode()
    key_file = holding(lambda w: f" {w.key}\n\n")
    open_key_file = holding(lambda w: w.key + "\n", 0o644)
    utf16_key_file = holding(lambda w: w.key.encode("utf-16"))
    json_key_file = holding(lambda w: json.dumps({"token": w.key}))
    marked_key_file = holding(lambda w: "\ufeff" + w.key)
    empty = holding(lambda _: "")
    text = holding(lambda _: "the certificate is with Carol\n")
    missing = made(lambda w: w.folder / "missing.pem")
    large = holding(lambda _: "x" * (2**20 + 1))

    @cached_property
    def pipe(self) -> Path:
        path = self.folder / "pipe"
        os.mkfifo(path)
        return path

    # --- Client certificates --------------------------------------------------------------------
    client = made(lambda w: w.certificates.client("payments-worker"))
    renewed = made(lambda w: w.certificates.client("payments-worker-renewed"))
    expired = made(lambda w: w.certificates.client("expired", not_after=days(-1)))
    expiring = made(lambda w: w.certificates.client("expiring", not_after=days(10.1)))
    not_yet_valid = made(lambda w: w.certificates.client("early", not_before=days(1)))
    untrusted = made(lambda w: w.certificates.client("bad", ca=w.certificates.untrusted_ca))
    encrypted_key = holding(lambda w: w.rsa_as(PrivateFormat.PKCS8, b"open"))
    rsa = made(lambda w: w.certificates.client("rsa", key_type=trustme.KeyType.RSA))
    client_ca_pem = made(lambda w: w.certificates.client_ca.cert_pem.bytes().decode())
    certificate_pem = made(lambda w: w.client.certificate.read_text())
    private_pem = made(lambda w: w.client.key.read_text())
    one_line_certificate = made(lambda w: w.certificate_pem.replace("\n", "\\n"))
    one_line_key = made(lambda w: w.private_pem.replace("\n", "\\n"))
    base64_certificate = made(lambda w: base64.b64encode(w.certificate_pem.encode()).decode())
    cut_certificate = holding(lambda w: w.certificate_pem[:300])
    damaged_certificate = holding(lambda w: _damaged(w.certificate_pem))
    utf16_certificate = holding(lambda w: w.certificate_pem.encode("utf-16"))
    crlf_certificate = holding(lambda w: w.certificate_pem.replace("\n", "\r\n"))
    marked_certificate = holding(lambda w: "\ufeff" + w.certificate_pem)  # as Windows does
    indented_certificate = holding(lambda w: textwrap.indent(w.certificate_pem, "    "))
    # As `openssl pkcs12` writes a friendly name.
    noted_certificate = holding(lambda w: f"friendlyName: J\u00fcrgen\n{w.certificate_pem}")
    upside_down = holding(lambda w: w.client_ca_pem + w.certificate_pem)
    reversed_pair = holding(lambda w: w.private_pem + w.certificate_pem)
    chain = holding(lambda w: w.certificate_pem + w.client_ca_pem)
    der = holding(lambda w: ssl.PEM_cert_to_DER_cert(w.certificate_pem))
    open_key = holding(lambda w: w.private_pem, 0o644)
    open_combined = holding(lambda w: w.client.combined.read_bytes(), 0o644)
    old_encrypted_key = holding(lambda w: w.rsa_as(PrivateFormat.TraditionalOpenSSL, b"open"))
    openssh_key = holding(lambda w: w.rsa_as(PrivateFormat.OpenSSH))
    pkcs8_key = holding(lambda w: w.rsa_as(PrivateFormat.PKCS8))
    own_ca = holding(lambda w: w.client_ca_pem)  # which is not what a client shows
    for_servers = made(lambda w: w.signed("servers", _ONLY_SERVERS, by=w.certificates.client_ca))
    small = made(lambda w: w.signed("small", key=rsa.generate_private_key(65537, 1024)))

    def rsa_as(self, form: PrivateFormat, password: bytes = b"") -> bytes:
        """The RSA key in another form."""
        key = load_pem_private_key(self.rsa.key.read_bytes(), None)
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return key.private_bytes(Encoding.PEM, form, encryption)

    def signed(
        self,
        name: str,
        *extensions: x509.ExtensionType,
        by: trustme.CA | None = None,
        key: Any = None,
    ) -> KeyPair:
        """A certificate such as trustme makes none, signed by a CA or with its own key."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        issuer, signer = _name(name), key
        if by:
            issuer = x509.load_pem_x509_certificate(by.cert_pem.bytes()).subject
            signer = load_pem_private_key(by.private_key_pem.bytes(), None)
        builder = x509.CertificateBuilder(issuer, _name(name), key.public_key(), 4711)
        builder = builder.not_valid_before(days(-30)).not_valid_after(days(300))
        for extension in extensions:
            critical = isinstance(extension, x509.BasicConstraints)
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.certificates.pair(name, certificate, key.private_bytes(*form))

    # --- Servers' certificates ------------------------------------------------------------------
    server_ca = made(lambda w: w.certificates.server_ca_file)
    server_ca_pem = made(lambda w: w.server_ca.read_text())
    noted_ca = holding(lambda w: b"# f\xfcr alle\n" + w.server_ca.read_bytes())
    damaged_ca = holding(lambda w: _damaged(w.server_ca_pem))
    bundle = holding(lambda w: f"# our CAs\n{w.client_ca_pem}{w.server_ca_pem}")
    nameless = made(lambda w: w.signed("127.0.0.1", _NO_CA))
    ca_itself = made(lambda w: w.signed("a-ca", _IS_CA, _names("localhost", HOST)))
    itself = made(lambda w: w.signed("itself", _NO_CA, _names("localhost")))

    # --- TOML -----------------------------------------------------------------------------------
    broken_toml = toml('api_key = "{w.key}" x')
    typed_toml = toml('address = "h:1"\n[profile.default.tls]\ndisabled = "{w.key}"')
    both_toml = toml('tls.client_cert_path = "/c"\ntls.client_cert_data = "d"')
    lost_toml = toml(
        'address = "127.0.0.1:7233"\n'
        'tls.client_cert_path = "{w.missing}"\ntls.client_key_path = "{w.client.key}"'
    )
    disabled_toml = toml('api_key = "{w.key}"\ntls.disabled = true\ntls.server_name = "x"')
    header_toml = toml('grpc_meta.authorization = "Bearer {w.key}"')
    open_toml = toml('address = "h:1"\napi_key = "{w.key}"', mode=0o644)
    two_toml = toml(  # one as `temporal cloud login` leaves it
        f'address = "{HOST}:7233"\nnamespace = "{NAMESPACE}"\n[profile.eu.oauth]\ntoken = "y"\n'
        '[profile.us]\naddress = "us.internal:7233"\nnamespce = "orders"',
        "eu",
    )
    cloud_toml = toml(
        'address = "{w.cloud}"\nnamespace = "payments.a1b2c"\napi_key = "{w.key}"\n'
        'tls.server_name = "payments.a1b2c.tmprl.cloud"\n'
        'tls.server_ca_cert_path = "{w.server_ca}"\n'
        '[profile.bare]\naddress = "payments.a1b2c.tmprl.cloud:7233"\napi_key = "{w.key}"'
    )

    # --- Stand-ins for Cloud, and own servers ---------------------------------------------------
    def front(self, *names: str, shown: KeyPair | None = None, **how: Any) -> str:
        """The address of a stand-in for Cloud."""
        pem = shown.combined.read_bytes() if shown else self.certificates.server(*names)
        keys, namespaces = [self.key, self.good_jwt], [NAMESPACE, "default"]
        how = {"certificate": pem, "keys": keys, "namespaces": namespaces, **how}
        return self.closing.enter_context(CloudFront(self.dev.address, **how)).address

    cloud = server()
    own_tls = server(keys=None)
    self_signed = made(lambda w: w.front(shown=w.itself, keys=None))
    guarded = server(keys=None, namespaces=[])  # lets nobody in without a credential
    private_link = server(HOST)  # its certificate is for the namespace endpoint alone
    regional = server("*.aws.api.temporal.io", "us-east-1.aws.api.temporal.io")
    read_only = server(read_only=True)
    # These know no namespace that Temporal Cloud could not have.
    strict = server(namespaces=[NAMESPACE])
    strict_mtls = made(
        lambda w: w.front(client_ca=w.certificates.client_ca, keys=[], namespaces=[NAMESPACE])
    )
    no_polls = server(refuses=("Poll",))
    no_starts = server(refuses=("Start",))
    forgotten = server(namespaces=["invoices.a1b2c"])  # which the server behind does not know
    mtls_cloud = made(lambda w: w.front(client_ca=w.certificates.client_ca, keys=[]))

    # --- Servers of something else --------------------------------------------------------------
    def listen(self, treat: Callable[[socket.socket], None]) -> str:
        return self.closing.enter_context(Listener(treat)).address

    def listen_tls(
        self,
        then: Callable[[socket.socket], None],
        *names: str,
        shown: KeyPair | None = None,
        version: ssl.TLSVersion | None = None,
        asks: bool = False,
        alpn: str = "h2",
        on_name: Callable[..., int] | None = None,
        more_certificates: int = 0,
        **dates: datetime,
    ) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols([alpn])
        context.sni_callback = on_name
        if version:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():  # that it is old is the point
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
        pem = shown.combined.read_bytes() if shown else self.certificates.server(*names, **dates)
        pem += self.server_ca.read_bytes() * more_certificates
        context.load_cert_chain(self.file("shown.pem", pem))
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            self.certificates.client_ca.configure_trust(context)

        def treat(peer: socket.socket) -> None:
            with context.wrap_socket(peer, server_side=True) as secure:
                then(secure)

        return self.listen(treat)

    silent = tcp(stay_silent)
    closing_server = tcp(hang_up)
    closing_after_hello = tcp(answer(b""))
    resetting = tcp(reset)
    ssh = tcp(greet)
    web = tcp(answer(WEB_PAGE))
    proxy = tcp(proxy_without_backend)
    proxy_with_page = tcp(partial(proxy_without_backend, answer=BAD_GATEWAY_PAGE))
    tls_silent = tls(stay_silent)
    tls_web = tls(answer(WEB_PAGE), alpn="http/1.1")
    tls_closing = tls(hang_up)  # as a balancer with nothing behind it
    tls_smtp = tls(answer(b"220 mail.example.com ESMTP\r\n"))
    wants_certificate_12 = tls(stay_silent, version=ssl.TLSVersion.TLSv1_2, asks=True)
    wants_certificate_13 = tls(stay_silent, asks=True)
    old_tls = tls(stay_silent, version=ssl.TLSVersion.TLSv1_1)
    knows_no_name = tls(stay_silent, on_name=lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
    nameless_server = made(lambda w: w.listen_tls(stay_silent, shown=w.nameless))
    # Shows the CA's own certificate, which is also the CA that is set.
    ca_as_server = made(lambda w: w.listen_tls(stay_silent, shown=w.ca_itself))
    # More certificates than TLS clients take: each has some 600 bytes.
    long_chain = tls(stay_silent, more_certificates=200)
    expired_server = tls(stay_silent, not_after=days(-1))
    early_server = tls(stay_silent, not_before=days(1))
    other_name = tls(stay_silent, "temporal.internal")
    busy = made(lambda w: w.other_server(EveryMethod(_turn_down)))
    other_grpc = made(lambda w: w.other_server())
    nothing = made(lambda _: f"127.0.0.1:{free_port()}")
    # A proxy that takes who asks for Temporal Cloud to the stand-in for it.
    way_to_cloud = made(lambda w: w.closing.enter_context(Proxy({f"{HOST}:7233": w.cloud})).address)

    @cached_property
    def made_for_clients(self) -> str:
        only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        shown = self.signed("clients", only, _names(HOST), by=self.certificates.server_ca)
        return self.listen_tls(stay_silent, shown=shown)

    def other_server(self, *handlers: Any) -> str:
        """The address of a gRPC server of something else."""
        other = grpc.server(futures.ThreadPoolExecutor(4), handlers=handlers)
        port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        self.closing.callback(lambda: other.stop(None).wait(5))
        return f"127.0.0.1:{port}"

    @cached_property
    def full(self) -> str:
        """A listener whose queue is full: packets of new connections are dropped, as by a wall."""
        listener = self.closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            one = self.closing.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
        time.sleep(0.1)  # the connections complete in the kernel
        return f"127.0.0.1:{address[1]}"

    def secrets(self) -> frozenset[str]:
        """Every secret that there is by now: API keys, and the lines of private keys' PEM."""
        found = {value for name, value in vars(World).items() if name.endswith("_jwt")}
        files = [*self.folder.iterdir(), *self.certificates.folder.iterdir()]
        files = [file for file in files if file.is_file()]  # no pipe, which nobody writes to
        return frozenset({self.key, *found}.union(*map(_private_lines, files)))


@cache
def _private_lines(file: Path) -> frozenset[str]:
    text = file.read_bytes().decode(errors="replace")
    keys = re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", text, re.S)
    return frozenset(line for key in keys for line in key.splitlines() if len(line) > 20)


def _pieces(text: str) -> set[str]:
    text = text.lower()
    return {text[at : at + 12] for at in range(len(text) - 11)}


@cache
def _secret_pieces(secrets: frozenset[str]) -> set[str]:
    found: set[str] = set()
    for one in secrets:
        coded = (base64.b64encode(one.encode()), base64.urlsafe_b64encode(one.encode()))
        forms = {one, quote(one, safe=""), json.dumps(one), *(form.decode() for form in coded)}
        found.update(*map(_pieces, forms))
    return found


def leaks(world: World, *outputs: str) -> set[str]:
    """The pieces of secrets, from twelve characters, that are in these outputs.

    In any case, and in base64, percent and JSON escapes as well.
    """
    return _secret_pieces(world.secrets()) & set().union(*map(_pieces, outputs))


def _damaged(pem: str) -> str:
    lines = pem.splitlines()
    return "\n".join([*lines[:3], *lines[5:]])


def _names(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
