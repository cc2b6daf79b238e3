"""What an API key says of itself, if it is a JWT, which Temporal does not promise."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..findings import Finding, warning
from ..settings import Settings
from .values import NAMESPACE, api_key_line, check_end, cloud_namespace, key_value


def check_api_key(settings: Settings) -> Iterator[Finding]:
    """Judge a key that breaks no rule: whether it is whole, in time and for this namespace."""
    key, value = settings.profile.api_key or "", key_value(settings)
    claims = _claims(key)
    if key.startswith("eyJ") and not claims:
        yield warning(f"{value} looks cut off", api_key_line(settings))
    end = claims.get("exp")
    if isinstance(end, (int, float)) and not isinstance(end, bool):
        fix = api_key_line(settings, "a new one")
        yield from check_end(f"the API key in {value.name}", end, fix, settings.on_cloud)
    yield from _check_account(settings, claims.get("account_id"))


def _claims(key: str) -> Mapping[str, Any]:
    """The claims of a JWT, or none if it is no JWT or not whole."""
    with suppress(ValueError, TypeError, RecursionError):
        _, body, _ = key.split(".")
        return dict(json.loads(base64.urlsafe_b64decode(f"{body}==")))
    return {}


def _check_account(settings: Settings, account: object) -> Iterator[Finding]:
    """A key of one account beside a namespace of another; what the key says is not shown."""
    _, _, other = cloud_namespace(settings).partition(".")
    if settings.on_cloud and other and isinstance(account, str) and account.lower() != other:
        namespace = settings.value(NAMESPACE)
        text = f"the API key in {key_value(settings).name} is of another account than {namespace}"
        fix = api_key_line(settings, f"an API key of the account {other}")
        yield warning(text, fix, f"or {namespace.name}=<name>.<account of the API key>")
