"""A look at the server by plain sockets, where the SDK's words do not say enough."""

import base64
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from .certificates import trust, trusting
from .evidence import NOTHING, Evidence, Seen, ServerCertificate, claim
from .target import Target, common_name

# An HTTP/2 client's preface and empty SETTINGS; a gRPC server begins with SETTINGS too.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
SETTINGS_FRAME = b"\4"  # the type of an HTTP/2 frame, its fourth byte
TLS_ALERT = b"\x15\x03"
# TLS was up when the connection ended. Which of these words the SDK has depends on the moment.
BROKEN_OFF = re.compile(
    r"after connection.*(transport error|connection closed|h2 protocol error|was canceled)"
)
# What a server alone can have said: then name, TCP and TLS have worked for the SDK itself.
ANSWERED = re.compile(
    r'^[^"]*code: (unauthenticated|permission_?denied|not_?found|unimplemented'
    r"|resource_?exhausted|invalid_?argument|failed_?precondition)",
    re.I,
)


@dataclass
class Look:
    """A look at the server, filled in while it goes on, for it may take longer than one can wait.

    `reached` is how many of the steps name, TCP and TLS were seen to work, `fault` why the next one
    did not, and `evidence` what the look adds to the SDK's words once it has ended.
    """

    reached: int = 0
    fault: Evidence = NOTHING
    evidence: Evidence = NOTHING


def look_at(target: Target, said: str, look: Look) -> None:
    """Try one step after the other, then whatever may explain what the SDK said."""
    for try_step in (_look_up, _open, _shake_hands):
        look.fault = try_step(target)
        if look.fault is not NOTHING:
            break
        look.reached += 1
    look.evidence = _look_closer(target, said, look)
    if ANSWERED.search(said):
        look.reached = 3


def _look_up(target: Target) -> Evidence:
    """Nothing if the name is known, of the proxy if there is one; else why not."""
    try:
        socket.getaddrinfo(target.first_host, None)
    except socket.gaierror as problem:
        no_server = problem.errno == socket.EAI_AGAIN
        return Evidence("", Seen.NO_NAME_SERVER if no_server else Seen.UNKNOWN_NAME)
    except ValueError:  # a name that no host can have
        return Evidence("", Seen.UNKNOWN_NAME)
    return NOTHING


def _open(target: Target) -> Evidence:
    """Nothing if there is a TCP connection to the server, by way of the proxy; else why not."""
    try:
        _connect(target).close()
    except ConnectionRefusedError:
        return Evidence("", Seen.REFUSED)
    except TimeoutError:
        return Evidence("", Seen.NO_ANSWER)
    except OSError as problem:
        return Evidence("", Seen.NO_WAY, claim(problem.strerror or str(problem)))
    return NOTHING


def _shake_hands(target: Target) -> Evidence:
    """Nothing if the server speaks TLS, with any certificate, or need not; else why not."""
    if not target.uses_tls:
        return NOTHING
    try:
        _handshake(target, trusting()).close()
    except TimeoutError:
        return Evidence("", Seen.SILENT)
    except ssl.SSLError as problem:
        other = problem.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
        return Evidence("", Seen.NO_TLS if other else Seen.BREAKS_OFF)
    except (OSError, ValueError):  # ValueError: a server name that no host can have
        return Evidence("", Seen.BREAKS_OFF)
    return NOTHING


def _look_closer(target: Target, said: str, look: Look) -> Evidence:
    """What the SDK said, with what a further look at the server adds or says better."""
    gave_up_waiting = not said or "Elapsed(" in said
    if gave_up_waiting and look.reached < 3:
        return look.fault
    if gave_up_waiting:
        return Evidence("", _see_the_end(target) or Seen.SILENT)
    if re.search("InvalidCertificate|UnrecognisedName", said):
        return Evidence(said, certificate=_fetch_certificate(target))
    # What the SDK says of a proxy that makes no connection depends on the moment, but for a status.
    if target.proxy and look.reached == 1 and "status" not in said:
        return look.fault
    seen = _see_better(target, said, look)
    return Evidence("" if seen else said, seen)


def _see_better(target: Target, said: str, look: Look) -> Seen | None:
    """What a further look shows where the SDK's words fit several causes; None if they do not."""
    if "TooLarge" in said and look.reached == 3:
        return Seen.TOO_LARGE
    if target.uses_tls and BROKEN_OFF.search(said):
        return _see_the_end(target)
    if not target.uses_tls and "Server connection error" not in said:
        return _see_what_it_speaks(target)
    return None


def _connect(target: Target) -> socket.socket:
    """A TCP connection to the server, through the proxy if there is one; raises only `OSError`."""
    if not target.proxy:
        return socket.create_connection((target.bare_host, target.port), 1.0)
    login = base64.b64encode(":".join(target.proxy.basic_auth or ()).encode()).decode()
    headers = {"Proxy-Authorization": f"Basic {login}"} if login else {}
    try:
        way = HTTPConnection(target.proxy.target_host, timeout=1.0)
        way.set_tunnel(target.bare_host, target.port, headers)
        way.connect()
    except HTTPException as problem:
        raise OSError("it does not answer as HTTP proxies do") from problem
    except ValueError as problem:
        raise OSError("it takes no name with such letters") from problem
    return way.sock


def _handshake(target: Target, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A TLS connection; raises `OSError`, or `ValueError` for a server name that cannot be."""
    return context.wrap_socket(_connect(target), server_hostname=target.tls_name)


def _see_the_end(target: Target) -> Seen | None:
    """What a server that is greeted as gRPC over TLS does instead of answering as gRPC.

    None if it answers so, or stays silent. In TLS 1.3 a server that misses a client certificate
    hangs up only here, after the handshake. Nor is one shown here: the server is not verified.
    """
    if not target.uses_tls or target.has_certificate:
        return None
    with suppress(OSError), _handshake(target, trusting()) as secure:
        secure.settimeout(0.5)  # the whole look has two seconds
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
    """The certificate that the server shows; Python decodes only one that is trusted."""
    decoded: dict[str, Any] = {}
    with suppress(OSError, ValueError):  # ValueError: a certificate that no text can be
        with _handshake(target, trusting()) as first:
            shown = first.getpeercert(binary_form=True) or b""
        trusting_it = trusting()
        trust(trusting_it, shown)
        with _handshake(target, trusting_it) as second:
            decoded = dict(second.getpeercert() or {})
    names = [str(name) for _, name in decoded.get("subjectAltName", ())]
    return ServerCertificate(
        names=claim(", ".join(names[:4]) or ("no name" if decoded else "another name")),
        issuer=claim(common_name(decoded, "issuer")),
        dates=claim(f"from {decoded.get('notBefore')} until {decoded.get('notAfter')}"),
    )
