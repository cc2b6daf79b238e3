"""Settings from every source, alone and against each other.

`read_settings` depends on its arguments alone, so most tests call it. What only a process of its
own can show, such as where `.env` is looked for, is left to the scripts.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cases import env
from cloud_front import Certificates
from kit import SOURCE, Kit, RunningScript

import temporal_settings
from temporal_client import find_problems, load_settings
from temporal_findings import SettingsError
from temporal_settings import DEFAULTS, HEADER, OFFICIAL, SETTINGS, Settings, read_settings

CHECK = "scripts/check_temporal_config.py"
ALIASES = [(alias, official) for official, aliases in SETTINGS.items() for alias in aliases]
SECRET = "shall-never-be-shown"
LOCAL = {"target_host": "localhost:7233", "namespace": "default", "tls": False}


def connection(settings: Settings) -> dict[str, Any]:
    """What the SDK is given, with the fields of TLS beside the others; empty ones left out."""
    options = settings.profile.to_client_connect_config()
    tls = options.pop("tls", False)
    fields = {**options, **(vars(tls) if tls not in (True, False) else {})}
    return {**{name: one for name, one in fields.items() if one}, "tls": bool(tls)}


def lines(values: Mapping[str, object], form: str = "{}='{}'\n") -> str:
    """Settings as `.env` has them."""
    return "".join(form.format(name, value) for name, value in values.items())


class Reader:
    """Reads settings with files of one test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings = list(find_problems(read_settings({}, None)))

    def file(self, name: str | Path, content: str | bytes) -> Path:
        """Write a file that its owner alone may read."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        return path

    def __call__(
        self,
        environ: Mapping[str, str | Path] | None = None,
        env: str | bytes | None = None,
        toml: str | None = None,
    ) -> Settings:
        """Read from an environment, the text of a `.env` and of a TOML file."""
        values = {name: str(value) for name, value in (environ or {}).items()}
        if env is not None:
            self.file(".env", env)
        if toml is not None:
            values["TEMPORAL_CONFIG_FILE"] = str(self.file("temporal.toml", toml))
        settings = read_settings(values, self.folder / ".env")
        self.findings = list(find_problems(settings))
        return settings

    @property
    def problems(self) -> str:
        """What was found wrong, a line each."""
        return "\n".join(finding.text for finding in self.findings)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.fixture
def pem(certificates: Certificates, read: Reader) -> dict[str, Any]:
    """Files that settings may name, and the texts in some of them."""
    pair = certificates.client("settings")
    cert, key = pair.certificate.read_text(), pair.key.read_text()
    return {
        "cert": read.file("c.pem", cert),
        "key": read.file("c.key", key),
        "both": read.file("both.pem", cert + key),
        "reversed": read.file("reversed.pem", key + cert),
        "cert_text": cert.strip(),
        "key_text": key.strip(),
        "api_key": read.file("api-key", f" {SECRET}\n\n"),
        "empty": read.file("empty", " \n"),
        "missing": read.folder / "missing",
        "folder": read.folder,
    }


# --- What is read, and what comes of it -----------------------------------------------------------

CLOUD = env(ADDRESS="payments.a1b2c.tmprl.cloud:7233", NAMESPACE="payments.a1b2c")
REGION = env(CLOUD, ADDRESS="eu-west-1.aws.api.temporal.io:7233")
REPLICA = env(CLOUD, ADDRESS="aws-eu-west-1.region.tmprl.cloud:7233")
OWN = env(ADDRESS="server:7233")
TWO = {"namespace": "orders", "api_key": "q"}
DEFAULT = "[profile.default]\n"
PAIR = env(TLS_CLIENT_CERT_PATH="{cert}", TLS_CLIENT_KEY_PATH="{key}")
AS_TEXT = env(TLS_CERT_DATA="{cert_text}", TLS_CLIENT_KEY_DATA="{key_text}")
SAME, NO_ADDRESS = "set the same thing", "^TEMPORAL_ADDRESS is not set"
BAD_LINE = "^the line of TEMPORAL_API_KEY in .env is not NAME=value$"
# What the environment, `.env` and the TOML file have, and the connection or the problem.
Row = tuple[Mapping[str, str], str | None, str | None, dict[str, Any] | str]
# fmt: off
ROWS: dict[str, Row] = {
    "nothing": ({}, None, None, LOCAL),
    "an empty .env": ({}, "\n \n", None, LOCAL),
    "an address": (OWN, None, None, {"target_host": "server:7233", "tls": False}),
    "another name against .env": (env(ENDPOINT="first:1"), "TEMPORAL_ADDRESS=second:2\n", None,
        {"target_host": "first:1"}),
    "two names": (env(OWN, ENDPOINT="two:2"), None, None, SAME),
    "two names in .env": ({}, "TEMPORAL_ADDRESS=one:1\nTEMPORAL_ENDPOINT=two:2\n", None,
        r"TEMPORAL_ADDRESS=one:1 \(.env\) and TEMPORAL_ENDPOINT=two:2 \(.env\) set the same"),
    "white space": (env(ADDRESS="\tserver:7233 ", NAMESPACE=" orders\r\n", API_KEY=" q\n"), None,
        None, {"target_host": "server:7233", **TWO, "tls": True}),
    "a header": (env(OWN, GRPC_META_X_TEAM="größer"), None, None,
        {"rpc_metadata": {"x-team": "größer"}}),
    "headers from everywhere": (env(GRPC_META_X="1", GRPC_META_Y=""),
        f"{HEADER}X=2\n{HEADER}Z=2\n", f"{DEFAULT}grpc_meta = {{z='3', q='3'}}\n",
        {"rpc_metadata": {"x": "1", "z": "2", "q": "3"}}),
    # Ways to write .env
    "plain": (OWN, "TEMPORAL_NAMESPACE=orders\nTEMPORAL_API_KEY=q\n", None, TWO),
    "byte-order mark": (OWN, "\ufeffTEMPORAL_NAMESPACE=orders\nTEMPORAL_API_KEY=q\n", None, TWO),
    "Windows": (OWN, "\ufeffTEMPORAL_NAMESPACE=orders\r\nTEMPORAL_API_KEY=q\r\n", None, TWO),
    "export": (OWN, "export TEMPORAL_NAMESPACE=orders\nexport  TEMPORAL_API_KEY=q", None, TWO),
    "quotes": (OWN, "TEMPORAL_NAMESPACE=\"orders\"\nTEMPORAL_API_KEY='q'\n", None, TWO),
    "spaces": (OWN, "  TEMPORAL_NAMESPACE = orders\n\n\tTEMPORAL_API_KEY= q  \n", None, TWO),
    "comments": (OWN, "# TEMPORAL_NAMESPACE a comment\nTEMPORAL_NAMESPACE=orders # mine\n"
        "#TEMPORAL_API_KEY=x\nTEMPORAL_API_KEY='q' # 'y'\n", None, TWO),
    "other programs' lines": (OWN, "DEBUG\nFOO bar baz\nTEMPORAL_NAMESPACE=orders\n"
        "TEMPORAL_API_KEY=q\n\u00e9t\u00e9=1\n", None, TWO),
    "no end of quotes": (OWN, f'TEMPORAL_API_KEY="{SECRET}\nX=1\n', None, BAD_LINE),
    "no end of single quotes": (OWN, f"TEMPORAL_API_KEY='{SECRET}\nX=1\n", None, BAD_LINE),
    "no =": (OWN, f"X=1\nTEMPORAL_API_KEY {SECRET}\nX=1\n", None, BAD_LINE),
    "colon": (OWN, f"TEMPORAL_API_KEY: {SECRET}", None, BAD_LINE),
    "export without =": (OWN, f"export TEMPORAL_API_KEY {SECRET}", None, BAD_LINE),
    # TOML
    "default profile": ({}, None, f"{DEFAULT}address = ' a:1 '\nnamespace = \"orders\\n\"\n"
        "api_key = 'q'\ntls.server_name = ' n '\ngrpc_meta.x-team = 'a'\n",
        {"target_host": "a:1", **TWO, "domain": "n", "rpc_metadata": {"x-team": "a"}}),
    "named profile": (env(PROFILE="prod"), None, f"{DEFAULT}address='b:1'\n[profile.prod]\n"
        "address = 'a:1'\n", {"target_host": "a:1"}),
    "paths": ({}, None, f"{DEFAULT}address = 'a:1'\n[profile.default.tls]\nclient_cert_path ="
        "'{cert}'\nclient_key_path = '{key}'\nserver_ca_cert_path = '{cert}'\n",
        {"client_cert": "cert", "client_private_key": "key", "server_root_ca_cert": "cert"}),
    "texts": ({}, None, f"{DEFAULT}address = 'a:1'\n[profile.default.tls]\nclient_cert_data ="
        "'''{cert_text}'''\nclient_key_data = '''{key_text}'''\n",
        {"client_cert": "cert", "client_private_key": "key"}),
    "blank fields": ({}, None, f"{DEFAULT}address = ' '\nnamespace = ''\napi_key = ' '\n"
        "tls.server_name = ' '\ntls.client_cert_path = ''\ntls.server_ca_cert_data = ' '\n", LOCAL),
    "TLS off": ({}, None, f"{DEFAULT}address = 'a:1'\ntls.disabled = true\n", {"tls": False}),
    "TLS on again": (env(TLS="true"), None, f"{DEFAULT}address = 'a:1'\ntls.disabled = true\n",
        {"tls": True}),
    "no end": ({}, None, f'{DEFAULT}api_key = "{SECRET}\n', r"temporal\.toml: .*line \d"),
    "no quotes": ({}, None, f"{DEFAULT}api_key = {SECRET}\n", r"temporal\.toml: .*line \d"),
    "no = in TOML": ({}, None, f"{DEFAULT}api_key {SECRET}\n", r"temporal\.toml: .*line \d"),
    "a list": ({}, None, f'{DEFAULT}api_key = ["{SECRET}"]\n', r"temporal\.toml: .*line \d"),
    "two values": ({}, None, f"{DEFAULT}api_key = '{SECRET}' 'x'\n", r"temporal\.toml: .*line \d"),
    "twice": ({}, None, f"{DEFAULT}api_key = '{SECRET}'\napi_key = 'x'\n", r"\.toml: .*line \d"),
    "bare": ({}, None, f"{DEFAULT}{SECRET}\n", r"temporal\.toml: .*line \d"),
    "text for a table": ({}, None, f"{DEFAULT}tls = '{SECRET}'\n", r"temporal\.toml: .*line \d"),
    "unknown profile": (env(PROFILE="prod"), None, DEFAULT, "has no profile 'prod'"),
    "profile without file": (env(PROFILE="prod"), None, None, "has no profile 'prod'"),
    "no TOML file": (env(CONFIG_FILE="{missing}"), None, None, "missing: No such file"),
    "folder for TOML": (env(CONFIG_FILE="{folder}"), None, None, "{folder}: .*"),
    # Half a configuration never falls back to localhost
    "API key alone": (env(API_KEY=SECRET), None, None, NO_ADDRESS),
    "API key file alone": (env(API_KEY_FILE="{api_key}"), None, None, NO_ADDRESS),
    "certificate alone": (env(CERT_PATH="{both}"), None, None, NO_ADDRESS),
    "pair alone": (env(TLS_CERT="{cert}", TLS_KEY="{key}"), None, None, NO_ADDRESS),
    "text alone": (env(TLS_CLIENT_CERT_DATA="-----BEGIN X-----"), None, None, NO_ADDRESS),
    "namespace alone": (env(NAMESPACE="payments.a1b2c"), None, None, NO_ADDRESS),
    "namespace in capitals": (env(NAMESPACE="Payments.A1B2C"), None, None, NO_ADDRESS),
    "server name": (env(TLS_SERVER_NAME="a.a1b2c.tmprl.cloud"), None, None, NO_ADDRESS),
    "no address": (env(NAMESPACE="payments.a1b2c", API_KEY=SECRET), None, None, NO_ADDRESS),
    "profile's key": ({}, None, f"{DEFAULT}api_key = '{SECRET}'\n", NO_ADDRESS),
    "profile's namespace": ({}, None, f"{DEFAULT}namespace = 'payments.a1b2c'\n", NO_ADDRESS),
    "profile's path": ({}, None, f"{DEFAULT}tls.client_cert_path = '{{cert}}'\n", NO_ADDRESS),
    # What Temporal Cloud needs
    "key on Cloud": (env(CLOUD, API_KEY="q"), None, None, {"api_key": "q", "tls": True}),
    "key in a region": (env(REGION, API_KEY="q"), None, None, {"api_key": "q", "tls": True}),
    "key on a replica": (env(REPLICA, API_KEY="q"), None, None, {"api_key": "q", "tls": True}),
    "no credential": (REGION, None, None, "^no credential is set"),
    "no namespace": (env(REPLICA, API_KEY="q", NAMESPACE=None), None, None,
        "^TEMPORAL_NAMESPACE is not set$"),
    "no TLS": (env(CLOUD, API_KEY="q", TLS="false"), None, None, "TLS is switched off"),
    # Ways to authenticate, and TLS for your own server
    "key on an own server": (env(OWN, API_KEY="q"), None, None, {"api_key": "q", "tls": True}),
    "key in a file": (env(CLOUD, API_KEY_FILE="{api_key}"), None, None, {"api_key": SECRET}),
    "no key file": (env(CLOUD, API_KEY_FILE="{missing}"), None, None, "missing.*: No such file"),
    "empty key file": (env(CLOUD, API_KEY_FILE="{empty}"), None, None, "empty.*: the file"),
    "key and file": (env(CLOUD, API_KEY=SECRET, API_KEY_FILE="{cert}"), None, None, SAME),
    "two files": ({**CLOUD, **PAIR}, None, None, {"client_cert": "cert", "tls": True}),
    "one file": (env(CLOUD, CERT_PATH="{both}"), None, None, {"client_private_key": "key"}),
    "key first": (env(CLOUD, CERT_PATH="{reversed}"), None, None, {"client_cert": "cert"}),
    "one file twice": (env(CLOUD, TLS_CERT="{both}", TLS_KEY="{both}"), None, None,
        {"client_cert": "cert", "client_private_key": "key"}),
    "text": ({**CLOUD, **AS_TEXT}, None, None, {"client_cert": "cert", "tls": True}),
    "one text": (env(CLOUD, TLS_CERT_DATA="{cert_text}\n{key_text}"), None, None,
        {"client_cert": "cert", "client_private_key": "key"}),
    "file and text": (env(CLOUD, TLS_CERT="{cert}", TLS_KEY_DATA="{key_text}"), None, None,
        {"client_cert": "cert", "client_private_key": "key"}),
    "certificate twice": ({**CLOUD, **PAIR, **env(TLS_CERT_DATA="{cert_text}")}, None, None, SAME),
    "private key twice": ({**CLOUD, **PAIR, **env(TLS_KEY_DATA="{key_text}")}, None, None, SAME),
    "CA twice": (env(OWN, TLS_CA="{cert}", TLS_CA_DATA="{cert_text}"), None, None, SAME),
    "no private key": (env(CLOUD, TLS_CERT="{cert}"), None, None,
        "^TEMPORAL_TLS_CERT is set without TEMPORAL_TLS_CLIENT_KEY_PATH$"),
    "no certificate": (env(CLOUD, TLS_KEY="{key}"), None, None,
        "^TEMPORAL_TLS_KEY is set without TEMPORAL_TLS_CLIENT_CERT_PATH$"),
    "TLS": (env(OWN, TLS="true"), None, None, {"tls": True}),
    "without TLS": (env(OWN, TLS="false"), None, None, {"tls": False}),
    "inner name": (env(OWN, TLS_SERVER_NAME="inner"), None, None, {"tls": True, "domain": "inner"}),
    "own CA": (env(OWN, TLS_CA="{cert}"), None, None, {"tls": True, "server_root_ca_cert": "cert"}),
    # Names
    "one slip": (env(OWN, TASK_QUEU="q"), None, None,
        r"^TEMPORAL_TASK_QUEU is not a setting: did you mean TEMPORAL_TASK_QUEUE\?$"),
    "small letters": ({"temporal_namespace": "q"}, None, None, "did you mean TEMPORAL_NAMESPACE"),
    "a slip beside the setting": (env(OWN, NAMESPCE="q", NAMESPACE="orders"), None, None,
        {"namespace": "orders"}),
    "half a version": (env(OWN, DEPLOYMENT_NAME="x"), None, None, "WORKER_BUILD_ID"),
}
# fmt: on


@pytest.mark.parametrize("source", ["environment", ".env"])
@pytest.mark.parametrize("row", ROWS)
def test_what_comes_of_settings(read: Reader, pem: dict[str, Any], row: str, source: str) -> None:
    given, dotenv, toml, expected = ROWS[row]

    def filled(text: str) -> str:
        return re.sub(r"{(\w+)}", lambda name: str(pem[name[1]]), text)

    values = {name: filled(value) for name, value in given.items()}
    if source == ".env" and dotenv is None:  # the same, written there
        settings = read(None, lines(values), toml and filled(toml))
    else:
        settings = read(values, dotenv, toml and filled(toml))
    if isinstance(expected, str):
        assert re.search(filled(expected), read.problems, re.M), read.problems
        for finding in read.findings:
            assert any(re.search(r"TEMPORAL_\w+|chmod", line) for line in finding.fixes), finding
    else:
        assert read.problems == ""
        connected = connection(settings)
        assert connected == LOCAL or expected != LOCAL
        for name, value in expected.items():
            if value in ("cert", "key"):
                assert pem[f"{value}_text"].encode() in connected[name]
            else:
                assert connected.get(name) == value
    failure = SettingsError(*read.findings)
    shown = [repr(one) + str(one) for one in (settings, failure, *settings.values, *read.findings)]
    shown += traceback.format_exception(failure)
    for line in [SECRET, *pem["key_text"].splitlines()[1:-1]]:
        assert line not in "".join(shown)


# --- Sources and their order, and names -----------------------------------------------------------

IN_TOML = {
    "TEMPORAL_ADDRESS": "address",
    "TEMPORAL_NAMESPACE": "namespace",
    "TEMPORAL_API_KEY": "api_key",
    "TEMPORAL_TLS_SERVER_NAME": "tls.server_name",
    f"{HEADER}X_TEAM": 'grpc_meta."x-team"',
    "TEMPORAL_TASK_QUEUE": "",
    "TEMPORAL_DEPLOYMENT_NAME": "",
}


@pytest.mark.parametrize("name", IN_TOML)
def test_the_environment_wins_over_env_file_over_profile_over_default(
    read: Reader, name: str
) -> None:
    assert read()[name] == DEFAULTS.get(name, "")
    toml = f'{DEFAULT}{IN_TOML[name]} = "toml:1"\n' if IN_TOML[name] else None
    if toml:
        assert str(read(toml=toml).value(name)).endswith(" (profile default)")
        assert read(toml=toml)[name] == "toml:1"
    assert read(env=f"{name}=file:1\n", toml=toml)[name] == "file:1"
    settings = read({name: "environment:1"}, f"{name}=file:1\n", toml)
    assert settings[name] == "environment:1"
    sources = ["environment", ".env", *["profile default"] * bool(toml)]
    assert [one.source for one in settings.values if one.setting == name] == sources
    assert "file:1" not in str(connection(settings))


def test_each_value_comes_from_the_highest_source_that_has_it(read: Reader) -> None:
    settings = read(
        env(TASK_QUEUE="from-environment"),
        "TEMPORAL_TASK_QUEUE=from-file\nTEMPORAL_NAMESPACE=from-file\n",
        f'{DEFAULT}namespace = "from-toml"\naddress = "from-toml:7233"\n',
    )
    names = ("TASK_QUEUE", "NAMESPACE", "ADDRESS", "API_KEY")
    assert [str(settings.value(f"TEMPORAL_{name}")) for name in names] == [
        "TEMPORAL_TASK_QUEUE=from-environment (environment)",
        "TEMPORAL_NAMESPACE=from-file (.env)",
        "TEMPORAL_ADDRESS=from-toml:7233 (profile default)",
        "TEMPORAL_API_KEY= (default)",
    ]


@pytest.mark.parametrize("blank", ["", " ", "\t", "\n", " \r\n "])
def test_a_blank_value_counts_as_not_set(read: Reader, blank: str) -> None:
    everything = dict.fromkeys(OFFICIAL, blank)
    assert connection(read(everything)) == LOCAL
    assert (read.problems, read(everything).values) == ("", ())
    assert read(everything, "TEMPORAL_NAMESPACE=file\n")["TEMPORAL_NAMESPACE"] == "file"
    read(env=lines(everything) + "TEMPORAL_NAMESPACE\n")
    assert read.problems == ""


@pytest.mark.parametrize("source", ["environment", ".env"])
@pytest.mark.parametrize(("alias", "official"), ALIASES)
def test_another_name_is_the_official_setting(
    read: Reader, alias: str, official: str, source: str
) -> None:
    is_path = official.endswith("_PATH")
    good = str(read.file("file", "the content")) if is_path else "a-value:7233"

    def by(**values: str) -> Settings:
        return read(env=lines(values)) if source == ".env" else read(values)

    settings = by(**{alias: good})
    assert settings.profile == by(**{official: good}).profile != by().profile
    found = len(read.findings)
    assert (settings.value(official).name, settings.value(official).source) == (alias, source)
    assert {one.setting for one in settings.values} == {official}
    assert by(**{alias: f" {good}", official: good}).profile == settings.profile
    assert not [one for one in read.findings[found:] if SAME in one.text]
    by(**{alias: "one-value", official: "other-value"})
    [conflict] = [str(one) for one in read.findings if SAME in one.text]
    assert re.search(rf"\b{alias}=.* and {official}=|\b{official}=.* and {alias}=", conflict)
    shown = not official.endswith("_DATA")
    assert ("one-value" in conflict, "other-value" in conflict) == (shown, shown)
    assert re.search(rf"→ keep one of the two: unset {alias}\b|, or {alias}$", conflict, re.M)


def test_env_example_and_the_code_know_the_same_names(read: Reader) -> None:
    text = (SOURCE / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"\bTEMPORAL_\w+", text))
    assert {name for name in named if not name.startswith(HEADER)} == set(OFFICIAL)
    assert any(name.startswith(HEADER) for name in named)
    # Every official name has a line to uncomment, under a comment that explains it.
    example = text.splitlines()
    for official in SETTINGS:
        [number] = [n for n, line in enumerate(example) if line.startswith(f"#{official}=")]
        assert example[number - 1].startswith(("# ", "#TEMPORAL_")), official
    for official, default in DEFAULTS.items():
        before = text.partition(f"\n#{official}=")[0]
        assert re.findall(r"Default: (\S+)", before)[-1] == default, official
    assert connection(read(env=text)) == LOCAL  # as it is it sets nothing
    assert read.problems == ""


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_env_file_in_another_encoding_is_an_error(read: Reader, encoding: str) -> None:
    for namespace in ("orders", "ördérs"):
        settings = read(env=f"TEMPORAL_NAMESPACE={namespace}\n".encode(encoding))
        if encoding != "latin-1" or namespace == "ördérs":
            assert read.problems.startswith(".env cannot be read: ")
            assert not settings.whole


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_an_env_file_that_cannot_be_read_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        read = Reader(Path(folder))
        read.file(".env", "TEMPORAL_NAMESPACE=orders\n").chmod(0)
        user = os.geteuid()
        if user == 0:  # nothing is forbidden to root, who can ask as somebody else
            os.seteuid(65534)
        try:
            read()
        finally:
            os.seteuid(user)
        assert read.problems == ".env cannot be read: Permission denied"
        Path(folder, ".env").unlink()
        Path(folder, ".env").mkdir()
        read()
        assert read.problems.startswith(".env cannot be read: ")
        assert f"{folder}/.env" in read.findings[0].fixes[0]


def test_env_file_is_found_from_any_directory_and_beside_the_kit_only(
    kit: Kit, tmp_path: Path
) -> None:
    kit.write_env("TEMPORAL_NAMESPACE=beside-the-kit\nTEMPORAL_API_KEY_FILE=secrets/key\n")
    (tmp_path / ".env").write_text("TEMPORAL_NAMESPACE=elsewhere\n")
    with (
        kit.start(CHECK, "--offline", cwd=tmp_path, TEMPORAL_TLS_CERT="own/cert") as here,
        kit.start(CHECK, "--offline", cwd=Path("/")) as there,
    ):
        for check in (here, there):
            check.wait()
            assert "  TEMPORAL_NAMESPACE = beside-the-kit   (.env)\n" in check.stdout
            # A relative path in `.env` starts from its folder, one of the environment from here.
            assert f"API_KEY_FILE = {kit.root / 'secrets' / 'key'}   (.env)\n" in check.stdout
        assert f"{Path('own', 'cert')}   (environment as TEMPORAL_TLS_CERT)\n" in here.stdout
    assert Path(temporal_settings.__file__).with_name(".env") == temporal_settings.ENV_FILE


def test_env_file_reaches_a_program_of_the_user_and_never_changes_its_environment(
    kit: Kit, tmp_path: Path
) -> None:
    kit.write_env("TEMPORAL_NAMESPACE=from-file\nTEMPORAL_TASK_QUEUE=from-file\n")
    program = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(kit.root)!r})\n"
        "before = dict(os.environ)\n"
        "from temporal_client import load_settings\n"
        "settings = load_settings()\n"
        "print(settings['TEMPORAL_NAMESPACE'], settings['TEMPORAL_TASK_QUEUE'])\n"
        "print(os.environ == before)\n"
    )
    values = kit.env(TEMPORAL_TASK_QUEUE="from-environment")
    with RunningScript([sys.executable, "-c", program], values, tmp_path) as running:
        assert running.wait() == 0, running.stderr
    assert running.stdout == "from-file from-environment\nTrue\n"


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_path_may_begin_with_the_home_directory_or_be_relative_to_env_file(
    read: Reader, as_a_process_begins: Path, source: str
) -> None:
    read.file(as_a_process_begins / "secrets/key", "the key\n")
    toml = read.file(as_a_process_begins / "t.toml", f"{DEFAULT}address = 'a:1'\n")
    values = env(API_KEY_FILE="~/secrets/key", CONFIG_FILE=f"~/{toml.name}")
    settings = read(values) if source == "environment" else read(env=lines(values))
    assert connection(settings) == {
        **LOCAL,
        "target_host": "a:1",
        "api_key": "the key",
        "tls": True,
    }
    assert read.problems == ""
    (as_a_process_begins / "secrets/key").write_text("a new key")
    assert read(values).profile != settings.profile  # what files hold counts: a rotation shows
    read.file("own.toml", "[profile.prod]\nnamespace = 'of-prod'\n")
    settings = read(env="TEMPORAL_CONFIG_FILE=own.toml\nTEMPORAL_PROFILE=prod\n")
    assert settings["TEMPORAL_NAMESPACE"] == "of-prod"


def test_the_default_profile_of_the_users_own_file_is_found(
    read: Reader, as_a_process_begins: Path
) -> None:
    for place in (".", "Library/Application Support"):  # of Linux and Windows, and of macOS
        file = as_a_process_begins / place / "temporalio" / "temporal.toml"
        read.file(file, f"{DEFAULT}namespace = 'of-the-user'\naddress = 'a:1'\n")
    assert read()["TEMPORAL_NAMESPACE"] == "of-the-user"


# --- What scripts make of it ----------------------------------------------------------------------

MANY = {
    **env(ADDRESS="payments.a1b2c.tmprl.cloud", NAMESPAC="payments.a1b2c", TLS="false"),
    **env(TLS_CLIENT_CERT_PATH="/none/client.pem", API_KEY_FILE="/none/key"),
    **env(DEPLOYMENT_NAME="orders", TASK_QUEUE="f\udcfcr"),
}


def test_every_problem_is_named_at_once(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MANY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(read_settings, "__defaults__", (None,))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    for name in ("NAMESPAC", "TLS_CLIENT_CERT_PATH", "API_KEY_FILE", "TASK_QUEUE"):
        assert f"TEMPORAL_{name}" in str(caught.value)
    assert all(finding.level == "error" for finding in caught.value.findings)
    with (
        kit.start("workers/worker.py", **MANY) as worker,
        kit.start("scripts/start_ping.py", **MANY) as ping,
    ):
        for script in (worker, ping):
            assert (script.wait(), script.stdout) == (1, "")
            assert f"ERROR - {caught.value}\n" in script.stderr
            assert "Traceback" not in script.stderr


def test_something_worth_knowing_keeps_nobody_from_loading(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("TEMPORAL_TSK_TIMEOUT_X=1\nTEMPORAL_NAMESPACE=orders\n")
    monkeypatch.setattr(read_settings, "__defaults__", (tmp_path / ".env",))
    assert load_settings()["TEMPORAL_NAMESPACE"] == "orders"
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "of-the-process")
    assert load_settings()["TEMPORAL_NAMESPACE"] == "of-the-process"


def test_the_check_shows_every_setting_its_source_and_no_secret(
    kit: Kit, pem: dict[str, Any]
) -> None:
    kit.write_env("TEMPORAL_ENDPOINT=server:7233\nTEMPORAL_TASK_QUEUE=from-file\n")
    toml = kit.root / "t.toml"
    toml.write_text(f"{DEFAULT}api_key = '{SECRET}'\nnamespace = 'orders'\n")
    given = env(TLS_CERT_DATA=pem["cert_text"], TLS_CLIENT_KEY_DATA=pem["key_text"])
    given |= env(TASK_QUEUE="from-environment", CONFIG_FILE=str(toml))
    done = kit.run(CHECK, "--offline", **given)
    for line in (
        "  TEMPORAL_ADDRESS = server:7233   (.env as TEMPORAL_ENDPOINT)",
        "  TEMPORAL_NAMESPACE = orders   (profile default)",
        "  TEMPORAL_API_KEY = (hidden)   (profile default)",
        "  TEMPORAL_TLS_CLIENT_KEY_DATA = (hidden)   (environment)",
        "  TEMPORAL_TLS_CLIENT_CERT_DATA = (hidden)   (environment as TEMPORAL_TLS_CERT_DATA)",
        "  TEMPORAL_TASK_QUEUE = from-environment   (environment)",
        "  TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS = 30   (default)",
        "  TEMPORAL_TLS_SERVER_NAME = not set",
    ):
        assert line in done.stdout.splitlines()
    assert re.findall(r"^  (TEMPORAL_\w+) = ", done.stdout, re.MULTILINE) == list(SETTINGS)
    for secret in (SECRET, *pem["key_text"].splitlines()[1:-1]):
        assert secret not in done.stdout + done.stderr
