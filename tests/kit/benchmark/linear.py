"""Whether reading settings and hiding secrets takes twice as long for twice as much.

For each kind of text that once took too long: CPU seconds for n and for 2n letters, the median of
five, and their ratio, which is about 2 where the work is linear. Then what hiding costs a record.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from temporal_kit.doctor.settings import check_settings
from temporal_kit.log_records import hide_secrets_in_logs
from temporal_kit.reading import collect_settings
from temporal_kit.redaction import hide_secrets, remember_secret

ROUNDS, RECORDS = 5, 1000
SIZE = 2**15 - 64  # letters, so that twice as many are still read
ENV_FILES = {
    "blank lines": ("", "\n", ""),
    "short runs of blanks": ("DB_TOKEN=", " " * 150 + "x", "#"),
    "${ without }": ("A=", "${", ""),
    "${ with a colon": ("A=", "${a:", "}"),
    "[ in an address": ("TEMPORAL_ADDRESS=", "[", ""),
    "URLs with a login": ("", "A=//a:bcdefgh@h" + "x" * 99 + "\n", ""),
}
PROFILES = {
    ".oauth": ("[profile.x", ".oauth", "]"),
    "nested tables": ("x = ", "[", ""),
    "quotes": ("x = ", '"\\"', ""),
}
SAID = {
    "logins": ("", "//a:", ""),
    "more logins": ("", "a:b@=", ""),
    "BEGIN": ("", "-----BEGIN", ""),
    "JWTs": ("", "eyJaaaaaaaa ", ""),
    "escapes": ("", "\\u0041x", ""),
    "percents": ("", "%41x", ""),
}


def seconds(work: Callable[[], object]) -> float:
    """The CPU time of some work, the median of the rounds."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def made(parts: tuple[str, str, str], size: int) -> str:
    start, unit, end = parts
    return start + unit * (size // len(unit)) + end


def compare(title: str, parts: tuple[str, str, str], work: Callable[[str], object]) -> None:
    """Print what n and 2n letters take."""
    texts = [made(parts, size) for size in (SIZE, 2 * SIZE)]
    one, two = (seconds(partial(work, text)) for text in texts)
    print(f"{title:32} {one:8.4f} {two:8.4f} {two / max(one, 1e-4):8.1f}")


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    env_file, toml = folder / ".env", folder / "temporal.toml"

    def read_env_file(text: str) -> None:
        env_file.write_text(text, "utf-8")
        list(check_settings(collect_settings({}, env_file, {}), []))

    def read_toml(text: str) -> None:
        toml.write_text(text, "utf-8")
        settings = collect_settings({"TEMPORAL_CONFIG_FILE": str(toml)}, None, {})
        list(check_settings(settings, []))

    print(f"{'':32} {'n (s)':>8} {'2n (s)':>8} {'ratio':>8}")
    for kinds, title, work in (
        (ENV_FILES, ".env", read_env_file),
        (PROFILES, "TOML", read_toml),
        (SAID, "hiding", hide_secrets),
    ):
        for name, parts in kinds.items():
            compare(f"{title}: {name}", parts, work)

    hide_secrets_in_logs()
    log = logging.getLogger("benchmark")
    log.propagate, log.level = False, logging.INFO
    log.addHandler(logging.NullHandler())

    def write_records() -> None:
        for number in range(RECORDS):
            log.info("Polling the task queue %s, attempt %d", "ap-default", number)

    print(f"{RECORDS} records, no secret known (s): {seconds(write_records):.4f}")
    for number in range(5):
        remember_secret(f"kQ7vXw2ZrT9mB4nLpY6sHd8fJc3gAe{number}")
    print(f"{RECORDS} records, five secrets known (s): {seconds(write_records):.4f}")


if __name__ == "__main__":
    main()
