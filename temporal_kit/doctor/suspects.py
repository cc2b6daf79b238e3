"""The warnings that may explain why a connection failed: in production the log is all there is."""

import re

from ..findings import Finding
from ..settings import Settings

MOST_LINES = 5
NAME = re.compile(r"\b(?:TEMPORAL_\w+|HTTPS?_PROXY|NO_PROXY)\b", re.I)
CHECK = "python scripts/check_temporal_config.py tells more"


def find_suspects(
    settings: Settings, warnings: list[Finding], errors: list[Finding]
) -> list[Finding]:
    """Those of the warnings that may be the cause of these errors, the likeliest first.

    With the default's address, that is every setting that somebody meant to set and that does not
    count. Otherwise it is what shares a setting with an error, and what names none, such as a slip
    in a TOML file.
    """
    named = _names(errors)
    at_the_default = settings.value("TEMPORAL_ADDRESS").source == "default"

    def may_be_the_cause(warning: Finding) -> bool:
        if warning.level != "warning" or _is_about_permissions(warning):
            return False
        names = _names([warning])
        return at_the_default or not names or bool(named & names)

    suspects = [*filter(may_be_the_cause, warnings)]
    suspects.sort(key=lambda warning: not re.search("ADDRESS|ENDPOINT|HOST", warning.text))
    return _first_lines(suspects)


def _names(findings: list[Finding]) -> set[str]:
    """The settings that these findings name; those of TLS count as one."""
    texts = [text for finding in findings for text in (finding.text, *finding.fixes)]
    names = {name for text in texts for name in NAME.findall(text)}
    return {"TEMPORAL_TLS" if name.startswith("TEMPORAL_TLS") else name for name in names}


def _is_about_permissions(warning: Finding) -> bool:
    """Whether it is about who may read a file, which breaks no connection."""
    return any(fix.startswith("chmod") for fix in warning.fixes)


def _first_lines(findings: list[Finding]) -> list[Finding]:
    """As many of these findings as five lines hold."""
    shown: list[Finding] = []
    left = MOST_LINES
    for finding in findings:
        needed = 1 + len(finding.fixes)
        if needed <= left:
            shown.append(finding)
            left -= needed
    return shown
