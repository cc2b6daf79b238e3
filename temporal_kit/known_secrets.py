"""Which secrets there are, for what goes wrong before a script has read its settings."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from .env_file import find_env_file, read_env_file
from .reading import remember_if_secret
from .settings import setting_of

_env_files: list[Path] = []


def note_env_file(beside: Path) -> None:
    """Have `remember_secrets` look into this `.env`, or that of a folder above."""
    _env_files.append(beside)


@cache
def remember_secrets() -> None:
    """Have the secrets among Temporal's settings hidden, in the environment and in `.env`.

    Files that they name are left alone: a key may come from a pipe, which can be read only once.
    """
    _remember(os.environ)
    for beside in _env_files:
        _remember(read_env_file(find_env_file(beside), []))


def _remember(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value and (setting := setting_of(name)):
            remember_if_secret(setting, value)
