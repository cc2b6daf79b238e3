"""Hides secrets, and escapes control characters, in everything that the kit prints."""

import base64
import json
import re
import sys
from collections.abc import Iterator
from unicodedata import category
from urllib.parse import quote, unquote

# What looks like a secret, whoever says it: a JWT, as Temporal Cloud's API keys are, or a PEM.
SECRET_FORM = re.compile(
    r"(?<![A-Za-z0-9])eyJ[\w-]{8,}[\w.-]*|-----BEGIN.*?(-----END[^-]*-----|$)", re.S
)
# A user and a password in a URL; bounded, so that matching stays linear.
URL_LOGIN = re.compile(r"//[^\s/@:]{0,100}:[^\s/@]{1,500}@")
# The same in a URL that is no proper one, as settings may have it.
ANY_LOGIN = re.compile(r"//\S{0,500}@|(?<![^\s=/'\"])[^\s=/'\"@:]{1,100}:[^\s@]{0,500}@")
SHORTEST_SECRET = 4  # characters; anything shorter would hide half of every message
HIDDEN = "(hidden)"
ZERO_WIDTH_JOINER = "\u200d"

_secrets: set[str] = set()  # in lower case, in every form in which a message may quote them


def remember_secret(secret: str) -> None:
    """Have `redact` hide each line of this text, in every form in which a message may quote it."""
    for line in {secret, *secret.splitlines()}:
        for form in _forms(line):
            if len(form) >= SHORTEST_SECRET and not form.startswith("-----"):
                _secrets.add(form.lower())


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, percent-encoded, as JSON and Python quote it, and in base64."""
    raw = secret.encode(errors="surrogateescape")
    yield secret
    yield quote(raw, safe="")
    for quoted in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)):
        yield quoted[1:-1]
    yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What all base64 texts that contain these bytes have in common.

    Base64 turns three bytes into four letters, so within a longer text, such as `Bearer <key>`, a
    secret begins at one of three offsets. Letters that depend on its neighbors are left out.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for bytes_before, letters_they_touch in ((0, 0), (1, 2), (2, 3)):
            padded = b"\0" * bytes_before + raw
            letters = encode(padded).decode().rstrip("=")[letters_they_touch:]
            yield letters  # as it is if nothing follows the secret, or it ends a group of three
            yield letters[:-1]  # what follows has changed the last letter


def password_in_url(text: str) -> str:
    """`pass` of `scheme://user:pass@host`, percent-decoded; "" if there is none."""
    before_host = text.rpartition("@")[0]
    login = before_host.rpartition("//")[2]
    return unquote(login.partition(":")[2])


def hide_secrets(text: str) -> str:
    """The text with `(hidden)` in place of each secret, and nothing else changed."""
    lower = text.lower()
    found = [secret for secret in _secrets if secret in lower]
    # The longest first, so that a secret within another one does not break that up.
    for secret in sorted(found, key=len, reverse=True):
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return URL_LOGIN.sub(f"//{HIDDEN}@", SECRET_FORM.sub(HIDDEN, text))


def redact(text: str, limit: int = 2000) -> str:
    """The text on one line: secrets hidden, control characters escaped, cut at `limit` characters.

    For what the kit says of settings and servers: whatever might be a user and a password is
    hidden.
    """
    hidden = ANY_LOGIN.sub(f"{HIDDEN}@", hide_secrets(text))
    plain = escape_control_characters(hidden[: limit + 1])
    return plain if len(plain) <= limit else f"{plain[:limit]} [cut]"


def escape_control_characters(text: str) -> str:
    r"""The text with control and formatting characters as Python writes them, such as `\x1b`.

    Spaces of all kinds and the joiners of emoji stay.
    """
    return "".join(
        letter
        if letter.isprintable() or letter == ZERO_WIDTH_JOINER or category(letter) == "Zs"
        else repr(letter)[1:-1]
        for letter in text
    )


def printable(result: str) -> str:
    """A result, ready for `print`: as it is, or with control characters escaped on a terminal.

    What a workflow answers is data: a program that reads standard output gets every byte of it, but
    it must not move a person's cursor or rename their window.
    """
    return escape_control_characters(result) if for_a_terminal() else result


def for_a_terminal() -> bool:
    """Whether standard output is a terminal; it may also have been closed by who started us."""
    return sys.stdout is not None and sys.stdout.isatty()
