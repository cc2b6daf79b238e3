"""What a value must not be: a rule for each, in the order in which they are told.

To add one, write its condition into `conditions`, or into `server_conditions`, and a row into
`RULES`, under its setting. The first row that fits is told, as an error if any that fits is one; so
the surest stands first. The fix is a line with a better value, as `repairs` finds it, or what the
row's own `fix` gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from ..settings import HEADER, SETTINGS
from .conditions import (
    begins_with_bearer,
    has_a_comma,
    has_a_comment,
    has_a_dot_or_colon,
    has_an_escape,
    has_invisible_characters,
    has_other_characters,
    is_a_path,
    is_a_placeholder,
    is_base64_of_a_jwt,
    is_more_than_the_key,
    is_no_number_of_seconds,
    is_no_numeric_address,
    is_no_switch,
    is_not_found_from_here,
    is_on,
    is_quoted,
    is_reserved,
    is_secret,
    is_the_content,
    is_too_long_for_the_server,
    is_utf16,
)
from .entry import Entry
from .fixes import (
    content_as_text,
    key_file,
    numeric_address,
    one_queue,
    own_ca,
    plain_name,
    short_name,
    single_quotes,
    thirty_seconds,
    where_it_is_found,
    whole_path,
)
from .server_conditions import (
    has_a_slash,
    has_no_port,
    is_a_typo_of_cloud,
    is_a_url_that_fails,
    is_an_address,
    is_no_cloud_namespace,
    is_no_endpoint,
    is_no_host_name,
    is_no_host_name_for_tls,
    is_not_host_port,
    is_on_another_port,
    is_the_control_plane,
    is_the_namespace,
    is_the_web_ui,
    is_unreadable,
    lacks_the_account,
)
from .values import ADDRESS, API_KEY, KEY_FILE, METRICS, NAMESPACE, SERVER_NAME, TLS

TASK_QUEUE, DEPLOYMENT = "TEMPORAL_TASK_QUEUE", "TEMPORAL_DEPLOYMENT_NAME"
GRACE, VERIFICATION = "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
PATHS = (KEY_FILE, *(name for name in SETTINGS if name.endswith("_PATH")))
# With a wrong one of these there is no connection to Temporal Cloud.
VITAL = (ADDRESS, NAMESPACE, SERVER_NAME, API_KEY)


class Level(Enum):
    """How bad it is."""

    ERROR = auto()
    ERROR_ON_CLOUD = auto()  # for what is `VITAL` there; else a warning
    ERROR_OF_WORKERS = auto()  # a ping runs all the same
    WARNING = auto()


ERROR, ERROR_ON_CLOUD, WARNING = Level.ERROR, Level.ERROR_ON_CLOUD, Level.WARNING
ERROR_OF_WORKERS = Level.ERROR_OF_WORKERS


@dataclass(frozen=True)
class Rule:
    """What may be wrong with some settings, and what is said of it.

    `settings` are their official names, or say of a name whether it is one of them. `fix` gives
    the lines that mend it, and `hint` what belongs below these. A value that is of `no_use` says
    nothing of what it should be.
    """

    settings: tuple[str, ...] | Callable[[str], bool]
    level: Level
    condition: Callable[[Entry], bool]
    message: str
    fix: Callable[[Entry], tuple[str, ...]] | None = None
    hint: Callable[[Entry], tuple[str, ...]] | None = None
    no_use: bool = False

    def is_about(self, setting: str) -> bool:
        """Whether this rule is one for this setting."""
        if callable(self.settings):
            return self.settings(setting)
        return setting in self.settings

    def is_error(self, entry: Entry) -> bool:
        """Whether a ping or a worker cannot run, if this rule fits."""
        if self.level is ERROR_ON_CLOUD:
            return entry.setting in VITAL and entry.at_cloud
        return self.level in (ERROR, ERROR_OF_WORKERS)


def broken_rules(entry: Entry) -> list[Rule]:
    """The rules that fit, in order."""
    return [rule for rule in RULES if rule.is_about(entry.setting) and rule.condition(entry)]


# --- Which settings -----------------------------------------------------------------------------


def one_line(setting: str) -> bool:
    """All settings but PEMs, in which anything may stand."""
    return not setting.endswith("_DATA")


def plain_text(setting: str) -> bool:
    """All settings but secrets, and headers, which may be in any language."""
    return not setting.endswith(("_DATA", "_KEY")) and not setting.startswith(HEADER)


# --- The rules ----------------------------------------------------------------------------------

# fmt: off
RULES = (
    # A secret, or more than one value, where one name belongs
    Rule((ADDRESS, NAMESPACE, SERVER_NAME), ERROR, is_secret, "is a key or a PEM"),
    Rule((TASK_QUEUE,), WARNING, is_secret, "is a key or a PEM"),
    Rule((TASK_QUEUE,), WARNING, has_a_comma,
        "is one queue of that name: a worker polls one", one_queue),
    # Any setting: what was copied along with the value, or instead of it
    Rule(one_line, ERROR_ON_CLOUD, has_a_comment,
        "has a comment in it, which docker --env-file and systemd keep"),
    Rule(one_line, ERROR_ON_CLOUD, is_quoted, "has quotes around it"),
    Rule(one_line, ERROR_ON_CLOUD, is_a_placeholder,
        "is still the example's", no_use=True, hint=where_it_is_found),
    # Paths
    Rule(PATHS, WARNING, is_the_content,
        "is not a path, but what is in the file", content_as_text),
    Rule(PATHS, WARNING, has_an_escape,
        r"has \ in double quotes, which changes it", single_quotes),
    Rule(PATHS, WARNING, is_not_found_from_here,
        "is looked for in the folder where the script runs", whole_path),
    # Any setting again
    Rule(plain_text, WARNING, has_invisible_characters, "has invisible characters"),
    # The API key
    Rule((API_KEY,), ERROR_ON_CLOUD, begins_with_bearer,
        "begins with 'Bearer', which the SDK adds itself"),
    Rule((API_KEY,), ERROR_ON_CLOUD, is_utf16,
        "is UTF-16 text, as PowerShell writes it: save it as UTF-8"),
    Rule((API_KEY,), ERROR_ON_CLOUD, is_more_than_the_key, "is not the API key alone"),
    Rule((API_KEY,), ERROR_ON_CLOUD, has_other_characters,
        "has white space or other characters that no API key has"),
    Rule((API_KEY,), ERROR_ON_CLOUD, is_a_path, "is a path, not an API key", key_file),
    Rule((API_KEY,), ERROR_ON_CLOUD, is_base64_of_a_jwt,
        "is the base64 of an API key: decode it first"),
    # The address
    Rule((ADDRESS,), ERROR, is_the_web_ui, "is the Web UI, not an endpoint"),
    Rule((ADDRESS,), ERROR, is_the_control_plane,
        "is Temporal Cloud's control plane: workers can't use it"),
    Rule((ADDRESS,), ERROR, is_no_endpoint,
        "is not an endpoint such as <name>.<account>.tmprl.cloud"),
    Rule((ADDRESS,), WARNING, is_the_namespace, "is a namespace without its domain"),
    Rule((ADDRESS,), ERROR, is_a_url_that_fails, "is a URL, not host:port"),
    Rule((ADDRESS,), WARNING, has_a_slash, "is a URL, not host:port"),
    Rule((ADDRESS,), WARNING, has_no_port,
        "has no port: the SDK takes 443 with TLS, else 80"),
    Rule((ADDRESS,), ERROR, is_unreadable,
        "is not one host:port, with a port from 1 to 65535"),
    Rule((ADDRESS,), WARNING, is_not_host_port, "is not one host:port"),
    Rule((ADDRESS,), WARNING, is_on_another_port, "is not on 7233, Temporal Cloud's port"),
    Rule((ADDRESS,), WARNING, is_a_typo_of_cloud, "looks like a typo of tmprl.cloud"),
    # The server name
    Rule((SERVER_NAME,), ERROR, is_no_host_name_for_tls, "is not just a host name"),
    Rule((SERVER_NAME,), WARNING, is_no_host_name, "is not just a host name"),
    # The namespace
    Rule((NAMESPACE,), WARNING, is_an_address, "is an address, not a namespace"),
    Rule((NAMESPACE,), ERROR, lacks_the_account,
        "is not the full name, <name>.<account>"),
    Rule((NAMESPACE,), ERROR, is_no_cloud_namespace,
        "is not <name>.<account> in lower case, of at least 2 and 5 characters"),
    # Switches
    Rule(("TEMPORAL_ENVIRONMENT_ONLY",), WARNING, is_no_switch,
        "is neither true nor false, and counts as false"),
    Rule((TLS, VERIFICATION), WARNING, is_no_switch,
        "is neither true nor false, and switches TLS on"),
    Rule((VERIFICATION,), WARNING, is_on,
        "has the temporal CLI trust any server; this SDK verifies anyway", own_ca),
    # The worker
    Rule((TASK_QUEUE,), ERROR, is_too_long_for_the_server,
        "is longer than the 1,000 characters that servers take", short_name),
    Rule((TASK_QUEUE,), ERROR, is_reserved,
        "is reserved: names that begin with /_sys/ are the server's own"),
    Rule((GRACE,), ERROR_OF_WORKERS, is_no_number_of_seconds,
        "is not a whole number of seconds", thirty_seconds),
    Rule((METRICS,), ERROR_OF_WORKERS, is_no_numeric_address,
        "is not a numeric host:port", numeric_address),
    Rule((DEPLOYMENT,), ERROR_OF_WORKERS, has_a_dot_or_colon,
        "has a . or : in it: such workers get no tasks", plain_name),
)
# fmt: on
