"""What is wrong with certificates and private keys, which never go into a file of their own."""

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from temporal_client import on_cloud
from temporal_doctor.values import check_end, warning
from temporal_findings import Finding, error
from temporal_settings import OFFICIAL, Settings, Value

NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for
CERT, KEY, CA = "CLIENT_CERT", "CLIENT_KEY", "SERVER_CA_CERT"
FIELDS = {CERT: "client_cert", KEY: "client_private_key", CA: "server_root_ca_cert"}
NO_PEM = r"(?s)\A(?!.*-----BEGIN)"
PEM_FAULTS = (  # patterns, and what to say of a text that has them
    (r"\A-----BEGIN [A-Z ]+-----\Z", "is cut off after its first line: quote it, or name its file"),
    (r"(?m)^[ \t]+-----", "is indented: its lines must not begin with spaces"),
    (r"-----BEGIN.*\\n|\A.*-----BEGIN.*\Z", "has lost its line breaks"),
    (r"(?s)-----BEGIN(?!.*-----END)", "is cut off: it has no END line"),
    (r"\ALS0tLS1CRUdJTi", "is the base64 of a PEM: decode it first"),
    (NO_PEM + r".*[\ufffd\0]", "is not text in UTF-8: DER, PKCS#12 or UTF-16 has to be converted"),
    (r"\A([~.]{0,2}/|[A-Z]:\\|[\w./-]+\.\w{3}\Z).*\Z", "is a path, which goes elsewhere"),
    (NO_PEM, "is not a PEM: it has no BEGIN line"),
)


def pem_value(settings: Settings, kind: str) -> Value:
    """The value that CLIENT_CERT, CLIENT_KEY or SERVER_CA_CERT comes from: a path, or the PEM."""
    path, data = (f"TEMPORAL_TLS_{kind}_{form}" for form in ("PATH", "DATA"))
    return settings.value(data if settings.is_set(data) and not settings.is_set(path) else path)


def pem_path(settings: Settings, kind: str) -> str:
    """The file that such a PEM comes from, if any."""
    value = pem_value(settings, kind)
    return value.text if OFFICIAL.get(value.name, "").endswith("_PATH") else ""


def _pem(settings: Settings, kind: str) -> bytes:
    pem = getattr(settings.profile.tls, FIELDS[kind], None) or b""
    return pem if isinstance(pem, bytes) else str(pem).encode()


@contextmanager
def _file(settings: Settings, kind: str) -> Iterator[str]:
    """A file with this PEM that is memory alone or, where there are none, the user's own."""
    pem, path = _pem(settings, kind), pem_path(settings, kind)
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem"), "wb", buffering=0) as file:
            file.write(pem)
            yield f"/proc/self/fd/{file.fileno()}"
    elif path and Path(path).read_bytes().strip() == pem:
        yield path
    else:
        raise OSError("this system has no files that are memory alone")


def inspect_certificate(settings: Settings) -> dict[str, Any]:
    """Subject, issuer and dates of the client's certificate, as `getpeercert` gives them.

    The standard library takes it from files alone and decodes only a peer's. So both ends of a
    handshake that never leaves memory show this one, and trust just this one, whatever its dates.
    Raises `ssl.SSLError` where it and its key are no pair or damaged, and else `OSError`.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _file(settings, CERT) as cert, _file(settings, KEY) as key:
        for context in (client, server):
            context.load_cert_chain(cert, key, password=lambda: b"")
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    server.load_verify_locations(cadata=_pem(settings, CERT).decode("ascii", "ignore"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for end in [near, far] * 3:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return dict(far.getpeercert() or {})


def check_certificates(settings: Settings, refused: str) -> Iterator[Finding]:
    """Judge the PEMs, then the pair and the CA; `refused` is what the core says already."""
    sound = set()
    for kind in FIELDS:
        pem, value = _pem(settings, kind), pem_value(settings, kind)
        block = "PRIVATE KEY" if kind == KEY else "CERTIFICATE"
        if not pem or str(value) in refused:
            continue
        if fault := _fault(pem.decode(errors="replace"), block):
            path = f"{value.name.replace('_DATA', '_PATH')}=<that path>, and unset {value.name}"
            fix = path if "is a path" in fault else f"{value.name}=<a PEM with a {block}>"
            yield error(f"{value} {fault}", fix)
        else:
            sound.add(kind)
    if {CERT, KEY} <= sound:
        yield from _check_pair(settings)
    if CA in sound:
        try:
            authorities = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            authorities.load_verify_locations(cadata=_pem(settings, CA).decode("ascii", "ignore"))
        except ssl.SSLError:
            name = pem_value(settings, CA).name
            yield error(f"the CA certificate in {name} is damaged", f"{name}=<the CA's PEM file>")


def _fault(text: str, block: str) -> str:
    """What is wrong with a text that must be a PEM with such a block; empty if nothing is."""
    if "ENCRYPTED" in text and block == "PRIVATE KEY":
        return "is encrypted, and the SDK asks for no passphrase: openssl pkey -in OLD -out NEW"
    kinds = re.findall("-----BEGIN ([A-Z0-9 ]+)-----", text)
    good = {block, f"RSA {block}", f"EC {block}"} & {*kinds}
    other = "" if good else f"holds {', '.join(kinds)}, not {block}: swapped?"
    return next((fault for pattern, fault in PEM_FAULTS if re.search(pattern, text)), other)


def _check_pair(settings: Settings) -> Iterator[Finding]:
    name, key = (pem_value(settings, kind).name for kind in (CERT, KEY))
    what, fix = f"the client certificate in {name}", f"{name}=<a client's, valid now>, with its key"
    cloud = on_cloud(settings)
    try:
        found = inspect_certificate(settings)
    except ssl.SSLCertVerificationError as problem:
        yield warning(f"{what} is not a client's: {problem.verify_message}", fix)
    except ssl.SSLError as problem:
        why = (problem.reason or "unreadable").replace("_", " ").lower()
        fault = f"or its key in {key} is damaged or not fit for use: {why}"
        if "values mismatch" in why:
            fault = f"and the key in {key} do not belong together"
        level = warning if "weak" in why else error  # OpenSSL's taste, not the SDK's
        both = f"{name} and {key}: both files of one issue, the client's own certificate first"
        yield level(f"{what} {fault}", both)
    except OSError as problem:
        yield warning(f"{what} was not looked into: {problem}")
    else:
        start, end = (ssl.cert_time_to_seconds(found[at]) for at in ("notBefore", "notAfter"))
        if start > time.time():
            now = time.strftime("%b %d %H:%M %Y UTC", time.gmtime())
            text = f"{what} is not valid before {found['notBefore']}; the clock says {now}"
            yield (error if cloud else warning)(text, "set this machine's clock, or wait")
        yield from check_end(what, end, fix, cloud)
