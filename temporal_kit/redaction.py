"""Hides secrets, and escapes control characters, in everything that the kit prints."""

import re
import sys
from bisect import bisect_right, insort
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from unicodedata import category

from .secret_forms import Places, as_it_stands, fold, forms, lines, parts, places, readings

# What looks like a secret, whoever says it: a JWT, as Temporal Cloud's API keys are, or a PEM.
SECRET_FORM = re.compile(
    r"(?<![A-Za-z0-9])eyJ[\w-]{8,}[\w.-]*|-----BEGIN.*?(-----END[^-]*-----|$)", re.S
)
# A user and a password in a URL; bounded, so that matching stays linear.
URL_LOGIN = re.compile(r"//[^\s/@:]{0,100}:[^\s/@]{1,500}@")
# Where a user and a password may begin, in a URL that is no proper one, as settings may have it.
LOGIN_BEGINS = re.compile(r"//|(?<![^=/'\"])[^=/'\"@:]+:")
SHORTEST_SECRET = 4  # characters; anything shorter would hide half of every message
HIDDEN = "(hidden)"
ZERO_WIDTH_JOINER = "\u200d"

_secrets: set[str] = set()  # folded, in every form in which a message may quote them


@dataclass(frozen=True)
class _Index:
    """The secrets, in an order by which most of them need not be looked for in a text."""

    of: set[str]
    words: list[str] = field(default_factory=list)  # the shortest first
    phrases: list[str] = field(default_factory=list)  # those with blanks

    def add(self, form: str) -> None:
        """Sort a form in; another thread may look for secrets at this moment."""
        if form.split() == [form]:
            insort(self.words, form, key=len)
        else:
            self.phrases.append(form)

    @property
    def complete(self) -> bool:
        """Whether it has what `_secrets` has: tests begin with a set of their own."""
        return self.of is _secrets and len(self.words) + len(self.phrases) == len(_secrets)


_index = _Index(_secrets)


def _current_index() -> _Index:
    """The index of `_secrets`, made anew if that is another set now."""
    global _index  # noqa: PLW0603 (a process has one)
    if not _index.complete:
        _index = _Index(_secrets)
        for form in list(_secrets):
            _index.add(form)
    return _index


def _known_in(text: str) -> list[str]:
    """The forms of secrets that are in a text, as `fold` has them.

    This runs for every log record: a form that is longer than any word of the text is not in it.
    """
    folded, index = fold(text), _current_index()
    longest = max(map(len, folded.split()), default=0)
    possible = index.words[: bisect_right(index.words, longest, key=len)]
    return [*filter(folded.__contains__, possible), *filter(folded.__contains__, index.phrases)]


def remember_secret(secret: str) -> None:
    """Have `redact` hide this text, and each line of it, in every form that somebody may quote."""
    _remember(lines(secret))


def remember_secrets_in(text: str, shown: Collection[str] = ()) -> None:
    """Have `redact` hide what a setting or its file holds, whole and in its parts.

    Parts that are `shown` anyway, as another setting's value, are no secrets.
    """
    _remember([part for part in parts(text) if part not in shown])


def _remember(secrets: list[str]) -> None:
    """Add the forms of these secrets, but for those that were added before: settings are reread."""
    index = _current_index()
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET and fold(secret) not in _secrets:
            for form in map(fold, forms(secret)):
                if len(form) >= SHORTEST_SECRET and form not in _secrets:
                    _secrets.add(form)
                    index.add(form)


def hide_secrets(text: str) -> str:
    """The text with `(hidden)` in place of each secret, and nothing else changed."""
    spans = list[tuple[int, int]]()
    if found := _known_in(text):
        spans += _find(found, as_it_stands(text))
    for way, plain in readings(text):
        if found := _known_in(plain):
            spans += _find(found, places(text, way))
    if spans:
        text = _hide(text, sorted(spans))
    return URL_LOGIN.sub(f"//{HIDDEN}@", SECRET_FORM.sub(HIDDEN, text))


def _find(secrets: list[str], reading: Places) -> Iterator[tuple[int, int]]:
    """Where in the text these secrets begin and end, by one reading of it."""
    folded = fold(reading.letters)
    letter_of: Sequence[int] = range(len(folded))
    if len(folded) != len(reading.letters):  # `ß` has become `ss`
        letter_of = [at for at, letter in enumerate(reading.letters) for _ in fold(letter)]
    for secret in secrets:
        at = folded.find(secret)
        while at >= 0:
            last = at + len(secret) - 1
            yield reading.starts[letter_of[at]], reading.ends[letter_of[last]]
            at = folded.find(secret, at + 1)


def _hide(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with `(hidden)` once for all spans that touch; they are in order."""
    pieces, end = list[str](), 0
    for start, stop in spans:
        if start > end or not pieces:
            pieces += [text[end:start], HIDDEN]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


def redact(text: str, limit: int = 2000) -> str:
    """The text on one line: secrets hidden, control characters escaped, cut at `limit` characters.

    For what the kit says of settings and servers: whatever might be a user and a password is
    hidden.
    """
    hidden = hide_secrets(text)
    if "@" in hidden:
        hidden = re.sub(r"\S+", _hide_login, hidden)
    plain = escape_control_characters(hidden[: limit + 1])
    return plain if len(plain) <= limit else f"{plain[:limit]} [cut]"


def _hide_login(word: re.Match[str]) -> str:
    """A word without what may be a user and a password before its last `@`."""
    login, _, host = word[0].rpartition("@")
    begins = LOGIN_BEGINS.search(login)
    return f"{login[: begins.start()]}{HIDDEN}@{host}" if begins else word[0]


def shorten(text: str, limit: int) -> str:
    """The beginning of a text, its secrets hidden: a cut before that would leave half of one."""
    return hide_secrets(text)[:limit]


def first_line(text: str) -> str:
    """The first line of a text, its secrets hidden: a secret may go on in the next line."""
    return hide_secrets(text).strip().partition("\n")[0]


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


def printable(result: object) -> str:
    """A result, ready for `print`: as it is, or with control characters escaped on a terminal.

    What a workflow answers is data: a program that reads standard output gets every byte of it, but
    it must not move a person's cursor or rename their window.
    """
    text = str(result)
    return escape_control_characters(text) if for_a_terminal() else text


def for_a_terminal() -> bool:
    """Whether standard output is a terminal; it may also have been closed by who started us."""
    return sys.stdout is not None and sys.stdout.isatty()
