"""Findings and failures, and the redaction of all that the scripts print."""

import base64
import json
import logging
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

log = logging.getLogger("kit")
MARKS = {"error": "✗", "warning": "⚠", "ok": "✓", "skipped": "–"}
SECRET_FORM = re.compile(r"eyJ[\w-]{8,}[\w.-]*|-----BEGIN.*?(-----END[^-]*-----|$)", re.S)
# A user and a password in a URL; bounded, so that matching stays linear.
URL_USER = re.compile(r"//\S{0,500}@|(?<![^\s=/'\"])[^\s=/'\"@:]{1,100}:[^\s@]{0,500}@")
_secrets: set[str] = set()


def remember_secret(secret: str) -> None:
    """Make `redact` hide each line of this text, and its base64, percent and JSON forms."""
    for line in {secret, *secret.splitlines()}:
        raw = line.encode(errors="surrogateescape")
        quoted = json.dumps(line), json.dumps(line, ensure_ascii=False), repr(line)
        forms = {line, quote(raw, safe=""), *(form[1:-1] for form in quoted)}
        # Within a longer text, such as `Bearer <key>`, it starts at one of three offsets in base64;
        # the letters at either end depend on its neighbors too, and are left out.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            for shift, start in ((0, 0), (1, 2), (2, 3)):
                form = encode(bytes(shift) + raw).decode().rstrip("=")[start:]
                forms.update((form, form[:-1]))
        _secrets.update(form.lower() for form in forms if len(form) > 3 and form[:5] != "-----")


def redact(text: str, limit: int = 2000) -> str:
    """The text on one line, secrets hidden, control characters escaped, cut at `limit`."""
    low = text.lower()
    for secret in sorted((one for one in _secrets if one in low), key=len, reverse=True):
        text = re.sub(re.escape(secret), "(hidden)", text, flags=re.IGNORECASE)
    text = URL_USER.sub("(hidden)@", SECRET_FORM.sub("(hidden)", text))
    plain = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[: limit + 1])
    return plain if len(plain) <= limit else f"{plain[:limit]} [cut]"


@dataclass(frozen=True)
class Finding:
    """What a check found: how bad it is, what it is, and the lines that fix it."""

    level: Literal["error", "warning", "ok", "skipped"]
    text: str = field(repr=False)
    fixes: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return "\n  → ".join([f"{MARKS[self.level]} {redact(self.text)}", *map(redact, self.fixes)])


def error(text: str, *fixes: str) -> Finding:
    """A finding that prevents a ping from running."""
    return Finding("error", text, fixes)


class Failure(Exception):
    """A script cannot go on; `findings` has the causes, each with its fixes."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__("\n".join(map(str, findings)))


class SettingsError(Failure):
    """The settings are invalid; `findings` has every problem."""
