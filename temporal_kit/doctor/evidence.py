"""What is known of a connection that failed: the SDK's words, and what a look at the server saw.

What the server and any proxy say is kept apart as `Claims`. Messages may repeat claims; fixes never
get to see them, because people paste fixes into a shell.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NewType

from ..redaction import redact

Claim = NewType("Claim", str)  # redacted words of the other side
NO_CLAIM = Claim("")


def claim(text: str) -> Claim:
    """Words of the other side, safe to print and short enough not to drown the message."""
    return Claim(redact(text, 200))


@dataclass(frozen=True)
class ServerCertificate:
    """What the server's certificate says of itself; empty where nobody fetched it."""

    names: Claim = NO_CLAIM
    issuer: Claim = NO_CLAIM
    dates: Claim = NO_CLAIM


@dataclass(frozen=True)
class Claims:
    """All that the other side says, for messages alone."""

    told: Claim  # the group `told` in the pattern that matched the SDK's words
    certificate: ServerCertificate


class Seen(Enum):
    """What a look at the server by plain sockets showed, where that says more than the SDK."""

    NO_NAME_SERVER = auto()  # the look itself waits for the name
    UNKNOWN_NAME = auto()
    REFUSED = auto()  # nothing listens
    NO_ANSWER = auto()  # no TCP connection in time
    NO_WAY = auto()  # no TCP connection for another reason, or a proxy that makes none
    SILENT = auto()  # a connection, and then nothing
    NO_TLS = auto()  # something else, where the settings are for TLS
    BREAKS_OFF = auto()  # the TLS handshake does not end
    TLS = auto()  # TLS, where the settings are for plain text
    TOO_LARGE = auto()  # TLS, with more certificates than the SDK takes
    HANGS_UP = auto()  # TLS comes up, and the server ends the connection without a word
    WEB_SERVER = auto()
    NOT_GRPC = auto()  # anything else, and a connection that is closed without a word


@dataclass(frozen=True)
class Evidence:
    """What a reason is found by."""

    said: str  # by the SDK; empty if it said nothing, or if `seen` says it better
    seen: Seen | None = None
    told: Claim = NO_CLAIM  # what came with `seen`, in the words of the system or of a proxy
    certificate: ServerCertificate = ServerCertificate()


NOTHING = Evidence("")
