"""Configurations, wrong and right: one table for the tests of the check and of secrets.

`cases.txt` has in a row: settings | what names the cause | what fixes it. A ` / ` parts settings
that come to the same, each a case; one that names no setting is another value for the first one's.
A line that is indented goes on with the row above. A word in capitals is the base that settings go
on top of, or with a minus are taken from; `PAIR=x` is certificate and key of `{x}`. `~` is short
for TEMPORAL_, and `SHORT` has more of the kind. A `⚠` is a warning, `⚠✗` one beside an error, `✗`
an error that keeps workers from running and no ping, and all else is an error; ` // ` is either of
two, where what the SDK says depends on the moment. Where
no fix stands, it is what the section's heading says, or a line that sets the name that was meant
or, without one, the first that the row sets.

`{cloud}`, or `{w.cloud}`, in a value is the `World`'s attribute `cloud`, a server or a file that is
made when it is first asked for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from .world import HOST, World

SETTINGS, RIGHT = "settings", "right"
NAME, TCP, TLS = "name resolution", "TCP", "TLS"
AUTH, NAMESPACE, WORKERS = "authentication", "namespace", "workers"
STEPS = (NAME, TCP, TLS, AUTH, NAMESPACE, WORKERS)
SHORT: Mapping[str, str] = {
    "$CERT_TEXT": "TEMPORAL_TLS_CLIENT_CERT_DATA",
    "$KEY_TEXT": "TEMPORAL_TLS_CLIENT_KEY_DATA",
    "$CERT": "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "$KEY": "TEMPORAL_TLS_CLIENT_KEY_PATH",
    "$CA": "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "$SNI": "TEMPORAL_TLS_SERVER_NAME",
    "~": "TEMPORAL_",
    "{HOST}": HOST,
    "{NS}": "payments.a1b2c",
    "{US}": "us-east-1.aws.api.temporal.io",
}


@dataclass(frozen=True)
class Case:
    """One configuration, and what the check must say of it."""

    title: str
    settings: Mapping[str, str]  # the environment
    cause: str = ""  # part of the line that names the cause; empty for what is right
    fix: str = ""  # part of a line below it that begins with an arrow
    step: str = SETTINGS  # where it breaks; `settings` is before any connection
    level: str = "error"  # or `warning`, for what works and is worth knowing
    fails: bool = False  # a warning may come beside an error
    dotenv: str = ""  # the content of `.env`

    def __str__(self) -> str:
        return f"{self.step}: {self.title}"


def fill(template: str, world: World) -> str:
    """Fill in a template's `{w.name}`; other braces are left as they are."""
    name = r"\{(?:w\.)?([a-z][\w.]*)\}"
    return re.sub(name, lambda found: str(attrgetter(found[1])(world)), template)


def filled(settings: Mapping[str, str], world: World) -> dict[str, Any]:
    """Settings with their values filled in."""
    return {name: fill(value, world) for name, value in settings.items()}


def env(base: Mapping[str, Any] | None = None, /, **changes: object) -> dict[str, Any]:
    """Settings by their names without TEMPORAL_, on top of others; `None` takes one away."""
    named = {f"TEMPORAL_{name}": value for name, value in changes.items()}
    return {name: value for name, value in {**(base or {}), **named}.items() if value is not None}


# Right as they stand, by Cloud's real names: for checks that connect to nothing.
CLOUD = env(ADDRESS=f"{HOST}:7233", NAMESPACE="payments.a1b2c", API_KEY="{w.key}")
PAIR = env(TLS_CLIENT_CERT_PATH="{w.client.certificate}", TLS_CLIENT_KEY_PATH="{w.client.key}")
DATA = env(TLS_CLIENT_CERT_DATA="{w.certificate_pem}", TLS_CLIENT_KEY_DATA="{w.private_pem}")
NO_PATHS = env(CLOUD, API_KEY=None)
MTLS = {**NO_PATHS, **PAIR}
# Right as they stand, on the stand-in for Cloud.
FRONT = env(
    CLOUD, ADDRESS="{w.cloud}", TLS_SERVER_NAME=HOST, TLS_SERVER_CA_CERT_PATH="{w.server_ca}"
)
NO_KEY = env(FRONT, API_KEY=None)
NO_PAIR = env(NO_KEY, ADDRESS="{w.mtls_cloud}")
MTLS_FRONT = {**NO_PAIR, **PAIR}
LOCAL = env(ADDRESS="{w.dev.address}")
OWN_TLS = env(ADDRESS="{w.own_tls}", TLS_SERVER_CA_CERT_PATH="{w.server_ca}")
BASES = {name: value for name, value in globals().items() if type(value) is dict and name.isupper()}


def _settings(words: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for word in shlex.split(words):
        name, _, value = word.partition("=")
        value = re.sub(r"\\u(....)", lambda code: chr(int(code[1], 16)), value)
        if not value and name in BASES:
            settings |= BASES[name]
        elif name == "PAIR":
            settings[SHORT["$CERT"]] = f"{{{value}.certificate}}"
            settings[SHORT["$KEY"]] = f"{{{value}.key}}"
        elif name[0] == "-":
            del settings[name[1:]]
        else:
            settings[name] = value.replace(r"\n", "\n")
    return settings


def _cases(row: str, step: str, section_fix: str) -> Iterator[Case]:
    """The cases of a row."""
    words, cause, fix = ([one.strip() for one in row.split(" | ")] + [""] * 2)[:3]
    mark, cause = re.findall(r"^([⚠✗]* )?(.*)", _long(cause))[0]
    level, fails = ("warning", "✗" in mark) if "⚠" in mark else ("error", bool(cause) and not mark)
    base, rest = re.findall(r"^((?:[A-Z_]+ )*)(.*)", f"{words} ")[0]
    first, *others = rest.strip().split(" / ")
    name = first.partition("=")[0]
    for one in (first, *others):
        change = one if re.match(r"[~$.\w]*=|-|$", one) else f"{name}={one}"
        settings = _settings(_long(base + change))
        meant = re.search(r"did you mean (\w+)\?", cause)
        named = meant or re.search(r"(TEMPORAL_\w+)", _long(change.replace("PAIR", "$CERT")))
        fixed = _long(fix or section_fix) or (f"{named[1]}=" if named else "")
        dotenv = settings.pop(".env", "")
        yield Case(base + change, settings, cause, cause and fixed, step, level, fails, dotenv)


def _long(text: str) -> str:
    for short, long in SHORT.items():
        text = text.replace(short, long)
    return text


def _sections() -> Iterator[tuple[str, list[Case]]]:
    """The sections of the table by their headings."""
    text = Path(__file__).with_name("cases.txt").read_text("utf-8")
    for section in re.sub(r"\n +", " ", f"\n{text}").split("\n[")[1:]:
        heading, *rows = section.splitlines()
        name, _, fix = heading.partition("]")
        step = WORKERS if name.startswith(RIGHT) else name.partition(":")[0]
        yield name, [case for row in rows if row for case in _cases(row, step, fix.strip())]


SECTIONS = dict(_sections())
WRONG_SETTINGS = [
    case for name, cases in SECTIONS.items() if name.startswith(SETTINGS) for case in cases
]
NETWORK = [case for step in STEPS for case in SECTIONS[step]]
RIGHT_ONLINE, RIGHT_OFFLINE = SECTIONS["right"], SECTIONS["right offline"]
