"""What a failed connection means, in the user's own values.

Climbs the ladder that Temporal's support climbs: name resolution, TCP, TLS, authentication,
namespace, workers. The SDK says `transport error` for most of what breaks on the lower rungs; the
standard library's sockets tell the causes apart.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListNamespacesRequest,
    ListWorkersRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from temporal_checks import (
    NAMESPACE,
    NO_CHECK_TIME,
    Finding,
    api_key_line,
    good,
    host_and_port,
    inspect_certificate,
    load_pair,
    namespace_endpoint,
    near_cloud,
    pem_origin,
    shown,
    shown_error,
    worth,
    wrong,
)
from temporal_client import DENIED, Settings, connect, describe_namespace, require_right

DNS_SECONDS = 2.0
TLS_SECONDS = 2.0
LOOK_TIMEOUT = timedelta(seconds=0.7)
STALE_SECONDS = 60  # an idle worker polls at least once a minute
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
TRY_AGAIN = "try again: the server may be starting, or busy"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
CA_SETTING = "TEMPORAL_TLS_SERVER_CA_CERT_PATH"
# An HTTP/2 client's first words: preface and empty SETTINGS. A gRPC server's are SETTINGS too.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


@dataclass
class Climb:
    """What the rungs so far have found out."""

    settings: Settings
    ip: str = ""
    client: Client | None = None

    @property
    def host(self) -> str:
        """The server's name or number."""
        return host_and_port(self.settings.address)[0]

    @property
    def port(self) -> int:
        """The server's port."""
        return int(host_and_port(self.settings.address)[1])

    @property
    def where(self) -> str:
        """Host and port, to begin a sentence with."""
        return f"{self.host}, port {self.port},"

    def on_port(self, port: int) -> str:
        """The address with this port."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def address(self, value: str = "") -> str:
        """The line that sets the address, to that of the namespace where it is Cloud's."""
        if not value and NAMESPACE.fullmatch(self.settings.namespace):
            value = namespace_endpoint(self.settings)
        value = value if value != self.settings.address else ""
        return f"{self.settings.origin('TEMPORAL_ADDRESS').name}={value or '<host:port>'}"


async def walk(settings: Settings) -> AsyncIterator[Finding]:
    """Climb from rung to rung and stop where it breaks; the rungs above come as `–`.

    Takes the sum of the rungs' limits at the most, 13.8 s, on a server that stays silent too.
    """
    climb = Climb(settings)
    broken = False
    for title, limit, rung in RUNGS:
        if broken:
            yield Finding("–", f"{title}: not reached")
            continue
        try:
            finding = await asyncio.wait_for(rung(climb), limit)
        except asyncio.TimeoutError:
            finding = _silent(climb) if climb.ip else _no_answer(climb, limit)
        broken = finding.mark == "✗"
        remedy = finding.remedy
        proxies = [name for name in PROXIES if os.environ.get(name)]
        if broken and proxies and not climb.ip and climb.host not in LOCAL_HOSTS:
            text = f"or through the proxy in {proxies[0]}: the SDK takes it from nowhere but"
            remedy = (*remedy, f"{text} Client.connect's http_connect_proxy_config")
        yield Finding(finding.mark, f"{title}: {finding.text}", remedy)


async def explain(error: BaseException, settings: Settings) -> Finding:
    """What an error of the SDK means: the lowest broken rung, or else the error's own words."""
    with suppress(Exception):  # a failed search must not hide what it was to explain
        async for finding in walk(settings):
            if finding.mark == "✗":
                return finding
    if isinstance(error, RPCError) and error.status.name in DENIED:
        return _refused_call(Climb(settings), error)
    return wrong(shown_error(error))


async def _resolve(climb: Climb) -> Finding:
    host = climb.host
    try:
        asking = asyncio.to_thread(socket.getaddrinfo, host, climb.port, type=socket.SOCK_STREAM)
        found = await asyncio.wait_for(asking, DNS_SECONDS)
        return good(f"{host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}")
    except UnicodeError:
        return wrong(f"{host} is no host name", climb.address())
    except (OSError, asyncio.TimeoutError) as error:
        text = f"the name {host} is unknown: misspelt, or known to a private DNS only"
        if getattr(error, "errno", None) in (socket.EAI_AGAIN, None):
            text = f"the name {host} cannot be looked up: no DNS server answers this machine"
    typo = near_cloud(host)
    mend = climb.address(f"{typo}:{climb.port}" if typo else "")
    if climb.settings.on_cloud and "<" in mend:
        mend = climb.address("<name>.<account>.tmprl.cloud:7233") + ", as the Web UI spells it"
    return wrong(text, mend, "or see to this machine's network and DNS")


def _no_answer(climb: Climb, seconds: float) -> Finding:
    text = f"no answer from {climb.where} within {seconds:g} s: something drops the packets"
    return wrong(text, f"let this machine through to {climb.on_port(climb.port)} (firewall, VPN)")


def _silent(climb: Climb) -> Finding:
    text = f"{climb.where} takes the connection and stays silent"
    another = climb.address()
    return wrong(text, "look at the server, and at proxies in between", f"or {another}")


async def _reach(climb: Climb) -> Finding:
    try:
        _, writer = await asyncio.open_connection(climb.host, climb.port)
        climb.ip = writer.get_extra_info("peername")[0]
        writer.close()
    except ConnectionResetError:  # taken, and ended at once: the next rung says more
        climb.ip = climb.host
    except OSError as error:
        if isinstance(error, ConnectionRefusedError) or "refused" in str(error):
            text = f"nothing listens on {climb.host}, port {climb.port}"
            remedy = climb.address()
            if "<" in remedy and climb.port != 7233:
                remedy = climb.address(climb.on_port(7233))
            if NAMESPACE.fullmatch(climb.settings.namespace) or climb.host not in LOCAL_HOSTS:
                return wrong(text, remedy)
            start = "python scripts/run_local.py --serve   # or whichever server it should be"
            return wrong(text, start, f"or {remedy}")
        why = os.strerror(error.errno) if error.errno else error
        text = f"no way to {climb.host}, port {climb.port}: {why}"
        return wrong(text, "see to this machine's network, routes and VPN")
    return good(f"connected to {climb.ip}, port {climb.port}")


async def _secure(climb: Climb) -> Finding:
    began = time.monotonic()
    finding = await asyncio.to_thread(_hello_tls if climb.settings.tls else _hello_plain, climb)
    if finding.mark == "✗":
        # The SDK has a TLS and a trust store of its own, and the last word: what it connects to
        # is right, whatever the standard library thinks of it.
        try:
            left = TLS_SECONDS + 0.7 - (time.monotonic() - began)
            climb.client = await asyncio.wait_for(connect(climb.settings), left)
        except Exception:
            return finding
        return good("the SDK is content")
    return finding


def _socket(climb: Climb) -> socket.socket:
    return socket.create_connection((climb.ip, climb.port), TLS_SECONDS)


def _hello_plain(climb: Climb) -> Finding:
    try:
        with _socket(climb) as plain:
            plain.sendall(HELLO)
            answer = plain.recv(64)
    except TimeoutError:
        return _silent(climb)
    except OSError:
        answer = b""
    if answer[3:4] == b"\4":
        return good("off, plain text")
    if answer.startswith((b"HTTP/", b"<")):
        return _no_grpc(climb, answer)
    try:
        with _socket(climb) as plain, _context(climb, verify=False).wrap_socket(plain) as secure:
            speaks_tls = secure.version() is not None
    except OSError:
        speaks_tls = answer.startswith(b"\x15\3")  # a TLS alert
    if speaks_tls:
        text = f"{climb.where} speaks TLS, and these settings do not"
        return wrong(text, "TEMPORAL_TLS=true", "and the credential, if the server wants one")
    return _no_grpc(climb, answer)


def _no_grpc(climb: Climb, answer: bytes) -> Finding:
    if answer.startswith((b"HTTP/", b"<")):
        text = f"{climb.where} is a web server: gRPC is on port 7233, the Web UI on 8233"
        return wrong(text, climb.address(climb.on_port(7233)))
    says = "answers, but not as gRPC does" if answer else "closes the connection without a word"
    text = f"{climb.where} {says}: no Temporal server, or a proxy"
    return wrong(text, climb.address("<host:port of a Temporal server>"))


def _hello_tls(climb: Climb) -> Finding:
    name = climb.settings.server_name or climb.host
    shaken = False
    try:
        with (
            _socket(climb) as plain,
            _context(climb).wrap_socket(plain, server_hostname=name) as secure,
        ):
            shaken = secure.version() is not None
            # In TLS 1.3 the server judges the client's certificate after the handshake. Most
            # servers speak first, and one that rejects is heard best before it is spoken to.
            try:
                secure.settimeout(0.3)
                answer = secure.recv(64)
            except TimeoutError:
                secure.settimeout(TLS_SECONDS)
                secure.sendall(HELLO)
                answer = secure.recv(64)
            if answer[3:4] == b"\4":
                end = (secure.getpeercert() or {}).get("notAfter")
                return good(f"{secure.version()}, the server's certificate is valid until {end}")
            if answer:
                return _no_grpc(climb, answer)
    except TimeoutError:
        return _silent(climb)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(climb, error.verify_code)
    except OSError as error:
        return _broken_off(climb, getattr(error, "reason", None) or "", shaken)
    except ValueError as error:
        return wrong(f"{name} is no name for TLS: {error}", "TEMPORAL_TLS_SERVER_NAME=<host name>")
    return _broken_off(climb, "", shaken)


def _context(climb: Climb, *, verify: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    context.hostname_checks_common_name = False  # nor does the SDK look there
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif climb.settings.server_ca:
        context.load_verify_locations(cadata=climb.settings.server_ca.decode("ascii", "ignore"))
    else:
        context.load_default_certs()
    if climb.settings.client_cert and climb.settings.client_key:
        load_pair(context, climb.settings.client_cert, climb.settings.client_key)
    return context


def _server_certificate(climb: Climb) -> dict[str, Any]:
    """What an untrusted server's certificate says: fetch it, then trust it to have it decoded."""
    context = _context(climb, verify=False)
    name = climb.settings.server_name or climb.host
    decoded: dict[str, Any] = {}
    for _ in range(2):
        with _socket(climb) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
            decoded = dict(secure.getpeercert() or {})
            context.load_verify_locations(cadata=secure.getpeercert(binary_form=True) or b"")
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    return decoded


def _common_name(certificate: dict[str, Any], whose: str) -> str:
    parts = dict(pair for group in certificate.get(whose, ()) for pair in group)
    return str(parts.get("commonName") or ", ".join(parts.values()) or "one without a name")


def _untrusted(climb: Climb, verify_code: int) -> Finding:
    """The server's certificate does not stand the check, with OpenSSL's code for why."""
    settings = climb.settings
    try:
        certificate = _server_certificate(climb)
    except OSError:
        certificate = {}
    clock = (
        f"or this machine's clock is wrong: {time.strftime('%b %d %H:%M %Y UTC', time.gmtime())}"
    )
    if verify_code in (62, 64):  # host name, IP address mismatch
        names = [str(name) for _, name in certificate.get("subjectAltName", ())]
        expected = settings.server_name or climb.host
        text = (
            f"the server's certificate is for {', '.join(names[:4]) or 'no name'}, not {expected}"
        )
        if settings.server_name and {climb.host, f"*.{climb.host.partition('.')[2]}"} & set(names):
            return wrong(text, "unset TEMPORAL_TLS_SERVER_NAME: the address has its name already")
        meant = f"{settings.namespace}.tmprl.cloud"
        if not {meant, f"*.{meant.partition('.')[2]}", "*.tmprl.cloud"} & set(names):
            plain = sorted(names, key=lambda other: other.startswith("*"))
            meant = plain[0] if plain else "<a name in the server's certificate>"
            meant = meant.replace("*", "<region>" if ".api." in meant else "<name>")
        if not names:
            return wrong(text, f"have it issued again, with {expected} as subject alternative name")
        return wrong(text, f"TEMPORAL_TLS_SERVER_NAME={meant}")
    if verify_code == 26:  # unsuitable purpose
        text = "the server's certificate is not made for servers"
        return wrong(text, "have it issued again, with the extended key usage serverAuth")
    if verify_code == 10:  # expired
        text = f"the server's certificate, or its CA's, has expired: {certificate.get('notAfter')}"
        return wrong(text, "have it renewed", clock)
    if verify_code == 9:  # not yet valid
        text = f"the server's certificate is not valid before {certificate.get('notBefore')}"
        return wrong(text, "have it renewed", clock)
    text = f"the server's certificate is of an unknown CA: {_common_name(certificate, 'issuer')}"
    if settings.server_ca:
        name = pem_origin(settings, "SERVER_CA_CERT").name
        if settings.on_cloud:
            return wrong(text, f"unset {name}: Temporal Cloud needs none", f"or {name}=<that CA>")
        return wrong(text, f"{name}=<that CA's PEM file>; the one set is another")
    remedy = [f"{CA_SETTING}=<that CA's PEM file>"]
    if settings.on_cloud:
        remedy.append("or install the system's CA certificates (package ca-certificates)")
    return wrong(text, *remedy)


def _broken_off(climb: Climb, reason: str, shaken: bool) -> Finding:
    """The server ends the connection during or right after the handshake.

    Args:
        climb: Where.
        reason: OpenSSL's name for why, such as TLSV1_ALERT_UNKNOWN_CA; empty for none.
        shaken: Whether the handshake had ended for the client.
    """
    settings = climb.settings
    if any(word in reason for word in ("WRONG_VERSION", "HTTP_REQUEST", "RECORD_LAYER", "PACKET")):
        credential = settings.api_key or settings.client_cert
        mend = "unset the credential, as a server without TLS takes none"
        if not credential:
            mend = "TEMPORAL_TLS=false, and unset the other TLS settings"
        text = f"{climb.where} speaks no TLS, and these settings do"
        return wrong(text, mend, f"or {climb.address()}")
    if "UNRECOGNIZED_NAME" in reason:
        text = f"the server has no name {settings.server_name or climb.host}"
        endpoint = namespace_endpoint(settings).rpartition(":")[0]
        return wrong(text, f"TEMPORAL_TLS_SERVER_NAME={endpoint}", f"or {climb.address()}")
    if "PROTOCOL" in reason and not shaken:
        what = "HTTP/2" if "APPLICATION" in reason else "TLS 1.2 or 1.3"
        text = f"{climb.where} speaks TLS, but not {what}, which gRPC needs"
        return wrong(text, "look at the server, and at proxies in between", f"or {climb.address()}")
    about_client = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "DECRYPT_ERROR", "HANDSHAKE_FAIL")
    if not shaken and not any(word in reason for word in about_client):
        text = f"{climb.where} breaks off the TLS handshake and gives no reason"
        remedy = ["look at firewalls and proxies in between: TLS must pass unopened"]
        if not settings.client_cert:
            remedy.append("or the server wants a client certificate (mTLS) and got none")
        return wrong(text, *remedy, f"or {climb.address('<host:port>')}")
    if not settings.client_cert or not settings.client_key:
        text = "the server wants a client certificate (mTLS) and got none"
        key = "TEMPORAL_TLS_CLIENT_KEY_PATH=<its key's PEM file>"
        if settings.api_key:
            key += f", and unset {settings.origin('TEMPORAL_API_KEY').name}"
        remedy = ["TEMPORAL_TLS_CLIENT_CERT_PATH=<PEM file>", key]
        if not reason:
            text = f"{climb.where} closes the connection after the TLS handshake without a word: "
            text += "it wants a client certificate (mTLS), or has no Temporal server behind it"
            remedy.append("or look at the server, and at proxies in between")
        return wrong(text, *remedy)
    words = {
        "UNKNOWN_CA": ": its CA is unknown there",
        "EXPIRED": ": expired",
        "REVOKED": ": revoked",
    }
    why = next((text for word, text in words.items() if word in reason), "")
    origin = pem_origin(settings, "CLIENT_CERT")
    try:
        certificate = inspect_certificate(settings.client_cert, settings.client_key)
    except ssl.SSLCertVerificationError as error:
        text = f"the server rejects the client certificate in {origin.name}: {error.verify_message}"
        return wrong(text, f"{origin.name}=<a certificate made for clients>, with its key")
    issuer, subject = (_common_name(certificate, whose) for whose in ("issuer", "subject"))
    return wrong(
        f"the server rejects the client certificate {subject!r} in {origin.name}{why}",
        f"give the namespace {settings.namespace} the CA {issuer!r}, and no filter against it",
        f"or {origin.name}=<a certificate of a CA that it has>, with its key",
    )


async def _authenticate(climb: Climb) -> Finding:
    settings = climb.settings
    if not climb.client:
        try:
            climb.client = await connect(settings)
        except (RuntimeError, ValueError) as error:
            return _refused(climb, str(error))
    if settings.api_key:
        return good("the API key is accepted")
    return good("the client certificate is accepted" if settings.client_cert else "none needed")


def _refused(climb: Climb, text: str) -> Finding:
    """What the SDK's words mean, where sockets found no fault."""
    settings = climb.settings
    if status := re.search(r"(?:HTTP status code|response with status:) (\d+)", text):
        text = (
            f"{climb.where} answers HTTP status {status[1]}: a proxy with no Temporal server behind"
        )
        return wrong(text, "see that the server runs and the proxy passes gRPC on", climb.address())
    if "unauthenticated" in text.lower():
        origin = settings.origin("TEMPORAL_API_KEY")
        if settings.api_key:
            text = f"the server does not accept the API key in {origin.name} ({origin.source})"
            key = "the whole API key, or a new one: Web UI, Settings, API Keys"
            return wrong(
                f"{text}: disabled, deleted, expired, cut off, or the namespace takes mTLS only",
                api_key_line(settings, key),
                "or a client certificate in its place, if the namespace takes mTLS",
            )
        if settings.client_cert:
            text = "the server takes an API key, not a client certificate"
            return wrong(text, "TEMPORAL_API_KEY=<API key>, and unset the certificate and its key")
        return wrong("the server wants a credential and got none", "TEMPORAL_API_KEY=<API key>")
    if "permissiondenied" in text.lower():
        return _denied(climb)
    if "CaUsedAsEndEntity" in text:
        text = "the server's certificate is a CA's own, which the SDK accepts of no server"
        return wrong(text, "give the server a certificate that the CA has signed")
    if "InvalidCertificate" in text:
        detail = text.partition("InvalidCertificate(")[2].partition(")")[0]
        text = f"the SDK does not trust the server's certificate: {detail}"
        return wrong(text, f"{CA_SETTING}=<PEM file of the server's CA>")
    if "unimplemented" in text.lower():
        text = f"{climb.where} speaks gRPC, but is no Temporal server"
        return wrong(text, climb.address("<host:port of a Temporal server>"))
    if status := re.search(r"code: (.+?), message: \"(.*?)\", ", text):
        return _passing(status[1], status[2])
    return wrong(shown(text.partition("\n")[0]), "python scripts/start_ping.py --verbose")


def _denied(climb: Climb) -> Finding:
    settings = climb.settings
    if not settings.api_key and not settings.client_cert:
        return _refused(climb, "unauthenticated")
    who = "API key" if settings.api_key else "client certificate"
    name = settings.origin("TEMPORAL_NAMESPACE").name
    return wrong(
        f"the {who} is known, but not allowed on the namespace {settings.namespace}",
        f"give its user or service account write access to {settings.namespace}, in the Web UI",
        f"or {name}=<a namespace that it has access to>",
    )


async def _find_namespace(climb: Climb) -> Finding:
    settings, client = climb.settings, climb.client or await connect(climb.settings)
    namespace = settings.namespace
    try:
        await describe_namespace(client)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            name = settings.origin("TEMPORAL_NAMESPACE").name
            text = f"the server knows no namespace {namespace}"
            known = [] if settings.on_cloud else await _namespaces(client)
            if not known:
                return wrong(text, f"{name}=<name>.<account>, as the Web UI spells it")
            mend = f"or temporal operator namespace create --namespace {namespace}"
            if NAMESPACE.fullmatch(namespace):
                mend = f"or, on Temporal Cloud, {climb.address()}"
            return wrong(text, f"{name}={' or '.join(known[:4])}", mend)
        return _refused_call(climb, error)
    start = client.workflow_service.start_workflow_execution
    try:
        await require_right(start, StartWorkflowExecutionRequest(namespace=namespace))
    except RPCError as error:
        return _refused_call(climb, error)
    return good(f"{namespace} is there")


def _refused_call(climb: Climb, error: RPCError) -> Finding:
    """What the status of a call means that came through to a server."""
    if error.status == RPCStatusCode.PERMISSION_DENIED:
        return _denied(climb)
    if error.status == RPCStatusCode.UNAUTHENTICATED:
        return _refused(climb, "unauthenticated")
    if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return _silent(climb)
    if error.status == RPCStatusCode.UNIMPLEMENTED or "HTTP status" in error.message:
        return _refused(climb, f"unimplemented: {error.message}")
    return _passing(error.status.name, error.message)


def _passing(status: str, message: str) -> Finding:
    return wrong(f"{status}: {shown(message)}", TRY_AGAIN)


async def _namespaces(client: Client) -> list[str]:
    request = ListNamespacesRequest(page_size=20)
    try:
        found = await client.workflow_service.list_namespaces(request, timeout=LOOK_TIMEOUT)
    except RPCError:
        return []
    names = [entry.namespace_info.name for entry in found.namespaces]
    return [name for name in names if name != "temporal-system"]


async def _look_for_workers(climb: Climb) -> Finding:
    client = climb.client or await connect(climb.settings)
    return await find_workers(client, climb.settings)


async def find_workers(client: Client, settings: Settings, since: float = 0) -> Finding:
    """Whether a worker polls the configured queue and, if none does, which queue one polls.

    Args:
        client: A client of the configured namespace.
        settings: With the queue.
        since: A worker that runs has polled after this moment, in seconds since 1970, and in any
            case within the last minute.
    """
    namespace, queue = settings.namespace, settings.task_queue
    try:
        found = await _describe(client, namespace, queue)
    except RPCError as error:
        return worth(f"no telling who polls {queue!r}: {shown(error.message)}")
    within = min(time.time() - since, STALE_SECONDS)
    fresh = [poller for poller in found.pollers if _age(poller) <= within]
    if fresh:
        age = min(map(_age, fresh))
        text = f"{len(fresh)} on {queue!r}, the last poll {age:.0f} s ago"
        return _not_current(found, fresh) or good(text)
    start = "python workers/worker.py   # in another terminal, with the same settings"
    if found.pollers:
        last = min(found.pollers, key=_age)
        text = f"no poll of {queue!r} in namespace {namespace!r} for {_age(last):.0f} s"
        return worth(f"{text}: {last.identity} is busy, or gone", start)
    remedy = [start]
    for where, other in await _polled(client, namespace, queue):
        remedy.append(f"or TEMPORAL_TASK_QUEUE and _NAMESPACE as of a worker: {other!r}, {where!r}")
    here = [origin.name for origin in settings.origins.values() if origin.source == "environment"]
    if here:
        remedy.append(f"in the environment of this shell only: {', '.join(here)}")
    return worth(f"no worker polls the task queue {queue!r} in namespace {namespace!r}", *remedy)


def _not_current(found: DescribeTaskQueueResponse, fresh: list[PollerInfo]) -> Finding | None:
    """What is wrong if new runs are routed to a Worker Deployment Version that none polls as."""
    versioned = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    options = [one.deployment_options for one in fresh]
    versions = [one for one in options if one.worker_versioning_mode == versioned]
    builds = {(one.deployment_name, one.build_id) for one in versions}
    routing = found.versioning_info
    routed = [
        (one.deployment_name, one.build_id)
        for one in (routing.current_deployment_version, routing.ramping_deployment_version)
        if one.build_id
    ]
    if builds.intersection(routed) or (not routed and len(versions) < len(fresh)):
        return None
    name, build = max(builds or routed)
    mend = f"temporal worker deployment set-current-version --deployment-name {name}"
    mend += f" --build-id {build} --yes"
    if not builds:
        mend = f"TEMPORAL_DEPLOYMENT_NAME={name} TEMPORAL_WORKER_BUILD_ID={build} for a worker"
    return worth("no version that polls is the current one, so no new run gets to a worker", mend)


async def _describe(client: Client, namespace: str, queue: str) -> DescribeTaskQueueResponse:
    """Who polls a queue for workflows, and which version its new runs are for."""
    request = DescribeTaskQueueRequest(
        namespace=namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    return await client.workflow_service.describe_task_queue(request, timeout=LOOK_TIMEOUT)


def _age(poller: PollerInfo) -> float:
    """Seconds since it polled last."""
    return max(0.0, time.time() - poller.last_access_time.ToNanoseconds() / 1e9)


async def _polled(client: Client, namespace: str, queue: str) -> list[tuple[str, str]]:
    """Namespace and queue of workers that were perhaps meant, the likeliest first: a queue much
    like it, the same queue elsewhere, any other.
    """
    places = [(namespace, other) for other in (f"{queue} ", f" {queue}", queue.lower())]
    if not client.namespace.count("."):  # an own server, not Temporal Cloud, tells its namespaces
        places += [(other, queue) for other in await _namespaces(client)]
    places.append((namespace, "ap-default"))
    request = ListWorkersRequest(namespace=namespace, page_size=50)
    try:
        listed = await client.workflow_service.list_workers(request, timeout=LOOK_TIMEOUT)
        places += [(namespace, one.worker_heartbeat.task_queue) for one in listed.workers_info]
    except RPCError:
        pass  # a server that keeps no such list
    places = [place for place in dict.fromkeys(places) if place != (namespace, queue)]
    asked = (_describe(client, *place) for place in places)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return [
        place
        for place, found in zip(places, answers, strict=True)
        if not isinstance(found, BaseException)
        and any(_age(poller) <= STALE_SECONDS for poller in found.pollers)
    ][:2]


RUNGS: tuple[tuple[str, float, Callable[[Climb], Awaitable[Finding]]], ...] = (
    ("name resolution", 2.3, _resolve),
    ("TCP", 2.5, _reach),
    ("TLS", 3.5, _secure),
    ("authentication", 2.0, _authenticate),
    ("namespace", 2.3, _find_namespace),
    ("workers", 1.2, _look_for_workers),
)
