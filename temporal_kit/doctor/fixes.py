"""The lines that mend what a better value alone would not, for `rules`."""

from ..settings import text_setting
from .entry import Entry
from .values import ADDRESS, API_KEY, KEY_FILE, NAMESPACE, listening_on

Lines = tuple[str, ...]


def one_queue(entry: Entry) -> Lines:
    """A worker polls one task queue."""
    return (f"{entry.value.name}=<one of them>", "and a worker for each")


def content_as_text(entry: Entry) -> Lines:
    """The setting that takes what is in the file."""
    return (f"{text_setting(entry.setting)}=<it>", f"and {entry.value.removal}")


def single_quotes(entry: Entry) -> Lines:
    r"""Quotes in which \ stays as it is."""
    return (f"{entry.value.name}='<the path>'",)


def whole_path(entry: Entry) -> Lines:
    """A path that is the same from every folder."""
    return (f"{entry.value.name}=<the whole path>",)


def key_file(entry: Entry) -> Lines:
    """The setting that takes the path of a file with the key."""
    return (f"{KEY_FILE}=<that path>", f"and {entry.value.removal}")


def own_ca(entry: Entry) -> Lines:
    """The safe way to trust a server that no public CA vouches for."""
    return ("TEMPORAL_TLS_SERVER_CA_CERT_PATH=<CA of your server>", f"and {entry.value.removal}")


def where_it_is_found(entry: Entry) -> Lines:
    """Where Temporal Cloud shows what goes into the settings that everybody has to fill in."""
    if entry.setting in (ADDRESS, NAMESPACE):
        return ("on Temporal Cloud, the namespace's page shows it: https://cloud.temporal.io",)
    if entry.setting == API_KEY:
        return ("on Temporal Cloud, make one under Settings: https://cloud.temporal.io",)
    return ()


def thirty_seconds(entry: Entry) -> Lines:
    """The default."""
    return (f"{entry.value.name}=30",)


def numeric_address(entry: Entry) -> Lines:
    """The address that the text may be meant to be, else the example's."""
    port = entry.host_port[1] or "9464"
    return (f"{entry.value.name}={listening_on(entry.text) or f'127.0.0.1:{port}'}",)


def short_name(entry: Entry) -> Lines:
    """A name that servers take."""
    return (f"{entry.value.name}=<a shorter name>",)


def plain_name(entry: Entry) -> Lines:
    """A name without dots and colons."""
    return (f"{entry.value.name}=<a name without them>",)
