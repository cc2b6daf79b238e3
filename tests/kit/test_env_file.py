"""The layers of settings against each other, and what a `.env` holds beside them."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from temporal_kit import Settings, load_env_file
from temporal_kit.env_file import find_env_file
from temporal_kit.reading import collect_settings
from temporal_kit.redaction import redact
from temporal_kit.settings import SETTINGS

from .cases import env
from .cloud_front import NAMESPACE, Certificates, CloudFront
from .delivered import delivered
from .guides import Reader
from .inside import run_now
from .kit import API_KEY, CHECK, PING, SOURCE, WORKER, Kit, free_port, write
from .marks import slow
from .pings import CALLING
from .test_diagnosis import checks

DEFAULTS = delivered("temporal_client").DEFAULTS
# What is set: its names, those for files last, its field in TOML, and how to see what counts.
Thing = tuple[list[str], list[str], str, Callable[[Settings], Any]]


def tls(field: str) -> Callable[[Settings], Any]:
    def see(settings: Settings) -> Any:
        content = getattr(settings.profile.tls, field, None)
        return content.decode() if isinstance(content, bytes) else content

    return see


def names(*settings: str) -> list[str]:
    """The settings with all their other names."""
    return [name for setting in settings for name in (setting, *SETTINGS[setting])]


def pem(kind: str, field: str) -> Thing:
    texts, files = (names(f"TEMPORAL_TLS_{kind}_{form}") for form in ("DATA", "PATH"))
    return texts, files, f"tls.{kind.lower()}_", tls(field)


THINGS: list[Thing] = [
    (names("TEMPORAL_ADDRESS"), [], "address", lambda s: s.address),
    (names("TEMPORAL_NAMESPACE"), [], "namespace", lambda s: s.namespace),
    (names("TEMPORAL_API_KEY"), ["TEMPORAL_API_KEY_FILE"], "api_key", lambda s: s.api_key),
    (["TEMPORAL_TASK_QUEUE"], [], "", lambda s: s.task_queue),
    (["TEMPORAL_TLS_SERVER_NAME"], [], "tls.server_name", tls("server_name")),
    (["TEMPORAL_GRPC_META_X_TEAM"], [], "grpc_meta.x-team", lambda s: s.headers.get("x-team")),
    pem("CLIENT_CERT", "client_cert"),
    pem("CLIENT_KEY", "client_private_key"),
    pem("SERVER_CA_CERT", "server_root_ca_cert"),
]


def draw_layer(chance: random.Random, title: str) -> dict[str, tuple[str, str]]:
    """By the first name of a thing: the name that sets it in this layer, and its value."""
    drawn = {}
    for texts, files, field, _ in THINGS:
        if chance.random() < 0.4 and (field or title != "toml"):
            value = f"{title}-{chance.randrange(10**9)}:1"
            name = chance.choice([*texts, *files])
            if title == "toml":
                name = field + (chance.choice(["path", "data"]) if field.endswith("_") else "")
            drawn[texts[0]] = name, value
    return drawn


def written(layer: dict[str, tuple[str, str]], folder: Path) -> dict[str, str]:
    """The layer's names with their values, or the files that hold them."""
    lines = {}
    for name, value in layer.values():
        is_file = name.lower().endswith(("_path", "_file", "_cert", "tls_key", "tls_ca"))
        at = folder / value.replace(":", "-")
        lines[name] = str(write(at, value)) if is_file else value
    return lines


def test_the_upper_layer_wins_whatever_names_and_forms_are_drawn(tmp_path: Path) -> None:
    for draw in range(1000):
        chance = random.Random(draw)
        layers = {t: draw_layer(chance, t) for t in ("environment", ".env", "toml")}
        environ, dotenv, toml = (written(layer, tmp_path) for layer in layers.values())
        env_file = write(
            tmp_path / ".env", "".join(f"{name}={value}\n" for name, value in dotenv.items())
        )
        text = "".join(f"{name} = '{value}'\n" for name, value in toml.items())
        environ["TEMPORAL_CONFIG_FILE"] = str(
            write(tmp_path / "t.toml", f"[profile.default]\n{text}")
        )
        settings = collect_settings(environ, env_file, DEFAULTS)
        assert settings.problems == (), draw
        for (first, *_), _, _, see in THINGS:
            found = [layer[first][1] for layer in layers.values() if first in layer]
            wanted = found[0] if found else DEFAULTS.get(first)
            assert see(settings) == wanted, (draw, first, layers)


def test_one_pem_in_an_upper_layer_brings_its_key(tmp_path: Path) -> None:
    both = write(tmp_path / "both.pem", "CERTIFICATE\n-----BEGIN PRIVATE KEY-----\n")
    old = write(tmp_path / "old.key", "the old key")
    above = env(TLS_CERT=both)
    env_file = write(tmp_path / ".env", f"TEMPORAL_TLS_KEY={old}\n")
    settings = collect_settings({k: str(v) for k, v in above.items()}, env_file, {})
    assert settings.profile.tls
    assert settings.profile.tls.client_private_key == both.read_bytes().strip()
    with_key = env(TLS_CERT=both, TLS_KEY=old)
    settings = collect_settings({k: str(v) for k, v in with_key.items()}, None, {})
    assert settings.profile.tls
    assert settings.profile.tls.client_private_key == b"the old key"


def test_a_misspelt_setting_is_never_answered() -> None:
    settings = collect_settings({}, None, DEFAULTS)
    with pytest.raises(KeyError):
        settings.text("TEMPORAL_ADRESS")
    with pytest.raises(AttributeError):
        settings.adress  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git", ""])
def test_env_file_is_looked_for_up_to_the_projects_folder(tmp_path: Path, mark: str) -> None:
    project, inner = tmp_path / "project", tmp_path / "project" / "src" / "app"
    inner.mkdir(parents=True)
    beside = inner / ".env"
    if mark:
        (project / mark).mkdir()
    write(tmp_path / ".env", "A=1\n")  # above the project's folder
    assert find_env_file(beside) == beside
    write(project / ".env", "A=1\n")
    assert find_env_file(beside) == (project / ".env" if mark else beside)
    write(beside, "A=1\n")
    assert find_env_file(beside) == beside


OWN = """
TEMPORAL_TASK_QUEUE={queue}
STRIPE_API_KEY=sk_own_4242424242
SHOP_NAME="The Shop"
POSTGRES_PASSWORD=postgres
POSTGRES_HOST=postgres
SHORT_TOKEN=abc
DATABASE_URL=postgres://ada:an-own-password@postgres/shop
EMPTY=
"""
CHARGE = """
import os
from temporalio import activity

KEY, SHOP = os.environ["STRIPE_API_KEY"], os.environ["SHOP_NAME"]

@activity.defn
def charge() -> str:
    activity.logger.info("charging by %s, an-own-password, at postgres in %s, abc", KEY, SHOP)
    inherited = [name for name in os.environ if name.startswith("TEMPORAL_")]
    return f"{KEY[:3]} {SHOP} {inherited}"
"""
RUN = """
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from temporal_kit import load_env_file

load_env_file(ROOT / ".env")

from temporal_client import get_temporal_client, load_settings
from temporal_kit import run_script
from workflows.charge import SHOP
from workflows.calling import Calling


async def main() -> None:
    client, queue = await get_temporal_client(), load_settings().task_queue
    run = client.execute_workflow(Calling.run, ["charge"], id=queue, task_queue=queue)
    print(SHOP, await run)


run_script(main, None)
"""
OWN_TEST = """
import os

from workflows.charge import KEY


def test_it() -> None:
    assert KEY == os.environ["STRIPE_API_KEY"] == "sk_own_4242424242"
"""


def with_own_variables(kit: Kit, address: str, queue: str) -> None:
    text = OWN.format(queue=queue)
    kit.write_env(f"TEMPORAL_ADDRESS={address}\n{text}")
    kit.register("calling", CALLING, workflows=["Calling"])
    kit.register("charge", CHARGE, activities=["charge"])
    write(kit.root / "scripts" / "charge.py", RUN)


def test_own_variables_reach_worker_and_scripts_and_their_secrets_no_log(
    kit: Kit, here: dict[str, Any]
) -> None:
    with_own_variables(kit, here["TEMPORAL_ADDRESS"], here["TEMPORAL_TASK_QUEUE"])
    worker = kit.work()
    script = kit.start("scripts/charge.py")
    assert script.wait() == 0, script.stderr
    assert script.stdout == "The Shop ['sk_ The Shop []']\n"
    line = worker.wait_for("charging by")
    assert "charging by (hidden), (hidden), at postgres in The Shop, abc" in line
    assert "sk_own" not in worker.stderr + script.stderr


@slow
def test_own_variables_reach_tests_and_a_web_application(kit: Kit, here: dict[str, Any]) -> None:
    with_own_variables(kit, here["TEMPORAL_ADDRESS"], here["TEMPORAL_TASK_QUEUE"])
    reader = Reader(kit)
    for name in ("tests/test_own.py", "workflows/test_own.py", "test_own.py"):
        write(kit.root / name, OWN_TEST)
    write(kit.root / "conftest.py", (SOURCE / "conftest.py").read_bytes())
    said = reader.type("python -m pytest -k own -p no:cacheprovider").stdout
    assert "3 passed" in said
    reader.type("cp docs/examples/app.py .")
    reader.change("app.py", "from workflows.", "from workflows.charge import KEY\nfrom workflows.")
    with reader.start(f"python -m uvicorn app:app --port {free_port()}") as app:
        app.wait_for("Uvicorn running")


def test_what_the_environment_has_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "OWN_ONE=of-file\nOWN_TWO=of-file\nTEMPORAL_NAMESPACE=n\nHTTPS_PROXY=http://p:1\nBARE\n"
    monkeypatch.setattr(os, "environ", {"OWN_ONE": "of-environment"})
    load_env_file(write(tmp_path / ".env", text))
    wanted = {"OWN_ONE": "of-environment", "OWN_TWO": "of-file", "HTTPS_PROXY": "http://p:1"}
    assert os.environ == wanted


def test_secrets_of_the_owner_are_hidden_unless_they_are_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"DB_SERVER": "tcp://database-one:5432"})
    text = "DB_PASSWORD=database-one\nMAIL_TOKEN=correct-horse\nQUEUE=orders-eu\n"
    load_env_file(write(tmp_path / ".env", f"{text}QUEUE_SECRET=orders-eu\nPIN_SECRET=1234567\n"))
    said = redact("database-one correct-horse orders-eu 1234567")
    assert said == "database-one (hidden) orders-eu 1234567"


@slow
@pytest.mark.parametrize("way", ["load_dotenv()", "set -a; source .env"])
def test_a_copy_in_the_environment_is_env_files_and_rotates_with_it(
    kit: Kit, cloud: CloudFront, certificates: Certificates, way: str
) -> None:
    second, third = f"{API_KEY}-2", f"{API_KEY}-3"
    for key in (second, third):
        cloud.accept(key)
    text = f"TEMPORAL_ADDRESS={cloud.address}\nTEMPORAL_NAMESPACE={NAMESPACE}\n"
    text += "TEMPORAL_TLS_SERVER_CA_CERT_PATH=ca.pem\nOWN={0}\nTEMPORAL_API_KEY={0}\n"
    write(kit.root / "ca.pem", certificates.server_ca_file.read_bytes())
    kit.write_env(text.format(API_KEY))
    settings = {}
    if way == "load_dotenv()":
        load = "from pathlib import Path\nfrom dotenv import load_dotenv\n"
        load += "load_dotenv(Path(__file__).parents[1] / '.env')\nours = None\n"
        kit.register("loads", load, workflows=["ours"])
        kit.worker.write_text(kit.worker.read_text().replace("ours, ", ""))
    else:
        settings = dict(line.split("=") for line in text.format(API_KEY).splitlines())
    worker = kit.work(cwd=kit.home, **settings)
    for count, key in enumerate((second, third, API_KEY, second), 1):
        kit.write_env(text.format(key))
        worker.wait_for("Credentials changed", count=count)
    used = [call.api_key for call in cloud.calls]
    assert list(dict.fromkeys(used)) == [API_KEY, second, third]
    assert used[-1] == second
    assert "ERROR" not in worker.stderr


def warnings(settings: dict[str, Any], env_file: Path | None) -> list[str]:
    said = checks(run_now(CHECK, settings, env_file, offline=True).stdout)
    return [line for line in said if line.startswith("⚠")]


LINES = {
    "TEMPORAL_TASK_QUEUE=${UNSET_QUEUE}": "TEMPORAL_TASK_QUEUE in .env expands to nothing",
    "OWN_NAME=${UNSET_QUEUE}": "OWN_NAME in .env expands to nothing",
    "OWN_NAME=a\nOWN_NAME=b": "OWN_NAME stands in .env with two values",
    "TEMPORAL_TASK_QUEUE=a\nTEMPORAL_TASK_QUEUE=b": "TEMPORAL_TASK_QUEUE stands in .env with two",
    "#TEMPORAL_ADDRESS=orders.example:7243": "and so not set: TEMPORAL_ADDRESS",
    "# TEMPORAL_API_KEY=my-own-api-key": "and so not set: TEMPORAL_API_KEY",
    "#TEMPORAL_TLS_KEY=certs/own.key": "and so not set: TEMPORAL_TLS_KEY",
    "#HTTPS_PROXY=http://proxy:3128": "and so not set: HTTPS_PROXY",
    "#TEMPORAL_GRPC_META_X_TEAM=blue": "and so not set: TEMPORAL_GRPC_META_X_TEAM",
}


@pytest.mark.parametrize("text", LINES)
def test_a_line_without_effect_is_reported(tmp_path: Path, text: str) -> None:
    [said] = warnings({}, write(tmp_path / ".env", text))
    assert LINES[text] in said
    assert "my-own" not in said


@pytest.mark.parametrize(
    "text",
    [
        (SOURCE / ".env.example").read_text("utf-8"),
        "OWN=1\nOWN=1\nOTHER=${OWN}\nTHIRD=$5\n",
        "#TEMPORAL_NAMESPACE=other\nTEMPORAL_NAMESPACE=mine\n",
        "#TEMPORAL_API_KEY=old-key\nTEMPORAL_API_KEY_FILE={key}\nTEMPORAL_ADDRESS=h:1\n",
        "# TEMPORAL_ADDRESS is host:port of the server\n# NAME=value\n",
    ],
)
def test_a_line_that_may_stand_as_it_is_is_not_reported(tmp_path: Path, text: str) -> None:
    key = write(tmp_path / "key", "a-key")
    assert warnings({}, write(tmp_path / ".env", text.replace("{key}", str(key)))) == []


def test_a_line_that_cannot_be_parsed_is_told_of_once(tmp_path: Path) -> None:
    text = "TEMPORAL_NAMESPACE: orders\nset -x TEMPORAL_ADDRESS: t.internal:1\n"
    said = run_now(CHECK, {}, write(tmp_path / ".env", text), offline=True).stdout
    said = said.partition("\nChecks:\n")[2]
    assert "✗ the line of TEMPORAL_NAMESPACE in .env is not NAME=value" in said
    assert "⚠ TEMPORAL_ADDRESS stands in a line of .env that sets nothing" in said
    assert said.count("TEMPORAL_NAMESPACE stands") == 0


def test_examples_behind_a_hash_are_those_of_env_example() -> None:
    from temporal_kit.doctor.env_file import EXAMPLES

    text = (SOURCE / ".env.example").read_text("utf-8")
    found = dict(re.findall(r"^#(\w+)=([^<\n]+)$", text, re.M))
    assert {name: value for name, value in found.items() if value != '"'} == EXAMPLES


def test_another_env_file_that_is_not_the_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, mine = write(tmp_path / "a" / ".env", "TEMPORAL_TLS=true\n"), tmp_path / "kit" / ".env"
    (tmp_path / "a" / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert [f"⚠ {other} has settings, and is not read"] == warnings({}, mine)
    other.write_text("OWN=1\n")
    assert warnings({}, mine) == []


def test_the_check_says_where_env_file_is_or_was_looked_for(kit: Kit, tmp_path: Path) -> None:
    said = kit.start(CHECK, "--offline", cwd=kit.root)
    assert said.wait() == 0
    assert said.stdout.startswith("Settings (there is no .env):\n")
    kit.write_env("OWN=1\n")
    said = kit.start(CHECK, "--offline", cwd=tmp_path)
    assert said.wait() == 0
    assert said.stdout.startswith(f"Settings ({Path('kit', '.env')} is read):\n")


SUSPECTS = {
    "#TEMPORAL_ADDRESS=orders.example:7243\n": "⚠ behind a # in .env, and so not set: ",
    "TEMPORAL_HOST=orders.example\n": "⚠ TEMPORAL_HOST is not a setting",
    "TEMPORAL_ADDRESS=${SERVER_OF_OURS}\n": "⚠ TEMPORAL_ADDRESS in .env expands to nothing",
}


@pytest.mark.parametrize("text", SUSPECTS)
@pytest.mark.parametrize("path", [PING, WORKER])
def test_the_log_alone_tells_what_may_be_why_nothing_answers(
    tmp_path: Path, text: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    monkeypatch.setitem(DEFAULTS, "TEMPORAL_ADDRESS", nowhere)
    done = run_now(path, {}, write(tmp_path / ".env", text), verbose=False)
    said = done.stderr[done.stderr.index("ERROR - ") :].splitlines()
    assert said[0].startswith(f"ERROR - ✗ TCP: nothing listens on {nowhere}: ")
    assert "  → python scripts/check_temporal_config.py tells more" in said
    [at] = [number for number, line in enumerate(said) if SUSPECTS[text] in line]
    assert said[at + 1].startswith("  → ")
