"""What is worth knowing of the places that settings come from."""

import os
import re
from collections.abc import Iterator
from shlex import quote

from temporalio.envconfig import ClientConfig

from ..findings import Finding, warning
from ..settings import CERT, CERT_KEY, Settings
from ..sources import toml_path
from .env_file import check_env_file
from .values import CREDENTIALS, find_rivals, text_of

# What `temporal cloud login` writes, and what shows that a file holds a secret.
OAUTH = r"(?ms)^\[profile\.([^]\n]+)\.oauth\b[^]\n]*\].*?(?=^\[|\Z)"
PRIVATE = (
    r"(?im)^[^#\n]*(api_?key|key_data|token|password|authorization)[\"']? *= *[^\w\n<#]*\w"
    "|PRIVATE KEY-----"
)


def check_sources(settings: Settings) -> Iterator[Finding]:
    """Judge where settings come from."""
    env_file, toml = settings.env_file, toml_path(settings.text("TEMPORAL_CONFIG_FILE"))
    if env_file:
        yield from check_env_file(settings, env_file)
    yield from _check_toml(settings, toml)
    for winner, value in find_rivals(settings):
        yield warning(f"{winner} wins over {value}", winner.removal, f"or {value.removal}")
    files = str(env_file or ""), toml, settings.text(CERT[0]), settings.text(CERT_KEY[0])
    paths = [file for file in files if re.search(PRIVATE, text_of(file))]
    paths.append(settings.text("TEMPORAL_API_KEY_FILE"))
    for path in filter(os.path.isfile, dict.fromkeys(paths)):
        if os.name == "posix" and os.stat(path).st_mode & 0o077:
            text = f"{path} holds a secret, and other users of this machine may read it"
            yield warning(text, f"chmod 600 {quote(path)}")


def _check_toml(settings: Settings, file: str) -> Iterator[Finding]:
    """A login that is no credential, and a name that is not a field: the loader ignores both."""
    content, profile = text_of(file), settings.text("TEMPORAL_PROFILE") or "default"
    if profile in re.findall(OAUTH, content) and not any(map(settings.is_set, CREDENTIALS)):
        text = f"oauth of profile {profile} is only for the CLI: a worker needs an API key"
        fix = "temporal cloud apikey create-for-me   # into the profile's api_key, or .env"
        yield warning(text, fix)
    source = re.sub(OAUTH, "", content).encode()
    try:
        ClientConfig.load(config_source=source, config_file_strict=True, override_env_vars={})
    except RuntimeError as problem:
        if field := re.search(r"unknown field `([^`]+)`.*", str(problem)):
            yield warning(f"{file}: {field[0]}", "correct the name there: it is ignored")
