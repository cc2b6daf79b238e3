"""What is worth knowing of the places that settings come from."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from shlex import quote

from temporalio.envconfig import ClientConfig

from ..findings import Finding, warning
from ..settings import CERT, CERT_KEY, Settings, is_on
from ..sources import toml_path
from .env_file import check_env_file
from .values import CREDENTIALS, find_rivals, text_of

# The ends of names that hold a secret.
SECRET_ENDS = ("api_key", "apikey", "key_data", "token", "password", "authorization")


def check_sources(settings: Settings) -> Iterator[Finding]:
    """Judge where settings come from."""
    env_file, toml = settings.env_file, _toml_file(settings)
    yield from _find_switched_off_files(settings)
    if env_file:
        yield from check_env_file(settings, env_file)
    if toml:
        yield from _check_toml(settings, toml)
    for winner, value in find_rivals(settings):
        yield warning(f"{winner} wins over {value}", winner.removal, f"or {value.removal}")
    files = str(env_file or ""), toml, settings.text(CERT[0]), settings.text(CERT_KEY[0])
    paths = [file for file in files if _holds_a_secret(text_of(file))]
    paths.append(settings.text("TEMPORAL_API_KEY_FILE"))
    for path in filter(_others_may_read, dict.fromkeys(paths)):
        text = f"{path} holds a secret, and other users of this machine may read it"
        yield warning(text, f"chmod 600 {quote(path)}")


def _find_switched_off_files(settings: Settings) -> Iterator[Finding]:
    """The switch that keeps files from being read, where nothing else says where the server is."""
    switch = settings.value("TEMPORAL_ENVIRONMENT_ONLY")
    if is_on(switch.text) and not settings.is_set("TEMPORAL_ADDRESS"):
        text = f"{switch}: neither .env nor a TOML file is read, and TEMPORAL_ADDRESS is not set"
        yield warning(text, switch.removal)


def _toml_file(settings: Settings) -> str:
    """The TOML file that is read, or would be if it were there; "" if none is to be."""
    switch = settings.text("TEMPORAL_ENVIRONMENT_ONLY")
    return "" if is_on(switch) else toml_path(settings.text("TEMPORAL_CONFIG_FILE"))


def _others_may_read(path: str) -> bool:
    """Whether this is a file that is not its owner's alone."""
    with suppress(OSError, ValueError):
        mode = os.stat(path).st_mode
        return os.name == "posix" and stat.S_ISREG(mode) and bool(mode & 0o077)
    return False


def _holds_a_secret(text: str) -> bool:
    return "PRIVATE KEY-----" in text or any(map(_sets_a_secret, text.splitlines()))


def _sets_a_secret(line: str) -> bool:
    """Whether a line gives a value, and no `<placeholder>`, to a name that holds a secret."""
    pieces = line.partition("#")[0].split("=")
    return any(
        name.rstrip(" \"'").lower().endswith(SECRET_ENDS)
        and any(map(str.isalnum, value.partition("<")[0]))
        for name, value in pairwise(pieces)
    )


def _check_toml(settings: Settings, file: str) -> Iterator[Finding]:
    """A login that is no credential, and a name that is not a field: the loader ignores both."""
    profile = settings.text("TEMPORAL_PROFILE") or "default"
    logged_in, content = _without_logins(text_of(file))
    if profile in logged_in and not any(map(settings.is_set, CREDENTIALS)):
        text = f"oauth of profile {profile} is only for the CLI: a worker needs an API key"
        fix = "temporal cloud apikey create-for-me   # into the profile's api_key, or .env"
        yield warning(text, fix)
    try:
        ClientConfig.load(
            config_source=content.encode(), config_file_strict=True, override_env_vars={}
        )
    except RuntimeError as problem:
        if field := re.search(r"unknown field `([^`]+)`.*", str(problem)):
            yield warning(f"{file}: {field[0]}", "correct the name there: it is ignored")


def _without_logins(toml: str) -> tuple[set[str], str]:
    """The profiles with an `oauth` table, as `temporal cloud login` writes it, and the rest."""
    profiles, kept, in_login = set(), [], False
    for line in toml.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            table = line.strip()[1:].partition("]")[0]
            path = [name.strip() for name in table.split(".")]
            in_login = path[0] == "profile" and "oauth" in path[2:]
            if in_login:
                profiles.add(".".join(path[1 : path.index("oauth", 2)]).strip("\"'"))
        if not in_login:
            kept.append(line)
    return profiles, "".join(kept)
