"""What can be wrong with the text of a setting, for `rules`; of hosts and namespaces see beside.

Every condition takes an `Entry` and says whether it holds; none of them sees an empty text.
"""

import os
import re

from ..redaction import redact
from ..runtime import split_numeric_address
from ..settings import is_on as is_switched_on
from .entry import Entry
from .values import is_number

QUOTES = ('"', "'", "`", "“", "”", "‘", "’")
ESCAPES = "\a\b\f\n\r\t\v"  # what \a, \b, \f … become in double quotes
COMMENT = re.compile(r"\s#|^#\s")
TEMPLATE = re.compile(r"^[$%][\w(]|\{ ?\w+ ?\}")  # $NAME, %NAME%, $(command), {name}
PLACEHOLDER = re.compile(r"<[^>]*>|\bchange[-_]?me\b|\byour[-_ .]\w", re.I)
JWT_OR_PEM = re.compile(r"(^|/)eyJ[\w-]{8}|-----BEGIN")  # behind the folder of a relative path
FILE_NAME = re.compile(r"[\w./\\:-]+\.(key|txt|pem|json)", re.I)
ASSIGNMENT = re.compile(r"(export )?\w*(API_KEY|TOKEN)[=:]", re.I)
LONGEST_QUEUE = 1000  # bytes: the server's default for limit.maxIDLength
RESERVED = "/_sys/"  # what the server's own task queues begin with

# --- Any setting ------------------------------------------------------------------------------


def is_secret(entry: Entry) -> bool:
    """A known secret, or what looks like a JWT or a PEM; a port may follow."""
    return len(entry.text) > 20 and bool(re.fullmatch(r"\(hidden\)(:\d+)?", redact(entry.text)))


def has_a_comment(entry: Entry) -> bool:
    """`value # why`, which only `.env` and TOML take for a comment."""
    return entry.value.source == "environment" and bool(COMMENT.search(entry.text))


def is_quoted(entry: Entry) -> bool:
    """A quotation mark at either end: one that was typed, or pasted from a document."""
    return entry.text.startswith(QUOTES) or entry.text.endswith(QUOTES)


def is_a_placeholder(entry: Entry) -> bool:
    """What examples have where the value belongs: `<name>`, `...`, `xxx`, `${NAME}`, `your-key`."""
    masked = len(entry.text) > 2 and set(entry.text.lower()) in ({"x"}, {"*"})
    elided = "..." in entry.text or "…" in entry.text
    return masked or elided or bool(TEMPLATE.search(entry.text) or PLACEHOLDER.search(entry.text))


def has_invisible_characters(entry: Entry) -> bool:
    """A byte order mark, a zero-width space or a control character."""
    return not entry.text.isprintable()


# --- Paths --------------------------------------------------------------------------------------


def is_the_content(entry: Entry) -> bool:
    """A key or a PEM where the path of its file belongs."""
    return bool(JWT_OR_PEM.search(entry.text))


def has_an_escape(entry: Entry) -> bool:
    r"""A tab that was `\t` of `C:\temporal` in double quotes, and others like it."""
    return any(letter in entry.text for letter in ESCAPES)


def is_not_found_from_here(entry: Entry) -> bool:
    """A relative path that leads nowhere from the current folder."""
    return not os.path.isabs(entry.text) and not os.path.exists(entry.text)


# --- The API key --------------------------------------------------------------------------------


def begins_with_bearer(entry: Entry) -> bool:
    """`Bearer <key>`, as the header has it."""
    return entry.text[:6].lower() == "bearer" and entry.text[6:7].isspace()


def is_utf16(entry: Entry) -> bool:
    """Text in two bytes a letter, of which one is 0."""
    return "\0" in entry.text


def is_more_than_the_key(entry: Entry) -> bool:
    """A PEM, a line of a shell, JSON, or what ends as a list or a statement does."""
    text = entry.text
    ends = text.startswith(("{", "[")) or text.endswith((";", ","))
    return ends or "-----BEGIN" in text or bool(ASSIGNMENT.match(text))


def has_other_characters(entry: Entry) -> bool:
    """White space, or letters outside of ASCII."""
    return not all("!" <= letter <= "~" for letter in entry.text)


def is_a_path(entry: Entry) -> bool:
    """A path where the key belongs."""
    starts = entry.text.startswith(("/", "~/", "./", "../"))
    return starts or bool(FILE_NAME.fullmatch(entry.text))


def is_base64_of_a_jwt(entry: Entry) -> bool:
    """A JWT, which begins with `eyJ`, encoded once more, as in a Kubernetes secret."""
    return entry.text.startswith("ZXlK")


# --- The other settings -------------------------------------------------------------------------


def is_no_switch(entry: Entry) -> bool:
    """What the SDK takes for neither on nor off."""
    return entry.text.lower() not in ("true", "false", "1", "0")


def is_on(entry: Entry) -> bool:
    """A switch that is on."""
    return is_switched_on(entry.text)


def has_a_comma(entry: Entry) -> bool:
    """A list where one name belongs."""
    return "," in entry.text


def is_reserved(entry: Entry) -> bool:
    """A task queue by a name that the server keeps for its own, such as parts of a queue."""
    return entry.text.startswith(RESERVED)


def is_too_long_for_the_server(entry: Entry) -> bool:
    """A task queue whose name no server takes."""
    return len(entry.text.encode()) > LONGEST_QUEUE


def is_no_number_of_seconds(entry: Entry) -> bool:
    """Anything but digits, or so many that they are years."""
    return not is_number(entry.text) or len(entry.text) > 6


def is_no_numeric_address(entry: Entry) -> bool:
    """Anything but an IP address and a port, which is all that the SDK can listen on."""
    try:
        _, port = split_numeric_address(entry.text)
    except ValueError:
        return True
    return port > 65535


def has_a_dot_or_colon(entry: Entry) -> bool:
    """What the server sets between the parts of a worker's version."""
    return "." in entry.text or ":" in entry.text
