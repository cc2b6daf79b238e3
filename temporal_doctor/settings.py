"""What is wrong with the settings, as far as it shows without a network."""

import base64
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from temporal_client import CERT, CERT_KEY, CLOUD_HOST, CLOUD_NAMESPACE, on_cloud
from temporal_doctor.certificates import check_certificates
from temporal_doctor.sources import check_names, check_sources
from temporal_doctor.values import (
    ADDRESS,
    API_KEY,
    NAMESPACE,
    REGIONAL,
    SERVER_NAME,
    TLS,
    api_key_line,
    check_end,
    cloud_namespace,
    find_host_port,
    key_value,
    named_namespace,
    namespace_endpoint,
    unset,
    uses_tls,
    warning,
)
from temporal_findings import Finding, error, redact
from temporal_settings import HEADER, SECRET_NAME, Settings, Value

# A row is `settings :: pattern :: what is wrong`, or with a {trait} for a pattern; below it is the
# fix, where that is not a better text. The first row that fits is told; it is an error if any that
# fits is one: ✗ everywhere, ☁ on Temporal Cloud.
TABLE = r"""
✗ ADDRESS|NAMESPACE|TLS_SERVER_NAME :: {secret} :: is a key or a PEM, which goes elsewhere
⚠ TASK_QUEUE :: {secret} :: is a key or a PEM, which goes elsewhere
☁ .*(?<!_DATA) :: {comment} :: has a comment in it
☁ .*(?<!_DATA) :: ^["'`“”‘’]|["'`“”‘’]$ :: has quotes around it
☁ .*(?<!_DATA) :: {example} :: is still the example's
⚠ .*_(KEY_FILE|PATH) :: -----BEGIN|(^|/)eyJ[\w-]{8} :: is not a path, but what is in the file
    → {data}=<it>, and {unset}
⚠ .*_(KEY_FILE|PATH) :: [\a\b\f\n\r\t\v] :: has \ in double quotes, which changes it
    → {name}='<the path>', in single quotes
⚠ .*_(KEY_FILE|PATH) :: {lost} :: is looked for in the folder where the script runs
    → {name}=<the whole path>
⚠ (?!.*_(DATA|KEY)$|GRPC_META_).* :: {unseen} :: has invisible characters in it
☁ API_KEY :: ^bearer\s :: begins with 'Bearer', which the SDK adds itself
☁ API_KEY :: \0 :: is UTF-16 text, as PowerShell writes it: save it as UTF-8
☁ API_KEY :: -----BEGIN|^(export )?\w*(API_KEY|TOKEN)[=:]|^[{\[]|[;,]$ :: is not the API key alone
☁ API_KEY :: [^!-~] :: has white space or other characters in it that no API key has
☁ API_KEY :: ^[~.]{0,2}/|^[\w./-]+\.(key|txt|pem|json)$ :: is a path, not an API key
    → TEMPORAL_API_KEY_FILE=<that path>, and {unset}
☁ API_KEY :: ^ZXlK :: is the base64 of an API key: decode it first
✗ ADDRESS :: cloud\.temporal\.io :: is the Web UI, not a namespace endpoint
✗ ADDRESS :: saas-api :: is Temporal Cloud's control plane: workers can't use it
✗ ADDRESS :: {odd} :: is not an endpoint, as <name>.<account>.tmprl.cloud is
⚠ ADDRESS :: {namespace} :: is a namespace and lacks its domain
✗ ADDRESS :: {no TLS} :: is a URL: an address is host:port
⚠ ADDRESS :: / :: is a URL: an address is host:port
⚠ ADDRESS :: ^(\[[^]\s]+\]|[\w.-]+):?$ :: has no port: the SDK takes 443 with TLS, else 80
✗ ADDRESS :: {no address} :: is not one host:port, with a port from 1 to 65535
⚠ ADDRESS :: {formless} :: is not one host:port
⚠ ADDRESS :: {other port} :: is not on 7233, the port of Temporal Cloud's endpoints
⚠ ADDRESS :: \.(?!tmprl\.cloud)te?mp\w+[l1]\.?(clo|com\b) :: looks like a typo of tmprl.cloud
✗ TLS_SERVER_NAME :: [^a-z0-9_.:-]|[a-z].*:[0-9]+$ :: is not a host name alone
⚠ NAMESPACE :: \.tmprl\.cloud|://|/namespaces/ :: is an address, not a namespace
✗ NAMESPACE :: {short} :: lacks the account: on Temporal Cloud it is <name>.<account>
✗ NAMESPACE :: {no name} :: is not <name>.<account> in lower case, of at least 2 and 5 characters
⚠ TLS|TLS_DISABLE_.* :: ^(?!(true|false|0|1)$) :: is neither true nor false, and switches TLS on
⚠ TLS_DISABLE_.* :: true|1 :: leaves the temporal CLI open to any server; this SDK verifies anyway
    → TEMPORAL_TLS_SERVER_CA_CERT_PATH=<CA of your server>, in its place
✗ GRACEFUL_SHUTDOWN_SECONDS :: ^(?![0-9]{1,6}$) :: is not a whole number of seconds
    → {name}=30
✗ METRICS_ADDRESS :: ^(?!([0-9.]+|\[[0-9a-f:]+\]):[1-6]?[0-9]{1,4}$) :: is not a numeric host:port
    → {name}=127.0.0.1:9464
✗ DEPLOYMENT_NAME :: [.:] :: has a . or : in it: no worker of it gets a task
    → {name}=<a name without them>
"""
PLACEHOLDER = re.compile(
    r"<[^>]*>|\byour[-_ .](account|api|cert|domain|host|key|name|region|secret|server|task|token)"
    r"|\bchange[-_]?me\b|\.\.\.|…|^([x*])\2{2,}$|^[$%][\w(]+|\$?\{+ ?\w+ ?\}",
    re.I,
)
CLOUD_DOMAINS = (".tmprl.cloud", ".api.temporal.io")
HOST = r"(\[[^]\s]+\]|[\w.-]+)"
# The SDK takes a URL too, with user and path.
SDK_ADDRESS = re.compile(rf"((\w+:)?//)?([^\s/@]*@)?{HOST}(:(?P<port>[0-9]*))?([/?#]\S*)?")
Rule = tuple[str, str, str, str, str]  # level, settings, pattern, text, fix
RULES: list[Rule] = re.findall(r"(?m)^(\S) (.+) :: (.+) :: (.+)(?:\n    → (.+))?", TABLE)


def check_settings(settings: Settings, problems: list[Finding]) -> Iterator[Finding]:
    """What the doctor finds wrong with the settings, beyond the problems that the core tells."""
    refused = "\n".join(one.text for one in problems)
    for setting in dict.fromkeys(one.setting for one in settings.values if one.setting):
        value = settings.value(setting)
        # What the core says of a path is that no such file is there, and not why.
        known = str(value) in refused and not setting.endswith(("_PATH", "_FILE"))
        if value.text and not known and setting != API_KEY:
            yield from _judge(settings, value, setting, value.text)
    if (key := settings.profile.api_key) and f"{API_KEY}=" not in refused:
        faults = list(_judge(settings, key_value(settings), API_KEY, key))
        yield from faults or _check_api_key(settings)
    yield from check_names(settings, refused)
    if settings.whole:  # what is between settings would rest on what could not be read
        yield from _check_hosts(settings)
        yield from _check_credentials(settings)
    yield from check_certificates(settings, refused)
    yield from check_sources(settings)


def _judge(settings: Settings, value: Value, setting: str, text: str) -> Iterator[Finding]:
    if len(text) > 4096:  # no pattern gets to see that
        yield warning(f"{value} is longer than 4096 characters", f"{value.name}=<your value>")
    elif rules := _broken(settings, setting, text, value.source):
        marks = "".join(rule[0] for rule in rules)
        vital = setting in (ADDRESS, NAMESPACE, SERVER_NAME, API_KEY) and _at_cloud(settings)
        level = error if "✗" in marks or ("☁" in marks and vital) else warning
        lines = _fix(settings, value, setting, text, rules[0]).split("\n")
        yield level(f"{value} {rules[0][3]}", *lines)


def _at_cloud(settings: Settings) -> bool:
    """Whether the server is Temporal Cloud, however its address is spelt."""
    host = find_host_port(settings[ADDRESS])[0]
    return on_cloud(settings) or bool(CLOUD_HOST.fullmatch(host))


def _broken(settings: Settings, setting: str, text: str, source: str) -> list[Rule]:
    """The rules that the text breaks."""
    host, port = find_host_port(text)
    cloud, scheme = _at_cloud(settings), text.lower().rpartition("://")[0]
    taken, tls = SDK_ADDRESS.fullmatch(text), scheme == "https" and uses_tls(settings)
    facts = {
        "{secret}": len(text) > 20 and re.fullmatch(r"\(hidden\)(:\d+)?", redact(text)),
        "{comment}": source == "environment" and re.search(r"\S\s+#", text),
        "{example}": PLACEHOLDER.search(text),
        "{lost}": not os.path.isabs(text) and not os.path.exists(text),
        "{unseen}": not text.isprintable(),
        "{odd}": re.fullmatch(r"(.+\.)?(tmprl\.cloud|temporal\.io)", host)
        and not (REGIONAL.fullmatch(host) or named_namespace(host)),
        "{namespace}": host and host == cloud_namespace(settings),
        "{no address}": not taken or (taken["port"] and not port),
        "{no TLS}": (scheme == "https" or (scheme and cloud)) and not tls,
        "{formless}": not port or not re.fullmatch(rf"{HOST}:[0-9]+", text),
        "{other port}": host.endswith(CLOUD_DOMAINS) and port != "7233",
        "{short}": cloud and "." not in text,
        "{no name}": cloud and not re.fullmatch(CLOUD_NAMESPACE.pattern, text),
    }
    mine = [rule for rule in RULES if re.fullmatch(f"TEMPORAL_({rule[1]})", setting)]
    return [one for one in mine if facts.get(one[2]) or re.search(one[2], text, re.I)]


def _fix(settings: Settings, value: Value, setting: str, text: str, rule: Rule) -> str:
    """What fixes it; never a text that would not pass itself."""
    if rule[4]:
        data = value.name.replace("_PATH", "_DATA").replace("_FILE", "")
        return rule[4].format(name=value.name, unset=unset(value), data=data)
    if setting == API_KEY:
        return api_key_line(settings)
    secret = SECRET_NAME.search(setting) or re.search(r"\(hidden\)(?!@)", redact(text))
    for better in () if secret or rule[2] == "{example}" else _better(settings, setting, text):
        first = better.partition("\n")[0]
        if first and not _broken(settings, setting, first, value.source):
            return f"{value.name}={better}"
    known = cloud_namespace(settings) or on_cloud(settings)
    plain = not secret and re.fullmatch("(?!default$)[a-z0-9-]+", text)
    words = {
        ADDRESS: namespace_endpoint(settings) if known else "<host:port>",
        NAMESPACE: f"{text if plain else '<name>'}.<account>",
    }
    return f"{value.name}={words.get(setting, '<your value>')}"


def _better(settings: Settings, setting: str, text: str) -> Iterator[str]:
    """What the text may have been meant to be, the likeliest first."""
    yield from (re.split(r"\s+#", text)[0], text.strip("\"'`“”‘’"))
    yield "".join(filter(str.isprintable, text))
    if setting == ADDRESS:
        yield from (_host_port(text), namespace_endpoint(settings))
    elif setting == NAMESPACE:
        yield from ("".join(text.split()), text.lower())
        for one in (text, settings[ADDRESS], settings[SERVER_NAME]):
            yield named_namespace(find_host_port(one)[0])
    elif setting == SERVER_NAME:
        yield find_host_port(text)[0]
    elif setting in (TLS, "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"):
        off = re.match(r"(off|no?|f|none|disabled?)\b", text, re.I)
        yield "false" if off or setting != TLS else "true"


def _host_port(text: str) -> str:
    """Host and port in an address; a URL without a port leads to an ingress."""
    (host, port), scheme = find_host_port(text), text.lower().rpartition("://")[0]
    if host.endswith(CLOUD_DOMAINS) or (scheme and port in ("8233", "8080")):  # Web UI's ports
        return f"{host}:7233"
    ingress = {"https": ("443", f"\n{TLS}=true"), "http": ("80", f"\n{TLS}=false")}
    usual, tls = ingress.get(scheme, ("7233", ""))
    return f"{host}:{port or usual}{tls}"


def _check_hosts(settings: Settings) -> Iterator[Finding]:
    """Whether namespace, address and server name go together."""
    value, mine = settings.value(NAMESPACE), cloud_namespace(settings)
    host = find_host_port(settings[ADDRESS])[0]
    for there, name in ((ADDRESS, host), (SERVER_NAME, settings[SERVER_NAME].lower())):
        other, rival = named_namespace(name), settings.value(there)
        if mine and other and other != mine:
            fix = f"or {rival.name}={mine}.tmprl.cloud{':7233' if there == ADDRESS else ''}"
            yield error(f"{value} and {rival} are two namespaces", f"{value.name}={other}", fix)
    if any(map(settings.is_set, CERT)) and REGIONAL.fullmatch(settings[SERVER_NAME] or host):
        fix = f"{SERVER_NAME}={namespace_endpoint(settings).removesuffix(':7233')}"
        yield error(f"mTLS on the regional endpoint {host} needs the namespace's name too", fix)


def _check_credentials(settings: Settings) -> Iterator[Finding]:
    """Credentials beside each other, and TLS beside them."""
    cloud, header = on_cloud(settings), settings.value(f"{HEADER}AUTHORIZATION")
    keys = [key for key in (key_value(settings), header) if key.text]
    pair = [settings.value(name) for name in (*CERT, *CERT_KEY) if settings.is_set(name)]
    if len(keys) > 1:
        text = f"{keys[0].name} and {header.name} are both set: only the header is sent"
        yield warning(text, unset(header))
    if keys and pair and (cloud or CLOUD_NAMESPACE.fullmatch(settings["TEMPORAL_NAMESPACE"])):
        text = f"{keys[0].name} and {pair[0].name} are both set: a connection takes one of them"
        level = error if cloud else warning
        yield level(text, unset(keys[0]), f"or else {' and '.join(map(unset, pair))}")
    tls = settings.value(TLS)
    if tls.text and (keys or pair) and not cloud and not uses_tls(settings):
        what = f"what {(keys or pair)[0].name} gives travels in the clear"
        yield warning(f"{tls} switches TLS off: {what}", f"{tls.name}=true")


def _check_api_key(settings: Settings) -> Iterator[Finding]:
    """What an API key says of itself, as far as it is a JWT: Temporal does not promise that."""
    key, value = settings.profile.api_key or "", key_value(settings)
    said, claims = f"{value.name} ({value.source})", _claims(key)
    if key.startswith("eyJ") and not claims:
        yield warning(f"{said} looks cut off", api_key_line(settings))
    if isinstance(end := claims.get("exp"), (int, float)):
        fix, cloud = api_key_line(settings, "a new one"), on_cloud(settings)
        yield from check_end(f"the API key in {said}", end, fix, cloud)


def _claims(key: str) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        _, body, _ = key.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims if isinstance(claims, dict) else {}
    return {}
