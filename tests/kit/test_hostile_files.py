"""Files that take forever, take all memory, or change while they are read, each ending in findings.

Whether a read takes long is no matter of seconds: one that is not linear takes minutes here.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from dotenv import dotenv_values

from temporal_kit.doctor.certificates import check_certificates
from temporal_kit.env_file import expand, parse_env_file
from temporal_kit.reading import collect_settings
from temporal_kit.sources import LARGEST_SETTINGS, read_file

from .cases import env
from .inside import run_now
from .kit import CHECK, PING, SOURCE, write
from .marks import linux, posix, slow

# Of a `.env`, in no order.
LINES = r"""A B = = ' \' \" \\ \n # ${A} ${B} ${OUTER} ${NO} ${NO:-a} ${A:-b} ${A:x} ${ } : :-
export " A= B= OUTER="""
PIECES = [*LINES.split(), "\n", " ", "\nA=", "\nB=", "\nOUTER="]
HANG = 60  # seconds for some hundred reads; one that is not linear took 16 to 27 s by itself
REPEATED = r"""\n|\t| |#| #|=|'|"|\\|\"|\'|${|${A:|${A:-|}|[|]|[[|{a=|a.|.oauth|export |token=
token |A=\n|A='\n|A="\n|A=x\n|A=${A}\n|A='|TEMPORAL_|TEMPORAL_X=1 |TEMPORAL_API_KEY: x\n|token = <
-----BEGIN|-----BEGIN |-----BEGIN PRIVATE KEY-----\n|-----END|//a:|//a:b@|a:|a:b@|@|eyJaaaaaaaa.
[profile.x.oauth]\n|"a" = 1\n|a = 1\n|unknown field `|`|, expected|<|TEMPORAL_ADRESS=|A=//a:b@h\n
%41|\x41|\u0041|&lt;|aB3|api_key=\n|\'\'\'"""
STARTS = [
    "",
    "DB_TOKEN=",
    "A='",
    'A="',
    "HTTPS_PROXY=http://",
    "[profile.x",
    "x = ",
    "#TEMPORAL_TLS=",
]
STARTS += ['[profile.default]\napi_key = "', "-----BEGIN PRIVATE KEY-----\n"]
ENDS = ["", "x", "#", "}", "'", '"', "]", "=", "@h"]
# In a process of its own, which can be ended.
READ_ALL = """
import json, sys
from pathlib import Path
from temporal_kit.doctor.settings import check_settings
from temporal_kit.problems import find_problems
from temporal_kit.reading import collect_settings
from temporal_kit.redaction import hide_secrets, redact

folder = Path(sys.argv[1])
for text in json.load(sys.stdin):
    for name in (".env", "toml", "pem"):
        (folder / name).write_text(text)
    env_file, toml, pem = folder / ".env", str(folder / "toml"), str(folder / "pem")
    tls = {f"TEMPORAL_TLS_CLIENT_{kind}_PATH": pem for kind in ("CERT", "KEY")}
    sources = ({}, env_file), ({"TEMPORAL_CONFIG_FILE": toml}, None)
    for environ, path in (*sources, ({**tls, "TEMPORAL_API_KEY_FILE": pem}, None)):
        for _ in range(2):  # as a running worker does
            settings = collect_settings(environ, path, {"TEMPORAL_ADDRESS": "localhost:7233"})
        problems = list(find_problems(settings))
        found = [*problems, *check_settings(settings, problems)]
        assert "Traceback" not in "".join(map(str, found))
    hide_secrets(text), redact(text)
print("all read")
"""


def draw_texts(seed: int, count: int) -> list[str]:
    """Texts of some 64 KiB in which one thing is repeated."""
    chance = random.Random(seed)
    repeated = [
        one.replace(r"\n", "\n").replace(r"\t", "\t") for one in re.split(r"\||\n", REPEATED)
    ]
    texts = []
    for _ in range(count):
        start, end, unit = chance.choice(STARTS), chance.choice(ENDS), chance.choice(repeated)
        size = LARGEST_SETTINGS - len(start) - len(end)
        texts.append(start + unit * (size // len(unit)) + end)
    return texts


@pytest.mark.parametrize(
    ("seed", "count"),
    [(0, 12), *(pytest.param(n, 40, marks=pytest.mark.slow) for n in range(1, 9))],
)
def test_no_file_takes_forever(seed: int, count: int, tmp_path: Path) -> None:
    wanted = ["\n" * 40_000, f"DB_TOKEN={' ' * 40_000}#", f"[profile.x{'.oauth' * 10_000}"]
    texts = [*(wanted if seed == 0 else []), *draw_texts(seed, count)]
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path)],
        input=json.dumps(texts),
        cwd=SOURCE,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.stdout == "all read\n", done.stderr


def problems(path: Path, content: str | bytes) -> str:
    settings = collect_settings({}, write(path, content), {})
    assert not settings.complete
    return "\n".join(map(str, settings.problems))


def test_a_settings_file_of_more_than_64_kib_is_refused_with_its_size(tmp_path: Path) -> None:
    text = f"TEMPORAL_NAMESPACE=n\n#{'x' * LARGEST_SETTINGS}"
    said = problems(tmp_path / ".env", text)
    assert ".env cannot be read: it has 65,558 bytes, and 64 KiB are the most" in said
    assert f"→ make {tmp_path}/.env a readable file in UTF-8, of at most 64 KiB, 4,000" in said
    toml = write(tmp_path / "t.toml", f"#{'x' * LARGEST_SETTINGS}")
    settings = collect_settings({"TEMPORAL_CONFIG_FILE": str(toml)}, None, {})
    [problem] = map(str, settings.problems)
    assert "it has 65,537 bytes, and 64 KiB are the most" in problem
    assert f"→ fix {toml}: valid TOML of 64 KiB or less, or take TEMPORAL_CONFIG_FILE" in problem
    for exactly in (f"A={'x' * (LARGEST_SETTINGS - 2)}", "#\n" * 4000, f"A=x{' ' * 200}#"):
        assert collect_settings({}, write(tmp_path / ".env", exactly), {}).problems == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"A=x{' ' * 201}#", "it has 201 blanks in a row, and 200 are the most"),
        ("A=x\n" * 4001, "it has 4,001 lines, and 4,000 are the most"),
        (f"A={'x' * 30_000}\nB={'${A}' * 8000}", "with B it expands to more than 1 MiB"),
        (
            "A=1234567890\n"
            + "".join(f"A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(60)).replace("{A0}", "{A}"),
            "with A16 it expands to more than 1 MiB",
        ),
    ],
)
def test_an_env_file_that_would_take_all_time_or_memory_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    assert f".env cannot be read: {says}" in problems(tmp_path / ".env", text)


def test_the_values_are_those_of_python_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTER", "of the environment")
    for seed in range(1000):
        chance = random.Random(seed)
        text = "".join(chance.choices(PIECES, k=20))
        path = write(tmp_path / ".env", text)
        assert expand(parse_env_file(path)) == dict(dotenv_values(stream=io.StringIO(text))), text


@posix
def test_a_pipe_in_the_place_of_a_file_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = write(tmp_path / "key", "a-key")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)  # somebody has it open, and writes nothing
    really_open = os.open

    def swap_and_open(path: Any, *args: Any) -> int:
        if str(path) == str(key):
            pipe.replace(key)
        return really_open(path, *args)

    monkeypatch.setattr(os, "open", swap_and_open)
    settings = collect_settings({"TEMPORAL_API_KEY_FILE": str(key)}, None, {})
    os.close(reader)
    [problem] = map(str, settings.problems)
    assert "it is a pipe, not a file\n" in problem


@linux
def test_a_file_with_nothing_to_read_yet_is_a_finding() -> None:
    log = Path("/proc/kmsg")
    if os.access(log, os.R_OK):  # the kernel's log is root's
        said = ""
        while not said:  # until all that waits there has been read
            try:
                read_file(log)
            except ValueError as problem:
                said = str(problem)
        assert said == "it has nothing to read yet"


@posix
@pytest.mark.parametrize("kind", ["folder", "loop", "nowhere", "binary"])
def test_an_env_file_that_is_none_is_a_finding(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".env"
    if kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(bytes(range(256)))
    else:
        path.symlink_to(path.name if kind == "loop" else "nowhere")
    for script in (CHECK, PING):
        done = run_now(script, {}, path, offline=True)
        assert done.code == 1
        assert "✗ .env cannot be read: " in done.stdout + done.stderr


def test_no_name_in_toml_is_taken_for_more_than_a_name(tmp_path: Path) -> None:
    nul, forged = r'"~a\u0000b"', r'"\u001b[2J\r✓ settings"'
    lines = [f"[profile.{forged}]", "address = 'h:1'", f"tls.client_cert_path = {nul}"]
    lines += [f"tls.client_key_path = {nul}", f'grpc_meta."\\u001b[2J" = {nul}', "[profile.other]"]
    toml = str(write(tmp_path / "t.toml", "\n".join(lines)))
    for profile in ("\x1b[2J\r✓ settings", "default", "\x1b"):
        settings = env(CONFIG_FILE=toml, PROFILE=profile)
        for script in (CHECK, PING):
            done = run_now(script, settings, None, offline=True)
            said = done.stdout + done.stderr
            assert done.code == 1
            assert [one for one in said if not (one.isprintable() or one == "\n")] == []
            assert "\n✓ settings" not in said
            assert script == PING or "Traceback" not in said
    for name in ("TEMPORAL_CONFIG_FILE", "TEMPORAL_TLS_CERT", "TEMPORAL_API_KEY_FILE"):
        collected = collect_settings({name: "~a\0b"}, None, {})
        assert "embedded null" in str(collected.problems[0])


@pytest.mark.parametrize("date", [b"x" * 13, b"2099" + b"0" * 8 + b"Z"])
def test_dates_that_are_none_are_a_finding(tmp_path: Path, date: bytes) -> None:
    issued = trustme.CA().issue_cert("client.example")
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    for found in re.findall(rb"\d{12}Z|\d{14}Z", der):
        der = der.replace(found, date.ljust(len(found), b"Z")[: len(found)])
    cert = write(tmp_path / "cert", ssl.DER_cert_to_PEM_cert(der))
    key = write(tmp_path / "key", issued.private_key_pem.bytes())
    environ = {k: str(v) for k, v in env(TLS_CERT=cert, TLS_KEY=key).items()}
    [said] = map(str, check_certificates(collect_settings(environ, None, {}), ""))
    assert "has no dates that can be read" in said


@slow
def test_a_deleted_folder_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    path = write(tmp_path / ".env", "TEMPORAL_NAMESPACE=n\n")
    assert run_now(CHECK, {}, path, offline=True).code == 0
