"""Why a call fails that a connection was there for: the credential, the namespace, the server.

The first call belongs to connecting, and so may fail for some reasons of TLS as well. What else is
said of TLS there is the server's own words.
"""

from collections.abc import Iterator

from .reasons import Reason, sdk_words, status
from .reasons_tls import NO_CERTIFICATE, REJECTED_CERTIFICATE, SILENT
from .target import Target


def has_no_credential(target: Target) -> bool:
    """Whether the client shows neither an API key nor a certificate."""
    return not target.has_api_key and not target.has_certificate


def allow_or_change_the_namespace(target: Target) -> Iterator[str]:
    """For a credential that may not do this on the namespace."""
    yield (f"give its user or service account write access to {target.namespace}, in the Web UI")
    yield "or TEMPORAL_NAMESPACE=<a namespace it has access to>"


def find_or_create_the_namespace(target: Target) -> Iterator[str]:
    """For a namespace that the server does not know."""
    if target.of_cloud:
        yield "TEMPORAL_NAMESPACE=<name>.<account>"
        yield "as the Web UI spells it"
        yield f"or, on Temporal Cloud, {target.address_line}"
    else:
        yield "TEMPORAL_NAMESPACE=default"
        yield "or the name as the Web UI spells it"
        yield f"or temporal operator namespace create --namespace {target.namespace}"


AUTHENTICATION = (
    SILENT,
    NO_CERTIFICATE,
    REJECTED_CERTIFICATE,
    Reason(
        said=sdk_words(r"(HTTP status code|response with status:) (?P<told>401|403)"),
        message=lambda target, claims: (
            f"a gateway in front of {target.where} wants credentials of its own: HTTP status "
            f"{claims.told}"
        ),
        fixes=lambda _: ["ask whoever runs it what it wants, such as TEMPORAL_GRPC_META_<HEADER>"],
    ),
    Reason(
        said=sdk_words(r"(HTTP status code|response with status:) (?P<told>\d+)"),
        message=lambda target, claims: (
            f"{target.where} answers HTTP status {claims.told}: "
            "a proxy with no Temporal server behind it"
        ),
        fixes=lambda _: ["check that the server runs and the proxy passes gRPC on"],
    ),
    Reason(
        said=status("unauthenticated"),
        when=lambda target: target.has_api_key,
        message=lambda target, _: (
            f"the server does not accept the API key in {target.api_key.name} "
            f"({target.api_key.source}): disabled, deleted, expired, cut off, "
            "or the namespace takes mTLS only"
        ),
        fixes=lambda target: [target.api_key_line],
    ),
    Reason(
        said=status("unauthenticated|permission_?denied"),
        when=has_no_credential,
        message=lambda *_: "the server wants a credential and got none",
        fixes=lambda _: ["TEMPORAL_API_KEY=<API key>"],
    ),
    Reason(
        said=status("unauthenticated"),
        message=lambda *_: "the server takes an API key, not a client certificate",
        fixes=lambda _: ["TEMPORAL_API_KEY=<API key>", "and unset the certificate and its key"],
    ),
    Reason(
        said=status("permission_?denied"),
        message=lambda target, _: (
            f"the {target.credential} is known, but not allowed on the namespace {target.namespace}"
        ),
        fixes=allow_or_change_the_namespace,
    ),
    Reason(
        said=status("unimplemented"),
        message=lambda target, _: f"{target.where} speaks gRPC, but is not a Temporal server",
        fixes=lambda target: [target.address_line],
    ),
    Reason(
        said=status("not_?found"),
        message=lambda target, _: f"the server knows no namespace {target.namespace}",
        fixes=find_or_create_the_namespace,
    ),
    Reason(
        said=sdk_words(r'^[^"]*code: resource_?exhausted(, message(?P<told>: ".*?"),)?'),
        message=lambda target, claims: (
            f"the rate limit of the namespace {target.namespace} is exceeded{claims.told}"
        ),
        fixes=lambda _: ["try again, or ask for a higher limit"],
    ),
    Reason(
        said=sdk_words(r'code: (?P<told>.+?, message: ".*?"),'),
        message=lambda _, claims: claims.told,
        fixes=lambda _: ["try again: the server may be starting, or busy"],
    ),
    Reason(
        said=sdk_words(r"^(?P<told>[^\n]*)"),
        message=lambda _, claims: claims.told,
        fixes=lambda _: ["python scripts/start_ping.py --verbose"],
    ),
)
