"""Write docs/troubleshooting.md: every cause that the check names, as it prints it today.

    python tests/docs_cases.py [FILE]

The causes are made for real, from the table in `cases.py`, in a network of its own: Linux only.
Exits with 1 if the product can name a cause that no case makes.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import socket
import ssl
import sys
import tempfile
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import docs_network

if __name__ == "__main__" and not docs_network.here():
    again = docs_network.inside(sys.executable, *sys.argv)
    os.environ["GRPC_VERBOSITY"] = "NONE"  # its servers log every handshake that fails, as meant
    os.execvp(again[0], again)

import cases
from cases import Case, env
from cloud_front import NAMESPACE, Certificates, CloudFront
from conftest import API_KEY
from kit import SOURCE, DevServer, Kit, create_namespace
from world import HOST, Listener, World

sys.path.insert(0, str(SOURCE))

import temporal_checks
import temporal_client
import temporal_diagnosis
from temporal_checks import Finding

GUIDE = SOURCE / "docs" / "troubleshooting.md"
MODULES = {
    str(module.__file__) for module in (temporal_checks, temporal_client, temporal_diagnosis)
}
SECTIONS = (
    ("The namespace", cases.WRONG_NAMESPACES),
    ("The address", cases.WRONG_ADDRESSES),
    ("Credentials", cases.WRONG_KEYS),
    ("Certificates and keys", cases.WRONG_FILES),
    ("Names, files and the rest", cases.WRONG_NAMES),
)
RUNGS = (
    ("Name resolution", cases.NAME),
    ("TCP", cases.TCP),
    ("TLS", cases.TLS),
    ("Authentication", cases.AUTH),
    ("The namespace on the server", cases.NAMESPACE),
    ("Workers", cases.WORKERS),
)
INTRODUCTION = """\
# Troubleshooting

<!-- Written by tests/docs_cases.py. A test compares: run that script, don't edit. -->

`python scripts/check_temporal_config.py` names the cause of what is wrong and, on lines with `→`,
what mends it. It looks at the settings first. If they are right it climbs, from name resolution to
the workers on the task queue, and stops where it breaks; what comes after is `–`. It always ends
within 15 seconds, prints no secret, and exits with 0 if a ping could run:

{sample}
The worker and the ping fail on the same things in the same words. `--verbose` adds the traceback.
If the check finds nothing wrong and a ping has no answer all the same, look at the worker's log.

Below is every cause that the check knows. `✗` keeps a ping from running, `⚠` is worth knowing. Your
output has your own values in it: addresses, names and files here are examples.

- Before any connection:
{first}
- On the way to the server:
{second}
"""
REGIONAL = "us-east-1.aws.api.temporal.io"
# What only a network of its own can be made to do: these go with those of `cases.py`.
NO_ROUTE = Case("no route", env(ADDRESS="192.0.2.1:7233"), "no way", rung=cases.TCP)
NO_DNS = Case("no DNS server", env(ADDRESS="temporal.invalid:7233"), "", rung=cases.NAME)
UNKNOWN_TO_CLOUD = Case(
    "namespace unknown to Cloud",
    env(cases.CLOUD, ADDRESS=f"{REGIONAL}:7233", NAMESPACE="invoices.a1b2c"),
    "knows no namespace",
    rung=cases.NAMESPACE,
)
# Parts of statements that name a cause which no case makes, and why.
UNMADE = {
    "shown_error(error)": "what no rung of the ladder explains",
    "shown(text.partition": "an error of the SDK that is not known yet",
    "PEM file of the server's CA": "a server's certificate that OpenSSL takes and the SDK does not",
    "no telling who polls": "a server that refuses this one call alone",
    "is busy, or gone": "a worker that last polled a minute ago: nobody waits that long here",
    "is no name for TLS": "the settings' own checks find it first",
}


class Trace:
    """Which lines of the product's modules have run, in every thread."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()

    def __enter__(self) -> Trace:
        threading.settrace(self.enter)
        sys.settrace(self.enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self.line if frame.f_code.co_filename in MODULES else None

    def line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self.line

    def missed(self) -> list[str]:
        """The statements that name a cause and have not run."""
        found = []
        for file in sorted(MODULES):
            source = Path(file).read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(source)):
                if not isinstance(node, ast.Call) or not isinstance(
                    node.func, ast.Name | ast.Attribute
                ):
                    continue
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                if name in {"wrong", "worth"} and not any((file, n) in self.lines for n in lines):
                    text = ast.unparse(node)
                    if not any(part in text for part in UNMADE):
                        found.append(f"{Path(file).name}:{node.lineno}: {text}")
        return found


def as_example(text: str, world: World) -> str:
    """Replace what is this machine's: folders, ports, keys."""
    for folder in (world.folder, world.certificates.folder):
        text = text.replace(str(folder), "certs")
    text = text.replace("certs/latin.env", ".env").replace(str(Path.cwd()), "/srv/worker")
    text = re.sub("certs/(windows|docker)/", "", text)
    text = re.sub(r"(127\.0\.0\.1|localhost)(:|, port )\d{5}", r"\1\g<2>7233", text)
    text = re.sub(r", Testing CA #[\w-]+", "", text)
    return re.sub(r"\b\d+@[\w.-]+", "4711@worker-1", text)


def cause_of(finding: Finding) -> str:
    """What is left of a finding without the user's values: the same for the same cause."""
    text = re.sub(r"TEMPORAL_\w+(=\S+)?( \([^)]*\))?", "SETTING", finding.text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\S*[./\d]\S*|\([^)]*\)", "VALUE", text)
    return f"{finding.mark} {re.sub(r'(SETTING|VALUE)( and)?( (SETTING|VALUE))*', 'IT', text)}"


async def findings(case: Case, world: World) -> list[Finding]:
    """All that the check finds about a case."""
    environment = case.environment(world)
    dotenv = world.file(".env", cases.fill(case.dotenv, world)) if case.dotenv else None
    outside = {name: value for name, value in environment.items() if name.startswith("SSL_")}
    os.environ.update(outside)
    try:
        settings, found = temporal_client.read_settings(environment, dotenv)
        if case.rung != cases.SETTINGS and not any(one.mark == "✗" for one in found):
            found = [one async for one in temporal_diagnosis.walk(settings)]
    finally:
        for name in outside:
            del os.environ[name]
    return [one for one in found if one.mark in "✗⚠"]


async def on_the_way(world: World, rung: str) -> list[Finding]:
    """All that the check finds about the cases that break on a rung, several at a time."""
    at_once = asyncio.Semaphore(8)

    async def one(case: Case) -> list[Finding]:
        async with at_once:
            return await findings(case, world)

    on_rung = [case for case in cases.NETWORK if case.rung == rung]
    # The SDK and `ssl` look at SSL_CERT_FILE, which is the whole process': one after the other.
    together = [case for case in on_rung if not any(name[:4] == "SSL_" for name in case.settings)]
    found = [*await asyncio.gather(*(one(case) for case in together))]
    found += [await findings(case, world) for case in on_rung if case not in together]
    if rung == cases.TCP:
        found.append(await findings(NO_ROUTE, world))
    if rung == cases.TLS:
        found += [await findings(case, world) for case in handshakes(world)]
    if rung == cases.NAME:
        docs_network.look_up_names(docs_network.DNS_TOO)
        found.append(await findings(NO_DNS, world))
        docs_network.look_up_names(docs_network.FILES_ONLY)
    if rung == cases.NAMESPACE:
        case = replace(UNKNOWN_TO_CLOUD, settings={**UNKNOWN_TO_CLOUD.settings, **trust(world)})
        with at_its_own_name(world, REGIONAL, keys=[API_KEY], namespaces=["invoices.a1b2c"]):
            found.append(await findings(case, world))
    if rung == cases.WORKERS:
        found.append(await without_a_current_version(world))
    return [finding for of_case in found for finding in of_case]


async def without_a_current_version(world: World) -> list[Finding]:
    """What the check finds when the only worker is of a version that gets no runs yet."""
    settings = env(cases.LOCAL, TASK_QUEUE="versioned")
    case = Case("no current version", settings, "", rung=cases.WORKERS)
    version: dict[str, Any] = {"TEMPORAL_DEPLOYMENT_NAME": "ping", "TEMPORAL_WORKER_BUILD_ID": "1"}
    kit = Kit(world.folder / "versioned" / "kit")
    with kit.start("workers/worker.py", **case.environment(world), **version) as worker:
        worker.wait_for("Worker running")
        for _ in range(100):  # until the server has heard of its first poll
            found = await findings(case, world)
            if "no version that polls" in str(found):
                break
            await asyncio.sleep(0.1)
    return found


def handshakes(world: World) -> list[Case]:
    """Servers that end the handshake with an alert of their own choosing."""
    old, strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    strict.sni_callback = no_such_name
    made = []
    for context in (old, strict):
        world.certificates.server().configure_cert(context)

        def treat(peer: socket.socket, context: ssl.SSLContext = context) -> None:
            context.wrap_socket(peer, server_side=True)

        listener = Listener(treat)
        world.closing.callback(listener.close)
        made.append(Case("alert", env(cases.FRONT, ADDRESS=listener.address), "", rung=cases.TLS))
    return made


def no_such_name(*_: object) -> int:
    """What `ssl` calls for the name that a client asks for."""
    return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def trust(world: World) -> dict[str, str]:
    """Trust the stand-in's CA as one trusts Temporal Cloud's: as one of the system's."""
    return {"SSL_CERT_FILE": str(world.server_ca)}


def at_its_own_name(world: World, name: str, **how: Any) -> CloudFront:
    """The stand-in under a real name and port of Temporal Cloud's, in this network only."""
    certificate = world.certificates.server(name)
    return CloudFront(world.dev.address, certificate=certificate, port=7233, **how)


async def in_files(world: World) -> list[Finding]:
    """What is wrong with files, and a port, that settings of `cases.py` cannot say."""
    found = []
    latin = world.file("latin.env", "TEMPORAL_NAMESPACE=caf\u00e9".encode("latin-1"))
    (world.folder / "windows").mkdir()
    world.file("windows/.env.txt", "TEMPORAL_NAMESPACE=payments.a1b2c\n")
    (world.folder / "docker/.env").mkdir(parents=True)  # as it makes a mount that isn't there
    for dotenv in (latin, world.folder / "docker/.env", world.folder / "windows/.env"):
        found += temporal_client.read_settings({}, dotenv)[1]
    with socket.create_server(("127.0.0.1", 9464)):
        try:
            temporal_client.sdk_runtime("127.0.0.1:9464")
        except temporal_client.SettingsError as error:
            found += error.findings
    return found


def section(found: list[Finding], world: World, said: set[str]) -> str:
    """The causes that were not said before, as the check prints them."""
    entries = []
    for finding in found:
        cause = cause_of(finding)
        if cause not in said:
            said.add(cause)
            entries.append(as_example(str(finding), world))
    return text_block("\n\n".join(entries))


def text_block(text: str) -> str:
    """A sample output, marked as one."""
    return f"<!-- output: troubleshooting -->\n```text\n{text}\n```\n"


def sample(world: World, folder: Path) -> str:
    """The whole output of the real check, for a key that was revoked."""
    kit = Kit(folder / "kit")
    settings = {**env(cases.CLOUD, API_KEY=API_KEY), **trust(world)}
    with at_its_own_name(world, HOST, keys=[], namespaces=[NAMESPACE]):
        done = kit.run("scripts/check_temporal_config.py", **settings)
    lines = [line for line in done.stdout.splitlines() if not line.endswith("= not set")]
    return text_block(as_example("\n".join(lines), world))


async def write(guide: Path, world: World, folder: Path) -> list[str]:
    """Write the guide; returns what is missing in the table of cases."""
    before, after = [], []
    said: set[str] = set()
    with Trace() as trace:
        for title, list_of_cases in SECTIONS:
            found = [one for case in list_of_cases for one in await findings(case, world)]
            if list_of_cases is cases.WRONG_NAMES:
                found += await in_files(world)
            before.append((title, section(found, world, said)))
        for title, rung in RUNGS:
            after.append((title, section(await on_the_way(world, rung), world, said)))
    contents = [
        "\n".join(
            f"  - [{title}](#{title.lower().replace(' ', '-').replace(',', '')})"
            for title, _ in part
        )
        for part in (before, after)
    ]
    text = INTRODUCTION.format(sample=sample(world, folder), first=contents[0], second=contents[1])
    for title, body in (*before, *after):
        text += f"\n## {title}\n\n{body}"
    guide.write_text(text, encoding="utf-8")
    return trace.missed()


def main() -> int:
    """Write the guide to the file named, or in its place."""
    guide = Path(sys.argv[1] if sys.argv[1:] else GUIDE).resolve()
    with tempfile.TemporaryDirectory() as name, DevServer() as dev:
        folder = Path(name)
        os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = name  # no profile of this user's own
        (folder / "world").mkdir()
        world = World(folder / "world", dev, Certificates(folder / "certificates"), API_KEY)
        create_namespace(dev.address, NAMESPACE)
        missed = asyncio.run(write(guide, world, folder))
    print("\n".join(missed), flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    os._exit(main())  # without closing each of the world's servers in turn, for half a second each
