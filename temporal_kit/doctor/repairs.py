"""What a value that breaks a rule may be meant to be, and the lines that set it."""

import re
from collections.abc import Iterator

from ..redaction import HIDDEN
from .conditions import RESERVED
from .entry import Entry
from .rules import TASK_QUEUE, VERIFICATION, Rule, broken_rules
from .values import (
    ADDRESS,
    API_KEY,
    NAMESPACE,
    SECURE_SCHEMES,
    SERVER_NAME,
    TLS,
    api_key_line,
    cloud_namespace,
    find_host_port,
    key_value,
    named_namespace,
    namespace_endpoint,
    usual_port,
)

Guess = tuple[str, ...]  # a value, and the lines that belong to it
WORDS_FOR_OFF = ("off", "no", "n", "f", "none", "disable", "disabled")
WEB_UI_PORTS = ("8233", "8080")  # of the dev server, and of Temporal's own containers


def repair(entry: Entry, rules: list[Rule]) -> Guess:
    """The lines that mend an entry which breaks these rules, and would pass themselves."""
    hint = rules[0].hint
    return (*_mend(entry, rules), *(hint(entry) if hint else ()))


def _mend(entry: Entry, rules: list[Rule]) -> Guess:
    """The lines alone, without a hint."""
    told = rules[0]
    if told.fix:
        return told.fix(entry)
    if entry.setting == API_KEY:
        return (api_key_line(entry.settings),)
    if re.match(r"#(\s|$)", entry.text):  # a comment alone
        return (entry.value.removal,)
    usable = not told.no_use and not _is_hidden(entry)
    if usable and (lines := _first_that_passes(entry)):
        return lines
    for rule in rules:
        if rule.fix:
            return rule.fix(entry)
    return (f"{entry.value.name}={_blank(entry, usable)}",)


def _first_that_passes(entry: Entry) -> Guess:
    """The lines of the first guess that breaks no rule; none if all do."""
    for better, *more in _guesses(entry):
        if better and not broken_rules(entry.with_text(better)):
            return (f"{entry.value.name}={better}", *more)
    return ()


def _is_hidden(entry: Entry) -> bool:
    """Whether the value is a secret; a login in a URL is not part of what would be shown."""
    return HIDDEN in entry.value.shown.replace(f"{HIDDEN}@", "")


def _blank(entry: Entry, usable: bool) -> str:
    """A description of the value that belongs here, with what is known of it.

    What stands there may be a part of that, unless it is not `usable`.
    """
    settings, text = entry.settings, entry.text
    if entry.setting == ADDRESS:
        known = cloud_namespace(settings) or settings.on_cloud
        return namespace_endpoint(settings) if known else "<host:port>"
    if entry.setting == NAMESPACE and entry.at_cloud:
        plain = usable and text != "default" and re.fullmatch("[a-z0-9-]+", text)
        return f"{text if plain else '<name>'}.<account>"
    return "<your value>"


def _guesses(entry: Entry) -> Iterator[Guess]:
    """What the text may be meant to be, the likeliest first."""
    bare = re.split(r"\s+#", entry.text)[0]
    unquoted = bare.strip("\"'`“”‘’ ")
    text = "".join(filter(str.isprintable, unquoted))
    for less in (bare, unquoted, text):
        yield (less,)
    if entry.setting == ADDRESS:
        yield _address(entry.with_text(text))
        yield (namespace_endpoint(entry.settings),)
    elif entry.setting == NAMESPACE:
        for name in _namespaces(entry.with_text(text)):
            yield (name,)
    elif entry.setting == SERVER_NAME:
        yield (find_host_port(text)[0],)
    elif entry.setting in (TLS, "TEMPORAL_ENVIRONMENT_ONLY"):
        yield ("false" if _means_off(text) else "true",)
    elif entry.setting == TASK_QUEUE:
        yield (text.removeprefix(RESERVED),)
    elif entry.setting == VERIFICATION:
        yield ("false",)


def _address(entry: Entry) -> Guess:
    """The host and the port in an address; a URL without a port leads to an ingress."""
    (host, port), scheme = entry.host_port, entry.scheme
    web_ui = scheme.startswith("http") and port in WEB_UI_PORTS
    if entry.names_cloud_host or web_ui:
        return (f"{host}:7233",)
    address = f"{host}:{port or usual_port(scheme)}"
    if scheme in SECURE_SCHEMES:
        return (address, f"{TLS}=true")
    if scheme == "http":
        secret = key_value(entry.settings).text or any(entry.settings.headers.values())
        risk = ", and credentials travel in the clear" if secret else ""
        return (address, f"{TLS}=false{risk}")
    return (address,)


def _namespaces(entry: Entry) -> Iterator[str]:
    """The namespace without its slips, then those that hosts name."""
    yield "".join(entry.text.split())
    yield entry.text.lower()
    for host in (entry.text, entry.settings.text(ADDRESS), entry.settings.text(SERVER_NAME)):
        yield named_namespace(find_host_port(host)[0])


def _means_off(text: str) -> bool:
    """Whether the first word of a switch says no."""
    return re.split(r"\W", text.lower())[0] in WORDS_FOR_OFF
