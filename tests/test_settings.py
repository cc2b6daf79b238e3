"""Settings from every source, alone and against each other.

`read_settings` depends on its arguments alone, so most tests call it. What only a process of its
own can show, such as where `.env` is looked for, is left to the check script run offline.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cloud_front import Certificates
from kit import SOURCE, Kit, RunningScript

import temporal_client
from temporal_checks import Finding
from temporal_client import (
    CONNECTION_SETTINGS,
    DEFAULTS,
    HEADER,
    OFFICIAL_NAME,
    PROCESS_SETTINGS,
    SECRETS,
    Settings,
    SettingsError,
    load_settings,
    read_settings,
)

CHECK = "scripts/check_temporal_config.py"
CLOUD = {
    "TEMPORAL_ADDRESS": "payments.a1b2c.tmprl.cloud:7233",
    "TEMPORAL_NAMESPACE": "payments.a1b2c",
}
ALIASES = [
    (alias, official)
    for official, aliases in {**CONNECTION_SETTINGS, **PROCESS_SETTINGS}.items()
    for alias in aliases
]


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide the developer's own `.env` and TOML file; gives the home directory used instead."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.upper().startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    # `load_settings` has no argument for the file: the default of what it calls is where it is.
    monkeypatch.setattr(read_settings, "__defaults__", (tmp_path / ".env",))
    return home


class Reader:
    """Reads settings with files of one test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[Finding] = []

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file that its owner alone may read."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        return path

    def __call__(
        self,
        environ: Mapping[str, str | Path] | None = None,
        *,
        env: str | bytes | None = None,
        toml: str | None = None,
    ) -> Settings:
        """Read from an environment, the text of a `.env` and of a TOML file."""
        values = {name: str(value) for name, value in (environ or {}).items()}
        if env is not None:
            self.file(".env", env)
        if toml is not None:
            values["TEMPORAL_CONFIG_FILE"] = str(self.file("temporal.toml", toml))
        settings, self.findings = read_settings(values, self.folder / ".env")
        return settings

    @property
    def problems(self) -> list[str]:
        """What was found wrong, a text each."""
        return [finding.text for finding in self.findings if finding.mark == "✗"]

    def the_problem(self) -> str:
        """The one thing that was found wrong."""
        [problem] = self.problems
        return problem


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.fixture
def pair(certificates: Certificates) -> dict[str, str]:
    """The PEM texts of a client certificate and its key."""
    files = certificates.client("settings")
    return {"cert": files.certificate.read_text(), "key": files.key.read_text()}


# --- sources and their order ----------------------------------------------------------------------


def test_nothing_set_is_the_local_server_and_all_is_well(read: Reader) -> None:
    assert read() == Settings(address="localhost:7233")
    assert read.findings == []
    settings = read()
    assert (settings.namespace, settings.task_queue, settings.tls) == (
        "default",
        "ap-default",
        False,
    )


PRIORITY: dict[str, tuple[Callable[[Settings], str | None], str | None, str]] = {
    "TEMPORAL_ADDRESS": (lambda s: s.address, "address", "server-{}:7233"),
    "TEMPORAL_NAMESPACE": (lambda s: s.namespace, "namespace", "namespace-{}"),
    "TEMPORAL_API_KEY": (lambda s: s.api_key, "api_key", "key-{}"),
    "TEMPORAL_TLS_SERVER_NAME": (lambda s: s.server_name, "tls.server_name", "name-{}"),
    "TEMPORAL_GRPC_META_X_TEAM": (
        lambda s: s.headers.get("x-team"),
        'grpc_meta."x-team"',
        "team-{}",
    ),
    "TEMPORAL_TASK_QUEUE": (lambda s: s.task_queue, None, "queue-{}"),
    "TEMPORAL_DEPLOYMENT_NAME": (lambda s: s.deployment_name, None, "deployment-{}"),
}


@pytest.mark.parametrize("name", PRIORITY)
def test_the_environment_wins_over_env_file_over_profile_over_default(
    read: Reader, name: str
) -> None:
    get, in_toml, form = PRIORITY[name]
    default = get(read())
    toml = env = None
    if in_toml:
        toml = f'[profile.default]\n{in_toml} = "{form.format("toml")}"\n'
        assert get(read(toml=toml)) == form.format("toml")
    env = f"{name}={form.format('file')}\n"
    assert get(read(env=env, toml=toml)) == form.format("file")
    in_environment = {name: form.format("environment")}
    assert get(read(in_environment, env=env, toml=toml)) == form.format("environment")
    assert default in (None, DEFAULTS.get(name))


def test_each_value_comes_from_the_highest_source_that_has_it(read: Reader) -> None:
    settings = read(
        {"TEMPORAL_TASK_QUEUE": "from-environment"},
        env="TEMPORAL_TASK_QUEUE=from-file\nTEMPORAL_NAMESPACE=from-file\n",
        toml='[profile.default]\nnamespace = "from-toml"\naddress = "from-toml:7233"\n',
    )
    names = ("TASK_QUEUE", "NAMESPACE", "ADDRESS", "API_KEY")
    assert [str(settings.origin(f"TEMPORAL_{name}")) for name in names] == [
        "TEMPORAL_TASK_QUEUE=from-environment (environment)",
        "TEMPORAL_NAMESPACE=from-file (.env)",
        "TEMPORAL_ADDRESS=from-toml:7233 (profile default)",
        "TEMPORAL_API_KEY= (default)",
    ]
    assert read.problems == []


def test_another_name_in_the_environment_wins_over_env_file_as_well(read: Reader) -> None:
    settings = read({"TEMPORAL_ENDPOINT": "first:1"}, env="TEMPORAL_ADDRESS=second:2\n")
    assert settings.address == "first:1"
    assert read.problems == []


@pytest.mark.parametrize("blank", ["", " ", "\t", "\n", " \r\n "])
def test_a_blank_value_counts_as_not_set(read: Reader, blank: str) -> None:
    everything = dict.fromkeys(OFFICIAL_NAME, blank) | {f"{HEADER}X_TEAM": blank}
    assert read(everything) == Settings(address="localhost:7233")
    assert read.findings == []
    assert read(everything, env="TEMPORAL_NAMESPACE=from-file\n").namespace == "from-file"


def test_blank_lines_of_env_file_count_as_not_set(read: Reader) -> None:
    names = "".join(f'{name}=" "\n' for name in OFFICIAL_NAME)
    assert read(env=names + "TEMPORAL_GRPC_META_X_TEAM=\nTEMPORAL_NAMESPACE\n") == Settings(
        address="localhost:7233"
    )
    assert read.findings == []


def test_white_space_around_a_value_is_dropped(read: Reader) -> None:
    settings = read(
        {
            "TEMPORAL_ADDRESS": "\tserver:7233 ",
            "TEMPORAL_NAMESPACE": " orders\n",
            "TEMPORAL_API_KEY": " a-key\r\n",
            "TEMPORAL_TASK_QUEUE": " queue ",
            "TEMPORAL_TLS": " true ",
            "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": " 5 ",
        },
        env='TEMPORAL_TLS_SERVER_NAME="  name "\n',
    )
    assert settings == Settings(
        address="server:7233",
        namespace="orders",
        api_key="a-key",
        tls=True,
        server_name="name",
        task_queue="queue",
        grace_seconds=5,
    )
    assert read.problems == []


# --- names ----------------------------------------------------------------------------------------


def value_for(official: str, read: Reader) -> str:
    """A value that shows in the settings, for any setting that may get another name."""
    if official.endswith(("_PATH", "_FILE")):
        return str(read.file(f"{official}.txt", official))
    return "a-value:7233"


@pytest.mark.parametrize("layer", ["environment", ".env"])
@pytest.mark.parametrize(("alias", "official"), ALIASES)
def test_another_name_is_the_official_setting(
    read: Reader, alias: str, official: str, layer: str
) -> None:
    def by(name: str) -> Settings:
        value = value_for(official, read)
        return read(env=f"{name}={value}\n") if layer == ".env" else read({name: value})

    unset = read()
    settings = by(alias)
    assert settings == by(official) != unset
    assert settings.origins.keys() == {official}
    assert settings.origin(official).name == alias
    assert settings.origin(official).source == layer


@pytest.mark.parametrize(("alias", "official"), ALIASES)
def test_two_names_with_two_values_are_an_error_that_shows_both(
    read: Reader, alias: str, official: str
) -> None:
    read({alias: "one-value", official: "other-value"})
    [problem] = [text for text in read.problems if "two values" in text]
    assert re.search(rf"\b{alias}\b", problem)
    assert re.search(rf"\b{official}\b", problem)
    if official in SECRETS:
        assert "one-value" not in problem
    else:
        assert "one-value" in problem
        assert "other-value" in problem


@pytest.mark.parametrize(("alias", "official"), ALIASES)
def test_two_names_with_the_same_value_are_no_error(
    read: Reader, alias: str, official: str
) -> None:
    value = value_for(official, read)
    alone = read({official: value})
    found = read.findings
    assert read({alias: f" {value}", official: value}) == alone
    # Apart from which of the two names is shown, nothing more is found.
    said = [str(finding).replace(alias, official) for finding in read.findings]
    assert said == [str(finding) for finding in found]


def test_env_file_may_not_hold_two_values_either(read: Reader) -> None:
    read(env="TEMPORAL_ADDRESS=one:1\nTEMPORAL_ENDPOINT=two:2\n")
    problem = read.the_problem()
    assert "TEMPORAL_ADDRESS=one:1 (.env)" in problem
    assert "TEMPORAL_ENDPOINT=two:2 (.env)" in problem


def test_env_example_and_the_code_know_the_same_names() -> None:
    text = (SOURCE / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"\bTEMPORAL_\w+", text))
    assert {name for name in named if not name.startswith(HEADER)} == set(OFFICIAL_NAME)
    assert any(name.startswith(HEADER) for name in named)
    # Every official name has a line to uncomment, under a comment that explains it.
    lines = text.splitlines()
    for official in dict.fromkeys(OFFICIAL_NAME.values()):
        [number] = [n for n, line in enumerate(lines) if line.startswith(f"#{official}=")]
        assert lines[number - 1].startswith(("# ", "#TEMPORAL_")), official


def test_env_example_states_the_defaults_that_the_code_has() -> None:
    text = (SOURCE / ".env.example").read_text(encoding="utf-8")
    for official, default in DEFAULTS.items():
        before = text.partition(f"\n#{official}=")[0]
        stated = re.findall(r"Default: (\S+)", before)[-1]
        assert stated == default, official


def test_env_example_as_it_is_sets_nothing(read: Reader) -> None:
    assert read(env=(SOURCE / ".env.example").read_bytes()) == Settings(address="localhost:7233")
    assert read.findings == []


# --- .env -----------------------------------------------------------------------------------------

WRITTEN = {
    "plain": b"TEMPORAL_NAMESPACE=orders\nTEMPORAL_TASK_QUEUE=q\n",
    "byte order mark": b"\xef\xbb\xbfTEMPORAL_NAMESPACE=orders\nTEMPORAL_TASK_QUEUE=q\n",
    "Windows line ends": b"TEMPORAL_NAMESPACE=orders\r\nTEMPORAL_TASK_QUEUE=q\r\n",
    "mark and Windows line ends": b"\xef\xbb\xbfTEMPORAL_NAMESPACE=orders\r\n"
    b"TEMPORAL_TASK_QUEUE=q\r\n",
    "export": b"export TEMPORAL_NAMESPACE=orders\nexport  TEMPORAL_TASK_QUEUE=q",
    "quotes": b"TEMPORAL_NAMESPACE=\"orders\"\nTEMPORAL_TASK_QUEUE='q'\n",
    "spaces": b"  TEMPORAL_NAMESPACE = orders\n\n\tTEMPORAL_TASK_QUEUE= q  \n",
    "comments": b"# TEMPORAL_NAMESPACE a comment\nTEMPORAL_NAMESPACE=orders # mine\n"
    b"#TEMPORAL_TASK_QUEUE=x\nTEMPORAL_TASK_QUEUE='q' # 'y'\n",
    "lines of other programs": b"DEBUG\nFOO bar baz\nTEMPORAL_NAMESPACE=orders\n"
    b"TEMPORAL_TASK_QUEUE=q\n\xc3\xa9t\xc3\xa9=1\n",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_env_file_may_be_written_in_all_usual_ways(read: Reader, written: str) -> None:
    settings = read(env=WRITTEN[written])
    assert (settings.namespace, settings.task_queue) == ("orders", "q")
    assert read.findings == []


@pytest.mark.parametrize(
    "line",
    [
        'TEMPORAL_API_KEY="secret-without-an-end',
        "TEMPORAL_API_KEY='secret-without-an-end",
        "TEMPORAL_API_KEY secret-without-an-end",
        "TEMPORAL_API_KEY: secret-without-an-end",
        "export TEMPORAL_API_KEY secret-without-an-end",
        'export TEMPORAL_API_KEY="secret-without-an-end',
    ],
)
def test_a_bad_line_in_env_file_is_shown_by_number_and_name_and_without_its_value(
    read: Reader, line: str
) -> None:
    settings = read(env=f"\n# a comment\n{line}\nTEMPORAL_NAMESPACE=orders\n")
    assert read.the_problem() == ".env, line 3, is not NAME=value"
    assert read.findings[0].remedy[0].startswith("TEMPORAL_API_KEY=<value>")
    assert settings.namespace == "orders"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_env_file_in_another_encoding_is_an_error(read: Reader, encoding: str) -> None:
    for namespace in ("orders", "ördérs"):
        read(env=f"TEMPORAL_NAMESPACE={namespace}\n".encode(encoding))
        if encoding != "latin-1" or namespace == "ördérs":
            assert read.the_problem() == ".env is not UTF-8 text"


def test_an_env_file_that_cannot_be_read_is_an_error(read: Reader, tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    read()
    assert read.the_problem().startswith(".env cannot be read: ")
    assert read.findings[0].remedy == (f"make {tmp_path / '.env'} a file",)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_an_env_file_without_permission_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        read = Reader(Path(folder))
        file = read.file(".env", "TEMPORAL_NAMESPACE=orders\n")
        file.chmod(0)
        user = os.geteuid()
        if user == 0:  # nothing is forbidden to root, who can ask as somebody else
            os.seteuid(65534)
        try:
            read()
        finally:
            os.seteuid(user)
    assert read.the_problem() == ".env cannot be read: Permission denied"
    assert read.findings[0].remedy == (f"chmod 600 {file}",)


def test_env_file_is_found_from_any_directory_and_beside_the_kit_only(
    kit: Kit, tmp_path: Path
) -> None:
    kit.write_env("TEMPORAL_NAMESPACE=beside-the-kit\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".env").write_text("TEMPORAL_NAMESPACE=elsewhere\n")
    (tmp_path / ".env").write_text("TEMPORAL_NAMESPACE=above\n")
    for cwd in (kit.root, elsewhere, kit.root / "scripts", Path("/")):
        done = kit.run(CHECK, "--offline", cwd=cwd)
        assert done.returncode == 0, done
        assert "  TEMPORAL_NAMESPACE = beside-the-kit   (.env)\n" in done.stdout


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
        "print(settings.namespace, settings.task_queue, os.environ == before)\n"
    )
    env = kit.env(TEMPORAL_TASK_QUEUE="from-environment")
    with RunningScript([sys.executable, "-c", program], env, tmp_path) as running:
        assert running.wait() == 0, running.stderr
    assert running.stdout == "from-file from-environment True\n"


def test_a_relative_path_is_relative_to_env_file_or_else_to_the_current_directory(
    kit: Kit, tmp_path: Path
) -> None:
    def key_path(**settings: Any) -> str:
        done = kit.run(CHECK, "--offline", cwd=tmp_path, **settings)
        [path] = re.findall(r"TEMPORAL_API_KEY_FILE = (.*?)   ", done.stdout)
        return str(path)

    kit.write_env("TEMPORAL_API_KEY_FILE=secrets/key\n")
    assert key_path() == str(kit.root / "secrets" / "key")
    assert key_path(TEMPORAL_API_KEY_FILE="own/key") == str(Path("own", "key"))


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_path_may_begin_with_the_home_directory(
    read: Reader, no_settings_of_the_machine: Path, pair: dict[str, str], source: str
) -> None:
    home = no_settings_of_the_machine
    paths = {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": ("certs/client.pem", pair["cert"]),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": ("certs/client.key", pair["key"]),
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": ("ca.pem", pair["cert"]),
        "TEMPORAL_CONFIG_FILE": ("t.toml", "[profile.default]\naddress = 'a:1'\n"),
    }
    for name, content in paths.values():
        read.file(str(home / name), content)
    values = {setting: f"~/{name}" for setting, (name, _) in paths.items()}
    if source == "environment":
        settings = read(values)
    else:
        settings = read(env="".join(f"{name}={value}\n" for name, value in values.items()))
    assert settings.address == "a:1"
    assert settings.client_cert == settings.server_ca == pair["cert"].strip().encode()
    assert settings.client_key == pair["key"].strip().encode()
    assert not any("cannot be read" in text or "does not exist" in text for text in read.problems)


def test_an_absolute_path_in_env_file_stays_as_it_is(read: Reader) -> None:
    key_file = read.file("elsewhere/key", "the-key\n")
    settings = read(env=f"TEMPORAL_ADDRESS=server:7233\nTEMPORAL_API_KEY_FILE={key_file}\n")
    assert settings.api_key == "the-key"


# --- TOML -----------------------------------------------------------------------------------------

SECRET = "shall-never-be-shown"


def test_every_field_of_a_profile_is_taken_up(read: Reader, pair: dict[str, str]) -> None:
    cert, key = read.file("c.pem", pair["cert"]), read.file("c.key", pair["key"])
    ca = read.file("ca.pem", pair["cert"])
    form = """
        [profile.default]
        address = "unused:1"
        [profile.prod]
        address = "server:7233"
        namespace = "orders"
        [profile.prod.tls]
        server_name = "inner"
        client_cert_path = '{cert}'
        client_key_path = '{key}'
        server_ca_cert_path = '{ca}'
        [profile.prod.grpc_meta]
        x-team = "a"
    """
    settings = read({"TEMPORAL_PROFILE": "prod"}, toml=form.format(cert=cert, key=key, ca=ca))
    expected = Settings(
        address="server:7233",
        namespace="orders",
        tls=True,
        client_cert=pair["cert"].strip().encode(),
        client_key=pair["key"].strip().encode(),
        server_ca=pair["cert"].strip().encode(),
        server_name="inner",
        headers={"x-team": "a"},
    )
    assert settings == expected
    assert {origin.source for origin in settings.origins.values()} == {
        "environment",
        "profile prod",
    }
    assert str(settings.origin("TEMPORAL_TLS_CLIENT_KEY_PATH").shown) == str(key)
    data = f"""
        [profile.prod]
        api_key = "the-key"
        address = "server:7233"
        [profile.prod.tls]
        client_cert_data = '''{pair["cert"]}'''
        client_key_data = '''{pair["key"]}'''
        server_ca_cert_data = '''{pair["cert"]}'''
    """
    settings = read({"TEMPORAL_PROFILE": "prod"}, toml=data)
    assert settings.api_key == "the-key"
    assert (settings.client_cert or b"").strip() == expected.client_cert
    assert (settings.client_key or b"").strip() == expected.client_key
    assert (settings.server_ca or b"").strip() == expected.server_ca
    for kind in ("CERT", "KEY"):
        assert settings.origin(f"TEMPORAL_TLS_CLIENT_{kind}_DATA").shown == "(hidden)"


def test_the_default_profile_of_the_users_own_file_is_found(
    read: Reader, no_settings_of_the_machine: Path
) -> None:
    text = "[profile.default]\nnamespace = 'of-the-user'\n"
    # The places of Linux, macOS and Windows.
    for place in (".", "Library/Application Support"):
        read.file(str(no_settings_of_the_machine / place / "temporalio" / "temporal.toml"), text)
    assert read().namespace == "of-the-user"


def test_profile_and_file_may_be_named_in_env_file(read: Reader) -> None:
    read.file("own.toml", "[profile.prod]\nnamespace = 'of-prod'\n")
    settings = read(env="TEMPORAL_CONFIG_FILE=own.toml\nTEMPORAL_PROFILE=prod\n")
    assert settings.namespace == "of-prod"


def test_blank_fields_of_a_profile_count_as_not_set(read: Reader) -> None:
    settings = read(toml='[profile.default]\naddress = " "\nnamespace = ""\napi_key = " "\n')
    assert settings == Settings(address="localhost:7233")
    assert settings.origins.keys() == {"TEMPORAL_CONFIG_FILE"}
    tls = "server_name = ' '\nclient_cert_path = ''\nclient_key_path = ' '\n"
    tls += "server_ca_cert_data = ' '\n"
    read(toml=f"[profile.default]\naddress = 'server:7233'\n[profile.default.tls]\n{tls}")
    assert read.findings == []


def test_white_space_around_a_field_of_a_profile_is_dropped(read: Reader) -> None:
    settings = read(
        toml='[profile.default]\naddress = " server:7233 "\nnamespace = " orders\\n"\n'
        'api_key = " key\\n"\n[profile.default.tls]\nserver_name = " name "\n'
    )
    assert settings == Settings(
        address="server:7233", namespace="orders", api_key="key", tls=True, server_name="name"
    )
    assert settings.origin("TEMPORAL_NAMESPACE").shown == "orders"
    assert read.findings == []


def test_a_toml_file_that_does_not_exist_is_an_error(read: Reader, tmp_path: Path) -> None:
    read({"TEMPORAL_CONFIG_FILE": tmp_path / "none.toml"})
    assert read.the_problem().endswith("none.toml: it does not exist")


def test_a_directory_as_toml_file_is_an_error(read: Reader, tmp_path: Path) -> None:
    read({"TEMPORAL_CONFIG_FILE": tmp_path})
    assert str(tmp_path) in read.the_problem()


@pytest.mark.parametrize(
    "broken",
    [
        f'api_key = "{SECRET}',
        f"api_key = {SECRET}",
        f"api_key {SECRET}",
        f'api_key = ["{SECRET}"]',
        f'api_key = "{SECRET}" "{SECRET}"',
        f'api_key = "{SECRET}"\napi_key = "{SECRET}"',
        f"{SECRET}",
        f'tls = "{SECRET}"',
    ],
)
def test_a_file_that_is_not_toml_is_an_error_that_does_not_show_its_lines(
    read: Reader, broken: str
) -> None:
    settings = read(toml=f"[profile.default]\n{broken}\n")
    assert re.search(r"temporal\.toml: .*line \d", read.the_problem())
    assert SECRET not in repr((settings, settings.origins, read.findings))


@pytest.mark.parametrize("with_file", [True, False])
def test_an_unknown_profile_is_an_error(read: Reader, with_file: bool) -> None:
    toml = "[profile.default]\nnamespace = 'a'\n" if with_file else None
    read({"TEMPORAL_PROFILE": "prod"}, toml=toml)
    assert "'prod'" in read.the_problem()
    assert "not found" in read.the_problem()


def test_tls_may_be_switched_off_in_a_profile_and_on_again_in_the_environment(read: Reader) -> None:
    toml = "[profile.default]\naddress = 'a:1'\n[profile.default.tls]\ndisabled = true\n"
    assert not read(toml=toml).tls
    assert read({"TEMPORAL_TLS": "true"}, toml=toml).tls


# --- half a configuration -------------------------------------------------------------------------

HALF = {
    "API key": {"TEMPORAL_API_KEY": "a-key"},
    "API key file": {"TEMPORAL_API_KEY_FILE": "{key}"},
    "certificate": {"TEMPORAL_CERT_PATH": "{cert}"},
    "certificate and key": {
        "TEMPORAL_TLS_CERT": "{cert}",
        "TEMPORAL_TLS_KEY": "{key}",
    },
    "key": {"TEMPORAL_TLS_CLIENT_KEY_PATH": "{key}"},
    "certificate as text": {"TEMPORAL_TLS_CLIENT_CERT_DATA": "-----BEGIN CERTIFICATE-----"},
    "namespace": {"TEMPORAL_NAMESPACE": "payments.a1b2c"},
    "namespace in capitals": {"TEMPORAL_NAMESPACE": "Payments.A1B2C"},
    "server name": {"TEMPORAL_TLS_SERVER_NAME": "payments.a1b2c.tmprl.cloud"},
    "namespace and API key": {"TEMPORAL_NAMESPACE": "payments.a1b2c", "TEMPORAL_API_KEY": "a-key"},
}


@pytest.mark.parametrize("source", ["environment", ".env"])
@pytest.mark.parametrize("half", HALF)
def test_half_a_configuration_never_falls_back_to_localhost(
    read: Reader, pair: dict[str, str], half: str, source: str
) -> None:
    files = {kind: read.file(f"client-{kind}", text) for kind, text in pair.items()}
    values = {name: value.format(**files) for name, value in HALF[half].items()}
    if source == "environment":
        read(values)
    else:
        read(env="".join(f"{name}={value}\n" for name, value in values.items()))
    [problem] = [text for text in read.problems if text.startswith("TEMPORAL_ADDRESS is not set")]
    assert any(name in problem for name in values)


@pytest.mark.parametrize(
    "fields", ["api_key = 'k'", "namespace = 'payments.a1b2c'", "tls.client_cert_path = '/none'"]
)
def test_half_a_profile_never_falls_back_to_localhost(read: Reader, fields: str) -> None:
    read(toml=f"[profile.default]\n{fields}\n")
    assert any(text.startswith("TEMPORAL_ADDRESS is not set") for text in read.problems)


def test_an_address_alone_is_enough_for_an_own_server(read: Reader) -> None:
    assert read({"TEMPORAL_ADDRESS": "temporal.internal:7233"}).address == "temporal.internal:7233"
    assert read.findings == []


# --- what Temporal Cloud needs --------------------------------------------------------------------

CLOUD_ADDRESSES = (
    "payments.a1b2c.tmprl.cloud:7233",
    "eu-west-1.aws.api.temporal.io:7233",
    "aws-eu-west-1.region.tmprl.cloud:7233",
)


@pytest.mark.parametrize("address", CLOUD_ADDRESSES)
def test_cloud_with_all_that_it_needs_is_right(read: Reader, address: str) -> None:
    settings = read({**CLOUD, "TEMPORAL_ADDRESS": address, "TEMPORAL_API_KEY": "a-key"})
    assert read.findings == []
    assert settings.on_cloud
    assert settings.tls


@pytest.mark.parametrize("address", CLOUD_ADDRESSES)
def test_cloud_needs_a_namespace_and_a_credential(read: Reader, address: str) -> None:
    read({"TEMPORAL_ADDRESS": address})
    assert len(read.problems) == 2
    assert "TEMPORAL_NAMESPACE is not set" in read.problems
    assert any(text.startswith("no credential is set") for text in read.problems)


@pytest.mark.parametrize("namespace", ["payments", "default", "payments.", ".a1b2c", "p.a1b2"])
def test_cloud_needs_the_account_in_the_namespace(read: Reader, namespace: str) -> None:
    read({**CLOUD, "TEMPORAL_API_KEY": "a-key", "TEMPORAL_NAMESPACE": namespace})
    assert f"TEMPORAL_NAMESPACE={namespace} (environment)" in read.the_problem()


def test_cloud_takes_one_credential(read: Reader, pair: dict[str, str]) -> None:
    key, cert = read.file("k", pair["key"]), read.file("c", pair["cert"])
    read(
        {
            **CLOUD,
            "TEMPORAL_API_KEY": "a-key",
            "TEMPORAL_TLS_CERT": cert,
            "TEMPORAL_TLS_KEY": key,
        }
    )
    problem = read.the_problem()
    assert "TEMPORAL_API_KEY" in problem
    assert "TEMPORAL_TLS_CERT" in problem


def test_cloud_needs_tls(read: Reader) -> None:
    read({**CLOUD, "TEMPORAL_API_KEY": "a-key", "TEMPORAL_TLS": "false"})
    assert "TEMPORAL_TLS=false (environment) switches TLS off" in read.the_problem()


@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_key_under_the_name_that_other_tools_read_is_pointed_at(
    read: Reader, source: str
) -> None:
    values = {**CLOUD, "TEMPORAL_CLOUD_API_KEY": SECRET}
    if source == "environment":
        read(values)
    else:
        read(env="".join(f"{name}={value}\n" for name, value in values.items()))
    assert "TEMPORAL_CLOUD_API_KEY is read by tcld and Terraform only" in read.the_problem()
    assert SECRET not in repr(read.findings)


# --- ways to authenticate -------------------------------------------------------------------------


def test_an_api_key_switches_tls_on(read: Reader) -> None:
    settings = read({"TEMPORAL_ADDRESS": "server:7233", "TEMPORAL_API_KEY": "a-key"})
    assert settings == Settings(address="server:7233", api_key="a-key", tls=True)


def test_an_api_key_may_be_in_a_file(read: Reader) -> None:
    file = read.file("secrets/key", " a-key\n\n")
    settings = read({**CLOUD, "TEMPORAL_API_KEY_FILE": file})
    assert read.findings == []
    assert (settings.api_key, settings.tls) == ("a-key", True)
    assert settings.origin("TEMPORAL_API_KEY_FILE").shown == str(file)
    assert settings.origin("TEMPORAL_API_KEY").shown == "(hidden)"


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "does not exist"), ("", "is empty"), (" \n", "is empty")]
)
def test_an_api_key_file_without_a_key_is_an_error(
    read: Reader, tmp_path: Path, content: str | None, fault: str
) -> None:
    if content is not None:
        read.file("key", content)
    read({"TEMPORAL_ADDRESS": "server:7233", "TEMPORAL_API_KEY_FILE": tmp_path / "key"})
    assert f"the file {fault}" in read.problems[0]


def test_an_api_key_and_a_file_with_one_are_an_error(read: Reader) -> None:
    file = read.file("key", "another")
    read({**CLOUD, "TEMPORAL_API_KEY": "a-key", "TEMPORAL_API_KEY_FILE": file})
    assert read.the_problem() == "TEMPORAL_API_KEY and TEMPORAL_API_KEY_FILE are both set"


MTLS: dict[str, Callable[[Reader, dict[str, str]], dict[str, str | Path]]] = {
    "two files": lambda read, pem: {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": read.file("c.pem", pem["cert"]),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": read.file("c.key", pem["key"]),
    },
    "one file": lambda read, pem: {
        "TEMPORAL_CERT_PATH": read.file("both.pem", pem["cert"] + pem["key"])
    },
    "one file, key first": lambda read, pem: {
        "TEMPORAL_CERT_PATH": read.file("both.pem", pem["key"] + pem["cert"])
    },
    "one file named twice": lambda read, pem: dict.fromkeys(
        ("TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY"), read.file("both.pem", pem["cert"] + pem["key"])
    ),
    "text": lambda _, pem: {
        "TEMPORAL_TLS_CERT_DATA": pem["cert"],
        "TEMPORAL_TLS_CLIENT_KEY_DATA": pem["key"],
    },
    "one text": lambda _, pem: {"TEMPORAL_TLS_CLIENT_CERT_DATA": pem["cert"] + pem["key"]},
    "file and text": lambda read, pem: {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": read.file("c.pem", pem["cert"]),
        "TEMPORAL_TLS_CLIENT_KEY_DATA": pem["key"],
    },
}


@pytest.mark.parametrize("way", MTLS)
def test_a_client_certificate_is_taken_up_in_every_form(
    read: Reader, pair: dict[str, str], way: str
) -> None:
    settings = read({**CLOUD, **MTLS[way](read, pair)})
    assert read.findings == []
    assert settings.tls
    assert settings.api_key is None
    for held, kind in ((settings.client_cert, "cert"), (settings.client_key, "key")):
        assert pair[kind].strip().encode() in (held or b"")


def test_a_pem_in_env_file_keeps_its_lines(read: Reader, pair: dict[str, str]) -> None:
    settings = read(
        CLOUD,
        env=f'TEMPORAL_TLS_CLIENT_CERT_DATA="{pair["cert"]}"\n'
        f"TEMPORAL_TLS_CLIENT_KEY_DATA='{pair['key']}'\n",
    )
    assert read.findings == []
    assert settings.client_cert == pair["cert"].strip().encode()
    assert settings.client_key == pair["key"].strip().encode()


@pytest.mark.parametrize("kind", ["CLIENT_CERT", "CLIENT_KEY", "SERVER_CA_CERT"])
def test_a_file_and_a_text_for_the_same_thing_are_an_error(
    read: Reader, pair: dict[str, str], kind: str
) -> None:
    values: dict[str, str | Path] = {**CLOUD, **MTLS["two files"](read, pair)}
    pem = pair["key" if kind == "CLIENT_KEY" else "cert"]
    path, data = f"TEMPORAL_TLS_{kind}_PATH", f"TEMPORAL_TLS_{kind}_DATA"
    read({**values, path: read.file("one.pem", pem), data: pem})
    assert read.the_problem() == f"{path} and {data} are both set"


@pytest.mark.parametrize(
    ("given", "missing"),
    [("cert", "TEMPORAL_TLS_CLIENT_KEY_PATH"), ("key", "TEMPORAL_TLS_CLIENT_CERT_PATH")],
)
def test_half_a_pair_is_an_error(
    read: Reader, pair: dict[str, str], given: str, missing: str
) -> None:
    name = f"TEMPORAL_TLS_CLIENT_{given.upper()}_PATH"
    read({**CLOUD, name: read.file("one.pem", pair[given])})
    assert "is set without" in read.the_problem()
    assert read.findings[0].remedy[0].startswith(f"{missing}=")


@pytest.mark.parametrize(
    ("values", "tls"),
    [
        ({"TEMPORAL_TLS": "true"}, True),
        ({"TEMPORAL_TLS": "false"}, False),
        ({"TEMPORAL_TLS_SERVER_NAME": "inner"}, True),
        ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "{ca}"}, True),
        ({"TEMPORAL_TLS_CA": "{ca}"}, True),
        ({}, False),
    ],
)
def test_tls_without_a_credential_for_an_own_server(
    read: Reader, certificates: Certificates, values: dict[str, str], tls: bool
) -> None:
    ca = certificates.server_ca_file
    given = {name: value.format(ca=ca) for name, value in values.items()}
    settings = read({"TEMPORAL_ADDRESS": "server:7233", **given})
    assert read.findings == []
    assert settings.tls == tls
    assert settings.server_name == values.get("TEMPORAL_TLS_SERVER_NAME")
    expected = ca.read_bytes().strip() if "{ca}" in values.values() else None
    assert settings.server_ca == expected


def test_headers_come_from_every_source_together(read: Reader) -> None:
    settings = read(
        {f"{HEADER}X_TEAM": "größer", f"{HEADER}ONE": "environment"},
        env=f"{HEADER}ONE=file\n{HEADER}TWO=file\n",
        toml="[profile.default.grpc_meta]\ntwo = 'toml'\nthree = 'toml'\n",
    )
    assert settings.headers == {
        "x-team": "größer",
        "one": "environment",
        "two": "file",
        "three": "toml",
    }
    assert read.findings == []


# --- numbers and switches -------------------------------------------------------------------------

NUMBERS: dict[str, tuple[int, Callable[[Settings], int]]] = {
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": (0, lambda s: s.grace_seconds),
    "TEMPORAL_MAX_CONCURRENT_WORKFLOW_TASKS": (2, lambda s: s.max_workflow_tasks),
    "TEMPORAL_MAX_CONCURRENT_ACTIVITIES": (1, lambda s: s.max_activities),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_taken_up_and_anything_else_is_an_error(read: Reader, name: str) -> None:
    least, get = NUMBERS[name]
    for number in (least, 7, 250):
        assert get(read({name: str(number)})) == number
        assert read.findings == []
    for text in (str(least - 1), "-5", "ten", "1.5", "1e3", "0x10", "1_0", "30s", "9" * 30):
        assert get(read({name: text})) == int(DEFAULTS[name])
        assert f"{name}={text} (environment) is no whole number from {least}" in read.the_problem()
        assert read.findings[0].remedy == (f"{name}={DEFAULTS[name]}",)


@pytest.mark.parametrize("name", ["TEMPORAL_TLS", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"])
def test_a_switch_is_true_or_false(read: Reader, name: str) -> None:
    for text in ("true", "TRUE", "True", "1", "false", "False", "0"):
        settings = read({name: text})
        assert settings.tls == (name == "TEMPORAL_TLS" and text.lower() in ("true", "1"))
        assert read.problems == []
    for text in ("yes", "no", "on", "off", "2", "disabled"):
        read({name: text})
        assert read.the_problem() == f"{name}={text} (environment) is neither true nor false"


# --- what is never shown --------------------------------------------------------------------------


def secrets(pair: dict[str, str]) -> dict[str, str]:
    body = pair["key"].splitlines()[1]
    return {
        "TEMPORAL_API_KEY": SECRET,
        "TEMPORAL_TLS_CLIENT_CERT_DATA": pair["cert"],
        "TEMPORAL_TLS_CLIENT_KEY_DATA": pair["key"],
        "TEMPORAL_GRPC_META_X_PASSWORD": f"{SECRET}-{body}",
    }


@pytest.mark.parametrize("source", ["environment", ".env", "profile"])
def test_no_secret_is_in_repr_or_str_of_settings_or_errors(
    read: Reader, pair: dict[str, str], source: str
) -> None:
    own = secrets(pair)
    if source == "environment":
        settings = read(own)
    elif source == ".env":
        settings = read(env="".join(f"{name}='{value}'\n" for name, value in own.items()))
    else:
        settings = read(
            toml=f"[profile.default]\napi_key = '{SECRET}'\n[profile.default.tls]\n"
            f"client_cert_data = '''{pair['cert']}'''\nclient_key_data = '''{pair['key']}'''\n"
            f"[profile.default.grpc_meta]\nx-password = '{SECRET}'\n"
        )
    assert settings.api_key == SECRET
    assert settings.client_key is not None
    assert settings.headers["x-password"].startswith(SECRET)
    assert read.problems
    error = SettingsError(read.findings)
    shown = "".join(
        [
            *(repr(thing) + str(thing) for thing in (settings, settings.origins, error)),
            *(str(origin) for origin in settings.origins.values()),
            *map(repr, read.findings),
            *traceback.format_exception(error),
        ]
    )
    for line in [SECRET, *pair["key"].splitlines()[1:-1], *pair["cert"].splitlines()[1:-1]]:
        assert line not in shown


def test_load_settings_names_no_secret_however_wrong_they_are(pair: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(secrets(pair) | {"TEMPORAL_TLS_CLIENT_KEY_DATA": f"{SECRET} {pair['cert']}"})
    shown = repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert pair["cert"].splitlines()[1] not in shown


# --- errors ---------------------------------------------------------------------------------------

MANY: dict[str, Any] = {
    "TEMPORAL_ADDRESS": "https://payments.a1b2c.tmprl.cloud",
    "TEMPORAL_NAMESPACE": "pay ments",
    "TEMPORAL_TLS": "maybe",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "/none/client.pem",
    "TEMPORAL_GRACEFUL_SHUTDOWN_SECONDS": "soon",
    "TEMPORAL_MAX_CONCURRENT_ACTIVITIES": "0",
    "TEMPORAL_METRICS_ADDRESS": "everywhere",
    "TEMPORAL_DEPLOYMENT_NAME": "orders",
    "TEMPORAL_CONFIG_FILE": "/none/temporal.toml",
}


def test_every_problem_is_named_at_once_each_with_a_line_to_set() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(MANY)
    findings = caught.value.findings
    for name in MANY:
        assert any(name in str(finding) for finding in findings), name
    for finding in findings:
        assert finding.mark == "✗"
        assert any(re.search(r"TEMPORAL_\w+=|unset TEMPORAL_", line) for line in finding.remedy)
        assert str(finding) in str(caught.value)


def test_load_settings_takes_the_process_environment_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "of-the-process")
    assert load_settings().namespace == "of-the-process"
    assert load_settings({"TEMPORAL_NAMESPACE": "given"}).namespace == "given"
    assert load_settings({}).namespace == "default"


def test_something_worth_knowing_keeps_nobody_from_loading(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TEMPORAL_TSK_TIMEOUT_X=1\nTEMPORAL_NAMESPACE=orders\n")
    assert load_settings({}).namespace == "orders"


def test_settings_cannot_be_changed(read: Reader) -> None:
    with pytest.raises(AttributeError):
        read().namespace = "other"  # type: ignore[misc]


# --- what the scripts make of it ------------------------------------------------------------------


@pytest.mark.parametrize("script", ["workers/worker.py", "scripts/start_ping.py"])
def test_wrong_settings_end_a_script_with_every_problem_in_six_lines_at_most(
    kit: Kit, script: str
) -> None:
    done = kit.run(script, **MANY)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    said = lines[next(n for n, line in enumerate(lines) if line.startswith("ERROR")) :]
    assert len(said) <= 6, done.stderr
    with pytest.raises(SettingsError) as caught:
        load_settings(MANY)
    for finding in caught.value.findings:
        assert finding.text in done.stderr
    assert "Traceback" not in done.stderr
    assert "check_temporal_config.py" in said[-1]


def test_the_check_shows_every_setting_its_source_and_no_secret(
    kit: Kit, pair: dict[str, str]
) -> None:
    kit.write_env("TEMPORAL_ENDPOINT=server:7233\nTEMPORAL_TASK_QUEUE=from-file\n")
    toml = kit.root / "t.toml"
    toml.write_text(f"[profile.default]\napi_key = '{SECRET}'\nnamespace = 'orders'\n")
    done = kit.run(
        CHECK,
        "--offline",
        TEMPORAL_TASK_QUEUE="from-environment",
        TEMPORAL_CONFIG_FILE=toml,
        TEMPORAL_TLS_CLIENT_KEY_DATA=pair["key"],
        TEMPORAL_TLS_CERT_DATA=pair["cert"],
    )
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
    shown = re.findall(r"^  (TEMPORAL_\w+) = ", done.stdout, re.MULTILINE)
    assert shown == list(dict.fromkeys(OFFICIAL_NAME.values()))
    for secret in (SECRET, *pair["key"].splitlines()[1:-1]):
        assert secret not in done.stdout + done.stderr


def test_the_env_file_that_is_read_is_the_one_beside_the_client_module() -> None:
    assert Path(temporal_client.__file__).with_name(".env") == temporal_client.ENV_FILE
