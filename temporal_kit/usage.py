"""Reads a script's arguments; what is wrong with them is printed without secrets."""

import argparse
import io
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from typing import NoReturn, TextIO

from .known_secrets import remember_secrets
from .redaction import escape_control_characters, hide_secrets, remember_secret
from .settings import SECRET_NAME


def parse_arguments(doc_or_parser: str | argparse.ArgumentParser | None) -> argparse.Namespace:
    """The script's arguments; ends the process after `--help`, and with 2 if they are wrong.

    argparse quotes them as they are, and so it does the defaults in `--help`.
    """
    parser = _parser(doc_or_parser)
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            return parser.parse_args()
    finally:
        parser.error = partial(_end_with_usage, parser)  # type: ignore[method-assign]
        _print(out.getvalue(), sys.stdout)
        _print(err.getvalue(), sys.stderr)


def _end_with_usage(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """In place of a parser's `error`, for `main`: as argparse says it, without secrets."""
    _print(f"{parser.format_usage()}{parser.prog}: error: {message}", sys.stderr)
    sys.exit(2)


def _print(text: str, stream: TextIO | None) -> None:
    """Print what argparse has to say, secrets hidden and control characters escaped."""
    if text:
        remember_secrets()
        _remember_secret_arguments()
        lines = hide_secrets(text).rstrip("\n").split("\n")
        with suppress(OSError, ValueError):
            print(*map(escape_control_characters, lines), sep="\n", file=stream)


def _remember_secret_arguments() -> None:
    """Have `--api-key VALUE` and `--api-key=VALUE` hidden, whatever option has such a name."""
    for option, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, _, value = option.partition("=")
        if name.startswith("-") and SECRET_NAME.search(name):
            remember_secret(value or following)


def _parser(doc_or_parser: str | argparse.ArgumentParser | None) -> argparse.ArgumentParser:
    """The parser, with the option that all scripts share; descriptions keep their line breaks."""
    if isinstance(doc_or_parser, argparse.ArgumentParser):
        parser = doc_or_parser
    else:
        parser = argparse.ArgumentParser(description=doc_or_parser)
    if parser.formatter_class is argparse.HelpFormatter:
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
    with suppress(argparse.ArgumentError):  # the script has a `--verbose` of its own
        about = "log at debug level, with tracebacks"
        parser.add_argument("--verbose", action="store_true", help=about)
    return parser
