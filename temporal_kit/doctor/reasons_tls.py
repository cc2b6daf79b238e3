"""Why no gRPC connection comes about over TCP: what the server speaks, and its TLS."""

from collections.abc import Iterator

from .evidence import Claims, Seen
from .reasons import Reason, sdk_words
from .target import Target, now

# The handshake is through and the server hangs up: in TLS 1.3 it judges the client's certificate
# only then.
ENDED_AFTER_HANDSHAKE = sdk_words(
    r"(AlertReceived\(|fatal alert: )(?P<told>\w+)"
    r"|after connection.*(transport error|connection closed|operation was canceled)"
)


# What the server speaks.


def use_the_grpc_port(target: Target) -> Iterator[str]:
    """For the address of a web server, which is often Temporal's own Web UI."""
    if target.of_cloud or target.port == 7233:
        yield target.address_line
    else:
        yield f"{target.address.name}={target.host}:7233"


def agree_on_tls(target: Target) -> Iterator[str]:
    """For a server without TLS; without it keys and headers go over the network in the clear."""
    if target.of_cloud:
        yield target.address_line
        yield "or check the proxies in between: TLS must pass unopened"
    elif target.sends_secrets:
        yield f"{target.address.name}=<host:port where it speaks TLS>"
        yield f"or, if anyone on the way may read {target.sends_secrets}, TEMPORAL_TLS=false"
    else:
        yield "TEMPORAL_TLS=false"
        yield "and unset the other TLS settings"


def another_address_or_a_look(target: Target) -> Iterator[str]:
    """For a server that answers in no way that a Temporal server does."""
    yield target.address_line
    yield "or check the server and any proxy"


# The server's certificate.


def not_temporal_cloud(_: Target, claims: Claims) -> str:
    """Say that somebody else answers, and who that claims to be."""
    certificate = claims.certificate
    return (
        "this is not Temporal Cloud: something between you and it answers, with a certificate for "
        f"{certificate.names} by {certificate.issuer}"
    )


def reach_temporal_cloud(target: Target) -> Iterator[str]:
    """For an answer that is not Temporal Cloud's, though the name is."""
    yield "check the address and, with your network team, DNS and proxies"
    ca = f"{target.ca.name}=<its CA, got from them alone>"
    yield f"or, if your IT department's proxy inspects TLS, {ca}"
    if target.proxy:
        yield f"or, {target.detour_line}"


def names_another_ca(target: Target) -> bool:
    """Whether the settings trust a CA for Temporal Cloud, in place of the public ones."""
    return target.has_cloud_name and target.has_ca


def reach_temporal_cloud_without_ca(target: Target) -> Iterator[str]:
    """For a CA in the settings that hides the public ones."""
    yield target.ca.removal
    yield f"or {target.ca.name}=<the CA of whoever inspects TLS on the way, got from them alone>"


def expect_the_name_in_the_certificate(target: Target) -> Iterator[str]:
    """For a certificate that is for another name."""
    if not target.of_cloud:
        yield "TEMPORAL_TLS_SERVER_NAME=<the name that your operator gives>"
        yield f"or have it reissued, with {target.tls_name} as subject alternative name"
        return
    yield f"TEMPORAL_TLS_SERVER_NAME={target.endpoint_host}"
    if target.has_api_key:
        yield "or TEMPORAL_TLS_SERVER_NAME=<your region's endpoint>, on a private link"


# The client's certificate.


def has_no_certificate(target: Target) -> bool:
    """Whether the server may miss a client certificate, which it asks for in TLS."""
    return target.uses_tls and not target.has_certificate


def has_certificate(target: Target) -> bool:
    """Whether the server may dislike the client certificate."""
    return target.has_certificate


def show_a_certificate(target: Target) -> Iterator[str]:
    """For a server that got no client certificate, and has ended the connection."""
    yield f"{target.certificate.name}=<PEM file>"
    yield "and TEMPORAL_TLS_CLIENT_KEY_PATH=<its key's PEM file>"
    if target.has_api_key:
        yield f"and {target.api_key.removal}"
    yield "or check the server and any proxy"


def have_the_certificate_accepted(target: Target) -> Iterator[str]:
    """For a client certificate that the server does not accept."""
    own = target.own_certificate
    other = f"{target.certificate.name}=<a client certificate from a CA that the server has>"
    if own.decoded:
        yield (
            f"give the namespace {target.namespace} the CA {own.issuer!r}, and no filter against it"
        )
        other = f"or {other}"
    yield other
    yield "and its key"


def let_the_handshake_through(target: Target) -> Iterator[str]:
    """For a handshake that breaks off without a reason."""
    yield target.address_line
    yield "or check the firewalls and proxies in between"
    if not target.is_local:
        yield f"or, {target.detour_line}"
    if has_no_certificate(target):
        yield "or the server wants a client certificate (mTLS)"


# These the first call may show as well, and not only the handshake.
SILENT = Reason(
    seen=Seen.SILENT,
    said=sdk_words(r'^[^"]*code: (?-i:CANCELLED|DEADLINE_EXCEEDED)'),
    message=lambda target, _: f"{target.where} accepts the connection and stays silent",
    fixes=another_address_or_a_look,
)
NO_CERTIFICATE = Reason(
    seen=Seen.HANGS_UP,
    said=ENDED_AFTER_HANDSHAKE,
    when=has_no_certificate,
    message=lambda target, claims: (
        f"{target.where} ends the connection after the TLS handshake: it wants a client "
        "certificate (mTLS) and got none, or has no Temporal server behind it "
        f"{claims.told}"
    ),
    fixes=show_a_certificate,
)
REJECTED_CERTIFICATE = Reason(
    said=ENDED_AFTER_HANDSHAKE,
    when=has_certificate,
    message=lambda target, claims: (
        f"the server rejects the client certificate in {target.certificate.name}, "
        f"{target.own_certificate.subject!r} {claims.told}"
    ),
    fixes=have_the_certificate_accepted,
)

TLS = (
    SILENT,
    Reason(
        seen=Seen.TLS,
        message=lambda target, _: f"{target.where} speaks TLS, and these settings do not",
        fixes=lambda _: ["TEMPORAL_TLS=true"],
    ),
    Reason(
        seen=Seen.WEB_SERVER,
        message=lambda target, _: (
            f"{target.where} is a web server: gRPC is on port 7233, the Web UI on 8233"
        ),
        fixes=use_the_grpc_port,
    ),
    Reason(
        seen=Seen.NOT_GRPC,
        said=sdk_words(r"h2 protocol error"),
        message=lambda target, _: (
            f"{target.where} closes the connection without a word or speaks no gRPC: "
            "not a Temporal server, or a proxy"
        ),
        fixes=lambda target: [target.address_line],
    ),
    Reason(
        said=sdk_words(r"InvalidCertificate\(UnknownIssuer"),
        when=names_another_ca,
        message=lambda target, claims: (
            f"{target.ca} trusts another CA than that of the server's certificate, "
            f"{claims.certificate.issuer}: Temporal Cloud needs none set. Or this is not Temporal "
            "Cloud: something between you and it answers"
        ),
        fixes=reach_temporal_cloud_without_ca,
    ),
    Reason(
        said=sdk_words(r"InvalidCertificate\((UnknownIssuer|NotValidForName)"),
        when=lambda target: target.has_cloud_name,
        message=not_temporal_cloud,
        fixes=reach_temporal_cloud,
    ),
    Reason(
        said=sdk_words(r"NotValidForName|UnrecognisedName"),
        message=lambda target, claims: (
            f"the server's certificate is for {claims.certificate.names}, not {target.tls_name}"
        ),
        fixes=expect_the_name_in_the_certificate,
    ),
    Reason(
        said=sdk_words(r"InvalidCertificate\((Expired|NotValidYet)"),
        message=lambda _, claims: (
            "the server's certificate has expired or is not valid yet: it is valid "
            f"{claims.certificate.dates}, and this machine's clock says {now()}"
        ),
        fixes=lambda _: ["set this machine's clock, or have whoever runs the server renew it"],
    ),
    Reason(
        said=sdk_words(r"InvalidCertificate\(UnknownIssuer"),
        message=lambda _, claims: (
            f"the server's certificate is from an unknown CA: {claims.certificate.issuer}"
        ),
        fixes=lambda target: [f"{target.ca.name}=<PEM file of your operator's CA>"],
    ),
    Reason(
        said=sdk_words(r"InvalidCertificate\((Other\w*\()*(?P<told>\w+)"),
        message=lambda _, claims: (
            "the server's certificate is a CA's own, is not made for servers or is otherwise "
            f"unfit: {claims.told}"
        ),
        fixes=lambda _: [
            "have one signed by the CA for servers (extended key usage serverAuth)",
        ],
    ),
    Reason(
        said=sdk_words(r"NativeCertsNotFound"),
        message=lambda *_: "this machine has no CA certificates",
        fixes=lambda _: ["install the ca-certificates package"],
    ),
    Reason(
        seen=Seen.TOO_LARGE,
        message=lambda target, _: (
            f"{target.where} sends more certificates than the SDK takes, which is 64 KiB"
        ),
        fixes=lambda _: ["have whoever runs the server send only its own chain, without the root"],
    ),
    Reason(
        seen=Seen.NO_TLS,
        said=sdk_words(r"InvalidContentType|InvalidMessage"),
        message=lambda target, _: f"{target.where} speaks no TLS, and these settings do",
        fixes=agree_on_tls,
    ),
    Reason(
        said=sdk_words(r"H2NotNegotiated|NoApplicationProtocol|ProtocolVersion|PeerIncompatible"),
        message=lambda target, _: (
            f"{target.where} speaks no TLS 1.2 or 1.3 with HTTP/2, which gRPC needs"
        ),
        fixes=another_address_or_a_look,
    ),
    NO_CERTIFICATE,
    REJECTED_CERTIFICATE,
    Reason(
        seen=Seen.BREAKS_OFF,
        said=sdk_words(r"Server connection error"),
        message=lambda target, _: f"{target.where} breaks off the TLS handshake without a reason",
        fixes=let_the_handshake_through,
    ),
)
