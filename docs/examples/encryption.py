"""Every payload is encrypted before it leaves the process: the server stores no plain text."""

import dataclasses
import os
from collections.abc import Sequence

from cryptography.fernet import Fernet, MultiFernet
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from temporal_kit import Failure, Finding

ENCODING = b"binary/encrypted"


class EncryptionCodec(PayloadCodec):
    """Encrypts with the first key and decrypts with any: put a new key in front to rotate."""

    def __init__(self, keys: str) -> None:
        self.fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Called before payloads are sent."""
        return [
            Payload(
                metadata={"encoding": ENCODING},
                data=self.fernet.encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Called for payloads received; what was stored in plain text before stays readable."""
        return [
            Payload.FromString(self.fernet.decrypt(payload.data))
            if payload.metadata.get("encoding") == ENCODING
            else payload
            for payload in payloads
        ]


def encrypted() -> DataConverter:
    """The SDK's data converter, with encryption."""
    keys = os.environ.get("PAYLOAD_KEYS")
    if not keys:
        fix = "export PAYLOAD_KEYS=<key>"
        raise Failure(Finding("error", "PAYLOAD_KEYS is not set", (fix,)))
    return dataclasses.replace(
        DataConverter.default,
        payload_codec=EncryptionCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
