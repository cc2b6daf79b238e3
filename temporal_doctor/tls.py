"""What the standard library's sockets can tell where the SDK fails and does not say why."""

import re
import socket
import ssl
from contextlib import suppress
from typing import Any

from temporal_doctor.certificates import NO_CHECK_TIME, inspect_certificate
from temporal_doctor.target import Target

# An HTTP/2 client's first words: preface and empty SETTINGS. A gRPC server's are SETTINGS too.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def look_closer(target: Target, said: str) -> str:
    """What the SDK said, in better words if there are any; adds to what is known of the target."""
    if not said:
        return _why_silent(target)
    if re.search("InvalidCertificate|UnrecognisedName", said):
        _note_server_certificate(target)
    elif "Server connection error" not in said and not target.tls:
        return _first_words(target) or said
    elif "cert" in target.traits:
        _note_own_certificate(target)
    return said


def _why_silent(target: Target) -> str:
    with suppress(OSError):
        _connect(target).close()
        return "silent"
    return "tcp connect error: TimedOut"


def _connect(target: Target) -> socket.socket:
    return socket.create_connection((target.host, target.port), 1.0)


def _first_words(target: Target) -> str:
    """What the server says to gRPC in plain text; empty if it speaks gRPC itself."""
    answer = b""
    with suppress(OSError), _connect(target) as plain:
        plain.sendall(HELLO)
        answer = plain.recv(64)
    if answer[3:4] == b"\4":
        return ""
    with suppress(OSError), _connect(target) as plain, _trusting().wrap_socket(plain):
        return "says \x15\x03"  # a TLS alert
    return f"says {answer.decode('latin-1')}"


def _trusting() -> ssl.SSLContext:  # whoever answers, and so with no client certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _note_server_certificate(target: Target) -> None:
    """Fetch a certificate that is not trusted, then trust it to have it decoded."""
    context, decoded = _trusting(), dict[str, Any]()
    with suppress(OSError, ValueError):
        for _ in range(2):
            with (
                _connect(target) as plain,
                context.wrap_socket(plain, server_hostname=target.name) as secure,
            ):
                decoded = dict(secure.getpeercert() or {})
                context.load_verify_locations(cadata=secure.getpeercert(binary_form=True) or b"")
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    names = [str(name) for _, name in decoded.get("subjectAltName", ())]
    target.claims["names"] = ", ".join(names[:4]) or ("no name" if decoded else "another name")
    target.claims["issuer"] = _common_name(decoded, "issuer")
    target.claims["dates"] = f"from {decoded.get('notBefore')} until {decoded.get('notAfter')}"


def _note_own_certificate(target: Target) -> None:
    certificate: dict[str, Any] = {}
    with suppress(OSError):  # a server's own, or not to be looked at here
        certificate = inspect_certificate(target.settings)
    target.traits.add("fit" if certificate else "")
    target.words["subject"] = _common_name(certificate, "subject")
    target.words["own_issuer"] = _common_name(certificate, "issuer")


def _common_name(certificate: dict[str, Any], whose: str) -> str:
    parts = dict(pair for group in certificate.get(whose, ()) for pair in group)
    return str(parts.get("commonName") or ", ".join(parts.values()) or "one without a name")
