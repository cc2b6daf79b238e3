"""One value under check."""

from dataclasses import dataclass, replace
from functools import cached_property

from ..settings import CLOUD_HOST, Settings, Value
from .values import ADDRESS, find_host_port, scheme_of


@dataclass(frozen=True)
class Entry:
    """One text for a setting, and all the others beside it.

    `value` is where it is set, as messages show it. `setting` and `text` are its own, but for an
    API key in a file: these are then TEMPORAL_API_KEY and the key.
    """

    settings: Settings
    value: Value
    setting: str
    text: str

    def with_text(self, text: str) -> "Entry":
        """The same with another text, to see what would be wrong with that."""
        return replace(self, text=text)

    @cached_property
    def host_port(self) -> tuple[str, str]:
        """Host and port in the text; either may be ""."""
        return find_host_port(self.text)

    @property
    def scheme(self) -> str:
        """`https` of a URL in lower case, or ""."""
        return scheme_of(self.text)

    @property
    def names_cloud_host(self) -> bool:
        """Whether the text has a host name of Temporal Cloud."""
        return bool(CLOUD_HOST.fullmatch(self.host_port[0]))

    @cached_property
    def at_cloud(self) -> bool:
        """Whether the server is Temporal Cloud, however its address is spelled."""
        host, _ = find_host_port(self.settings.text(ADDRESS))
        return self.settings.on_cloud or bool(CLOUD_HOST.fullmatch(host))
