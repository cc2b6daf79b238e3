"""Configurations, wrong and right: one table for the tests of the diagnosis and of secrets.

Values are templates: `{w.cloud}` is the `World`'s attribute `cloud`, a server or a file that is
made when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from world import HOST, World

SETTINGS = "settings"
NAME, TCP, TLS = "name resolution", "TCP", "TLS"
AUTH, NAMESPACE, WORKERS = "authentication", "namespace", "workers"
RUNGS = (NAME, TCP, TLS, AUTH, NAMESPACE, WORKERS)


@dataclass(frozen=True)
class Case:
    """One configuration, and what the check must say of it.

    Attributes:
        title: What is wrong with it.
        settings: The environment.
        cause: Part of the line that names the cause.
        remedy: Part of a line below it that begins with an arrow.
        rung: Where it breaks; `settings` is before any connection.
        mark: `✗`, or `⚠` for what works and is worth knowing.
        dotenv: Content of the `.env` file.
        offline: Whether only the settings are checked: nothing may be connected to.
    """

    title: str
    settings: Mapping[str, str]
    cause: str
    remedy: str = ""
    rung: str = SETTINGS
    mark: str = "✗"
    dotenv: str = ""
    offline: bool = False

    def environment(self, world: World) -> dict[str, Any]:
        """The environment, with the world's own values filled in."""
        return filled(self.settings, world)


def fill(template: str, world: World) -> str:
    """Fill in a template's `{w.name}`; other braces are left as they are."""
    return re.sub(r"\{w\.([\w.]+)\}", lambda found: str(attrgetter(found[1])(world)), template)


def filled(settings: Mapping[str, str], world: World) -> dict[str, Any]:
    """Settings with their values filled in."""
    return {name: fill(value, world) for name, value in settings.items()}


def env(base: Mapping[str, str] | None = None, /, **changes: str | None) -> dict[str, Any]:
    """Settings by their names without TEMPORAL_, on top of others; `None` takes one away."""
    named = {f"TEMPORAL_{name}": value for name, value in changes.items()}
    return {name: value for name, value in {**(base or {}), **named}.items() if value is not None}


# Right as they stand, by Cloud's real names: for checks that connect to nothing.
CLOUD = env(ADDRESS=f"{HOST}:7233", NAMESPACE="payments.a1b2c", API_KEY="{w.key}")
PAIR = env(TLS_CLIENT_CERT_PATH="{w.client.certificate}", TLS_CLIENT_KEY_PATH="{w.client.key}")
MTLS = {**env(CLOUD, API_KEY=None), **PAIR}
# Right as they stand, on the stand-in for Cloud.
FRONT = env(
    CLOUD, ADDRESS="{w.cloud}", TLS_SERVER_NAME=HOST, TLS_SERVER_CA_CERT_PATH="{w.server_ca}"
)
MTLS_FRONT = {**env(FRONT, ADDRESS="{w.mtls_cloud}", API_KEY=None), **PAIR}
LOCAL = env(ADDRESS="{w.dev.address}")
OWN_TLS = env(ADDRESS="{w.own_tls}", TLS_SERVER_CA_CERT_PATH="{w.server_ca}")
E_NAMESPACE = "TEMPORAL_NAMESPACE=payments.a1b2c"
E_ADDRESS = f"TEMPORAL_ADDRESS={HOST}:7233"

# --- Settings -------------------------------------------------------------------------------------

WRONG_NAMESPACES = [
    Case(
        "namespace without account",
        env(CLOUD, NAMESPACE="payments"),
        "lacks the account",
        E_NAMESPACE,
    ),
    Case(
        "namespace without account, regional endpoint",
        env(CLOUD, ADDRESS="us-east-1.aws.api.temporal.io:7233", NAMESPACE="payments"),
        "TEMPORAL_NAMESPACE=payments (environment) lacks the account",
        "TEMPORAL_NAMESPACE=payments.<account>",
    ),
    Case(
        "account with a hyphen",
        env(CLOUD, NAMESPACE="payments-a1b2c"),
        "lacks the account",
        E_NAMESPACE,
    ),
    Case("account alone", env(CLOUD, NAMESPACE="a1b2c"), "lacks the account", E_NAMESPACE),
    Case(
        "namespace default on Cloud",
        env(CLOUD, NAMESPACE="default"),
        "lacks the account",
        E_NAMESPACE,
    ),
    Case(
        "namespace not set",
        env(CLOUD, NAMESPACE=None),
        "TEMPORAL_NAMESPACE is not set",
        E_NAMESPACE,
    ),
    Case(
        "namespace blank", env(CLOUD, NAMESPACE="  "), "TEMPORAL_NAMESPACE is not set", E_NAMESPACE
    ),
    Case(
        "namespace with capitals",
        env(CLOUD, NAMESPACE="Payments.A1B2C"),
        "has capitals",
        E_NAMESPACE,
    ),
    Case(
        "namespace is the host",
        env(CLOUD, NAMESPACE=HOST),
        "is an address, not a namespace",
        E_NAMESPACE,
    ),
    Case(
        "namespace is the address",
        env(CLOUD, NAMESPACE=f"{HOST}:7233"),
        "is an address, not a namespace",
        E_NAMESPACE,
    ),
    Case(
        "namespace is a URL",
        env(CLOUD, NAMESPACE=f"https://{HOST}:7233/"),
        "is an address, not a namespace",
        E_NAMESPACE,
    ),
    Case(
        "namespace is the Web UI's URL",
        env(CLOUD, NAMESPACE="https://cloud.temporal.io/namespaces/payments.a1b2c/workflows"),
        "is an address, not a namespace",
        E_NAMESPACE,
    ),
    Case(
        "namespace with an underscore",
        env(CLOUD, NAMESPACE="pay_ments.a1b2c"),
        "is not <name>.<account>",
        E_NAMESPACE,
    ),
    Case(
        "namespace with a dot at its end",
        env(CLOUD, NAMESPACE="payments.a1b2c."),
        "is not <name>.<account>",
        E_NAMESPACE,
    ),
    Case(
        "account cut short",
        env(CLOUD, NAMESPACE="payments.a1b"),
        "is not <name>.<account>",
        E_NAMESPACE,
    ),
    Case(
        "namespace of another account",
        env(CLOUD, NAMESPACE="payments.z9y8x"),
        "are two namespaces",
        E_NAMESPACE,
    ),
    Case(
        "another namespace",
        env(CLOUD, NAMESPACE="billing.a1b2c"),
        "are two namespaces",
        "TEMPORAL_ADDRESS=billing.a1b2c.tmprl.cloud:7233",
    ),
    Case(
        "namespace with white space inside",
        env(CLOUD, NAMESPACE="payments. a1b2c"),
        "has white space",
        E_NAMESPACE,
    ),
    Case(
        "namespace with an invisible character",
        env(CLOUD, NAMESPACE="payments.a1b2c\u200b"),
        "has invisible characters",
        E_NAMESPACE,
    ),
    Case(
        "namespace in quotes",
        env(CLOUD, NAMESPACE='"payments.a1b2c"'),
        "has quotes around it",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "namespace in curly quotes",
        env(CLOUD, NAMESPACE="\u201cpayments.a1b2c\u201d"),
        "has quotes around it",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "namespace of the example",
        env(CLOUD, NAMESPACE="<name>.<account>"),
        "is still the example's",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "namespace of a guide",
        env(CLOUD, NAMESPACE="your-namespace.your-account"),
        "is still the example's",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "namespace of a template",
        env(CLOUD, NAMESPACE="${NAMESPACE}.a1b2c"),
        "is still the example's",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "API key as namespace",
        env(CLOUD, NAMESPACE="{w.good_jwt}"),
        "TEMPORAL_NAMESPACE",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "opaque API key as namespace",
        env(CLOUD, NAMESPACE="{w.key}"),
        "TEMPORAL_NAMESPACE",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "white space in a local namespace",
        env(LOCAL, NAMESPACE="my namespace"),
        "has white space",
        "TEMPORAL_NAMESPACE=mynamespace",
    ),
    Case(
        "two namespaces: address and server name",
        env(
            CLOUD,
            ADDRESS="us-east-1.aws.api.temporal.io:7233",
            TLS_SERVER_NAME="billing.a1b2c.tmprl.cloud",
        ),
        "are two namespaces",
        "TEMPORAL_TLS_SERVER_NAME=payments.a1b2c.tmprl.cloud",
    ),
]


def address(title: str, value: str, cause: str, remedy: str = E_ADDRESS, mark: str = "✗") -> Case:
    """A case of a wrong address."""
    return Case(title, env(CLOUD, ADDRESS=value), cause, remedy, mark=mark)


WRONG_ADDRESSES = [
    address("https URL", f"https://{HOST}:7233", "is a URL"),
    address("https URL without port", f"https://{HOST}", "is a URL"),
    address("http URL with a path", f"http://{HOST}:7233/", "is a URL"),
    address("grpc URL", f"grpc://{HOST}:7233", "is a URL"),
    address("gRPC target", f"dns:///{HOST}:7233", "is a URL"),
    address("slash at its end", f"{HOST}:7233/", "is a URL"),
    address("slash for colon", f"{HOST}/7233", "is a URL"),
    address("control plane", "saas-api.tmprl.cloud:443", "control plane"),
    address("control plane as URL", "https://saas-api.tmprl.cloud", "control plane"),
    address(
        "Web UI", "https://cloud.temporal.io/namespaces/payments.a1b2c/workflows", "is the Web UI"
    ),
    address("Web UI's host", "cloud.temporal.io:443", "is the Web UI"),
    address("old Web UI's host", f"web.{HOST}:443", "is no endpoint"),
    address("no port", HOST, "has no port"),
    address("no host", ":7233", "has no host", "TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233"),
    address("colon without port", f"{HOST}:", "has no port"),
    address("port 443", f"{HOST}:443", "are on port 7233", mark="⚠"),
    address("port 8233", f"{HOST}:8233", "are on port 7233", mark="⚠"),
    address("port with a letter", f"{HOST}:7233a", "not one host:port"),
    address("port too high", f"{HOST}:72330", "a port that is no number"),
    address("port twice", f"{HOST}:7233:7233", "not one host:port"),
    address("two addresses", f"{HOST}:7233,billing.a1b2c.tmprl.cloud:7233", "not one host:port"),
    address("semicolon for colon", f"{HOST};7233", "has no port"),
    address("space for colon", f"{HOST} 7233", "has no port"),
    address("at sign", f"user@{HOST}:7233", "not one host:port"),
    address("quote at one end", f'"{HOST}:7233', "has quotes around it"),
    address("invisible character", f"\ufeff{HOST}:7233", "has invisible characters"),
    address("in quotes", f"'{HOST}:7233'", "has quotes around it", "TEMPORAL_ADDRESS="),
    address("missing account", "payments.tmprl.cloud:7233", "lacks the account"),
    address("namespace alone", "payments.a1b2c", "lacks"),
    address("namespace with port", "payments.a1b2c:7233", "lacks"),
    address("the domain alone", "tmprl.cloud:7233", "lacks the account"),
    address("tmpr1.cloud", "payments.a1b2c.tmpr1.cloud:7233", "did you mean", mark="⚠"),
    address("tmprl.clou", "payments.a1b2c.tmprl.clou:7233", "did you mean", mark="⚠"),
    address("temporal.cloud", "payments.a1b2c.temporal.cloud:7233", "did you mean", mark="⚠"),
    address("tmprl.com", "payments.a1b2c.tmprl.com:7233", "did you mean", mark="⚠"),
    address("tmprl cloud without dot", "payments.a1b2c.tmprlcloud:7233", "did you mean", mark="⚠"),
    address("account cut short", "payments.a1b.tmprl.cloud:7233", "is no endpoint"),
    address(
        "regional endpoint on the other domain", "us-east-1.aws.tmprl.cloud:7233", "is no endpoint"
    ),
    address("region without cloud", "us-east-1.api.temporal.io:7233", "is no endpoint"),
    address("region and cloud swapped", "aws.us-east-1.api.temporal.io:7233", "is no endpoint"),
    address(
        "namespace on the regional domain", "payments.a1b2c.api.temporal.io:7233", "is no endpoint"
    ),
    address("regional domain alone", "api.temporal.io:7233", "is no endpoint"),
    address(
        "of the example",
        "<name>.<account>.tmprl.cloud:7233",
        "is still the example's",
        "TEMPORAL_ADDRESS=",
    ),
    address(
        "of a guide",
        "your-namespace.acct.tmprl.cloud:7233",
        "is still the example's",
        "TEMPORAL_ADDRESS=",
    ),
    address(
        "of a template", "${TEMPORAL_HOST}:7233", "is still the example's", "TEMPORAL_ADDRESS="
    ),
    address("API key as address", "{w.good_jwt}", "TEMPORAL_ADDRESS", "TEMPORAL_ADDRESS="),
    address(
        "API key as address, with port",
        "{w.good_jwt}:7233",
        "TEMPORAL_ADDRESS",
        "TEMPORAL_ADDRESS=",
    ),
    address("opaque API key as address", "{w.key}", "TEMPORAL_ADDRESS", "TEMPORAL_ADDRESS="),
    address(
        "opaque API key as address, with port",
        "{w.key}:7233",
        "TEMPORAL_ADDRESS",
        "TEMPORAL_ADDRESS=",
    ),
    Case(
        "local URL",
        env(ADDRESS="http://localhost:7233"),
        "is a URL",
        "TEMPORAL_ADDRESS=localhost:7233",
    ),
    Case(
        "local without port",
        env(ADDRESS="localhost"),
        "has no port",
        "TEMPORAL_ADDRESS=localhost:7233",
    ),
    Case(
        "IPv6 without brackets",
        env(ADDRESS="::1:7233"),
        "IPv6 without brackets",
        "TEMPORAL_ADDRESS=[::1]:7233",
    ),
    Case(
        "port 0",
        env(ADDRESS="localhost:0"),
        "no number from 1 to 65535",
        "TEMPORAL_ADDRESS=localhost:7233",
    ),
    Case(
        "no address, API key and namespace",
        env(CLOUD, ADDRESS=None),
        "TEMPORAL_ADDRESS is not set",
        E_ADDRESS,
    ),
    Case(
        "no address, namespace alone",
        env(NAMESPACE="payments.a1b2c"),
        "TEMPORAL_ADDRESS is not set",
        E_ADDRESS,
    ),
    Case(
        "no address, API key alone",
        env(API_KEY="{w.key}"),
        "TEMPORAL_ADDRESS is not set",
        "TEMPORAL_ADDRESS=<name>.<account>.tmprl.cloud:7233",
    ),
    Case("no address, mTLS", env(MTLS, ADDRESS=None), "TEMPORAL_ADDRESS is not set", E_ADDRESS),
    Case(
        "no address, server name alone",
        env(TLS_SERVER_NAME=HOST),
        "TEMPORAL_ADDRESS is not set",
        "TEMPORAL_ADDRESS=",
    ),
    Case(
        "Cloud's key for tcld and a namespace",
        {**env(NAMESPACE="payments.a1b2c"), "TEMPORAL_CLOUD_API_KEY": "{w.key}"},
        "TEMPORAL_ADDRESS is not set",
        E_ADDRESS,
    ),
]

WRONG_KEYS = [
    Case(
        "no credential",
        env(CLOUD, API_KEY=None),
        "no credential is set",
        "TEMPORAL_API_KEY=<API key>",
    ),
    Case(
        "key in tcld's name",
        env(CLOUD, API_KEY=None, CLOUD_API_KEY="{w.key}"),
        "TEMPORAL_CLOUD_API_KEY",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "key in tcld's name, in .env",
        env(CLOUD, API_KEY=None),
        "TEMPORAL_CLOUD_API_KEY",
        "TEMPORAL_API_KEY=",
        dotenv="TEMPORAL_CLOUD_API_KEY={w.key}\n",
    ),
    Case(
        "with Bearer",
        env(CLOUD, API_KEY="Bearer {w.key}"),
        "begins with 'Bearer'",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "with a line break",
        env(CLOUD, API_KEY="{w.good_jwt}\n{w.key}"),
        "white space or line breaks",
        "TEMPORAL_API_KEY=",
    ),
    Case("with a space", env(CLOUD, API_KEY="{w.good_jwt} x"), "white space", "TEMPORAL_API_KEY="),
    Case(
        "with its name",
        env(CLOUD, API_KEY="TEMPORAL_API_KEY={w.key}"),
        "begins with",
        "TEMPORAL_API_KEY=",
    ),
    Case("in quotes", env(CLOUD, API_KEY='"{w.key}"'), "has quotes around it", "TEMPORAL_API_KEY="),
    Case("quote at one end", env(CLOUD, API_KEY='"{w.key}'), "quote", "TEMPORAL_API_KEY="),
    Case(
        "invisible character",
        env(CLOUD, API_KEY="{w.key}\u200b"),
        "characters that no API key has",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "in bullets, as a form shows it",
        env(CLOUD, API_KEY="\u2022" * 12),
        "characters that no API key has",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "in asterisks, as a log shows it",
        env(CLOUD, API_KEY="*" * 12),
        "is still the example's",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "cut off in the middle",
        env(CLOUD, API_KEY="{w.cut_jwt}"),
        "cut off",
        "TEMPORAL_API_KEY=",
        mark="⚠",
    ),
    Case(
        "cut off in its signature",
        env(CLOUD, API_KEY="{w.cut_signature_jwt}"),
        "cut off",
        "TEMPORAL_API_KEY=",
        mark="⚠",
    ),
    Case(
        "expired",
        env(CLOUD, API_KEY="{w.expired_jwt}"),
        "expired on",
        "TEMPORAL_API_KEY=<a new one>",
    ),
    Case(
        "about to expire",
        env(CLOUD, API_KEY="{w.expiring_jwt}"),
        "expires in 9 days",
        "TEMPORAL_API_KEY=<a new one>",
        mark="⚠",
    ),
    Case(
        "of another account",
        env(CLOUD, API_KEY="{w.foreign_jwt}"),
        "is of account z9y8x",
        "TEMPORAL_NAMESPACE=payments.z9y8x",
        mark="⚠",
    ),
    Case(
        "of the example",
        env(CLOUD, API_KEY="<API key>"),
        "is still the example's",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "of a guide",
        env(CLOUD, API_KEY="your-api-key"),
        "is still the example's",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "of a template",
        env(CLOUD, API_KEY="$TEMPORAL_CLOUD_KEY"),
        "is still the example's",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "path for key",
        env(CLOUD, API_KEY="/run/secrets/temporal"),
        "is a path",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "relative path for key",
        env(CLOUD, API_KEY="secrets/api.key"),
        "is a path",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "path of a file that is there for key",
        env(CLOUD, API_KEY="{w.key_file}"),
        "is a path",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "PEM for key",
        env(CLOUD, API_KEY="{w.private_pem}"),
        "is a PEM",
        "TEMPORAL_TLS_CLIENT_KEY_DATA=",
    ),
    Case(
        "JSON for key",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.json_key_file}"),
        "more than the API key",
        "TEMPORAL_API_KEY_FILE",
    ),
    Case(
        "key and its file",
        env(CLOUD, API_KEY_FILE="{w.key_file}"),
        "are both set",
        "unset TEMPORAL_API_KEY",
    ),
    Case(
        "key file missing",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.missing}"),
        "does not exist",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "key file empty",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.empty}"),
        "is empty",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "key file is a folder",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.folder}"),
        "Is a directory",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "key file in UTF-16",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.utf16_key_file}"),
        "TEMPORAL_API_KEY_FILE={w.utf16_key_file} (environment) is UTF-16 text",
        "save it as UTF-8",
    ),
    Case(
        "key in the place of its file's path",
        env(CLOUD, API_KEY=None, API_KEY_FILE="tmprl_9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
        "TEMPORAL_API_KEY_FILE=(hidden) (environment): the file does not exist",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case("base64 of a key", env(CLOUD, API_KEY="{w.base64_key}"), "base64", "TEMPORAL_API_KEY="),
    *(
        Case(f"key {key}", env(CLOUD, API_KEY=key), "says where an API key is", "TEMPORAL_API_KEY=")
        for key in ("op://team/temporal/key", "arn:aws:secretsmanager:eu-west-1:1:x", "null")
    ),
    Case(
        "key with the end of a statement",
        env(CLOUD, API_KEY="{w.good_jwt};"),
        "ends with ';'",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "file with a key, from another folder",
        env(CLOUD, API_KEY=None, API_KEY_FILE="secrets/key"),
        "does not exist in /",
        "TEMPORAL_API_KEY_FILE=",
    ),
    Case(
        "key file open to others",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.open_key_file}"),
        "other users",
        "chmod 600 {w.open_key_file}",
        mark="⚠",
    ),
    Case(
        "key for key file",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.good_jwt}"),
        "is no path",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "opaque key for key file",
        env(CLOUD, API_KEY=None, API_KEY_FILE="{w.key}"),
        "",
        "TEMPORAL_API_KEY",
    ),
    Case(
        "key as server name",
        env(CLOUD, TLS_SERVER_NAME="{w.good_jwt}"),
        "TEMPORAL_TLS_SERVER_NAME",
        "TEMPORAL_TLS_SERVER_NAME=",
    ),
    Case(
        "key as task queue",
        env(CLOUD, TASK_QUEUE="{w.key}"),
        "TEMPORAL_TASK_QUEUE",
        "TEMPORAL_TASK_QUEUE=",
    ),
    Case("key as profile", env(CLOUD, PROFILE="{w.key}"), "TEMPORAL_PROFILE", "TEMPORAL_PROFILE"),
    Case(
        "key as TOML file",
        env(CLOUD, CONFIG_FILE="{w.good_jwt}"),
        "(hidden): it does not exist",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case("key and certificate", {**CLOUD, **PAIR}, "are both set", "unset TEMPORAL_API_KEY"),
    Case(
        "key in a header and certificate",
        {**MTLS, **env(GRPC_META_AUTHORIZATION="Bearer {w.key}")},
        "both set",
        "unset",
    ),
    Case(
        "key and header",
        env(CLOUD, GRPC_META_AUTHORIZATION="Bearer {w.key}"),
        "are both set",
        "unset TEMPORAL_GRPC_META_AUTHORIZATION",
    ),
    Case(
        "header without Bearer",
        env(CLOUD, API_KEY=None, GRPC_META_AUTHORIZATION="{w.key}"),
        "TEMPORAL_GRPC_META_AUTHORIZATION",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "header of another namespace",
        env(CLOUD, GRPC_META_TEMPORAL_NAMESPACE="orders.a1b2c"),
        "is another namespace than payments.a1b2c",
        "unset TEMPORAL_GRPC_META_TEMPORAL_NAMESPACE",
    ),
    Case("key with TLS off", env(CLOUD, TLS="false"), "switches TLS off", "TEMPORAL_TLS=true"),
    Case(
        "TLS off on Cloud",
        env(CLOUD, TLS="0", API_KEY=None),
        "switches TLS off",
        "TEMPORAL_TLS=true",
    ),
    Case(
        "key with TLS off on a local server",
        env(LOCAL, API_KEY="{w.key}", TLS="false"),
        "switches TLS off",
        "TEMPORAL_TLS=true",
    ),
    Case(
        "TLS neither on nor off",
        env(CLOUD, TLS="enabled"),
        "is neither true nor false",
        "TEMPORAL_TLS=true",
    ),
]


def pem(  # noqa: PLR0917
    title: str, kind: str, file: str, cause: str, remedy: str | None = None, mark: str = "✗"
) -> Case:
    name = {
        "cert": "TEMPORAL_TLS_CLIENT_CERT_PATH",
        "key": "TEMPORAL_TLS_CLIENT_KEY_PATH",
        "ca": "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    }[kind]
    return Case(title, {**MTLS, name: file}, cause, remedy or f"{name}=", mark=mark)


def pair(title: str, pair_name: str, cause: str, remedy: str, mark: str = "✗") -> Case:
    settings = env(
        MTLS,
        TLS_CLIENT_CERT_PATH=f"{{w.{pair_name}.certificate}}",
        TLS_CLIENT_KEY_PATH=f"{{w.{pair_name}.key}}",
    )
    return Case(title, settings, cause, remedy, mark=mark)


NO_PATHS = env(MTLS, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_KEY_PATH=None)
WRONG_FILES = [
    pem(
        "certificate missing",
        "cert",
        "{w.missing}",
        "TEMPORAL_TLS_CLIENT_CERT_PATH={w.missing} (environment): the file does not exist",
    ),
    pem("certificate empty", "cert", "{w.empty}", "is empty"),
    pem("certificate is a folder", "cert", "{w.folder}", "Is a directory"),
    pem("certificate is no PEM", "cert", "{w.text}", "is no PEM"),
    pem("certificate is DER", "cert", "{w.der}", "DER"),
    pem("certificate is PKCS12", "cert", "{w.p12}", "PKCS#12"),
    pem("certificate in UTF-16", "cert", "{w.utf16_certificate}", "UTF-16"),
    pem("certificate is a request", "cert", "{w.request}", "CERTIFICATE REQUEST"),
    pem("certificate is a key", "cert", "{w.client.key}", "swapped"),
    pem("certificate cut off", "cert", "{w.cut_certificate}", "is cut off"),
    pem(
        "certificate damaged",
        "cert",
        "{w.damaged_certificate}",
        "damaged",
        "both files of one issue",
    ),
    pem("certificate with a byte-order mark", "cert", "{w.marked_certificate}", "byte-order mark"),
    pem("certificate indented", "cert", "{w.indented_certificate}", "is indented"),
    Case(
        "path in place of a PEM",
        env(MTLS, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_CERT_DATA="{w.client.certificate}"),
        "is a path",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=<that path>, and unset TEMPORAL_TLS_CLIENT_CERT_DATA",
    ),
    pair("certificate made for servers", "for_servers", "not a client's", "a client's", "⚠"),
    pem("certificate by a relative path", "cert", "{w.relative}", "does not exist in /"),
    pem(
        "certificate of another key",
        "cert",
        "{w.renewed.certificate}",
        "do not belong together",
        "both files of one issue",
    ),
    pem(
        "certificate after its CA",
        "cert",
        "{w.upside_down}",
        "comes first",
        "both files of one issue",
    ),
    pem("key missing", "key", "{w.missing}", "does not exist"),
    pem("key is the certificate", "key", "{w.client.certificate}", "swapped"),
    pem("key is a public key", "key", "{w.public_key}", "PUBLIC KEY"),
    pem("key is OpenSSH's", "key", "{w.openssh_key}", "OPENSSH PRIVATE KEY"),
    pem("key encrypted", "key", "{w.encrypted.key}", "is encrypted"),
    pem("key encrypted the old way", "key", "{w.old_encrypted_key}", "is encrypted"),
    pem(
        "key of another generation",
        "key",
        "{w.renewed.key}",
        "do not belong together",
        "both files of one issue",
    ),
    pem("key open to others", "key", "{w.open_key}", "other users", "chmod 600", mark="⚠"),
    Case(
        "certificate and key swapped",
        env(
            MTLS,
            TLS_CLIENT_CERT_PATH="{w.client.key}",
            TLS_CLIENT_KEY_PATH="{w.client.certificate}",
        ),
        "swapped",
        "TEMPORAL_TLS_CLIENT_KEY_PATH=",
    ),
    Case(
        "certificate without key",
        env(MTLS, TLS_CLIENT_KEY_PATH=None),
        "without the private key",
        "TEMPORAL_TLS_CLIENT_KEY_PATH=",
    ),
    Case(
        "key without certificate",
        env(MTLS, TLS_CLIENT_CERT_PATH=None),
        "without the certificate",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
    ),
    Case(
        "combined file open to others",
        env(NO_PATHS, TLS_CLIENT_CERT_PATH="{w.open_combined}"),
        "other users",
        "chmod 600",
        mark="⚠",
    ),
    pair("certificate expired", "expired", "expired on", "TEMPORAL_TLS_CLIENT_CERT_PATH="),
    pair(
        "certificate about to expire",
        "expiring",
        "expires in 10 days",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
        "⚠",
    ),
    pair("certificate not yet valid", "not_yet_valid", "is not valid before", "clock"),
    pair(
        "CA's own certificate for the client's",
        "own_ca",
        "CA",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
        "⚠",
    ),
    pair("key too small", "small", "too small", "TEMPORAL_TLS_CLIENT_CERT_PATH"),
    Case(
        "certificate's text where its path belongs",
        env(MTLS, TLS_CLIENT_CERT_PATH="{w.certificate_pem}"),
        "TEMPORAL_TLS_CLIENT_CERT_PATH",
        "TEMPORAL_TLS_CLIENT_CERT_DATA=",
    ),
    Case(
        "key's text where its path belongs",
        env(MTLS, TLS_CLIENT_KEY_PATH="{w.private_pem}"),
        "TEMPORAL_TLS_CLIENT_KEY_PATH",
        "TEMPORAL_TLS_CLIENT_KEY_DATA=",
    ),
    Case(
        "path where the text belongs",
        env(
            NO_PATHS,
            TLS_CLIENT_CERT_DATA="{w.client.certificate}",
            TLS_CLIENT_KEY_DATA="{w.private_pem}",
        ),
        "is a path",
        "TEMPORAL_TLS_CLIENT_CERT",
    ),
    Case(
        "text without line breaks",
        env(
            NO_PATHS,
            TLS_CLIENT_CERT_DATA="{w.one_line_certificate}",
            TLS_CLIENT_KEY_DATA="{w.private_pem}",
        ),
        "line breaks",
        "TEMPORAL_TLS_CLIENT_CERT_DATA=",
    ),
    Case(
        "base64 of the text",
        env(
            NO_PATHS,
            TLS_CLIENT_CERT_DATA="{w.base64_certificate}",
            TLS_CLIENT_KEY_DATA="{w.private_pem}",
        ),
        "base64",
        "TEMPORAL_TLS_CLIENT_CERT_DATA=",
    ),
    Case(
        "path and text",
        env(MTLS, TLS_CLIENT_CERT_DATA="{w.certificate_pem}"),
        "are both set",
        "unset",
    ),
    pem("CA missing", "ca", "{w.missing}", "does not exist"),
    pem("CA is a key", "ca", "{w.client.key}", "not CERTIFICATE"),
    pem("CA damaged", "ca", "{w.damaged_ca}", "damaged"),
    pem("CA expired", "ca", "{w.expired_ca}", "expired on"),
    pem("CA is DER", "ca", "{w.der}", "DER"),
    Case(
        "mTLS on a regional endpoint",
        env(MTLS, ADDRESS="us-east-1.aws.api.temporal.io:7233"),
        "regional endpoint",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
    ),
    Case(
        "mTLS on a regional endpoint, with its own name",
        env(
            MTLS,
            ADDRESS="us-east-1.aws.api.temporal.io:7233",
            TLS_SERVER_NAME="us-east-1.aws.api.temporal.io",
        ),
        "regional endpoint",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
    ),
    Case(
        "mTLS on a replica's endpoint",
        env(MTLS, ADDRESS="aws-us-east-1.region.tmprl.cloud:7233"),
        "regional endpoint",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
    ),
    Case(
        "mTLS by private link",
        env(MTLS, ADDRESS="vpce-0a1b.us-east-1.vpce.amazonaws.com:7233"),
        "private link",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
        mark="⚠",
    ),
    Case(
        "server name with port",
        env(FRONT, TLS_SERVER_NAME=f"{HOST}:7233"),
        "TEMPORAL_TLS_SERVER_NAME",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
    ),
    Case(
        "server name is a URL",
        env(FRONT, TLS_SERVER_NAME=f"https://{HOST}"),
        "TEMPORAL_TLS_SERVER_NAME",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
    ),
    Case(
        "verification off",
        env(FRONT, TLS_DISABLE_HOST_VERIFICATION="true"),
        "any server",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH=",
        mark="⚠",
    ),
    Case(
        "verification neither on nor off",
        env(FRONT, TLS_DISABLE_HOST_VERIFICATION="skip"),
        "is neither true nor false",
        "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=",
    ),
    Case(
        "TLS off with a certificate",
        env(MTLS, TLS="false"),
        "switches TLS off",
        "TEMPORAL_TLS=true",
    ),
]

WRONG_NAMES = [
    *(
        Case(f"{name} for {meant}", {name: value}, f"did you mean {meant}?", f"{meant}=", mark=mark)
        for name, meant, value, mark in (
            ("TEMPORAL_ADRESS", "TEMPORAL_ADDRESS", "temporal.internal:7233", "✗"),
            ("TEMPORAL_ADDRES", "TEMPORAL_ADDRESS", "temporal.internal:7233", "✗"),
            ("temporal_address", "TEMPORAL_ADDRESS", "temporal.internal:7233", "✗"),
            ("TEMPORAL-ADDRESS", "TEMPORAL_ADDRESS", "temporal.internal:7233", "✗"),
            ("TEMPROAL_ADDRESS", "TEMPORAL_ADDRESS", "temporal.internal:7233", "✗"),
            ("TEMPORAL_HOST", "TEMPORAL_ADDRESS", f"{HOST}:7233", "✗"),
            ("TEMPORAL_HOST_PORT", "TEMPORAL_ADDRESS", f"{HOST}:7233", "✗"),
            ("TEMPORAL_HOST_URL", "TEMPORAL_ADDRESS", f"{HOST}:7233", "✗"),
            ("TEMPORAL_GRPC_ENDPOINT", "TEMPORAL_ADDRESS", f"{HOST}:7233", "✗"),
            ("TEMPORAL_NAMESPCE", "TEMPORAL_NAMESPACE", "payments", "✗"),
            ("TEMPORAL_NS", "TEMPORAL_NAMESPACE", "payments", "⚠"),
            ("TEMPORAL_APIKEY", "TEMPORAL_API_KEY", "{w.key}", "✗"),
            ("TEMPORAL_API_KEYS", "TEMPORAL_API_KEY", "{w.key}", "✗"),
            ("TEMPORAL_API_TOKEN", "TEMPORAL_API_KEY", "{w.key}", "✗"),
            ("TEMPORAL_TASKQUEUE", "TEMPORAL_TASK_QUEUE", "payments", "✗"),
            ("TEMPORAL_QUEUE", "TEMPORAL_TASK_QUEUE", "payments", "⚠"),
            (
                "TEMPORAL_TLS_CERT_PATH",
                "TEMPORAL_TLS_CLIENT_CERT_PATH",
                "{w.client.certificate}",
                "✗",
            ),
            ("TEMPORAL_TLS_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_PATH", "{w.client.key}", "✗"),
            ("TEMPORAL_API_KEY_PATH", "TEMPORAL_API_KEY_FILE", "{w.key_file}", "⚠"),
            ("TEMPORAL_TLS_CA_CERT", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "{w.server_ca}", "✗"),
            ("TEMPORAL_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "{w.server_ca}", "✗"),
            ("TEMPORAL_TLS_CA_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", "{w.server_ca}", "✗"),
            ("TEMPORAL_KEY", "TEMPORAL_API_KEY", "{w.good_jwt}", "⚠"),
            ("TEMPORAL_CLIENT_KEY", "TEMPORAL_TLS_CLIENT_KEY_PATH", "{w.client.key}", "⚠"),
            (
                "TEMPORAL_MTLS_TLS_CERT",
                "TEMPORAL_TLS_CLIENT_CERT_PATH",
                "{w.client.certificate}",
                "✗",
            ),
            ("TEMPORAL_TLS_SNI", "TEMPORAL_TLS_SERVER_NAME", HOST, "✗"),
            ("TEMPORAL_TLS_ENABLED", "TEMPORAL_TLS", "true", "⚠"),
        )
    ),
    Case("leftover name", env(FEATURE_X="1"), "TEMPORAL_FEATURE_X", mark="⚠"),
    Case("name that would mean the opposite", env(TLS_DISABLED="true"), "TLS_DISABLED", mark="⚠"),
    Case("TLS off in other words", env(LOCAL, TLS="off"), "neither true nor", "TEMPORAL_TLS=false"),
    Case("TLS on in other words", env(CLOUD, TLS="yes"), "neither true nor", "TEMPORAL_TLS=true"),
    Case(
        "not UTF-8",
        env(LOCAL, TASK_QUEUE="f\udcfcr"),
        "TEMPORAL_TASK_QUEUE (environment) is not UTF-8 text",
        "TEMPORAL_TASK_QUEUE=",
    ),
    Case(
        "header with a line break",
        env(LOCAL, GRPC_META_X_TEAM="a\nb"),
        "the header x-team has a line break",
        "TEMPORAL_GRPC_META_X_TEAM=",
    ),
    Case(
        "dot in the deployment",
        env(LOCAL, DEPLOYMENT_NAME="ping.eu", WORKER_BUILD_ID="1"),
        "no worker of it gets a task",
        "TEMPORAL_DEPLOYMENT_NAME=ping-eu",
    ),
    Case(
        "reserved build",
        env(LOCAL, DEPLOYMENT_NAME="ping", WORKER_BUILD_ID="__unversioned__"),
        "TEMPORAL_WORKER_BUILD_ID=__unversioned__ (environment) begins with __",
        "TEMPORAL_WORKER_BUILD_ID=",
    ),
    Case(
        "command that no shell has run",
        env(LOCAL, TASK_QUEUE="$(hostname)"),
        "is still the example's",
        "TEMPORAL_TASK_QUEUE=",
    ),
    Case(
        "password in a URL",
        env(CLOUD, ADDRESS=f"https://ada:5esame-0pen@{HOST}:7233"),
        f"TEMPORAL_ADDRESS=https://(hidden)@{HOST}:7233 (environment) is a URL",
        E_ADDRESS,
    ),
    Case(
        "TOML in .env",
        {},
        ".env has a TOML profile in it",
        "TEMPORAL_CONFIG_FILE=",
        dotenv='[profile.default]\naddress = "payments.a1b2c.tmprl.cloud:7233"\n',
    ),
    Case(
        "line left behind a # in .env",
        {},
        "behind a # in .env, and so not set: TEMPORAL_NAMESPACE",
        "remove the #",
        mark="⚠",
        dotenv="TEMPORAL_ADDRESS=127.0.0.1:7233\n#TEMPORAL_NAMESPACE=payments\n",
    ),
    Case(
        "Windows path in double quotes in .env",
        env(CLOUD, API_KEY=None),
        ".env, line 1, has backslashes in double quotes",
        "TEMPORAL_TLS_CLIENT_CERT_PATH='",
        dotenv='TEMPORAL_TLS_CLIENT_CERT_PATH="C:\\temporal\\client.pem"\n',
    ),
    Case(
        "two names, two values",
        env(LOCAL, ENDPOINT=f"{HOST}:7233"),
        "TEMPORAL_ENDPOINT=payments.a1b2c.tmprl.cloud:7233 (environment) are one setting",
        "TEMPORAL_ADDRESS=",
    ),
    Case(
        "two names for the certificate",
        env(MTLS, TLS_CERT="{w.renewed.certificate}"),
        "one setting with two values",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
    ),
    Case(
        ".env as it is copied",
        {},
        "behind a # in .env, and so not set: TEMPORAL_ADDRESS",
        "remove the #",
        mark="⚠",
        dotenv="# The address.\n#TEMPORAL_ADDRESS=payments.a1b2c.tmprl.cloud:7233\n",
    ),
    Case(
        ".env with a name twice",
        {},
        ".env, line 3, sets TEMPORAL_TASK_QUEUE again",
        "keep one of the two lines",
        mark="⚠",
        dotenv="TEMPORAL_TASK_QUEUE=one\n\nTEMPORAL_TASK_QUEUE=two\n",
    ),
    Case(
        "missing file by the first document's name",
        env(NO_PATHS, CERT_PATH="{w.missing}"),
        "TEMPORAL_CERT_PATH={w.missing} (environment): the file does not exist",
        "TEMPORAL_CERT_PATH=",
    ),
    Case(
        ".env line without =",
        {},
        ".env, line 2,",
        "TEMPORAL_API_KEY=",
        dotenv="# mine\nTEMPORAL_API_KEY {w.key}\n",
    ),
    Case(
        ".env line with a colon",
        {},
        ".env, line 1,",
        "TEMPORAL_ADDRESS=",
        dotenv="TEMPORAL_ADDRESS: localhost:7233\n",
    ),
    Case(
        ".env line as PowerShell writes it",
        {},
        "did you mean TEMPORAL_ADDRESS?",
        "TEMPORAL_ADDRESS=",
        dotenv='$env:TEMPORAL_ADDRESS="localhost:7233"\n',
    ),
    Case(
        ".env line as cmd.exe writes it",
        {},
        ".env, line 1,",
        "TEMPORAL_ADDRESS=",
        dotenv="set TEMPORAL_ADDRESS=localhost:7233\n",
    ),
    Case(
        ".env line with a quote left open",
        env(CLOUD, API_KEY=None),
        ".env, line 1,",
        "TEMPORAL_API_KEY=",
        dotenv='TEMPORAL_API_KEY="{w.key}\n',
    ),
    Case(
        ".env with a bare PEM",
        env(CLOUD, API_KEY=None),
        "is cut off after its first line",
        "TEMPORAL_TLS_CLIENT_CERT_DATA=",
        dotenv="TEMPORAL_TLS_CLIENT_CERT_DATA={w.certificate_pem}\nTEMPORAL_TLS_CLIENT_KEY_DATA={w.private_pem}\n",
    ),
    Case(
        ".env as it was copied",
        {},
        "is still the example's",
        "TEMPORAL_ADDRESS=",
        dotenv="TEMPORAL_ADDRESS=<name>.<account>.tmprl.cloud:7233\nTEMPORAL_API_KEY=<API key>\n",
    ),
    Case(
        "TOML file missing",
        env(LOCAL, CONFIG_FILE="{w.missing}"),
        "does not exist",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case(
        "TOML file is a folder",
        env(LOCAL, CONFIG_FILE="{w.folder}"),
        "Is a directory",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case(
        "TOML file does not parse",
        env(LOCAL, CONFIG_FILE="{w.broken_toml}"),
        "line 2",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case(
        "TOML file has a wrong type",
        env(LOCAL, CONFIG_FILE="{w.typed_toml}"),
        "line 4",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case(
        "TOML file is YAML",
        env(LOCAL, CONFIG_FILE="{w.yaml_toml}"),
        "line 1",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case(
        "TOML file has a misspelt name",
        env(CONFIG_FILE="{w.misspelt_toml}"),
        "{w.misspelt_toml}: unknown field `adress`",
        "mend the name there",
        mark="⚠",
    ),
    Case(
        "TOML file has path and data",
        env(LOCAL, CONFIG_FILE="{w.both_toml}"),
        "both client_cert_path and client_cert_data",
        "TEMPORAL_CONFIG_FILE",
    ),
    Case(
        "TOML file names a file that is not there",
        env(CONFIG_FILE="{w.lost_toml}"),
        "{w.missing} (profile default): the file does not exist",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
    ),
    Case(
        "TOML profile unknown",
        env(CONFIG_FILE="{w.cloud_toml}", PROFILE="prod"),
        "profile 'prod'",
        "TEMPORAL_PROFILE",
    ),
    Case("TOML profile without file", env(PROFILE="prod"), "profile 'prod'", "TEMPORAL_PROFILE"),
    Case(
        "TOML profile without namespace",
        env(CONFIG_FILE="{w.cloud_toml}", PROFILE="bare"),
        "TEMPORAL_NAMESPACE is not set",
        E_NAMESPACE,
    ),
    *(
        Case(
            f"{name}={value}",
            env(LOCAL, **{name: value}),
            f"TEMPORAL_{name}={value}",
            f"TEMPORAL_{name}=",
        )
        for name, value in (
            ("GRACEFUL_SHUTDOWN_SECONDS", "30s"),
            ("GRACEFUL_SHUTDOWN_SECONDS", "-1"),
            ("GRACEFUL_SHUTDOWN_SECONDS", "1.5"),
            ("MAX_CONCURRENT_WORKFLOW_TASKS", "1"),
            ("MAX_CONCURRENT_ACTIVITIES", "0"),
            ("METRICS_ADDRESS", "9464"),
            ("METRICS_ADDRESS", "http://127.0.0.1:9464"),
            ("METRICS_ADDRESS", "127.0.0.1:99999"),
        )
    ),
    Case(
        "deployment without build",
        env(LOCAL, DEPLOYMENT_NAME="payments"),
        "without TEMPORAL_WORKER_BUILD_ID",
        "TEMPORAL_WORKER_BUILD_ID=",
    ),
    Case(
        "build without deployment",
        env(LOCAL, WORKER_BUILD_ID="1"),
        "without TEMPORAL_DEPLOYMENT_NAME",
        "TEMPORAL_DEPLOYMENT_NAME=",
    ),
]

# --- The network ----------------------------------------------------------------------------------


def at(  # noqa: PLR0917
    server: str,
    base: Mapping[str, str],
    title: str,
    rung: str,
    cause: str,
    remedy: str,
    mark: str = "✗",
) -> Case:
    return Case(title, {**base, "TEMPORAL_ADDRESS": f"{{w.{server}}}"}, cause, remedy, rung, mark)


NETWORK = [
    Case(
        "unknown name",
        env(ADDRESS="temporal.invalid:7233"),
        "the name temporal.invalid is unknown",
        "TEMPORAL_ADDRESS=",
        NAME,
    ),
    Case(
        "unknown name behind Cloud's",
        env(FRONT, ADDRESS="privatelink.invalid:7233"),
        "the name privatelink.invalid is unknown",
        f"TEMPORAL_ADDRESS={HOST}:7233",
        NAME,
    ),
    Case(
        "name that cannot be one",
        env(ADDRESS="a..b.invalid:7233"),
        "is no host name",
        "TEMPORAL_ADDRESS=",
        NAME,
    ),
    Case(
        "label too long",
        env(ADDRESS="a" * 70 + ".invalid:7233"),
        "is no host name",
        "TEMPORAL_ADDRESS=",
        NAME,
    ),
    at(
        "nothing",
        {},
        "nothing listens",
        TCP,
        "nothing listens on 127.0.0.1, port",
        "scripts/run_local.py --serve",
    ),
    at(
        "nothing",
        FRONT,
        "nothing listens, Cloud",
        TCP,
        "nothing listens on 127.0.0.1, port",
        "TEMPORAL_ADDRESS=",
    ),
    at("full", {}, "packets dropped", TCP, "something drops the packets", "firewall"),
    at("full", FRONT, "packets dropped, Cloud", TCP, "something drops the packets", "firewall"),
    at("silent", {}, "silent server", TLS, "stays silent", "TEMPORAL_ADDRESS="),
    at("silent", FRONT, "silent server, TLS", TLS, "stays silent", "TEMPORAL_ADDRESS="),
    at("tls_silent", FRONT, "silent after TLS", TLS, "stays silent", "TEMPORAL_ADDRESS="),
    at(
        "closing_server",
        {},
        "closes at once",
        TLS,
        "closes the connection without a word",
        "TEMPORAL_ADDRESS=",
    ),
    at(
        "closing_after_hello",
        {},
        "closes after hello",
        TLS,
        "closes the connection without a word",
        "TEMPORAL_ADDRESS=",
    ),
    at("resetting", {}, "resets", TLS, "closes the connection without a word", "TEMPORAL_ADDRESS="),
    at(
        "closing_server",
        FRONT,
        "closes at once, TLS",
        TLS,
        "breaks off the TLS handshake",
        "firewalls and proxies",
    ),
    at(
        "closing_after_hello",
        FRONT,
        "closes after hello, TLS",
        TLS,
        "breaks off the TLS handshake",
        "firewalls and proxies",
    ),
    at(
        "resetting",
        FRONT,
        "resets, TLS",
        TLS,
        "breaks off the TLS handshake",
        "firewalls and proxies",
    ),
    at("web", {}, "web server", TLS, "is a web server", "TEMPORAL_ADDRESS=127.0.0.1:7233"),
    at("web", FRONT, "web server, TLS", TLS, "speaks no TLS", "TEMPORAL_ADDRESS="),
    at("tls_web", FRONT, "web server with TLS", TLS, "is a web server", "TEMPORAL_ADDRESS="),
    at("ssh", {}, "another protocol", TLS, "no Temporal server", "TEMPORAL_ADDRESS="),
    at("ssh", FRONT, "another protocol, TLS", TLS, "speaks no TLS", "TEMPORAL_ADDRESS="),
    Case(
        "TLS to the development server",
        env(LOCAL, TLS="true"),
        "speaks no TLS",
        "TEMPORAL_TLS=false",
        TLS,
    ),
    Case(
        "API key to the development server",
        env(LOCAL, API_KEY="{w.key}"),
        "speaks no TLS",
        "unset",
        TLS,
    ),
    Case(
        "Cloud's key and namespace to the development server",
        env(CLOUD, ADDRESS="{w.dev.address}"),
        "speaks no TLS",
        E_ADDRESS,
        TLS,
    ),
    Case(
        "plain text to TLS",
        env(OWN_TLS, TLS_SERVER_CA_CERT_PATH=None),
        "speaks TLS, and these settings do not",
        "TEMPORAL_TLS=true",
        TLS,
    ),
    Case(
        "own CA not set",
        env(OWN_TLS, TLS_SERVER_CA_CERT_PATH=None, TLS="true"),
        "unknown CA: Test server CA",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH=",
        TLS,
    ),
    Case(
        "Cloud behind an inspecting proxy",
        env(FRONT, TLS_SERVER_CA_CERT_PATH=None),
        "unknown CA: Test server CA",
        "ca-certificates",
        TLS,
    ),
    Case(
        "no CA certificates on this machine",
        {
            **env(FRONT, TLS_SERVER_CA_CERT_PATH=None),
            "SSL_CERT_FILE": "{w.empty}",
            "SSL_CERT_DIR": "/nonexistent",
        },
        "unknown CA",
        "ca-certificates",
        TLS,
    ),
    Case(
        "another CA",
        env(OWN_TLS, TLS_SERVER_CA_CERT_PATH="{w.own_ca.certificate}"),
        "unknown CA: Test server CA",
        "the one set is another",
        TLS,
    ),
    Case(
        "client's CA as server's CA, Cloud",
        env(FRONT, TLS_SERVER_CA_CERT_PATH="{w.own_ca.certificate}"),
        "unknown CA: Test server CA",
        "unset TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        TLS,
    ),
    at("expired_server", FRONT, "server expired", TLS, "has expired", "renewed"),
    at("early_server", FRONT, "server not yet valid", TLS, "is not valid before", "clock"),
    at(
        "other_name",
        OWN_TLS,
        "server's name another",
        TLS,
        "is for temporal.internal, not 127.0.0.1",
        "TEMPORAL_TLS_SERVER_NAME=temporal.internal",
    ),
    at(
        "other_name",
        FRONT,
        "server's name not Cloud's",
        TLS,
        f"is for temporal.internal, not {HOST}",
        "TEMPORAL_TLS_SERVER_NAME=temporal.internal",
    ),
    at(
        "private_link",
        env(FRONT, TLS_SERVER_NAME=None),
        "private link without server name",
        TLS,
        f"is for {HOST}, not 127.0.0.1",
        f"TEMPORAL_TLS_SERVER_NAME={HOST}",
    ),
    at(
        "regional",
        env(FRONT, TLS_SERVER_NAME=None),
        "regional private link without server name",
        TLS,
        "not 127.0.0.1",
        "TEMPORAL_TLS_SERVER_NAME=us-east-1.aws.api.temporal.io",
    ),
    Case(
        "server without names",
        env(ADDRESS="{w.nameless_server}", TLS_SERVER_CA_CERT_PATH="{w.nameless_server_file}"),
        "is for no name",
        "with 127.0.0.1 as subject alternative name",
        TLS,
    ),
    at(
        "made_for_clients",
        FRONT,
        "server's certificate made for clients",
        TLS,
        "is not made for servers",
        "serverAuth",
    ),
    at("tls_closing", FRONT, "closing after TLS", TLS, "without a word", "look at the server"),
    at("tls_smtp", FRONT, "another protocol in TLS", TLS, "not as gRPC does", "TEMPORAL_ADDRESS="),
    Case(
        "client certificate made for servers",
        env(
            MTLS_FRONT,
            TLS_CLIENT_CERT_PATH="{w.for_servers.certificate}",
            TLS_CLIENT_KEY_PATH="{w.for_servers.key}",
        ),
        "rejects the client certificate in TEMPORAL_TLS_CLIENT_CERT_PATH",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=<a certificate made for clients>",
        TLS,
    ),
    at("busy", {}, "server that is busy", AUTH, "namespace rate limit exceeded", "try again"),
    at("proxy_with_page", {}, "proxy that answers with a page", AUTH, "503", "proxy"),
    at(
        "read_only",
        FRONT,
        "key that may only read",
        NAMESPACE,
        "not allowed on the namespace payments.a1b2c",
        "write access to payments.a1b2c",
    ),
    Case(
        "CA's own certificate as the server's",
        env(
            ADDRESS="{w.ca_as_server}",
            TLS_SERVER_NAME="localhost",
            TLS_SERVER_CA_CERT_PATH="{w.ca_as_server_file}",
        ),
        "is a CA's own",
        "signed",
        AUTH,
    ),
    Case(
        "client certificate missing",
        env(MTLS_FRONT, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_KEY_PATH=None, API_KEY="{w.key}"),
        "wants a client certificate",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
        TLS,
    ),
    at(
        "wants_certificate_12",
        OWN_TLS,
        "client certificate missing, TLS 1.2",
        TLS,
        "wants a client certificate",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
    ),
    at(
        "wants_certificate_13",
        OWN_TLS,
        "client certificate missing, TLS 1.3",
        TLS,
        "wants a client certificate",
        "TEMPORAL_TLS_CLIENT_CERT_PATH=",
    ),
    *(
        at(
            server,
            env(
                MTLS_FRONT,
                TLS_CLIENT_CERT_PATH="{w.untrusted.certificate}",
                TLS_CLIENT_KEY_PATH="{w.untrusted.key}",
            ),
            f"client certificate of an unknown CA, {server}",
            TLS,
            "rejects the client certificate",
            "the CA 'Test CA that nobody trusts",
        )
        for server in ("mtls_cloud", "wants_certificate_12", "wants_certificate_13")
    ),
    Case(
        "wrong API key",
        env(FRONT, API_KEY="{w.key}x"),
        "does not accept the API key",
        "TEMPORAL_API_KEY=",
        AUTH,
    ),
    at(
        "revoked",
        FRONT,
        "revoked API key",
        AUTH,
        "does not accept the API key",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "cut off API key",
        env(FRONT, API_KEY="{w.cut_jwt}"),
        "does not accept the API key",
        "TEMPORAL_API_KEY=",
        AUTH,
    ),
    Case(
        "certificate where a key is wanted",
        {**env(FRONT, API_KEY=None), **PAIR},
        "takes an API key, not a client certificate",
        "TEMPORAL_API_KEY=",
        AUTH,
    ),
    Case(
        "no credential to an own server",
        env(OWN_TLS, ADDRESS="{w.cloud}"),
        "wants a credential and got none",
        "TEMPORAL_API_KEY=",
        AUTH,
    ),
    Case(
        "key where a certificate is wanted",
        env(FRONT, ADDRESS="{w.mtls_cloud}"),
        "wants a client certificate",
        "unset TEMPORAL_API_KEY",
        TLS,
    ),
    at("silenced", FRONT, "silent after TLS and HTTP/2", AUTH, "stays silent", "TEMPORAL_ADDRESS="),
    at(
        "other_grpc",
        {},
        "gRPC of something else",
        NAMESPACE,
        "is no Temporal server",
        "TEMPORAL_ADDRESS=",
    ),
    at("proxy", {}, "proxy without a server behind", AUTH, "503", "proxy"),
    at("tls_proxy", FRONT, "proxy without a server behind, TLS", AUTH, "503", "proxy"),
    at(
        "refusing",
        FRONT,
        "no access to the namespace",
        NAMESPACE,
        "not allowed on the namespace payments.a1b2c",
        "access to payments.a1b2c",
    ),
    Case(
        "namespace unknown on an own server",
        env(LOCAL, NAMESPACE="nowhere"),
        "the server knows no namespace nowhere",
        "TEMPORAL_NAMESPACE=default",
        NAMESPACE,
    ),
    Case(
        "namespace with a capital on an own server",
        env(LOCAL, NAMESPACE="Default"),
        "the server knows no namespace Default",
        "TEMPORAL_NAMESPACE=default",
        NAMESPACE,
    ),
    at(
        "forgotten",
        env(FRONT, NAMESPACE="invoices.a1b2c", TLS_SERVER_NAME="localhost"),
        "namespace unknown on Cloud",
        NAMESPACE,
        "knows no namespace invoices.a1b2c",
        "TEMPORAL_NAMESPACE=",
    ),
    Case(
        "no worker",
        env(LOCAL, TASK_QUEUE="nobody"),
        "no worker polls the task queue 'nobody'",
        "python workers/worker.py",
        WORKERS,
        "⚠",
    ),
    at("old_tls", FRONT, "TLS 1.1", TLS, "TLS 1.2 or 1.3", "TEMPORAL_ADDRESS="),
    at(
        "knows_no_name",
        env(FRONT, TLS_SERVER_NAME="xy.z.tmprl.cloud", NAMESPACE="xy.yyyyy"),
        "no such name on the server",
        TLS,
        "has no name xy.z.tmprl.cloud",
        "TEMPORAL_TLS_SERVER_NAME=xy.yyyyy.tmprl.cloud",
    ),
    at(
        "guarded",
        OWN_TLS,
        "own server that wants a credential",
        NAMESPACE,
        "wants a credential and got none",
        "TEMPORAL_API_KEY=",
    ),
    Case(
        "server name where the address has it",
        env(OWN_TLS, ADDRESS="{w.own_tls}", TLS_SERVER_NAME="temporal.internal"),
        "not temporal.internal",
        "TEMPORAL_TLS_SERVER_NAME",
        TLS,
    ),
    Case(
        "Cloud's namespace, local address",
        env(LOCAL, NAMESPACE="invoices.z9y8x"),
        "knows no namespace invoices.z9y8x",
        "TEMPORAL_ADDRESS=invoices.z9y8x.tmprl.cloud:7233",
        NAMESPACE,
    ),
]

WRONG = [*WRONG_NAMESPACES, *WRONG_ADDRESSES, *WRONG_KEYS, *WRONG_FILES, *WRONG_NAMES, *NETWORK]

# --- Right ones, which get no mark but ✓ ----------------------------------------------------------


def right(title: str, settings: Mapping[str, str], dotenv: str = "") -> Case:
    """A configuration that connects."""
    return Case(title, settings, "", dotenv=dotenv, rung=WORKERS)


DATA = env(TLS_CLIENT_CERT_DATA="{w.certificate_pem}", TLS_CLIENT_KEY_DATA="{w.private_pem}")
NO_PAIR = env(MTLS_FRONT, TLS_CLIENT_CERT_PATH=None, TLS_CLIENT_KEY_PATH=None)
NO_KEY = env(FRONT, API_KEY=None)
KUBERNETES = {
    "TEMPORAL_FRONTEND_SERVICE_HOST": "10.0.0.7",
    "TEMPORAL_FRONTEND_PORT_7233_TCP": "tcp://10.0.0.7:7233",
    "TEMPORAL_PORT": "tcp://10.0.0.8:8080",
}
RIGHT_ONLINE = [
    right("local", LOCAL),
    right("local, by the first document's name", env(ENDPOINT="{w.dev.address}")),
    right("local, in a pod", {**LOCAL, **KUBERNETES}),
    right(
        "local, beside tcld's settings",
        {**LOCAL, **env(CLOUD_API_KEY="{w.key}", CLOUD_NAMESPACE="a.b")},
    ),
    right("own server with TLS and own CA", OWN_TLS),
    right(
        "own server, CA in a bundle", env(OWN_TLS, TLS_SERVER_CA_CERT_PATH="{w.bundle}", TLS="True")
    ),
    right(
        "own server, CA as text",
        env(ADDRESS="{w.own_tls}", TLS_CA_DATA="{w.server_ca_pem}", TLS="1"),
    ),
    right("own server that takes no certificate and gets one", {**OWN_TLS, **PAIR}),
    right(
        "own server, its self-signed certificate as CA",
        env(
            ADDRESS="{w.self_signed}",
            TLS_SERVER_NAME="localhost",
            TLS_SERVER_CA_CERT_PATH="{w.self_signed_file}",
        ),
    ),
    right("Cloud, opaque API key", FRONT),
    right(
        "Cloud, key file with a byte-order mark", env(NO_KEY, API_KEY_FILE="{w.marked_key_file}")
    ),
    right("Cloud, CA with a note", env(FRONT, TLS_SERVER_CA_CERT_PATH="{w.noted_ca}")),
    right(
        "Cloud, mTLS, certificate with a note",
        env(MTLS_FRONT, TLS_CLIENT_CERT_PATH="{w.noted_certificate}"),
    ),
    right("a long task queue", env(LOCAL, TASK_QUEUE="orders-" * 60)),
    right("header that is not ASCII", env(LOCAL, GRPC_META_X_TEAM="caf\u00e9")),
    right("port of metrics in use", env(LOCAL, METRICS_ADDRESS="{w.dev.address}")),
    right("Cloud, JWT that is good for long", env(FRONT, API_KEY="{w.good_jwt}")),
    right(
        "Cloud, API key in a file that ends in a new line", env(NO_KEY, API_KEY_FILE="{w.key_file}")
    ),
    right("Cloud, white space around all", {name: f" {value}\n" for name, value in FRONT.items()}),
    right("same namespace as a header", env(FRONT, GRPC_META_TEMPORAL_NAMESPACE="payments.a1b2c")),
    right("Cloud, API key in a header", env(NO_KEY, GRPC_META_AUTHORIZATION="Bearer {w.key}")),
    right(
        "Cloud, regional endpoint by private link",
        env(FRONT, ADDRESS="{w.regional}", TLS_SERVER_NAME="us-east-1.aws.api.temporal.io"),
    ),
    right("Cloud, private link with server name", env(FRONT, ADDRESS="{w.private_link}")),
    right("Cloud, mTLS", MTLS_FRONT),
    right("Cloud, mTLS, one file", env(NO_PAIR, TLS_CLIENT_CERT_PATH="{w.client.combined}")),
    right(
        "Cloud, mTLS, one file by the first document's name",
        env(NO_PAIR, CERT_PATH="{w.client.combined}"),
    ),
    right(
        "Cloud, mTLS, one file by two names",
        env(NO_PAIR, TLS_CERT="{w.client.combined}", TLS_KEY="{w.client.combined}"),
    ),
    right("Cloud, mTLS, as text", {**NO_PAIR, **DATA}),
    right(
        "Cloud, mTLS, RSA",
        env(
            MTLS_FRONT,
            TLS_CLIENT_CERT_PATH="{w.rsa.certificate}",
            TLS_CLIENT_KEY_PATH="{w.rsa.key}",
        ),
    ),
    right(
        "Cloud, mTLS, PKCS8",
        env(
            MTLS_FRONT,
            TLS_CLIENT_CERT_PATH="{w.rsa.certificate}",
            TLS_CLIENT_KEY_PATH="{w.pkcs8_key}",
        ),
    ),
    right("Cloud, mTLS, CR LF", env(MTLS_FRONT, TLS_CLIENT_CERT_PATH="{w.crlf_certificate}")),
    right("Cloud, mTLS, with its CA", env(MTLS_FRONT, TLS_CLIENT_CERT_PATH="{w.chain}")),
    right("Cloud, TOML profile", env(CONFIG_FILE="{w.cloud_toml}")),
    right(
        "Cloud, .env as an editor on Windows saves it",
        {},
        "\ufeff" + "".join(f'{name} = "{value}"  # mine\r\n' for name, value in FRONT.items()),
    ),
    right(
        "Cloud, .env as a shell reads it",
        {},
        "".join(f"export {name}='{value}'\n" for name, value in FRONT.items()),
    ),
    right(
        "Cloud, .env with PEM in quotes",
        {},
        "".join(f'{name}="{value}"\n' for name, value in {**NO_PAIR, **DATA}.items()),
    ),
    right(
        "Cloud, .env with PEM on one line",
        {},
        "".join(
            f'{name}="{value}"\n'
            for name, value in {
                **NO_PAIR,
                **env(
                    TLS_CLIENT_CERT_DATA="{w.one_line_certificate}",
                    TLS_CLIENT_KEY_DATA="{w.one_line_key}",
                ),
            }.items()
        ),
    ),
]
RIGHT_OFFLINE = [
    right("Cloud", CLOUD),
    right("Cloud, mTLS", MTLS),
    right("Cloud, host in capitals", env(CLOUD, ADDRESS=f"{HOST.upper()}:7233")),
    right("Cloud, host with a dot at its end", env(CLOUD, ADDRESS=f"{HOST}.:7233")),
    right(
        "Cloud, shortest name",
        env(CLOUD, ADDRESS="ab.a1b2c.tmprl.cloud:7233", NAMESPACE="ab.a1b2c"),
    ),
    right(
        "Cloud, longest name",
        env(
            CLOUD,
            ADDRESS=f"{'a-' * 19}1.a1b2c3d4.tmprl.cloud:7233",
            NAMESPACE=f"{'a-' * 19}1.a1b2c3d4",
        ),
    ),
    *(
        right(f"Cloud, {region}", env(CLOUD, ADDRESS=f"{region}:7233"))
        for region in (
            "us-east-1.aws.api.temporal.io",
            "europe-west3.gcp.api.temporal.io",
            "aws-ap-southeast-2.region.tmprl.cloud",
            "gcp-us-central1.region.tmprl.cloud",
        )
    ),
    right(
        "Cloud, mTLS, regional",
        env(MTLS, ADDRESS="us-east-1.aws.api.temporal.io:7233", TLS_SERVER_NAME=HOST),
    ),
    right(
        "Cloud, mTLS, replica",
        env(MTLS, ADDRESS="aws-us-east-1.region.tmprl.cloud:7233", TLS_SERVER_NAME=HOST),
    ),
    right(
        "Cloud, mTLS, private link",
        env(MTLS, ADDRESS="vpce-0a1b.us-east-1.vpce.amazonaws.com:7233", TLS_SERVER_NAME=HOST),
    ),
    right(
        "Cloud, private link",
        env(CLOUD, ADDRESS="10.1.2.3:7233", TLS_SERVER_NAME="us-east-1.aws.api.temporal.io"),
    ),
    right("Cloud, all else blank", {**dict.fromkeys(MTLS_FRONT, ""), **CLOUD}),
    right("own server on another port", env(ADDRESS="temporal.company.example:443", TLS="true")),
    right(
        "own server, API key",
        env(ADDRESS="temporal.company.example:7233", API_KEY="s3cr3t!$tuff#1"),
    ),
    right(
        "own server, names of its own kind",
        env(
            ADDRESS="temporal_frontend:7233",
            NAMESPACE="Payments_V2.Test",
            TASK_QUEUE="Payments Worker/Queue 2024",
        ),
    ),
    right(
        "own server, both credentials",
        {**env(ADDRESS="temporal.company.example:7233", API_KEY="{w.key}"), **PAIR},
    ),
    right("IPv6", env(ADDRESS="[::1]:7233")),
    right("queue with a UUID", env(TASK_QUEUE="Prod-9f2c61d0-7be9-4a5e-83aa-9f2c61d07be9")),
    right(
        "long queue in camel case", env(TASK_QUEUE="PaymentsWorkerQueueProduction2024EuropeWest1")
    ),
    right(
        "switches in other words",
        env(
            OWN_TLS,
            ADDRESS="temporal.company.example:7233",
            TLS="TRUE",
            TLS_DISABLE_HOST_VERIFICATION="0",
        ),
    ),
    right(
        "worker's settings",
        env(
            METRICS_ADDRESS="[::]:9464",
            DEPLOYMENT_NAME="payments",
            WORKER_BUILD_ID="v1.2.3",
            GRACEFUL_SHUTDOWN_SECONDS="0",
        ),
    ),
]
