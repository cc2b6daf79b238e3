"""Settings from every source, alone and against each other.

`read_settings` depends on its arguments alone, so most tests call it. What only a process of its
own can show, such as where `.env` is looked for, is left to the scripts.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from temporal_kit import SettingsError, read_settings
from temporal_kit.problems import find_problems
from temporal_kit.reading import collect_settings
from temporal_kit.settings import HEADER, SETTING_OF, SETTINGS, Settings

from .cases import NETWORK, WRONG_SETTINGS, Case, env, fill, filled
from .delivered import delivered
from .inside import run_now
from .kit import CHECK, PING, SOURCE, WORKER, Kit, write
from .marks import linux
from .test_diagnosis import checks, run_alone
from .world import World, leaks

DEFAULTS = delivered("temporal_client").DEFAULTS
ALIASES = [(one, name) for one, name in SETTING_OF.items() if one != name and "PROXY" not in name]
LOCAL = {"target_host": "localhost:7233", "namespace": "default", "tls": False}


def connection(settings: Settings) -> dict[str, Any]:
    """What the SDK is given, with the fields of TLS beside the others; empty ones left out."""
    options = settings.profile.to_client_connect_config()
    tls = options.pop("tls", False)
    fields = {**options, **(vars(tls) if tls not in (True, False) else {})}
    return {**{name: one for name, one in fields.items() if one}, "tls": bool(tls)}


def lines(values: Mapping[str, object]) -> str:
    """Settings as `.env` has them."""
    return "".join(f"{name}='{value}'\n" for name, value in values.items())


class Reader:
    """Reads settings with files of one test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings = list(find_problems(collect_settings({}, None, DEFAULTS)))

    def __call__(
        self,
        environ: Mapping[str, str | Path] | None = None,
        env: str | bytes | None = None,
        toml: str | None = None,
    ) -> Settings:
        """Read from an environment, the text of a `.env` and of a TOML file."""
        values = {name: str(value) for name, value in (environ or {}).items()}
        if env is not None:
            write(self.folder / ".env", env)
        if toml is not None:
            values["TEMPORAL_CONFIG_FILE"] = str(write(self.folder / "temporal.toml", toml))
        settings = collect_settings(values, self.folder / ".env", DEFAULTS)
        self.findings = list(find_problems(settings))
        return settings

    @property
    def problems(self) -> str:
        """What was found wrong, a line each."""
        return "\n".join(finding.text for finding in self.findings)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


CLOUD = env(ADDRESS="payments.a1b2c.tmprl.cloud:7233", NAMESPACE="payments.a1b2c")
OWN = env(ADDRESS="server:7233")
TWO = {"namespace": "orders", "api_key": "q"}
PEMS = {"client_cert": "{certificate_pem}", "client_private_key": "{private_pem}"}
DEFAULT = "[profile.default]\n"
SAME, NO_ADDRESS = "set the same thing", "^TEMPORAL_ADDRESS is not set"
# What the environment, `.env` and the TOML file have, and the connection or the problem.
Row = tuple[Mapping[str, str], str | None, str | None, dict[str, Any] | str]
# fmt: off
ROWS: dict[str, Row] = {
    "another name against .env": (env(ENDPOINT="first:1"), "TEMPORAL_ADDRESS=second:2\n", None,
        {"target_host": "first:1"}),
    "a header": (env(OWN, GRPC_META_X_TEAM="größer"), None, None,
        {"target_host": "server:7233", "tls": False, "rpc_metadata": {"x-team": "größer"}}),
    "headers from everywhere": (env(GRPC_META_X="1", GRPC_META_Y=" ", GRPC_META_X_R=""),
        f"{HEADER}X=2\n{HEADER}Z=2\n", f"{DEFAULT}grpc_meta = {{z='3', q='3', x-r='3', y='3'}}\n",
        {"rpc_metadata": {"x": "1", "z": "2", "q": "3"}}),
    # Ways to write .env
    "Windows": (OWN, "\ufeffTEMPORAL_NAMESPACE=orders\r\nTEMPORAL_API_KEY=q\r\n", None, TWO),
    "export": (OWN, "export TEMPORAL_NAMESPACE=orders\nexport  TEMPORAL_API_KEY=q", None, TWO),
    "quotes": (OWN, "TEMPORAL_NAMESPACE=\"orders\"\nTEMPORAL_API_KEY='q'\n", None, TWO),
    "spaces": (OWN, "  TEMPORAL_NAMESPACE = orders\n\n\tTEMPORAL_API_KEY= q  \n", None, TWO),
    "comments": (OWN, "# TEMPORAL_NAMESPACE a comment\nTEMPORAL_NAMESPACE=orders # mine\n"
        "#TEMPORAL_API_KEY=x\nTEMPORAL_API_KEY='q' # 'y'\n", None, TWO),
    "other programs' lines": (OWN, "DEBUG\nFOO bar baz\nTEMPORAL_NAMESPACE=orders\n"
        "TEMPORAL_API_KEY=q\n\u00e9t\u00e9=1\n", None, TWO),
    # TOML
    "default profile": ({}, None, f"{DEFAULT}address = ' a:1 '\nnamespace = \"orders\\n\"\n"
        "api_key = 'q'\ntls.server_name = ' n '\ngrpc_meta.x-team = 'a'\n",
        {"target_host": "a:1", **TWO, "domain": "n", "rpc_metadata": {"x-team": "a"}}),
    "blank fields": ({}, None, f"{DEFAULT}address = ' '\nnamespace = ''\napi_key = ' '\n"
        "tls.server_name = ' '\ntls.client_cert_path = ''\ntls.server_ca_cert_data = ' '\n", LOCAL),
    "TLS on again": (env(TLS="true"), None, f"{DEFAULT}address = 'a:1'\ntls.disabled = true\n",
        {"tls": True}),
    # Half a configuration never falls back to localhost
    "profile's key": ({}, None, f"{DEFAULT}api_key = '{{key}}'\n", NO_ADDRESS),
    "profile's namespace": ({}, None, f"{DEFAULT}namespace = 'payments.a1b2c'\n", NO_ADDRESS),
    # Ways to authenticate, and TLS for your own server
    "key in a file": (env(CLOUD, API_KEY_FILE="{key_file}"), None, None,
        {"api_key": "{key}", "tls": True}),
    "key first": (env(CLOUD, CERT_PATH="{reversed_pair}"), None, None, {**PEMS, "tls": True}),
    "one text": (env(CLOUD, TLS_CERT_DATA="{certificate_pem}\n{private_pem}"), None, None, PEMS),
    "file and text": (env(CLOUD, TLS_CERT="{client.certificate}", TLS_KEY_DATA="{private_pem}"),
        None, None, PEMS),
    "in two sources": (env(TLS_CERT_DATA="{certificate_pem}"), None, f"{DEFAULT}address = 'a:1'\n"
        "tls.client_cert_path = '{missing}'\ntls.client_key_path = '{client.key}'\n", PEMS),
    "blank header": (env(CLOUD, GRPC_META_AUTHORIZATION=""), None, None, "^no credential is set"),
    "inner name": (env(OWN, TLS_SERVER_NAME="inner"), None, None, {"tls": True, "domain": "inner"}),
    # Names
    "a slip beside the setting": (env(OWN, NAMESPCE="q", NAMESPACE="orders"), None, None,
        {"namespace": "orders"}),
}
# fmt: on


@pytest.mark.parametrize("source", ["environment", ".env"])
@pytest.mark.parametrize("row", ROWS)
def test_what_comes_of_settings(read: Reader, world: World, row: str, source: str) -> None:
    given, dotenv, toml, expected = ROWS[row]
    values, toml = filled(given, world), toml and fill(toml, world)
    if source == ".env" and dotenv is None:  # the same, written there
        settings = read(None, lines(values), toml)
    else:
        settings = read(values, dotenv, toml)
    if isinstance(expected, str):
        assert re.search(expected, read.problems, re.M), read.problems
        for finding in read.findings:
            assert any(re.search(r"TEMPORAL_\w+|chmod", line) for line in finding.fixes), finding
    else:
        assert read.problems == ""
        connected = connection(settings)
        assert connected == LOCAL or expected != LOCAL
        for name, value in expected.items():
            if name in PEMS:
                assert fill(value, world).strip().encode() in connected[name]
            else:
                wanted = fill(value, world) if isinstance(value, str) else value
                assert connected.get(name) == wanted
    failure = SettingsError(*read.findings, settings=settings)
    shown = [repr(one) + str(one) for one in (settings, failure, *settings.values, *read.findings)]
    assert leaks(world, *shown, *traceback.format_exception(failure)) == set()


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
    assert read().text(name) == DEFAULTS.get(name, "")
    toml = f'{DEFAULT}{IN_TOML[name]} = "toml:1"\n' if IN_TOML[name] else None
    if toml:
        assert str(read(toml=toml).value(name)).endswith(" (profile default)")
        assert read(toml=toml).text(name) == "toml:1"
    assert read(env=f"{name}=file:1\n", toml=toml).text(name) == "file:1"
    settings = read({name: "environment:1"}, f"{name}=file:1\n", toml)
    assert settings.text(name) == "environment:1"
    sources = ["environment", ".env", *["profile default"] * bool(toml)]
    assert [one.source for one in settings.values if one.setting == name] == sources
    assert "file:1" not in str(connection(settings))


@linux  # with files that have no size
def test_a_file_is_read_within_bounds_whatever_size_it_claims(read: Reader) -> None:
    read({"TEMPORAL_API_KEY_FILE": "/proc/kallsyms", "TEMPORAL_ADDRESS": "localhost:7233"})
    assert "bytes, and 1 MiB are the most" in read.problems


@pytest.mark.parametrize("blank", ["", " ", "\t", "\n", " \r\n "])
def test_a_blank_value_counts_as_not_set(read: Reader, blank: str) -> None:
    everything = dict.fromkeys(SETTING_OF, blank)
    assert connection(read(everything)) == LOCAL
    assert (read.problems, read(everything).values) == ("", ())
    assert read(everything, "TEMPORAL_NAMESPACE=file\n").text("TEMPORAL_NAMESPACE") == "file"
    read(env=lines(everything) + "TEMPORAL_NAMESPACE\n")
    assert read.problems == ""


@pytest.mark.parametrize("source", ["environment", ".env"])
@pytest.mark.parametrize(("alias", "official"), ALIASES)
def test_another_name_is_the_official_setting(
    read: Reader, alias: str, official: str, source: str
) -> None:
    is_path = official.endswith("_PATH")
    good = str(write(read.folder / "file", "the content")) if is_path else "a-value:7233"

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
    assert re.search(rf"→ (or )?(unset {alias}|take {alias} out of \.env)$", conflict, re.M)


def test_env_example_and_the_code_know_the_same_names(read: Reader) -> None:
    text = (SOURCE / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"\bTEMPORAL_\w+|(?i:\bHTTPS_PROXY|\bNO_PROXY)", text))
    assert {name for name in named if not name.startswith(HEADER)} == set(SETTING_OF)
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_env_file_in_another_encoding_is_an_error(read: Reader, encoding: str) -> None:
    for namespace in ("orders", "ördérs"):
        settings = read(env=f"TEMPORAL_NAMESPACE={namespace}\n".encode(encoding))
        if encoding != "latin-1" or namespace == "ördérs":
            assert read.problems.startswith(".env cannot be read: ")
            assert not settings.complete


def test_an_env_file_that_cannot_be_read_is_an_error(read: Reader) -> None:
    (read.folder / ".env").mkdir()
    assert not read().complete
    assert read.problems.startswith(".env cannot be read: ")
    assert f"{read.folder}/.env" in read.findings[0].fixes[0]


def test_env_file_is_found_from_any_directory_and_beside_the_kit_only(
    kit: Kit, tmp_path: Path
) -> None:
    kit.write_env("TEMPORAL_NAMESPACE=beside-the-kit\nTEMPORAL_API_KEY_FILE=secrets/key\n")
    (tmp_path / ".env").write_text("TEMPORAL_NAMESPACE=elsewhere\n")
    check = kit.start(CHECK, "--offline", cwd=tmp_path, TEMPORAL_TLS_CERT="own/cert")
    check.wait()
    assert "  TEMPORAL_NAMESPACE = beside-the-kit   (.env)\n" in check.stdout
    # A relative path in `.env` starts from its folder, one of the environment from here.
    assert f"API_KEY_FILE = {kit.root / 'secrets' / 'key'}   (.env)\n" in check.stdout
    assert f"{Path('own', 'cert')}   (environment as TEMPORAL_TLS_CERT)\n" in check.stdout


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home directory, of which the test may make use."""
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_path_may_begin_with_the_home_directory_or_be_relative_to_env_file(
    read: Reader, home: Path, source: str
) -> None:
    write(home / "secrets/key", "the key\n")
    toml = write(home / "t.toml", f"{DEFAULT}address = 'a:1'\n")
    values = env(API_KEY_FILE="~/secrets/key", CONFIG_FILE=f"~/{toml.name}")
    settings = read(values) if source == "environment" else read(env=lines(values))
    found = {"target_host": "a:1", "api_key": "the key", "tls": True}
    assert connection(settings) == LOCAL | found
    assert read.problems == ""
    (home / "secrets/key").write_text("a new key")
    assert read(values).profile != settings.profile  # what files hold counts: a rotation shows
    write(read.folder / "own.toml", "[profile.prod]\nnamespace = 'of-prod'\n")
    settings = read(env="TEMPORAL_CONFIG_FILE=own.toml\nTEMPORAL_PROFILE=prod\n")
    assert settings.text("TEMPORAL_NAMESPACE") == "of-prod"


def test_the_default_profile_of_the_users_own_file_is_found(read: Reader, home: Path) -> None:
    for place in (".", "Library/Application Support"):  # of Linux and Windows, and of macOS
        file = home / place / "temporalio" / "temporal.toml"
        write(file, f"{DEFAULT}namespace = 'of-the-user'\naddress = 'a:1'\n")
    assert read().text("TEMPORAL_NAMESPACE") == "of-the-user"


FIX = re.compile(r"(?:unset (\w+)|(\w+)=([^\s<,]+))(?:[:,] .*)?")
CLOUD_ADDRESS = re.compile(r"(tmprl\.cloud|api\.temporal\.io):7233$")


def fixes(said: str, each: bool) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Each finding with the changes of a fix that can be followed to the letter.

    Settings can need all lines down to the next `or`, and a connection `each` by itself.
    """
    for block in re.split(r"\n(?! )", said):
        finding, *lines = block.split("\n  → ")
        for either in re.split("\n(?!and )(?:or )?" if each else "\nor ", "\n".join(lines)):
            parts = [FIX.fullmatch(line) for line in either.split("\n")]
            if all(parts) and "(hidden)" not in either:
                yield finding, {one[1] or one[2]: one[3] for one in parts if one}


@pytest.mark.parametrize(
    "case",
    [*WRONG_SETTINGS, *(pytest.param(one, marks=pytest.mark.slow) for one in NETWORK)],
    ids=str,
)
def test_a_fix_that_is_followed_leads_on_and_never_in_a_circle(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = case in NETWORK

    def follow(settings: dict[str, Any], behind: set[str]) -> None:
        said = checks(run_alone(CHECK, replace(case, settings=settings), world).stdout)
        assert said
        assert not behind & {*said}, said
        for finding, changes in fixes("\n".join(said), each=online):
            after = {name: one for name, one in {**settings, **changes}.items() if one}
            if online and CLOUD_ADDRESS.search(after.get("TEMPORAL_ADDRESS", "")):
                after["HTTPS_PROXY"] = f"http://{world.way_to_cloud}"  # and never to Cloud itself
            assert {*changes} <= {*after, *settings}, said  # what stands elsewhere is not unset
            if after not in seen and "NO_PROXY" not in changes:
                seen.append(after)
                if online:  # where this machine trusts the stand-in for Cloud
                    monkeypatch.setenv("SSL_CERT_FILE", str(world.server_ca))
                follow(after, {*behind, finding})

    seen: list[dict[str, Any]] = []
    follow(filled(case.settings, world), set())


MANY = {
    **env(ADDRESS="payments.a1b2c.tmprl.cloud", NAMESPAC="payments.a1b2c", TLS="false"),
    **env(TLS_CLIENT_CERT_PATH="/none/client.pem", API_KEY_FILE="/none/key"),
    **env(DEPLOYMENT_NAME="orders", TASK_QUEUE="f\udcfcr"),
}


def test_every_problem_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in MANY.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        read_settings(os.environ, None, DEFAULTS)
    for name in ("NAMESPAC", "TLS_CLIENT_CERT_PATH", "API_KEY_FILE", "TASK_QUEUE"):
        assert f"TEMPORAL_{name}" in str(caught.value)
    assert all(finding.level == "error" for finding in caught.value.findings)
    for path in (WORKER, PING):
        script = run_now(path, MANY, verbose=False)
        assert (script.code, script.stdout) == (1, "")
        said = script.stderr.splitlines()
        assert {f"✗ {finding.text}" for finding in caught.value.findings} <= {
            line.removeprefix("ERROR - ") for line in said
        }
        assert "  → python scripts/check_temporal_config.py tells more" in said


def test_the_check_shows_every_setting_its_source_and_no_secret(
    tmp_path: Path, world: World
) -> None:
    file = write(tmp_path / ".env", lines(env(ENDPOINT="server:7233", TASK_QUEUE="from-file")))
    toml = write(tmp_path / "t.toml", f"{DEFAULT}api_key = '{world.key}'\nnamespace = 'orders'\n")
    given = env(TLS_CERT_DATA=world.certificate_pem, TLS_CLIENT_KEY_DATA=world.private_pem)
    given |= env(TASK_QUEUE="from-environment", CONFIG_FILE=str(toml))
    done = run_now(CHECK, given, file, offline=True)
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
    assert re.findall(r"^  (\w+) = ", done.stdout, re.MULTILINE) == list(SETTINGS)
    assert leaks(world, done.stdout, done.stderr) == set()
