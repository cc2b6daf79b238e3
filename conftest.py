"""Loads your own variables from `.env` for your tests, as the worker and the scripts do."""

from pathlib import Path

from temporal_kit import load_env_file

load_env_file(Path(__file__).resolve().with_name(".env"))
