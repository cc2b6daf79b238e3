"""Hides secrets, and escapes control characters, in everything that the kit prints."""

import base64
import json
import re
import sys
from collections.abc import Iterator
from urllib.parse import quote

# What looks like a secret, whoever says it: a JWT, as Temporal Cloud's API keys are, or a PEM.
SECRET_FORM = re.compile(r"eyJ[\w-]{8,}[\w.-]*|-----BEGIN.*?(-----END[^-]*-----|$)", re.S)
# A user and a password in a URL; bounded, so that matching stays linear.
URL_USER = re.compile(r"//\S{0,500}@|(?<![^\s=/'\"])[^\s=/'\"@:]{1,100}:[^\s@]{0,500}@")
SHORTEST_SECRET = 4  # letters; anything shorter would hide half of every message
HIDDEN = "(hidden)"

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
    secret begins at one of three offsets. The letters at its ends depend on its neighbors as well,
    and are left out.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset, shared_letters in ((0, 0), (1, 2), (2, 3)):
            letters = encode(bytes(offset) + raw).decode().rstrip("=")[shared_letters:]
            yield letters
            yield letters[:-1]


def hide_secrets(text: str) -> str:
    """The text with `(hidden)` in place of each secret, and nothing else changed."""
    lower = text.lower()
    found = [secret for secret in _secrets if secret in lower]
    for secret in sorted(found, key=len, reverse=True):  # a part must not hide before the whole
        text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return URL_USER.sub(f"{HIDDEN}@", SECRET_FORM.sub(HIDDEN, text))


def redact(text: str, limit: int = 2000) -> str:
    """The text on one line: secrets hidden, control characters escaped, cut at `limit` letters."""
    plain = escape_control_characters(hide_secrets(text)[: limit + 1])
    return plain if len(plain) <= limit else f"{plain[:limit]} [cut]"


def escape_control_characters(text: str) -> str:
    r"""The text with each character that is not printable as Python writes it, such as `\x1b`."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def printable(result: str) -> str:
    """A result, ready for `print`: as it is, or with control characters escaped on a terminal.

    What a workflow answers is data: a program that reads standard output gets every byte of it, but
    it must not move a person's cursor or rename their window.
    """
    return escape_control_characters(result) if for_a_terminal() else result


def for_a_terminal() -> bool:
    """Whether standard output is a terminal; it may also have been closed by who started us."""
    return sys.stdout is not None and sys.stdout.isatty()
