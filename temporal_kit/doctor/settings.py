"""What is wrong with the settings, as far as it shows without a network."""

from collections.abc import Iterator
from dataclasses import replace

from ..findings import Finding, error, warning
from ..settings import Settings, Value
from .api_keys import check_api_key
from .certificates import check_certificates
from .combinations import check_combinations
from .entry import Entry
from .names import check_names
from .repairs import repair
from .rules import ERROR_OF_WORKERS, TASK_QUEUE, broken_rules
from .sources import check_sources
from .values import ADDRESS, API_KEY, NAMESPACE, key_value

LONGEST = 4096  # letters of a value: no rule gets to see more
ASKED_OF_THE_SERVER = (ADDRESS, NAMESPACE, TASK_QUEUE)  # which knows no name that long


def check_settings(settings: Settings, problems: list[Finding]) -> Iterator[Finding]:
    """Find what is wrong beyond the problems that the core tells."""
    refused = "\n".join(one.text for one in problems)
    for setting in dict.fromkeys(one.setting for one in settings.values if one.setting):
        value = settings.value(setting)
        if value.text and setting != API_KEY and not _is_told(value, refused):
            yield from _judge(Entry(settings, value, setting, value.text))
    if (key := settings.profile.api_key) and f"{API_KEY}=" not in refused:
        faults = list(_judge(Entry(settings, key_value(settings), API_KEY, key)))
        yield from faults or check_api_key(settings)
    yield from check_names(settings, refused)
    is_clear_what_counts = settings.complete and "set the same thing" not in refused
    if is_clear_what_counts:
        yield from check_combinations(settings)
    yield from check_certificates(settings, refused)
    yield from check_sources(settings)


def _is_told(value: Value, refused: str) -> bool:
    """Whether the core says what is wrong with a value.

    Of files and proxies it says that they are of no use, but not why.
    """
    says_why = not value.setting.endswith(("_PATH", "_FILE", "_PROXY"))
    return says_why and str(value) in refused


def _judge(entry: Entry) -> Iterator[Finding]:
    """What the rules say of one value: the first that fits, with what mends them all."""
    value = entry.value
    if len(entry.text) > LONGEST:
        level = error if entry.setting in ASKED_OF_THE_SERVER else warning
        yield level(f"{value} is longer than {LONGEST} characters", f"{value.name}=<your value>")
    elif rules := broken_rules(entry):
        errors = [rule for rule in rules if rule.is_error(entry)]
        level = error if errors else warning
        found = level(f"{value} {rules[0].message}", *repair(entry, rules))
        of_workers = [rule for rule in errors if rule.level is ERROR_OF_WORKERS]
        yield replace(found, worker_only=bool(errors) and of_workers == errors)
