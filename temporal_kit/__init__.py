"""The kit behind `temporal_client.py`, the worker and the scripts. Nobody has to edit it.

These names, and `local_server` and `time_skipping` in `temporal_kit.testing`, stay within a major
version; everything else in here may change. A later version replaces this folder whole.
"""

from .ctrl_c import ctrl_c_without_traceback

with ctrl_c_without_traceback():  # importing takes 0.13 s
    from .credentials import follow_credentials
    from .explaining import check, explain_errors
    from .findings import Failure, Finding
    from .reading import read_settings
    from .redaction import printable
    from .runtime import sdk_runtime
    from .script import run_script
    from .server import check_namespace, warn_without_worker
    from .serving import serve
    from .settings import Settings, SettingsError
    from .starting import load_env_file

__version__ = "1.0.0"
__all__ = [
    "Failure",
    "Finding",
    "Settings",
    "SettingsError",
    "check",
    "check_namespace",
    "explain_errors",
    "follow_credentials",
    "load_env_file",
    "printable",
    "read_settings",
    "run_script",
    "sdk_runtime",
    "serve",
    "warn_without_worker",
]
