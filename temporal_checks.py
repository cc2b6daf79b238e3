"""What is wrong with settings, as far as it shows without a network.

The forms of Temporal Cloud's endpoints and namespaces are those of docs.temporal.io/cloud.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    from temporal_client import Origin, Settings

SOON_DAYS = 30
NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for
CLOUD_DOMAINS = (".tmprl.cloud", ".api.temporal.io")
NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,37}[a-z0-9]\.[a-z0-9]{5,}")
REGIONAL = re.compile(r"[a-z0-9-]+\.((aws|gcp|azure)\.api\.temporal\.io|region\.tmprl\.cloud)")
HOST_PORT = re.compile(r"(\[[^]\s]+\]|[\w.-]*):(\d*)")
PLACEHOLDER = re.compile(
    r"<[^>]*>|\byour[-_ .](account|api|cert|domain|host|key|name|region|secret|server|task|token)"
    r"|change[-_]?me|\.\.\.|…|^([x*])\2{2,}$|^[$%][\w(]+|\$?\{+ ?\w+ ?\}",
    re.I,
)
SECRET = re.compile(r"-----BEGIN|eyJ[\w-]{8,}|ZXlK[\w-]{8,}|LS0tLS1CRUdJTi")
TOKEN = re.compile(r"(eyJ|ZXlK)[\w.-]{8,}")  # the form of Cloud's API keys, and base64 of it
SECRET_OR_FILE = ("_KEY", "_DATA", "_PATH", "_FILE", "_AUTHORIZATION")
QUOTES = "\"'`“”‘’"
# Names that other tools read, or that Kubernetes sets in every pod beside a service "temporal".
FOREIGN = re.compile(
    r"TEMPORAL_(ENV|ENV_FILE|DEBUG|(CODEC|CLI|UI|JWT|AUTH)_\w+|\w*SERVICE_(HOST|PORT)\w*"
    r"|\w*PORT(_\d+_\w+)?|CLOUD_(API_KEY|ENDPOINT|NAMESPACE|ALLOW_INSECURE))"
)
# What people call a setting, the most telling word first, and its name.
GUESSES = (
    (r"(TOKEN|API_?KEY)_?(PATH|FILE)", "TEMPORAL_API_KEY_FILE"),
    (r"TOKEN|API_?KEY", "TEMPORAL_API_KEY"),
    (r"QUEUE", "TEMPORAL_TASK_QUEUE"),
    (r"NAMESPACE|_NS$", "TEMPORAL_NAMESPACE"),
    (r"SNI|DOMAIN|SERVER_?NAME", "TEMPORAL_TLS_SERVER_NAME"),
    (r"ROOT|_CA(_|$)", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
    (r"KEY", "TEMPORAL_TLS_CLIENT_KEY_PATH"),
    (r"CERT", "TEMPORAL_TLS_CLIENT_CERT_PATH"),
    (r"HOST|UR[IL]|SERVER|ENDPOINT|ADDR|TARGET", "TEMPORAL_ADDRESS"),
    (r"TLS|SSL", "TEMPORAL_TLS"),
)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        mark: `✓` good, `✗` wrong, `⚠` worth knowing, `–` not reached.
        text: The finding, in one line.
        remedy: The lines that mend it.
    """

    mark: str
    text: str
    remedy: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = "\n".join([f"{self.mark} {self.text}", *(f"  → {line}" for line in self.remedy)])
        return TOKEN.sub("(hidden)", said)


class Failure(Exception):
    """Something that keeps a script from its work: `findings` has causes and remedies."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(str(finding) for finding in findings))


def good(text: str) -> Finding:
    """Something that is as it should be."""
    return Finding("✓", text)


def wrong(text: str, *remedy: str) -> Finding:
    """Something that keeps a ping from running."""
    return Finding("✗", text, remedy)


def worth(text: str, *remedy: str) -> Finding:
    """Something that works and is worth knowing."""
    return Finding("⚠", text, remedy)


def shown(value: str) -> str:
    """The value as it may be printed: people paste keys into every setting there is."""
    if SECRET.search(value) or any(map(_random, re.findall(r"[^\s/:]{24,}", value))):
        return "(hidden)"
    value = re.sub(r"//[^/@\s]+@", "//(hidden)@", value)  # user and password in a URL
    return value if len(value) <= 250 else f"{value[:60]} [cut]"


def shown_error(error: BaseException) -> str:
    """An error's type and the first line of what it says, as they may be printed."""
    return f"{type(error).__name__}: {shown(str(error).partition(chr(10))[0])}"


def _random(word: str) -> bool:
    """Whether a word looks as keys do: words that people make up change case less often."""
    changes = re.findall(r"(?<=[a-z])[A-Z0-9]|(?<=[0-9])[A-Za-z]", word)
    capitals = re.findall(r"(?<=[a-z0-9])[A-Z]", word)
    return len(changes) > len(word) / 4 and len(capitals) > len(word) / 8


def host_and_port(address: str) -> tuple[str, str]:
    """Split `host:port`, either of which may be missing; the host comes in lower case."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, ""
    return host.strip("[]").lower().rstrip("."), port


def near_cloud(host: str) -> str | None:
    """The Temporal Cloud host that this one is a slip away from, if any."""
    import difflib  # who has no such slip does not pay for it

    name, slip, rest = host.partition(".tmprl")
    if slip and rest != ".cloud":
        return f"{name}.tmprl.cloud"
    for domain in CLOUD_DOMAINS:
        labels = host.split(".")
        head, tail = labels[: -domain.count(".")], ".".join(labels[-domain.count(".") :])
        alike = difflib.SequenceMatcher(None, tail, domain[1:]).ratio()
        if head and 0.85 < alike < 1:
            return ".".join(head) + domain
    return None


def check_names(
    values: Mapping[str, str | None], known: Mapping[str, str], settings: Settings
) -> Iterator[Finding]:
    """Names that look like a setting and are none: every tool passes them over in silence."""
    ignored = []
    for name in sorted(values):
        value = (values[name] or "").strip()
        plain = re.sub(r"\W", "_", name.removeprefix("$env:")).upper()
        if name in known or not value or not re.match(r"TE?MP\w*_|TE[MP]\w{3,7}_", plain):
            continue
        at_cloud = any(domain in value for domain in CLOUD_DOMAINS) and "saas-api" not in value
        if plain.startswith("TEMPORAL_GRPC_META_") or (FOREIGN.fullmatch(plain) and not at_cloud):
            continue
        import difflib

        close = difflib.get_close_matches(plain, known, 3, 0.87)
        close.sort(key=lambda other: other[-4:] != plain[-4:])  # not _DATA for a _PATH
        guesses = [setting for words, setting in GUESSES if re.search(words, plain)]
        if TOKEN.match(value):
            guesses = ["TEMPORAL_API_KEY"]
        off = re.search("DISABLE|INSECURE|SKIP|VERIF", plain)  # no setting's value would be right
        if not off and (close or (guesses and plain.startswith("TEMPORAL_"))):
            slip = [other for other in close if len(other) - 2 < len(plain) < len(other) + 2]
            meant = (difflib.get_close_matches(plain, slip, 1, 0.94) or guesses or close)[0]
            unmet = not settings.is_set(known[meant])
            serious = unmet and (close or at_cloud)
            text = f"{name} is no setting and is ignored: did you mean {meant}?"
            yield (wrong if serious else worth)(text, f"{meant}=<the value of {name}>")
        elif plain.startswith("TEMPORAL_"):
            ignored.append(name)
    if ignored:
        text = f"no settings, ignored: {', '.join(ignored)}"
        yield worth(text, "unset them, or see .env.example for the names that there are")


def check_settings(
    settings: Settings, values: Mapping[str, str | None], env_file: Path | None
) -> Iterator[Finding]:
    """Judge each setting alone and beside the others.

    Args:
        settings: What to judge.
        values: Everything that is set, settings or not.
        env_file: The `.env` file, if it holds secrets.
    """
    spoilt = set()
    for official, origin in settings.origins.items():
        value = settings.api_key or "" if official == "TEMPORAL_API_KEY" else origin.shown
        fault, mend = "", "<your value>"
        if value and (value[0] in QUOTES or value[-1] in QUOTES):
            fault = "has quotes around it, a shell's"
            mend = value.strip(QUOTES) if value == origin.shown else mend
        elif PLACEHOLDER.search(value):
            fault = "is still the example's"
        elif value == "(hidden)" and not (
            official.endswith(SECRET_OR_FILE) or "_META_" in official
        ):
            fault = "looks like a key or a PEM, which goes elsewhere"
        elif not value.isprintable() and official != "TEMPORAL_API_KEY":
            fault = "has invisible characters in it"
            mend = "".join(filter(str.isprintable, value))
        if fault:
            line = f"{origin.name}={mend}"
            if official == "TEMPORAL_API_KEY":
                line = api_key_line(settings, "the API key and nothing else")
            yield wrong(f"{origin} {fault}", line)
            spoilt.add(official)
    if not spoilt & {"TEMPORAL_ADDRESS", "TEMPORAL_TLS_SERVER_NAME"}:
        yield from _check_address(settings)
        yield from _check_server_name(settings)
    if "TEMPORAL_NAMESPACE" not in spoilt:
        yield from _check_namespace(settings)
    yield from _check_credentials(settings, values)
    if settings.api_key and "TEMPORAL_API_KEY" not in spoilt:
        yield from _check_api_key(settings)
    if settings.client_cert or settings.client_key or settings.server_ca:
        yield from _check_certificates(settings)
    yield from _check_process(settings)
    yield from _check_permissions(settings, env_file)


def within(value: str) -> tuple[str, str]:
    """Host and port in a URL, in quotes, or in more than one of them."""
    parts = re.findall(r"\[[^]]*\]|[\w.-]+", re.sub(r"^(\w*:?/+)?(.*@)?", "", value), re.A)
    host, port, *_ = [*parts, "", ""]
    return host.lower().rstrip("."), port if port.isdecimal() and 0 < int(port) < 65536 else "7233"


def namespace_endpoint(settings: Settings) -> str:
    """The address of the namespace on Temporal Cloud, as far as it can be told."""
    namespace = settings.namespace.lower()
    known = NAMESPACE.fullmatch(namespace)
    return f"{namespace if known else '<name>.<account>'}.tmprl.cloud:7233"


def _check_address(settings: Settings) -> Iterator[Finding]:
    address, origin = settings.address, settings.origin("TEMPORAL_ADDRESS")
    endpoint = namespace_endpoint(settings)
    if not settings.is_set("TEMPORAL_ADDRESS"):
        yield from _check_no_address(settings, endpoint)
        return
    host, port = within(address)
    fault, mend = "", f"{host}:{port}"
    name = host.removesuffix(".tmprl.cloud")
    shape = HOST_PORT.fullmatch(address)
    if "cloud.temporal.io" in address:
        in_url = re.search(r"/namespaces/([\w.-]+)", address)
        fault = "is the Web UI, not a namespace endpoint"
        mend = f"{in_url[1]}.tmprl.cloud:7233" if in_url else endpoint
    elif host == "saas-api.tmprl.cloud":
        fault, mend = "is Temporal Cloud's control plane: workers can't use it", endpoint
    elif f".{host}".endswith(".tmprl.cloud") and host.count(".") < 3:
        fault, mend = "lacks the account, as in <name>.<account>.tmprl.cloud", endpoint
    elif name != host and not NAMESPACE.fullmatch(name) and not REGIONAL.fullmatch(host):
        fault, mend = "is no endpoint, as <name>.<account>.tmprl.cloud is", endpoint
    elif host.endswith("temporal.io") and not REGIONAL.fullmatch(host):
        fault, mend = "is no endpoint, as <region>.<aws or gcp>.api.temporal.io is", endpoint
    elif NAMESPACE.fullmatch(host) and host == settings.namespace.lower():
        fault, mend = "is a namespace and lacks its domain", endpoint
    elif "/" in address:
        fault = "is a URL: an address is host:port"
    elif re.fullmatch(r"[0-9a-f]*:[0-9a-f:.]*:\d+", address):
        fault, mend = "is IPv6 without brackets", "[{}]:{}".format(*address.rsplit(":", 1))
    elif ":" not in address.rpartition("]")[2] or address.endswith(":"):
        fault = "has no port"
    elif shape and not shape[1]:
        fault, mend = "has no host", endpoint if "<" not in endpoint else f"localhost:{port}"
    elif re.fullmatch(r"[^:\s]+:\d+", address) and not 0 < int(address.rpartition(":")[2]) < 65536:
        fault = "has a port that is no number from 1 to 65535"
    elif not shape:
        fault = "is not one host:port"
    if fault:
        yield wrong(f"{origin} {fault}", f"{origin.name}={mend}")
    elif settings.on_cloud and host.endswith(CLOUD_DOMAINS) and port != "7233":
        text = f"{origin}: Temporal Cloud's endpoints are on port 7233"
        yield worth(text, f"{origin.name}={host}:7233")
    elif typo := near_cloud(host):
        yield worth(f"{origin}: did you mean {typo}?", f"{origin.name}={typo}:{port}")


def _check_server_name(settings: Settings) -> Iterator[Finding]:
    name, origin = settings.server_name, settings.origin("TEMPORAL_TLS_SERVER_NAME")
    if name and not re.fullmatch(r"[\w.-]+|[0-9a-fA-F:]+", name):
        yield wrong(f"{origin} is not a host name alone", f"{origin.name}={within(name)[0]}")


def _check_no_address(settings: Settings, endpoint: str) -> Iterator[Finding]:
    """Half a configuration must not end up at the local server that is the default."""
    for official in (
        "TEMPORAL_API_KEY",
        "TEMPORAL_TLS_CLIENT_CERT_PATH",
        "TEMPORAL_TLS_CLIENT_CERT_DATA",
        "TEMPORAL_TLS_CLIENT_KEY_PATH",
        "TEMPORAL_TLS_CLIENT_KEY_DATA",
        *(["TEMPORAL_TLS_SERVER_NAME"] if settings.on_cloud else []),
        *(["TEMPORAL_NAMESPACE"] if NAMESPACE.fullmatch(settings.namespace.lower()) else []),
    ):
        if settings.is_set(official):
            text = f"TEMPORAL_ADDRESS is not set, but {settings.origin(official).name} is"
            yield wrong(text, f"TEMPORAL_ADDRESS={endpoint}")
            return


def _check_namespace(settings: Settings) -> Iterator[Finding]:
    namespace, origin = settings.namespace, settings.origin("TEMPORAL_NAMESPACE")
    if settings.headers.get("temporal-namespace", namespace) != namespace:
        text = f"TEMPORAL_GRPC_META_TEMPORAL_NAMESPACE is another namespace than {namespace}"
        yield wrong(text, "unset TEMPORAL_GRPC_META_TEMPORAL_NAMESPACE: the SDK sends the header")
    stands_for = {}  # the namespace in a namespace endpoint's own name
    for official, host in (
        ("TEMPORAL_ADDRESS", host_and_port(settings.address)[0]),
        ("TEMPORAL_TLS_SERVER_NAME", (settings.server_name or "").lower()),
    ):
        name = host.removesuffix(".tmprl.cloud")
        if name != host and NAMESPACE.fullmatch(name) and not REGIONAL.fullmatch(host):
            stands_for[official] = name
    expected = next(iter(stands_for.values()), "<name>.<account>")
    fault, mend = "", expected
    if re.search(r"\s", namespace):
        fault, mend = "has white space in it", "".join(namespace.split())
    elif re.search(r"\.tmprl\.cloud|/", namespace):
        fault = "is an address, not a namespace"
        inside = re.search(r"namespaces/([\w.-]+)|([\w-]+\.\w+)\.tmprl\.cloud", namespace.lower())
        mend = (inside[1] or inside[2]) if inside else expected
    elif not settings.on_cloud:
        return
    elif not settings.is_set("TEMPORAL_NAMESPACE"):
        yield wrong("TEMPORAL_NAMESPACE is not set", f"TEMPORAL_NAMESPACE={expected}")
    elif "." not in namespace:
        fault = "lacks the account: on Temporal Cloud it is <name>.<account>"
        if not stands_for and namespace != "default":
            mend = f"{namespace.lower()}.<account>"
    elif namespace != namespace.lower():
        fault, mend = "has capitals: namespaces are lower case", namespace.lower()
    elif not NAMESPACE.fullmatch(namespace):
        fault = (
            "is not <name>.<account>: a name is 2 to 39 lower-case letters, digits and hyphens, "
            "an account at least 5 letters and digits"
        )
    else:
        for official, other in stands_for.items():
            if other != namespace:
                there = settings.origin(official)
                port = ":7233" if official == "TEMPORAL_ADDRESS" else ""
                yield wrong(
                    f"{origin} and {there} are two namespaces",
                    f"{origin.name}={other}",
                    f"or {there.name}={namespace}.tmprl.cloud{port}",
                )
    if fault:
        yield wrong(f"{origin} {fault}", f"{origin.name}={mend}")


def _check_credentials(settings: Settings, values: Mapping[str, str | None]) -> Iterator[Finding]:
    def first_set(*names: str) -> str:
        return next((settings.origin(name).name for name in names if settings.is_set(name)), "")

    api_key = first_set("TEMPORAL_API_KEY")
    cert = first_set("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA")
    key = first_set("TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_DATA")
    ca = first_set("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_DATA")
    header = settings.headers.get("authorization")
    cloudish = settings.on_cloud or bool(NAMESPACE.fullmatch(settings.namespace.lower()))
    if api_key and header:
        text = f"{api_key} and TEMPORAL_GRPC_META_AUTHORIZATION are both set: only one is sent"
        yield wrong(text, "unset TEMPORAL_GRPC_META_AUTHORIZATION")
    if header and cloudish and not re.match(r"Bearer \S", header):
        text = "TEMPORAL_GRPC_META_AUTHORIZATION is not 'Bearer <API key>'"
        yield wrong(text, "TEMPORAL_API_KEY=<API key>, in its place: the SDK adds the rest")
    api_key = api_key or ("TEMPORAL_GRPC_META_AUTHORIZATION" if header else "")
    if api_key and (cert or key) and cloudish:
        both = f"{api_key} and {cert or key}"
        text = f"{both} are both set: a connection takes an API key or a client certificate"
        yield wrong(text, f"unset {api_key}, or else {' and '.join(filter(None, (cert, key)))}")
    elif settings.on_cloud and not (api_key or cert or key):
        text = "no credential is set: Temporal Cloud takes an API key or a client certificate"
        if values.get("TEMPORAL_CLOUD_API_KEY"):
            text += "; TEMPORAL_CLOUD_API_KEY is read by tcld and Terraform only"
        pair = "TEMPORAL_TLS_CLIENT_CERT_PATH=<file> and TEMPORAL_TLS_CLIENT_KEY_PATH=<file>"
        yield wrong(text, "TEMPORAL_API_KEY=<API key>", f"or {pair}")
    if settings.client_cert and not settings.client_key and not key:
        text = f"{cert} is set without the private key that belongs to it"
        yield wrong(text, "TEMPORAL_TLS_CLIENT_KEY_PATH=<the key's PEM file>")
    elif key and not cert:
        text = f"{key} is set without the certificate that belongs to it"
        yield wrong(text, "TEMPORAL_TLS_CLIENT_CERT_PATH=<the certificate's PEM file>")
    needs_tls = api_key or cert or key or ca or first_set("TEMPORAL_TLS_SERVER_NAME")
    if not settings.tls and (needs_tls or settings.on_cloud) and settings.is_set("TEMPORAL_TLS"):
        text = f"{settings.origin('TEMPORAL_TLS')} switches TLS off, which "
        yield wrong(text + f"{needs_tls or 'Temporal Cloud'} needs", "TEMPORAL_TLS=true")
    if settings.client_cert:
        host = host_and_port(settings.address)[0]
        mend = f"TEMPORAL_TLS_SERVER_NAME={namespace_endpoint(settings).rpartition(':')[0]}"
        if REGIONAL.fullmatch(settings.server_name or host):
            text = f"mTLS on the regional endpoint {host} needs the namespace endpoint's name too"
            yield wrong(text, mend)
        elif cloudish and not (settings.on_cloud or re.match(r"localhost|127\.|::1", host)):
            yield worth(f"mTLS by private link ({host}) needs the namespace endpoint's name", mend)


def api_key_line(settings: Settings, key: str) -> str:
    """The line that sets the API key, which may stand in a file."""
    if settings.is_set("TEMPORAL_API_KEY_FILE"):
        file = settings.origin("TEMPORAL_API_KEY_FILE")
        return f"write {key} into {file.shown}, the {file.name}"
    return f"{settings.origin('TEMPORAL_API_KEY').name}=<{key}>"


def _check_api_key(settings: Settings) -> Iterator[Finding]:
    key, origin = settings.api_key or "", settings.origin("TEMPORAL_API_KEY")
    said = f"{origin.name} ({origin.source})"
    mend = api_key_line(settings, "the whole API key and nothing else")
    if key.lower().startswith("bearer "):
        yield wrong(f"{said} begins with 'Bearer', which the SDK adds itself", mend)
    elif "-----BEGIN" in key:
        yield wrong(f"{said} is a PEM, not an API key", "TEMPORAL_TLS_CLIENT_KEY_DATA=<the PEM>")
    elif found := re.match(r"[{\[]|(export )?(\w+_)?(API_KEY|TOKEN)[=:]|authorization:", key, re.I):
        yield wrong(f"{said} begins with {shown(found[0])!r}: it is more than the API key", mend)
    elif re.search(r"\s", key):
        yield wrong(f"{said} has white space or line breaks in it", mend)
    elif not re.fullmatch(r"[!-~]+", key):
        yield wrong(f"{said} has characters that no API key has", mend)
    elif re.match(r"[~.]{0,2}/|[\w./-]+\.(key|txt|pem|jwt|json)$", key) or os.path.isfile(key):
        mend = f"TEMPORAL_API_KEY_FILE=<that path>, and unset {origin.name}"
        yield wrong(f"{said} is a path, not an API key", mend)
    elif re.match(r"\w+://|arn:|projects/|(null|none|undefined|true|false)$", key, re.I):
        yield wrong(f"{said} says where an API key is, or that there is none", mend)
    elif key.startswith("ZXlK"):
        yield wrong(f"{said} is the base64 of an API key: decode it first", mend)
    elif key[-1] in ";,":
        yield wrong(f"{said} ends with {key[-1]!r}: it is more than the API key", mend)
    elif claims := _claims(key):
        if len(key.rpartition(".")[2]) * 3 // 4 % 16:  # signatures are of 32, 64, 256 bytes
            yield worth(f"{said} looks cut off: a token's signature is longer", mend)
        expires, account = claims.get("exp"), claims.get("account_id")
        if isinstance(expires, (int, float)):
            new = api_key_line(settings, "a new one")
            yield from _check_end(f"the API key in {said}", expires, new)
        name, _, own = settings.namespace.rpartition(".")
        sound = NAMESPACE.fullmatch(settings.namespace)
        if sound and isinstance(account, str) and account and account != own:
            text = f"the API key is of account {shown(account)}, the namespace of account {own}"
            yield worth(text, f"TEMPORAL_NAMESPACE={name}.{shown(account)}, or a key of {own}")
    elif key.startswith("eyJ"):
        yield worth(f"{said} looks cut off: it begins as a token does, and has no end", mend)


def _claims(key: str) -> dict[str, Any]:
    """What a key says of itself if it is a JWT, a form that Temporal does not promise."""
    try:
        body = key.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims if isinstance(claims, dict) and key.count(".") == 2 else {}
    except (ValueError, IndexError):
        return {}


def _check_end(what: str, end: float, mend: str) -> Iterator[Finding]:
    """Find fault with what has ended or soon will; `end` is in seconds since 1970."""
    with suppress(ValueError, OverflowError, OSError):  # a time that no clock has
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
        days = (end - time.time()) / 86400
        if days <= 0:
            yield wrong(f"{what} expired on {date}", mend)
        elif days < SOON_DAYS:
            yield worth(f"{what} expires in {days:.0f} days, on {date}", mend)


def pem_origin(settings: Settings, kind: str) -> Origin:
    """Where CLIENT_CERT, CLIENT_KEY or SERVER_CA_CERT came from, as a file or as text."""
    kinds = (kind, "CLIENT_CERT")  # a key may stand in the certificate's file
    names = [f"TEMPORAL_TLS_{kind}_{form}" for kind in kinds for form in ("PATH", "DATA")]
    return next(
        (settings.origin(n) for n in names if settings.is_set(n)), settings.origin(names[0])
    )


def _check_certificates(settings: Settings) -> Iterator[Finding]:
    import ssl

    sound: dict[str, bytes] = {}
    for kind, pem, block in (
        ("CLIENT_CERT", settings.client_cert, "CERTIFICATE"),
        ("CLIENT_KEY", settings.client_key, "PRIVATE KEY"),
        ("SERVER_CA_CERT", settings.server_ca, "CERTIFICATE"),
    ):
        origin = pem_origin(settings, kind)
        if pem and (fault := _not_pem(pem.decode(errors="replace"), block)):
            mend = f"{origin.name}=<a PEM with a {block}>"
            if "is a path" in fault:
                mend = (
                    f"{origin.name.replace('_DATA', '_PATH')}=<that path>, and unset {origin.name}"
                )
            yield wrong(f"{origin} {fault}", mend)
        elif pem:
            sound[kind] = pem
    if "CLIENT_CERT" in sound and "CLIENT_KEY" in sound:
        origin, key_origin = (pem_origin(settings, kind) for kind in ("CLIENT_CERT", "CLIENT_KEY"))
        what = f"the client certificate in {origin.name}"
        mend = f"{origin.name}=<a certificate valid today>, with its key"
        try:
            found = inspect_certificate(sound["CLIENT_CERT"], sound["CLIENT_KEY"])
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trust.load_verify_locations(cadata=sound["CLIENT_CERT"].decode("ascii", "ignore"))
            if found["subject"] == found["issuer"] and trust.get_ca_certs():
                text = (
                    f"{what} is a CA's own: the namespace gets the CA, clients what it has signed"
                )
                yield worth(text, f"{origin.name}=<a client's certificate>, with its key")
            if ssl.cert_time_to_seconds(found["notBefore"]) > time.time():
                now = time.strftime("%b %d %H:%M %Y UTC", time.gmtime())
                text = f"{what} is not valid before {found['notBefore']}; the clock says {now}"
                yield wrong(text, "set this machine's clock, or wait")
            yield from _check_end(what, ssl.cert_time_to_seconds(found["notAfter"]), mend)
        except ssl.SSLCertVerificationError as error:
            text = f"{what} is a CA's or a server's own, not a client's: {error.verify_message}"
            yield worth(text, f"{origin.name}=<a client's certificate>, with its key")
        except ssl.SSLError as error:
            why = (error.reason or "unreadable").replace("_", " ").lower()
            fault = f"or its key in {key_origin.name} is damaged or not fit for use: {why}"
            if error.reason == "KEY_VALUES_MISMATCH":
                fault = f"and the key in {key_origin.name} do not belong together"
                if sound["CLIENT_CERT"].count(b"-----BEGIN CERT") > 1:
                    fault += "; the client's own certificate comes first in its file"
            mend = f"{origin.name} and {key_origin.name}: both files of one issue"
            yield wrong(f"{what} {fault}", mend)
    if "SERVER_CA_CERT" in sound:
        name = pem_origin(settings, "SERVER_CA_CERT").name
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=sound["SERVER_CA_CERT"].decode("ascii", "ignore"))
        except ssl.SSLError:
            yield wrong(f"the CA certificate in {name} is damaged", f"{name}=<the CA's PEM file>")
        ends = [ssl.cert_time_to_seconds(str(ca["notAfter"])) for ca in context.get_ca_certs()]
        if ends:
            yield from _check_end(f"the CA in {name}", max(ends), f"{name}=<the CA's new PEM>")


def _not_pem(text: str, block: str) -> str:
    """Why a text is no PEM with such a block; empty if it is one."""
    kinds = re.findall("-----BEGIN ([A-Z0-9 ]+)-----", text)
    if "ENCRYPTED" in text and block == "PRIVATE KEY":
        return "is encrypted, and the SDK asks for no passphrase: openssl pkey -in OLD -out NEW"
    if text.startswith("\ufeff"):
        return "begins with a byte-order mark: save it as UTF-8 without one"
    if re.fullmatch("-----BEGIN [A-Z ]+-----", text):
        return "is cut off after its first line: quote all of it, or use the name with _PATH"
    if re.search(r"^[ \t]+-----", text, re.M):
        return "is indented: its lines have to begin with no space"
    if kinds and ("\\n" in text or "\n" not in text):
        return "has lost its line breaks"
    if kinds and "-----END" not in text:
        return "is cut off: it has no line -----END"
    if {block, f"RSA {block}", f"EC {block}"} & set(kinds):
        return ""
    if kinds:
        swapped = kinds[0] in ("CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
        return f"holds {kinds[0]}, not {block}{': swapped?' if swapped else ''}"
    if text.startswith("LS0tLS1CRUdJTi"):
        return "is the base64 of a PEM: decode it first"
    if "\0" in text[3:8:2] and "-\0-" in text:
        return "is UTF-16 text, as PowerShell writes it: save it as UTF-8"
    if "\ufffd" in text or "\0" in text:
        return "is binary (DER or PKCS#12), no PEM: convert it with openssl"
    if "/" in text and os.path.exists(text):
        return "is a path: that goes into the name that ends in _PATH"
    return "is no PEM: it has no line -----BEGIN"


@lru_cache(maxsize=2)  # a worker asks every few seconds
def inspect_certificate(cert: bytes, key: bytes) -> dict[str, Any]:
    """Subject, issuer and dates of a certificate, as `ssl.SSLSocket.getpeercert` gives them.

    The standard library decodes a peer's certificate only. So both ends of a handshake that never
    leaves memory show this one, and trust just this one, whatever its dates.

    Raises:
        ssl.SSLError: No pair, damaged, or not made for clients.
    """
    import ssl

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for context in (client, server):
        load_pair(context, cert, key)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server.verify_mode = ssl.CERT_REQUIRED
    server.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    server.load_verify_locations(cadata=cert.decode("ascii", "ignore"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for end in [near, far] * 3:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return dict(far.getpeercert() or {})


def load_pair(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """Give a context a client's certificate and key, which it takes from files alone."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:  # no other user can look into it
        cert_file, key_file = Path(folder, "cert"), Path(folder, "key")
        cert_file.write_bytes(cert)
        key_file.write_bytes(key)
        context.load_cert_chain(cert_file, key_file, password=lambda: b"")


def _check_process(settings: Settings) -> Iterator[Finding]:
    version = ("TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID")
    for here, there in (version, version[::-1]):
        if settings.is_set(here) and not settings.is_set(there):
            yield wrong(f"{here} is set without {there}: they go together", f"{there}=<value>")
    origin = settings.origin("TEMPORAL_DEPLOYMENT_NAME")
    name = origin.shown
    if re.search(r"[.:]|^__", name):
        text = f"{origin} has a . or : in it, or begins with __: no worker of it gets a task"
        yield wrong(text, f"{origin.name}={re.sub('[.:]|^_+', '-', name).lstrip('-')}")
    if (settings.build_id or "").startswith("__"):
        text = f"{settings.origin('TEMPORAL_WORKER_BUILD_ID')} begins with __: that is reserved"
        yield wrong(text, "TEMPORAL_WORKER_BUILD_ID=<a name of your own>")
    for header, value in settings.headers.items():
        if not value.isprintable():
            text = f"the header {header} has a line break or the like in it"
            yield wrong(text, f"TEMPORAL_GRPC_META_{header.upper().replace('-', '_')}=<your value>")
    if settings.metrics_address:
        shape = HOST_PORT.fullmatch(settings.metrics_address)
        if not shape or not shape[1] or not shape[2] or int(shape[2]) > 65535:
            origin = settings.origin("TEMPORAL_METRICS_ADDRESS")
            host, port = within(settings.metrics_address)
            mend = host if "." in host and origin.shown != "(hidden)" else "127.0.0.1"
            mend = f"{origin.name}={mend}:{port if port != '7233' else 9464}"
            yield wrong(f"{origin} is not host:port", mend)


def _check_permissions(settings: Settings, env_file: Path | None) -> Iterator[Finding]:
    unverified = settings.origin("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION")
    if unverified.shown.lower() in ("true", "1"):
        text = f"{unverified} leaves the temporal CLI open to any server; this SDK verifies anyway"
        yield worth(text, "TEMPORAL_TLS_SERVER_CA_CERT_PATH=<CA of your server>, in its place")
    if os.name != "posix":
        return
    origins = [settings.origin("TEMPORAL_API_KEY_FILE")]
    if b"PRIVATE KEY" in (settings.client_key or b""):
        origins.append(pem_origin(settings, "CLIENT_KEY"))
    for path in [str(env_file or ""), *(origin.shown for origin in origins)]:
        if os.path.isfile(path) and os.stat(path).st_mode & 0o077:
            text = f"{path} holds a secret, and other users of this machine may read it"
            yield worth(text, f"chmod 600 {path}")
