"""What is wrong with the settings, as far as it shows without a network."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress

from ..findings import Finding, error, warning
from ..settings import CERT, CERT_KEY, CLOUD_NAMESPACE, HEADER, Settings
from .certificates import check_certificates
from .entry import Entry
from .names import check_names
from .repairs import repair
from .rules import broken_rules
from .sources import check_sources
from .values import (
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
    uses_tls,
)

LONGEST = 4096  # letters of a value: no rule gets to see more


def check_settings(settings: Settings, problems: list[Finding]) -> Iterator[Finding]:
    """Find what is wrong beyond the problems that the core tells."""
    refused = "\n".join(one.text for one in problems)
    for setting in dict.fromkeys(one.setting for one in settings.values if one.setting):
        value = settings.value(setting)
        # Of these the core says that they are of no use, but not why.
        known = str(value) in refused and not setting.endswith(("_PATH", "_FILE", "_PROXY"))
        if value.text and not known and setting != API_KEY:
            yield from _judge(Entry(settings, value, setting, value.text))
    if (key := settings.profile.api_key) and f"{API_KEY}=" not in refused:
        faults = list(_judge(Entry(settings, key_value(settings), API_KEY, key)))
        yield from faults or _check_api_key(settings)
    yield from check_names(settings, refused)
    if settings.complete and "set the same thing" not in refused:  # or all may be meant otherwise
        yield from _check_hosts(settings)
        yield from _check_credentials(settings)
    yield from check_certificates(settings, refused)
    yield from check_sources(settings)


def _judge(entry: Entry) -> Iterator[Finding]:
    """What the rules say of one value: the first that fits, with what mends them all."""
    value = entry.value
    if len(entry.text) > LONGEST:
        yield warning(f"{value} is longer than {LONGEST} characters", f"{value.name}=<your value>")
    elif rules := broken_rules(entry):
        level = error if any(rule.is_error(entry) for rule in rules) else warning
        yield level(f"{value} {rules[0].message}", *repair(entry, rules))


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
    if told and (keys or pair) and not cloud and not uses_tls(settings):
        off = f"{switch} switches TLS off" if switch.text else "TLS is off"
        what = f"{keys[0].name} travels in the clear" if keys else f"{pair[0].name} is not used"
        on = switch.removal if switch.text else f"{TLS}=true"
        yield warning(f"{off}: {what}", f"{ADDRESS}=<host:port where it speaks TLS>, and {on}")


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
