"""What a secret looks like where somebody quotes it: its forms, its parts, and ways to read a text.

A text is read as it stands, with its lines put together, and with each kind of escape in it taken
for what it stands for. So a secret needs no form of its own for percent-encoding, HTML, JSON of any
language, `repr` or line breaks.
"""

import base64
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

MOST_PARTS = 200  # of one setting; the key of a PEM with 16,384 bits has as many lines
SHORTEST_CODED = 6  # letters; four of base32 may be a word
LONGEST_LINE = 4096  # letters of one in which parts are looked for; a key has some hundred
LONGEST_WORD = 7  # letters
SHORTEST_RANDOM = 12  # letters, with digits among them: no word that anybody reads
LONGEST_OF_MARK = 20  # letters of a word in `-----BEGIN PRIVATE KEY-----`; more are of the key
HEX = "[0-9A-Fa-f]"
# The kinds of escapes by the letter that each begins with. They are read one by one, or what
# another kind left alone would be changed. Each alternative begins with a letter, not a group: the
# engine then skips what begins none.
ESCAPES = {
    "%": re.compile(rf"%{HEX}{{2}}(?:%{HEX}{{2}})*"),
    "&": re.compile(r"&\#?\w{1,31};"),
    "\\": re.compile(
        rf"\\x{HEX}{{2}}(?:\\x{HEX}{{2}})*"  # bytes, as `repr` shows them
        r"|\\[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*"  # bytes, as C and protobuf do
        rf"|\\u{HEX}{{4}}(?:\\u{HEX}{{4}})*|\\U{HEX}{{8}}|\\[rnt\\\"'/]"
    ),
}
# Escapes within escapes: an error's `repr` in a traceback, of a message that quotes what quotes a
# secret, is three of backslashes; of the others there are not as many.
DEEPEST = 3
ONE_LETTER = {
    r"\n": "\n",
    r"\r": "\r",
    r"\t": "\t",
    r"\\": "\\",
    r"\"": '"',
    r"\'": "'",
    r"\/": "/",  # as PHP writes it
}
# Python's module for this has 2,231 of them, and half a megabyte.
IN_HTML = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
LINE_BREAK = re.compile(r"[\r\n]\s*")  # and what indents the next line
QUOTES = "'\"`<>{}[]()\u2018\u2019\u201c\u201d"
BETWEEN_WORDS = re.compile(r"[^\w.+/~-]+")  # none of them is a letter of base64 or of a JWT


@dataclass(frozen=True)
class Places:
    """A text as somebody reads it: its letters, and where in the text each begins and ends."""

    letters: str
    starts: Sequence[int]
    ends: Sequence[int]


def as_it_stands(text: str) -> Places:
    """The text, each letter at its place."""
    return Places(text, range(len(text)), range(1, len(text) + 1))


def readings(text: str) -> Iterator[tuple[tuple[re.Pattern[str], ...], str]]:
    """The ways to read a text, each with what it gives: on one line, escapes for what they mean.

    A way is what is replaced in the text, in order; what comes out as the text itself is left out.
    """
    line = LINE_BREAK.sub("", text)
    if line != text:
        yield (LINE_BREAK,), line
    yield from _without_escapes(line, (LINE_BREAK,), DEEPEST)


def _without_escapes(
    text: str, way: tuple[re.Pattern[str], ...], depth: int
) -> Iterator[tuple[tuple[re.Pattern[str], ...], str]]:
    """The ways on from this one, by each kind of escapes that the text has."""
    for first, escape in ESCAPES.items() if depth > 0 else ():
        if first in text and (plain := escape.sub(_meaning, text)) != text:
            inner, way_in = LINE_BREAK.sub("", plain), (*way, escape, LINE_BREAK)
            yield way_in, inner
            yield from _without_escapes(inner, way_in, depth - (1 if first == "\\" else 2))


def places(text: str, way: tuple[re.Pattern[str], ...]) -> Places:
    """What `readings` gives for this way, and where in the text it was."""
    found = as_it_stands(text)
    for pattern in way:
        step = _replace(found.letters, pattern)
        starts = [found.starts[start] for start in step.starts]
        found = Places(step.letters, starts, [found.ends[end - 1] for end in step.ends])
    return found


def _replace(text: str, pattern: re.Pattern[str]) -> Places:
    """What a pattern's matches in a text stand for, and where it was."""
    letters: list[tuple[str, int, int]] = []  # each with where it begins and ends in the text
    done = 0
    for match in pattern.finditer(text):
        begin, end = match.span()
        letters += [(text[at], at, at + 1) for at in range(done, begin)]
        letters += [(letter, begin, end) for letter in _meaning(match)]
        done = end
    letters += [(text[at], at, at + 1) for at in range(done, len(text))]
    return Places(
        "".join(letter for letter, _, _ in letters),
        [begin for _, begin, _ in letters],
        [end for _, _, end in letters],
    )


def _meaning(match: re.Match[str]) -> str:
    """The letters that an escape, or several of bytes, stands for; none for a line break."""
    escape = match[0]
    if escape[0] in "\r\n":
        return ""
    if escape in ONE_LETTER:  # a long text may have many
        return ONE_LETTER[escape]
    if escape[0] == "%":
        return unquote(escape, errors="surrogateescape")
    if escape[0] == "&":
        return _meaning_in_html(escape[1:-1], escape)
    with suppress(UnicodeError):  # raised for a letter beyond Unicode's last
        letters = escape.encode().decode("unicode_escape")
        if escape[1] in "uU":  # two halves of an emoji, each with a \u of its own
            return letters.encode("utf-16", "surrogatepass").decode("utf-16")
        with suppress(UnicodeError):
            return letters.encode("latin-1").decode()
        return letters  # a text's, not those of bytes: `ascii("ü")` has \xfc
    return escape


def _meaning_in_html(name: str, escape: str) -> str:
    """What `amp`, `#38` and `#x26` stand for; of other names, which no secret needs, the escape."""
    with suppress(ValueError, OverflowError):
        if name.startswith(("#x", "#X")):
            return chr(int(name[2:], 16))
        if name.startswith("#"):
            return chr(int(name[1:]))
    return IN_HTML.get(name.lower(), escape)


def fold(text: str) -> str:
    """The text in a form that is the same whatever the case of its letters.

    Both steps look at one letter at a time, unlike `lower()`, and take `İ`, `ı`, `ſ` and `ς` for
    the letters that other cases make of them.
    """
    return text.lower() if text.isascii() else text.upper().casefold()


def forms(secret: str) -> Iterator[str]:
    """The secret as it is, with `+` for blanks, in hex, in base64, and in base32 of its own.

    What is coded twice, such as base64 in base64, in hex with colons or backwards is none of them,
    nor is a secret with blanks in lines that were broken at one: programs rarely quote like that by
    accident, and no list of such forms would end.
    """
    yield secret
    yield secret.replace(" ", "+")  # in the data of a web form
    yield LINE_BREAK.sub("", secret)
    with suppress(UnicodeEncodeError):  # it has half an emoji: no program sends it
        raw = secret.encode(errors="surrogateescape")
        coded = [raw.hex(), *_aligned(raw, base64.b32encode, 1, 5)]
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded += _aligned(raw, encode, 3, 6)
        yield from (form for form in coded if len(form) >= SHORTEST_CODED)


def _aligned(
    raw: bytes, encode: Callable[[bytes], bytes], offsets: int, bits: int
) -> Iterator[str]:
    """What all texts that contain these bytes have in common, coded with so many bits a letter.

    Base64 turns three bytes into four letters, so within a longer text, such as `Bearer <key>`, a
    secret begins at one of three offsets. Letters that depend on its neighbors are left out: with
    one byte before it, the first two; with anything behind it, the last.
    """
    for bytes_before in range(offsets):
        of_neighbors = math.ceil(bytes_before * 8 / bits)
        padded = b"\0" * bytes_before + raw
        letters = encode(padded).decode().rstrip("=")[of_neighbors:]
        yield letters  # as it is if nothing follows the secret, or it ends a group
        ends_within_a_letter = len(padded) * 8 % bits != 0
        if ends_within_a_letter:
            yield letters[:-1]


def parts(text: str) -> list[str]:
    """What of a setting's text is a secret too: its lines, and what stands in them beside it.

    In `KEY # prod`, `Bearer KEY`, `"KEY"`, `NAME=KEY`, `name: KEY` and `user:KEY@host` that is KEY,
    and so it is in any mixture of these. Short words are none.
    """
    found = dict.fromkeys(lines(text))
    waiting = [line for line in found if len(line) <= LONGEST_LINE and len(line.splitlines()) == 1]
    while waiting and len(found) < MOST_PARTS:
        inside = dict.fromkeys(part for part in _inside(waiting.pop()) if part not in found)
        found |= inside
        waiting += inside
    return [part for part in found if part == text.strip() or not is_word(part)][:MOST_PARTS]


def is_word(text: str) -> bool:
    """Whether a text is a short word, such as `true`, which must not be hidden in every message."""
    return text.isalpha() and len(text) <= LONGEST_WORD


def lines(text: str) -> list[str]:
    """A secret text and its lines, without the marks of a PEM; certificates are no secrets."""
    if "\0" in text:  # it is binary: what it has for lines are none
        return [text.strip()]
    secret = list(_secret_lines(text))[:MOST_PARTS]
    return [text.strip(), *secret] if any(secret) else []


def _secret_lines(text: str) -> Iterator[str]:
    """The lines of a text; of one with PEMs no marks, no certificates and no words around them."""
    has_pem, block = "-----BEGIN" in text, ""
    if has_pem:
        text = text.replace(r"\n", "\n")  # it may be on one line, as in JSON
    for line in map(str.strip, text.splitlines()):
        is_public = "CERTIFICATE" in block or (has_pem and not block and " " in line)
        if line.startswith("-----"):
            block = line if line.startswith("-----BEGIN") else ""
            words = [] if "CERTIFICATE" in line else line.split()
            yield from (word for word in words if len(word) > LONGEST_OF_MARK)
        elif not is_public:
            yield line


def _inside(line: str) -> Iterator[str]:
    """What may be a secret within a line that holds one, each part shorter than the line."""
    bare = re.split(r"\s#", line, maxsplit=1)[0].strip()  # without a comment
    yield bare
    yield bare.strip(QUOTES).strip()
    scheme, _, rest = bare.partition(" ")
    if scheme.isalpha() and " " not in rest.strip():  # Bearer KEY
        yield rest.strip()
    for assigned in re.split("[;,]", bare):
        name, _, value = assigned.partition("=")
        if _is_a_name(name):  # NAME=KEY, export NAME=KEY
            yield value.strip()
    yield bare.partition(": ")[2].strip()  # name: KEY
    yield from passwords(bare)
    yield from filter(_looks_random, BETWEEN_WORDS.split(bare))


def _is_a_name(text: str) -> bool:
    """Whether the last word of a text could be the name of a variable or of a header."""
    return bool(text.strip()) and text.rsplit(maxsplit=1)[-1].replace("-", "_").isidentifier()


def _looks_random(word: str) -> bool:
    """Whether a word is long, and has digits among its letters, as keys do."""
    return len(word) >= SHORTEST_RANDOM and any(map(str.isdigit, word)) and not word.isdigit()


def passwords(text: str) -> Iterator[str]:
    """`pass` of `scheme://user:pass@host`, with or without the scheme, percent-decoded and not."""
    before_host = text.rpartition("@")[0]
    for login in (before_host.partition("//")[2] or before_host, before_host.rpartition("//")[2]):
        if ":" in login:
            for password in (login.partition(":")[2], login.rpartition(":")[2]):
                if len(password) <= LONGEST_LINE:
                    yield from (password, unquote(password))
