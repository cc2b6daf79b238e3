"""What is wrong with settings that may each be right alone."""

from collections.abc import Iterator

from ..findings import Finding, error, warning
from ..settings import API_KEY_HEADER, CERT, CERT_KEY, CLOUD_NAMESPACE, Settings, Value
from .values import (
    ADDRESS,
    NAMESPACE,
    REGIONAL,
    SERVER_NAME,
    TLS,
    cloud_namespace,
    find_host_port,
    key_value,
    named_namespace,
    namespace_endpoint,
    uses_tls,
)


def check_combinations(settings: Settings) -> Iterator[Finding]:
    """Hold hosts against the namespace, and credentials against each other and TLS."""
    yield from _find_two_namespaces(settings)
    yield from _find_region_without_server_name(settings)
    header = settings.value(API_KEY_HEADER)
    keys = [key for key in (key_value(settings), header) if key.text]
    pair = [settings.value(name) for name in (*CERT, *CERT_KEY) if settings.is_set(name)]
    yield from _find_two_credentials(settings, keys, pair)
    yield from _find_credentials_without_tls(settings, keys, pair)


def _find_two_namespaces(settings: Settings) -> Iterator[Finding]:
    """A host that is the endpoint of another namespace."""
    value, mine = settings.value(NAMESPACE), cloud_namespace(settings)
    hosts = {name: find_host_port(settings.text(name))[0] for name in (ADDRESS, SERVER_NAME)}
    named = {name: named_namespace(host) for name, host in hosts.items()}
    other_host_agrees = mine in named.values()
    for name, port in ((ADDRESS, ":7233"), (SERVER_NAME, "")):
        host, theirs = settings.value(name), named[name]
        if mine and theirs and theirs != mine:
            change_host = f"{host.name}={mine}.tmprl.cloud{port}"
            change_both_ways = [f"{value.name}={theirs}", f"or {change_host}"]
            fixes = [change_host] if other_host_agrees else change_both_ways
            yield error(f"{value} and {host} are two namespaces", *fixes)


def _find_region_without_server_name(settings: Settings) -> Iterator[Finding]:
    """A client certificate for a region's endpoint, which serves many namespaces."""
    names = settings.text(SERVER_NAME), settings.text(ADDRESS)
    server_name, host = (find_host_port(name)[0] for name in names)
    if any(map(settings.is_set, CERT)) and REGIONAL.fullmatch(server_name or host):
        fix = f"{SERVER_NAME}={namespace_endpoint(settings).removesuffix(':7233')}"
        yield error("mTLS on a regional endpoint needs the namespace as server name", fix)


def _find_two_credentials(
    settings: Settings, keys: list[Value], pair: list[Value]
) -> Iterator[Finding]:
    """Two API keys, or an API key and a certificate, of which a connection takes one."""
    if len(keys) > 1:
        text = f"{keys[0].name} and {keys[1].name} are both set: only the header is sent"
        yield warning(text, keys[1].removal)
    cloud = settings.on_cloud
    if keys and pair and (cloud or CLOUD_NAMESPACE.fullmatch(settings.text(NAMESPACE))):
        text = f"{keys[0].name} and {pair[0].name} are both set: a connection takes one of them"
        level = error if cloud else warning
        yield level(text, keys[0].removal, f"or {' and '.join(one.removal for one in pair)}")


def _find_credentials_without_tls(
    settings: Settings, keys: list[Value], pair: list[Value]
) -> Iterator[Finding]:
    """A key that anyone on the way can read, or a certificate without TLS to show it in."""
    if uses_tls(settings) or settings.on_cloud or not (keys or pair):
        return
    switch, only_header = settings.value(TLS), [key.setting for key in keys] == [API_KEY_HEADER]
    if switch.text:
        off, on = f"{switch} switches TLS off", switch.removal
    elif only_header:  # which, unlike a key, does not switch it on
        off, on = "TLS is off", f"{TLS}=true"
    else:  # what switches it on cannot be read
        return
    what = f"{keys[0].name} travels in the clear" if keys else f"{pair[0].name} is not used"
    yield warning(f"{off}: {what}", f"{ADDRESS}=<host:port where it speaks TLS>", f"and {on}")
