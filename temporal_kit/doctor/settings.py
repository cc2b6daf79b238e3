"""What is wrong with the settings, as far as it shows without a network."""

import base64
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress

from ..findings import Finding, error, warning
from ..redaction import redact
from ..settings import (
    CERT,
    CERT_KEY,
    CLOUD_HOST,
    CLOUD_NAMESPACE,
    HEADER,
    Settings,
    Value,
    thing,
)
from .certificates import check_certificates
from .sources import check_sources
from .values import (
    api_key_line,
    check_end,
    check_names,
    cloud_namespace,
    find_host_port,
    key_value,
    namespace_endpoint,
)

ADDRESS, NAMESPACE, API_KEY = "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY"
TLS, SERVER_NAME = "TEMPORAL_TLS", "TEMPORAL_TLS_SERVER_NAME"
# `settings :: pattern or {trait} :: what is wrong`, and the fix, unless that is a better text. The
# first that fits is told, as an error if any that fits is one: ✗ everywhere, ☁ on Temporal Cloud.
TABLE = r"""
✗ ADDRESS|NAMESPACE|TLS_SERVER_NAME :: {secret} :: is a key or a PEM
⚠ TASK_QUEUE :: {secret} :: is a key or a PEM
⚠ TASK_QUEUE :: , :: is one queue of that name: a worker polls one
    → {name}=<one of them>, and a worker for each
☁ .*(?<!_DATA) :: {comment} :: has a comment in it, which docker --env-file and systemd keep
☁ .*(?<!_DATA) :: ^["'`“”‘’]|["'`“”‘’]$ :: has quotes around it
☁ .*(?<!_DATA) :: <[^>]*>|\.{3}|…|^([x*])\1{2,}$|^[$%][\w(]|\{ ?\w+ ?\} :: is still the example's
☁ .*(?<!_DATA) :: \b(change[-_]?me\b|your[-_ .]\w) :: is still the example's
⚠ .*_(KEY_FILE|PATH) :: -----BEGIN|(^|/)eyJ[\w-]{8} :: is not a path, but what is in the file
    → {data}=<it>, and {unset}
⚠ .*_(KEY_FILE|PATH) :: [\a\b\f\n\r\t\v] :: has \ in double quotes, which changes it
    → {name}='<the path>', in single quotes
⚠ .*_(KEY_FILE|PATH) :: {lost} :: is looked for in the folder where the script runs
    → {name}=<the whole path>
⚠ (?!.*_(DATA|KEY)$|GRPC_META_).* :: {unseen} :: has invisible characters
☁ API_KEY :: ^bearer\s :: begins with 'Bearer', which the SDK adds itself
☁ API_KEY :: \0 :: is UTF-16 text, as PowerShell writes it: save it as UTF-8
☁ API_KEY :: -----BEGIN|^(export )?\w*(API_KEY|TOKEN)[=:]|^[{\[]|[;,]$ :: is not the API key alone
☁ API_KEY :: [^!-~] :: has white space or other characters that no API key has
☁ API_KEY :: ^[~.]{0,2}/|^[\w./-]+\.(key|txt|pem|json)$ :: is a path, not an API key
    → TEMPORAL_API_KEY_FILE=<that path>, and {unset}
☁ API_KEY :: ^ZXlK :: is the base64 of an API key: decode it first
✗ ADDRESS :: cloud\.temporal\.io :: is the Web UI, not an endpoint
✗ ADDRESS :: saas-api :: is Temporal Cloud's control plane: workers can't use it
✗ ADDRESS :: {odd} :: is not an endpoint such as <name>.<account>.tmprl.cloud
⚠ ADDRESS :: {namespace} :: is a namespace without its domain
✗ ADDRESS :: {no TLS} :: is a URL, not host:port
⚠ ADDRESS :: / :: is a URL, not host:port
⚠ ADDRESS :: ^(\[[^]\s]+\]|[\w.-]+):?$ :: has no port: the SDK takes 443 with TLS, else 80
✗ ADDRESS :: {no address} :: is not one host:port, with a port from 1 to 65535
⚠ ADDRESS :: ^(?!(\[[^]\s]+\]|[\w.-]+):[0-9]+$) :: is not one host:port
⚠ ADDRESS :: {other port} :: is not on 7233, Temporal Cloud's port
⚠ ADDRESS :: \.(?!tmprl\.cloud)te?mp\w+[l1]\.?(clo|com\b) :: looks like a typo of tmprl.cloud
✗ TLS_SERVER_NAME :: [^a-z0-9_.:-]|[a-z].*:[0-9]+$ :: is not just a host name
⚠ NAMESPACE :: \.tmprl\.cloud|://|/namespaces/ :: is an address, not a namespace
✗ NAMESPACE :: {no name} :: is not <name>.<account> in lower case, of at least 2 and 5 characters
⚠ TLS|TLS_DISABLE_.* :: ^(?!(true|false|0|1)$) :: is neither true nor false, and switches TLS on
⚠ TLS_DISABLE_.* :: true|1 :: has the temporal CLI trust any server; this SDK verifies anyway
    → TEMPORAL_TLS_SERVER_CA_CERT_PATH=<CA of your server> instead
✗ GRACEFUL_SHUTDOWN_SECONDS :: ^(?![0-9]{1,6}$) :: is not a whole number of seconds
    → {name}=30
✗ METRICS_ADDRESS :: ^(?!([0-9.]+|\[[0-9a-f:]+\]):[1-6]?[0-9]{1,4}$) :: is not a numeric host:port
    → {name}=127.0.0.1:9464
✗ DEPLOYMENT_NAME :: [.:] :: has a . or : in it: such workers get no tasks
    → {name}=<a name without them>
"""
REGIONAL = re.compile(r"[a-z0-9-]+\.((aws|gcp|azure)\.api\.temporal\.io|region\.tmprl\.cloud)")
SECURE = ("https", "grpcs")
SDK_ADDRESS = re.compile(
    r"((\w+:)?//)?([^\s/@]*@)?(\[[^]\s]+\]|[\w.-]+)(:(?P<port>[0-9]*))?([/?#]\S*)?"
)
RULES: list[tuple[str, ...]] = re.findall(r"(?m)^(\S) (.+) :: (.+) :: (.+)(?:\n    → (.+))?", TABLE)


def check_settings(settings: Settings, problems: list[Finding]) -> Iterator[Finding]:
    """Find what is wrong beyond the problems that the core tells."""
    refused = "\n".join(one.text for one in problems)
    for setting in dict.fromkeys(one.setting for one in settings.values if one.setting):
        value = settings.value(setting)
        # Of these the core says that they are of no use, but not why.
        known = str(value) in refused and not setting.endswith(("_PATH", "_FILE", "_PROXY"))
        if value.text and not known and setting != API_KEY:
            yield from _judge(settings, value, setting, value.text)
    if (key := settings.profile.api_key) and f"{API_KEY}=" not in refused:
        faults = list(_judge(settings, key_value(settings), API_KEY, key))
        yield from faults or _check_api_key(settings)
    yield from check_names(settings, refused)
    if settings.complete and "set the same thing" not in refused:  # or all may be meant otherwise
        yield from _check_hosts(settings)
        yield from _check_credentials(settings)
    yield from check_certificates(settings, refused)
    yield from check_sources(settings)


def _judge(settings: Settings, value: Value, setting: str, text: str) -> Iterator[Finding]:
    if len(text) > 4096:  # no pattern gets to see that
        yield warning(f"{value} is longer than 4096 characters", f"{value.name}=<your value>")
    elif rules := _broken(settings, setting, text, value.source):
        vital = setting in (ADDRESS, NAMESPACE, SERVER_NAME, API_KEY) and _at_cloud(settings)
        fatal = "✗☁" if vital else "✗"
        level = error if any(rule[0] in fatal for rule in rules) else warning
        own = setting != API_KEY or rules[0][4]
        line = _fix(settings, value, rules) if own else api_key_line(settings)
        yield level(f"{value} {rules[0][3]}", *line.split("\n"))


def _at_cloud(settings: Settings) -> bool:
    """Whether the server is Temporal Cloud, however its address is spelled."""
    host = find_host_port(settings.text(ADDRESS))[0]
    return settings.on_cloud or bool(CLOUD_HOST.fullmatch(host))


def _broken(settings: Settings, setting: str, text: str, source: str) -> list[tuple[str, ...]]:
    host, port = find_host_port(text)
    cloud, scheme = _at_cloud(settings), text.lower().rpartition("://")[0]
    theirs, taken = CLOUD_HOST.fullmatch(host), SDK_ADDRESS.fullmatch(text)
    tls = scheme == "https" and _uses_tls(settings)
    facts = {
        "{secret}": len(text) > 20 and re.fullmatch(r"\(hidden\)(:\d+)?", redact(text)),
        "{comment}": source == "environment" and re.search(r"\s#|^#\s", text),
        "{lost}": not os.path.isabs(text) and not os.path.exists(text),
        "{unseen}": not text.isprintable(),
        "{odd}": theirs and not (REGIONAL.fullmatch(host) or named_namespace(host)),
        "{namespace}": host and host == cloud_namespace(settings),
        "{no address}": not taken or (taken["port"] and not port),
        "{no TLS}": (scheme in SECURE or (scheme and cloud)) and not tls,
        "{other port}": theirs and port != "7233",
        "{no name}": cloud and not re.fullmatch(CLOUD_NAMESPACE.pattern, text),
    }
    mine = [rule for rule in RULES if re.fullmatch(rule[1], setting.removeprefix("TEMPORAL_"))]
    return [one for one in mine if facts.get(one[2]) or re.search(one[2], text, re.I)]


def _fix(settings: Settings, value: Value, rules: list[tuple[str, ...]]) -> str:
    """What fixes it, and would pass itself."""
    setting, text = value.setting, value.text
    if text[0] == "#":  # a comment alone
        return value.removal
    secret = re.search(r"\(hidden\)(?!@)", value.shown) or "example" in rules[0][3]
    for better in () if secret or rules[0][4] else _better(settings, setting, text):
        first = better.partition("\n")[0]
        if first and not _broken(settings, setting, first, value.source):
            return f"{value.name}={better}"
    if line := next((rule[4] for rule in rules if rule[4]), ""):
        return line.format(name=value.name, unset=value.removal, data=thing(setting))
    known = cloud_namespace(settings) or settings.on_cloud
    plain = not secret and re.fullmatch("(?!default$)[a-z0-9-]+", text)
    words = {
        ADDRESS: namespace_endpoint(settings) if known else "<host:port>",
        NAMESPACE: f"{text if plain else '<name>'}.<account>",
    }
    return f"{value.name}={words.get(setting, '<your value>')}"


def _better(settings: Settings, setting: str, text: str) -> Iterator[str]:
    """What the text may be meant to be, the likeliest first."""
    yield (text := re.split(r"\s+#", text)[0])
    yield (text := text.strip("\"'`“”‘’ "))
    yield (text := "".join(filter(str.isprintable, text)))
    if setting == ADDRESS:
        yield from (_host_port(settings, text), namespace_endpoint(settings))
    elif setting == NAMESPACE:
        yield from ("".join(text.split()), text.lower())
        for one in (text, settings.text(ADDRESS), settings.text(SERVER_NAME)):
            yield named_namespace(find_host_port(one)[0])
    elif setting == SERVER_NAME:
        yield find_host_port(text)[0]
    elif re.fullmatch(f"{TLS}(_DISABLE.*)?", setting):
        off = re.match(r"(off|no?|f|none|disabled?)\b", text, re.I)
        yield "false" if off or setting != TLS else "true"


def _host_port(settings: Settings, text: str) -> str:
    """Host and port in an address; a URL without a port leads to an ingress."""
    (host, port), scheme = find_host_port(text), text.lower().rpartition("://")[0]
    web_ui = scheme[:4] == "http" and port in ("8233", "8080")
    if CLOUD_HOST.fullmatch(host) or web_ui:
        return f"{host}:7233"
    if scheme in SECURE:
        return f"{host}:{port or 443}\n{TLS}=true"
    if scheme == "http":
        risk = ", and the key travels in the clear" if key_value(settings).text else ""
        return f"{host}:{port or 80}\n{TLS}=false{risk}"
    return f"{host}:{port or 7233}"


def _check_hosts(settings: Settings) -> Iterator[Finding]:
    value, mine = settings.value(NAMESPACE), cloud_namespace(settings)
    hosts = {name: find_host_port(settings.text(name))[0] for name in (ADDRESS, SERVER_NAME)}
    named = {name: named_namespace(host) for name, host in hosts.items()}
    for name, other in named.items():
        if mine and other and other != mine:
            rival, port = settings.value(name), ":7233" if name == ADDRESS else ""
            fixes = [f"{value.name}={other}", f"or {rival.name}={mine}.tmprl.cloud{port}"]
            fixes = [fixes[1][3:]] if mine in named.values() else fixes
            yield error(f"{value} and {rival} are two namespaces", *fixes)
    if any(map(settings.is_set, CERT)) and REGIONAL.fullmatch(hosts[SERVER_NAME] or hosts[ADDRESS]):
        fix = f"{SERVER_NAME}={namespace_endpoint(settings).removesuffix(':7233')}"
        yield error("mTLS on a regional endpoint needs the namespace as server name", fix)


def _check_credentials(settings: Settings) -> Iterator[Finding]:
    cloud, header = settings.on_cloud, settings.value(f"{HEADER}AUTHORIZATION")
    keys = [key for key in (key_value(settings), header) if key.text]
    pair = [settings.value(name) for name in (*CERT, *CERT_KEY) if settings.is_set(name)]
    if len(keys) > 1:
        text = f"{keys[0].name} and {header.name} are both set: only the header is sent"
        yield warning(text, header.removal)
    if keys and pair and (cloud or CLOUD_NAMESPACE.fullmatch(settings.text(NAMESPACE))):
        text = f"{keys[0].name} and {pair[0].name} are both set: a connection takes one of them"
        level = error if cloud else warning
        yield level(text, keys[0].removal, f"or {' and '.join(one.removal for one in pair)}")
    switch = settings.value(TLS)
    told = switch.text or keys == [header]  # or what switches it on cannot be read
    if told and (keys or pair) and not cloud and not _uses_tls(settings):
        off = f"{switch} switches TLS off" if switch.text else "TLS is off"
        what = f"{keys[0].name} travels in the clear" if keys else f"{pair[0].name} is not used"
        on = switch.removal if switch.text else f"{TLS}=true"
        yield warning(f"{off}: {what}", f"{ADDRESS}=<host:port where it speaks TLS>, and {on}")


def _uses_tls(settings: Settings) -> bool:
    return bool(settings.profile.to_client_connect_config().get("tls"))


def named_namespace(host: str) -> str:
    """The namespace that a host names, empty if it is not a namespace endpoint."""
    name = host.removesuffix(".tmprl.cloud")
    return name if name != host and CLOUD_NAMESPACE.fullmatch(name) else ""


def _check_api_key(settings: Settings) -> Iterator[Finding]:
    """What an API key says of itself, if it is a JWT, which Temporal does not promise."""
    key, value, claims = settings.profile.api_key or "", key_value(settings), {}
    with suppress(ValueError, TypeError, RecursionError):
        _, body, _ = key.split(".")
        claims = dict(json.loads(base64.urlsafe_b64decode(f"{body}==")))
    if key.startswith("eyJ") and not claims:
        yield warning(f"{value} looks cut off", api_key_line(settings))
    if isinstance(end := claims.get("exp"), (int, float)):
        fix, cloud = api_key_line(settings, "a new one"), settings.on_cloud
        yield from check_end(f"the API key in {value.name}", end, fix, cloud)
