"""Lines of `.env` that have no effect, and files that are taken for it."""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from dotenv.main import DotEnv

from ..env_file import is_setting
from ..findings import Finding, warning
from ..settings import HEADER, SETTING_OF, Settings
from .values import text_of

# What .env.example has behind its #, where that is no <placeholder>.
EXAMPLES = {
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "certs/client.pem",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "certs/client.key",
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "certs/server-ca.pem",
    "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION": "false",
    "NO_PROXY": ".example.com,10.0.0.0/8",
    "TEMPORAL_ENVIRONMENT_ONLY": "true",
    "TEMPORAL_TASK_QUEUE": "ap-default",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "30",
    "TEMPORAL_METRICS_ADDRESS": "127.0.0.1:9464",
}
PARKED = ".env.cloud"  # where the README has people put a `.env` that they do not use now
HAS_SETTINGS = re.compile(r"(?m)^(export )?TEMPORAL_\w+=.")


def check_env_file(settings: Settings, env_file: Path) -> Iterator[Finding]:
    """Find what somebody wrote into `.env`, or beside it, and what has no effect."""
    text = text_of(env_file)
    if not HAS_SETTINGS.search(text):
        yield from _find_other_names(env_file)
    yield from _find_lines_behind_a_hash(settings, text)
    yield from _find_repeated_names(text)
    yield from _find_empty_expansions(text)
    yield from _find_other_env_files(env_file)


def _parse(text: str, *, expand: bool) -> dict[str, str | None]:
    return dict(DotEnv(None, io.StringIO(text), interpolate=expand).dict())


def _find_other_names(env_file: Path) -> Iterator[Finding]:
    """Files beside a `.env` without settings that have some, such as `.env.txt`."""
    for other in sorted(env_file.parent.glob(".env?*")):
        if other.name != PARKED and HAS_SETTINGS.search(text_of(other)):
            yield _not_read(other, env_file)


def _find_lines_behind_a_hash(settings: Settings, text: str) -> Iterator[Finding]:
    """Settings that are filled in behind their `#`, if nothing else sets them."""
    lines = [line.lstrip("# \t") for line in text.splitlines() if line.lstrip().startswith("#")]
    behind = []
    for name, value in ((line.partition("=")[0], line.partition("=")[2].strip()) for line in lines):
        filled_in = value and not re.search(r"[<\s]", value) and value != EXAMPLES.get(name)
        if filled_in and is_setting(name):
            setting = name if name.startswith(HEADER) else SETTING_OF[name]
            if settings.effective(setting).source == "default":
                behind.append(name)
    if behind:
        names = ", ".join(sorted(dict.fromkeys(behind)))
        fix = "remove the # from the lines you filled in"
        yield warning(f"behind a # in .env, and so not set: {names}", fix)


def _find_repeated_names(text: str) -> Iterator[Finding]:
    """One name with two values: only the last of its lines counts."""
    seen: dict[str, str | None] = {}
    for name, value in DotEnv(None, io.StringIO(text), interpolate=False).parse():
        if seen.setdefault(name, value) != value:
            fix = f"take all lines of {name} but one out of .env"
            yield warning(f"{name} stands in .env with two values: the last one counts", fix)
            seen[name] = value


def _find_empty_expansions(text: str) -> Iterator[Finding]:
    """`NAME=${OTHER}` where nothing sets the other name."""
    written, expanded = _parse(text, expand=False), _parse(text, expand=True)
    for name, value in written.items():
        if value and "${" in value and not (expanded.get(name) or "").strip():
            text = f"{name} in .env expands to nothing, since what it names is not set"
            yield warning(text, f"{name}=<value>")


def _find_other_env_files(env_file: Path) -> Iterator[Finding]:
    """A `.env` with settings in the current folder, or one above, that is not the one read."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        other = folder / env_file.name
        if other != env_file and HAS_SETTINGS.search(text_of(other)):
            yield _not_read(other, env_file)


def _not_read(other: Path, env_file: Path) -> Finding:
    """What is said of a file with settings that is not the one that is read."""
    fix = f"mv {quote(str(other))} {quote(str(env_file))}"
    if os.path.lexists(env_file):
        fix = f"move its lines into {env_file}"
    return warning(f"{other} has settings, and is not read", fix)
