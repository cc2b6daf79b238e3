"""From settings to a connected Temporal client, by Temporal's own loader."""

import os
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile

ENV_FILE = Path(__file__).resolve().with_name(".env")
DEFAULTS = {"TEMPORAL_ADDRESS": "localhost:7233", "TEMPORAL_TASK_QUEUE": "ap-default"}


def client_options() -> dict[str, Any]:
    """Options of `Client.connect` for every client: your data converter, interceptors, plugins."""
    return {}


def load_settings() -> dict[str, str]:
    """The environment, then `.env`, then DEFAULTS; a TOML profile comes between the last two."""
    lines = {name: value for name, value in dotenv_values(ENV_FILE).items() if value}
    return {**lines, **os.environ}


async def get_temporal_client(**overrides: Any) -> Client:
    """A connected client; raises what the SDK raises, and waits as long as that does."""
    profile = ClientConfigProfile.load(override_env_vars=load_settings())
    connection = {"target_host": DEFAULTS["TEMPORAL_ADDRESS"], **profile.to_client_connect_config()}
    return await Client.connect(**{**connection, **client_options(), **overrides})
