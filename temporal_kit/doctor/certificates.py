"""What is wrong with certificates and private keys, which are written to no file."""

import os
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..findings import Finding, error, warning
from ..settings import Settings, Value
from .values import check_end

NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME
CERT, KEY, CA = "CLIENT_CERT", "CLIENT_KEY", "SERVER_CA_CERT"
FIELDS = {CERT: "client_cert", KEY: "client_private_key", CA: "server_root_ca_cert"}
BEGIN, END = "-----BEGIN", "-----END"
IS_A_PATH = "is a path, which belongs elsewhere"


def pem_value(settings: Settings, kind: str) -> Value:
    """The value that a kind of PEM comes from: a path, or the PEM."""
    path, data = (f"TEMPORAL_TLS_{kind}_{form}" for form in ("PATH", "DATA"))
    return settings.value(data if settings.is_set(data) and not settings.is_set(path) else path)


def _pem(settings: Settings, kind: str) -> bytes:
    return bytes(getattr(settings.profile.tls, FIELDS[kind], None) or b"")


@contextmanager
def _file(settings: Settings, kind: str) -> Iterator[str]:
    """A file in memory with this PEM or, where a system has none, the user's own."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem"), "wb", buffering=0) as file:
            file.write(_pem(settings, kind))
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        yield pem_value(settings, kind).text


def trusting() -> ssl.SSLContext:
    """A context that trusts whoever answers, and so has no client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def trust(context: ssl.SSLContext, certificate: str | bytes) -> None:
    """Trust one certificate, whatever its dates: only a trusted peer's is decoded."""
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    context.load_verify_locations(cadata=certificate)


def inspect_certificate(settings: Settings) -> dict[str, Any]:
    """The client's certificate, decoded as `getpeercert` does.

    The standard library decodes only a peer's: so it is shown to itself, in a handshake in memory.
    Raises `ssl.SSLError` if certificate and key are damaged or no pair.
    """
    client, server = trusting(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _file(settings, CERT) as cert, _file(settings, KEY) as key:
        for context in (client, server):
            context.load_cert_chain(cert, key, password=lambda: b"")
    trust(server, _pem(settings, CERT).decode("ascii", "ignore"))
    return _certificate_shown(client, server)


def _certificate_shown(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, Any]:
    """The certificate that the server gets to see in a handshake of these two, in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(incoming=to_client, outgoing=to_server)
    server_end = server.wrap_bio(incoming=to_server, outgoing=to_client, server_side=True)
    for _ in range(3):  # more turns than any handshake takes
        for end in (client_end, server_end):
            with suppress(ssl.SSLWantReadError):  # it is the other's turn
                end.do_handshake()
    return dict(server_end.getpeercert() or {})


def check_certificates(settings: Settings, refused: str) -> Iterator[Finding]:
    """Judge the PEMs, then the pair and the CA; `refused` is what the core says already."""
    sound = set()
    for kind in FIELDS:
        pem, value = _pem(settings, kind), pem_value(settings, kind)
        block = "PRIVATE KEY" if kind == KEY else "CERTIFICATE"
        if not pem or str(value) in refused:
            continue
        if fault := _fault(pem.decode(errors="replace"), block):
            yield error(f"{value} {fault}", *_fixes_of_pem(value, fault, block))
        else:
            sound.add(kind)
    if {CERT, KEY} <= sound:
        yield from _check_pair(settings)
    if CA in sound:
        try:
            ssl.create_default_context(cadata=_pem(settings, CA).decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            name = pem_value(settings, CA).name
            yield error(f"the CA certificate in {name} is damaged", f"{name}=<the CA's PEM file>")


def _fixes_of_pem(value: Value, fault: str, block: str) -> list[str]:
    """The lines that mend a PEM with this fault."""
    by_path = value.setting.replace("_DATA", "_PATH")
    if fault != IS_A_PATH or value.setting == by_path:
        return [f"{value.name}=<a PEM with a {block}>"]
    return [f"{by_path}=<that path>", f"and {value.removal}"]


def _fault(text: str, block: str) -> str:
    """What is wrong with a PEM that is to have such a block; "" for nothing."""
    if "ENCRYPTED" in text and block == "PRIVATE KEY":
        return "is encrypted, and the SDK asks for no passphrase: openssl pkey -in OLD -out NEW"
    if fault := _fault_of_pem(text) if BEGIN in text else _fault_of_other(text):
        return fault
    kinds = dict.fromkeys(re.findall("-----BEGIN ([A-Z0-9 ]+)-----", text))
    good = {block, f"RSA {block}", f"EC {block}"} & kinds.keys()
    held = ", ".join(kinds) or "no block with a proper name"
    swapped = "CERTIFICATE" in kinds or held.replace("OPENSSH PRIVATE", "").endswith("PRIVATE KEY")
    return "" if good else f"holds {held}, not {block}{': swapped?' if swapped else ''}"


def _fault_of_pem(text: str) -> str:
    """What is wrong with the form of a text that has a BEGIN."""
    lines = text.split("\n")
    if re.fullmatch("-----BEGIN [A-Z ]+-----", text):
        return "is cut off after its first line: quote it, or name its file"
    if any(line.startswith((" ", "\t")) and line.strip(" \t")[:5] == "-----" for line in lines):
        return "is indented: its lines must not begin with spaces"
    if len(lines) == 1 or any(r"\n" in line.partition(BEGIN)[2] for line in lines):
        return "has lost its line breaks"
    return "is cut off: it has no END line" if text.rfind(BEGIN) > text.rfind(END) else ""


def _fault_of_other(text: str) -> str:
    """What a text is that has no BEGIN, and so is no PEM."""
    if text.startswith("LS0tLS1CRUdJTi"):
        return "is the base64 of a PEM: decode it first"
    if "\ufffd" in text or "\0" in text:
        return "is not UTF-8 text: convert it from DER, PKCS#12 or UTF-16"
    if "\n" not in text and re.match(r"[~.]{0,2}/|[A-Z]:\\|[\w./-]+\.\w{3}\Z", text):
        return IS_A_PATH
    return "is not a PEM: it has no BEGIN line"


def _check_pair(settings: Settings) -> Iterator[Finding]:
    """Whether certificate and key belong together, are a client's, and are in time."""
    cert = pem_value(settings, CERT)
    what = f"the client certificate in {cert.name}"
    fix = f"{cert.name}=<a valid client certificate>"
    try:
        found = inspect_certificate(settings)
    except ssl.SSLCertVerificationError as problem:
        yield warning(f"{what} is not a client's: {problem.verify_message}", fix)
    except ssl.SSLError as problem:
        yield _judge_refused_pair(cert, pem_value(settings, KEY), problem.reason or "unreadable")
    except OSError:
        yield warning(f"{what} was not checked, which takes a file on this system")
    except ValueError:  # a name in it that is no text
        yield warning(f"{what} was not checked: Python cannot decode it")
    else:
        yield from _check_dates(found, what, fix, settings.on_cloud)


def _check_dates(found: dict[str, Any], what: str, fix: str, cloud: bool) -> Iterator[Finding]:
    """Whether a decoded certificate is in time."""
    try:
        start, end = (ssl.cert_time_to_seconds(found[at]) for at in ("notBefore", "notAfter"))
    except (KeyError, ValueError):  # OpenSSL gives `Bad time value` for what is no date
        yield (error if cloud else warning)(f"{what} has no dates that can be read", fix)
        return
    if start > time.time():
        text = f"{what} is not valid before {found['notBefore']}"
        yield (error if cloud else warning)(text, "set this machine's clock, or wait")
    yield from check_end(what, end, fix, cloud)


def _judge_refused_pair(cert: Value, key: Value, reason: str) -> Finding:
    """What OpenSSL has against a pair, such as KEY_VALUES_MISMATCH."""
    why = reason.replace("_", " ").lower()
    what, with_key = f"the client certificate in {cert.name}", f"the key in {key.name}"
    pair = f"{cert.name} and {key.name}"
    fix = f"{pair}: the two files that were made together, the client's own certificate first"
    if "values mismatch" in why:  # each half may be right, and come from another place
        text = f"{what} ({cert.source}) and {with_key} ({key.source}) do not belong together"
    else:
        text = f"{what} and {with_key} are damaged or unfit: {why}"
    return (warning if "weak" in why else error)(text, fix)  # OpenSSL's taste, not the SDK's
