"""What can be wrong with an address, a server name or a namespace, for `rules`.

Every condition takes an `Entry` and says whether it holds; none of them sees an empty text.
"""

import re
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..settings import CLOUD_NAMESPACE
from .entry import Entry
from .values import (
    REGIONAL,
    SECURE_SCHEMES,
    cloud_namespace,
    is_number,
    named_namespace,
    uses_tls,
)

HOST = re.compile(r"\[[^]\s]+\]|[\w.-]+")
TYPO_OF_CLOUD = re.compile(r"\.(?!tmprl\.cloud)te?mp\w+[l1]\.?(clo\w*|com)\.?(:\d*)?$", re.I)
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.I)


def is_the_web_ui(entry: Entry) -> bool:
    """Where people look at workflows on Temporal Cloud."""
    return "cloud.temporal.io" in entry.text.lower()


def is_the_control_plane(entry: Entry) -> bool:
    """Where Temporal Cloud's own API is: accounts and namespaces, not workflows."""
    return "saas-api" in entry.text.lower()


def is_no_endpoint(entry: Entry) -> bool:
    """A host of Temporal Cloud that is neither a namespace's nor a region's."""
    host, _ = entry.host_port
    return entry.names_cloud_host and not (REGIONAL.fullmatch(host) or named_namespace(host))


def is_the_namespace(entry: Entry) -> bool:
    """The namespace where the address belongs."""
    host, _ = entry.host_port
    return bool(host) and host == cloud_namespace(entry.settings)


def is_a_url_that_fails(entry: Entry) -> bool:
    """Any URL on Temporal Cloud; elsewhere one for TLS, unless the SDK speaks just that."""
    spoken = entry.scheme == "https" and uses_tls(entry.settings)
    return bool(entry.scheme and entry.at_cloud) or (entry.scheme in SECURE_SCHEMES and not spoken)


def has_a_slash(entry: Entry) -> bool:
    """A URL, or a part of one."""
    return "/" in entry.text


def has_no_port(entry: Entry) -> bool:
    """A host alone."""
    return bool(HOST.fullmatch(entry.text.removesuffix(":")))


def is_unreadable(entry: Entry) -> bool:
    """What the SDK finds no host in, or no port that there can be."""
    text = entry.text.replace("\\", "/").lstrip("/")  # as the SDK reads it
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return True
    sound = HOST.fullmatch(host) or parts.netloc.rpartition("@")[2].startswith("[")
    return not sound or port == 0 or any(map(str.isspace, text))


def is_not_host_port(entry: Entry) -> bool:
    """Anything but a host, a colon and digits."""
    host, _, port = entry.text.rpartition(":")
    return not HOST.fullmatch(host) or not is_number(port)


def is_on_another_port(entry: Entry) -> bool:
    """A host of Temporal Cloud with a port that it does not answer on."""
    return entry.names_cloud_host and entry.host_port[1] != "7233"


def is_a_typo_of_cloud(entry: Entry) -> bool:
    """`tmpr1.cloud`, `temporal.cloud`, `tmprl.com` and others like them."""
    return bool(TYPO_OF_CLOUD.search(entry.text))


def is_no_host_name(entry: Entry) -> bool:
    """A URL, a host with a port, or what else cannot be a name in a certificate."""
    with suppress(ValueError):
        ip_address(entry.text)
        return False
    *labels, last = entry.text.removesuffix(".").split(".")
    return not all(map(LABEL.fullmatch, (*labels, last))) or is_number(last)


def is_no_host_name_for_tls(entry: Entry) -> bool:
    """The same where TLS is on; where it is off, nothing asks for the name."""
    return uses_tls(entry.settings) and is_no_host_name(entry)


def is_an_address(entry: Entry) -> bool:
    """An address or a page of the Web UI where the namespace belongs."""
    return any(part in entry.text.lower() for part in (".tmprl.cloud", "://", "/namespaces/"))


def lacks_the_account(entry: Entry) -> bool:
    """A namespace of Temporal Cloud without the account behind it."""
    return entry.at_cloud and bool(re.fullmatch(r"[\w-]+", entry.text))


def is_no_cloud_namespace(entry: Entry) -> bool:
    """A name that no namespace of Temporal Cloud has; `CLOUD_NAMESPACE` lets capitals pass."""
    sound = CLOUD_NAMESPACE.fullmatch(entry.text) and entry.text == entry.text.lower()
    return entry.at_cloud and not sound
