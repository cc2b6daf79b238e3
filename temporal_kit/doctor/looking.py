"""A look at the server by plain sockets, where the SDK's words do not say enough."""

import base64
import re
import socket
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import Any

from .certificates import trust, trusting
from .evidence import Evidence, Seen, ServerCertificate, claim
from .target import Target, common_name

# An HTTP/2 client's preface and empty SETTINGS; a gRPC server begins with SETTINGS too.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
SETTINGS_FRAME = b"\4"  # the type of an HTTP/2 frame, its fourth byte
TLS_ALERT = b"\x15\x03"
# TLS was up when the connection ended. Which of these words the SDK has depends on the moment.
BROKEN_OFF = re.compile(
    r"after connection.*(transport error|connection closed|h2 protocol error|was canceled)"
)


def look_closer(target: Target, said: str) -> Evidence:
    """What the SDK said, with what a look at the server adds or says better."""
    if not said or "Elapsed(" in said:
        return Evidence("", _see_who_is_silent(target))
    if re.search("InvalidCertificate|UnrecognisedName", said):
        return Evidence(said, certificate=_fetch_certificate(target))
    seen = None
    if target.uses_tls and BROKEN_OFF.search(said):
        seen = _see_the_end(target)
    elif not target.uses_tls and "Server connection error" not in said:
        seen = _see_what_it_speaks(target)
    return Evidence("" if seen else said, seen)


def _connect(target: Target) -> socket.socket:
    """A TCP connection to the server, through the proxy if there is one."""
    if not target.proxy:
        return socket.create_connection((target.bare_host, target.port), 1.0)
    way = HTTPConnection(target.proxy.target_host, timeout=1.0)
    login = base64.b64encode(":".join(target.proxy.basic_auth or ()).encode()).decode()
    headers = {"Proxy-Authorization": f"Basic {login}"} if login else {}
    way.set_tunnel(target.bare_host, target.port, headers)
    way.connect()
    return way.sock


def _see_who_is_silent(target: Target) -> Seen:
    """Tell a server that accepts no connection from one that says nothing on it, or hangs up."""
    try:
        _connect(target).close()
    except (OSError, ValueError, HTTPException):  # ValueError: a name that no host can have
        return Seen.NO_ANSWER
    return _see_the_end(target) or Seen.SILENT


def _see_the_end(target: Target) -> Seen | None:
    """What a server that is greeted as gRPC over TLS does instead of answering as gRPC.

    None if it answers so, or stays silent. In TLS 1.3 a server that misses a client certificate
    hangs up only here, after the handshake. Nor is one shown here: the server is not verified.
    """
    if not target.uses_tls or target.has_certificate:
        return None
    with suppress(OSError), _connect(target) as plain:
        plain.settimeout(0.5)  # the whole look has two seconds
        with trusting().wrap_socket(plain, server_hostname=target.tls_name) as secure:
            return _judge_answer(secure)
    return None


def _judge_answer(secure: ssl.SSLSocket) -> Seen | None:
    """Greet the server, and judge what it says to that; None for gRPC and for silence."""
    answer = b""
    try:
        secure.sendall(HELLO)
        answer = secure.recv(64)
    except TimeoutError:
        return None
    except OSError:
        pass  # an alert, or a reset that has overtaken it
    if answer[3:4] == SETTINGS_FRAME:
        return None
    return Seen.NOT_GRPC if answer else Seen.HANGS_UP


def _see_what_it_speaks(target: Target) -> Seen | None:
    """What the server speaks if it is greeted as gRPC in plain text; None if that is gRPC."""
    answer = b""
    with suppress(OSError), _connect(target) as plain:
        plain.sendall(HELLO)
        answer = plain.recv(64)
    if answer[3:4] == SETTINGS_FRAME:
        return None
    with suppress(OSError), trusting().wrap_socket(_connect(target)):
        return Seen.TLS
    if answer.startswith(TLS_ALERT):
        return Seen.TLS
    return Seen.WEB_SERVER if answer.upper().startswith((b"HTTP/", b"<")) else Seen.NOT_GRPC


def _fetch_certificate(target: Target) -> ServerCertificate:
    """Fetch a certificate that is not trusted, then trust it to have it decoded."""
    context, decoded = trusting(), dict[str, Any]()
    with suppress(OSError, ValueError):
        for _ in range(2):
            with context.wrap_socket(_connect(target), server_hostname=target.tls_name) as secure:
                decoded = dict(secure.getpeercert() or {})
                trust(context, secure.getpeercert(binary_form=True) or b"")
    names = [str(name) for _, name in decoded.get("subjectAltName", ())]
    return ServerCertificate(
        names=claim(", ".join(names[:4]) or ("no name" if decoded else "another name")),
        issuer=claim(common_name(decoded, "issuer")),
        dates=claim(f"from {decoded.get('notBefore')} until {decoded.get('notAfter')}"),
    )
