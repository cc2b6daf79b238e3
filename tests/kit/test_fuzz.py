"""Hostile settings, files and servers, drawn at random from seeds.

Whatever comes, no script ends in an uncaught exception, hangs, has a wrong exit code, or prints a
secret in any form, a control character, or a text without end.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from temporalio.api.workflowservice import v1 as api

from temporal_kit import redaction
from temporal_kit.settings import HEADER, SETTING_OF

from .cloud_front import EveryMethod
from .delivered import delivered
from .inside import Script, run_now
from .kit import CHECK, LOCAL, PING, SERVICE, WORKER, write
from .marks import posix
from .test_secrets import FORMS
from .world import BAD_GATEWAY, World, answer, jwt, leaks

pytestmark = posix
SLOW, BATCH = [pytest.mark.slow], 20  # seeds in a test
FORGED = "\x1b[2J\x1b]0;mine\x07\r✓ settings: complete and sound\n\u202e\u2066\x9b"
AUTHORIZATION, COOKIE = f"{HEADER}AUTHORIZATION", f"{HEADER}COOKIE"
NAMES = [
    *SETTING_OF,
    AUTHORIZATION,
    COOKIE,
    f"{HEADER}X_TEAM",
    "TEMPORAL_CLOUD_API_KEY",
    "temp_token",
]
NAMES += ["TEMPORAL_TASK_QUEU", "TEMPORAL_\udcff", f"TEMPORAL_{FORGED}"]
WORDS = r"""~nosuchuser/key ~ /dev/zero /dev/tty / -1 1e999 ١٢ [::1 https://[::1 'open \ = # false
127.0.0.1:9 127.0.0.1:99999 http://127.0.0.1:9 socks5://127.0.0.1:9 * 10.0.0.0/99 %n%s eyJ maybe
{0.__class__} payments.a1b2c payments.a1b2c.tmprl.cloud:7233"""
TEXTS = [*WORDS.split(), "\0", "\udcff\udcfe", FORGED, "9" * 5000, "x" * 70000, "a:" * 3000 + "@"]
CONTENTS = [
    b"",
    b"SECRET\n",
    b"SECRET" + b"x" * 2**20,
    b"\0\xff\xfe\nSECRET",
    "TEMPORAL_API_KEY=SECRET\n".encode("utf-16"),
    b"TEMPORAL_API_KEY: SECRET\nTEMPORAL_NAMESPACE='SECRET\n\xff=1\n",
    b'{"token": "SECRET", "x":' + b"[" * 100_000,
    b'[profile.default]\napi_key = "SECRET" x',
    b'[profile.default]\nnamespace = "a\\u0000\\u001b[2J"\napi_key = "SECRET"\n[profile."\\u001b"]',
    b"[profile.default]\naddress = " + b"9" * 5000,
    b"x = " + b"[" * 20_000,
    b"[profile.default]\naddress = 'h:1'\n[profile.default.grpc_meta]\ncookie = 'SECRET'\n",
    b"# prod\nexport TEMPORAL_API_KEY='Bearer SECRET'  # prod\n",
    b"A='" * 20_000 + b"SECRET",
    b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n",
]


def worlds(first: int, folder: Path, world: World) -> Iterator[tuple[random.Random, World]]:
    """Chance and a world of its own for each seed of a batch."""
    for seed in range(first, first + BATCH):
        print(f"seed {seed}")  # pytest shows the last of them where a test fails
        redaction._secrets.clear()
        own = World(folder / str(seed) / "world", world.dev, world.certificates, "")
        own.folder.mkdir(parents=True)
        with own.closing:
            yield random.Random(seed), own


def batches(quick: int, seeds: int) -> list[Any]:
    """The first seed of each batch; so many seeds are for the quick tests."""
    return [pytest.param(n, marks=SLOW * (n >= quick)) for n in range(0, seeds, BATCH)]


def draw_secret(chance: random.Random, *special: str) -> str:
    """An API key of any form, or a password."""
    letters = "".join(chance.choices([*"abcXYZ0189/+%&=", *special], k=20))
    token = jwt(expires=chance.uniform(-9, 99))
    return chance.choice([token, chance.randbytes(16).hex(), letters, "k3y,7"])


def make_file(world: World, kind: int) -> str:
    """A file of some kind; some hold the secret."""
    file = world.folder.with_name(f"file-{kind}")
    if kind < len(CONTENTS) and not file.exists():
        content = CONTENTS[kind].replace(b"SECRET", world.key.encode())
        write(file, content, 0o644 if kind % 2 else 0o600)
    elif kind == len(CONTENTS) and not file.exists():
        os.mkfifo(file)
    elif kind > len(CONTENTS) and not file.is_symlink():
        file.symlink_to(["nowhere", file.name, "."][kind - len(CONTENTS) - 1])
    return str(file)


def draw_settings(chance: random.Random, world: World) -> tuple[dict[str, str], Path]:
    """An environment and a `.env`, with the secret where it belongs and where it does not."""
    key, coded = world.key, quote(world.key, safe="")
    forms = [key, f"Bearer {key}", coded, json.dumps(key), f"{key}:7233", f"me:{key}@127.0.0.1:9"]
    forms += [f"http://me:{coded}@127.0.0.1:9", base64.b64encode(key.encode()).decode()]

    def draw_file() -> str:
        return make_file(world, chance.randrange(len(CONTENTS) + 4))

    values = {
        name: draw_file()
        if chance.random() < 0.33
        else chance.choice(chance.choice([forms, TEXTS]))
        for name in chance.sample(NAMES, chance.randint(1, 6))
    }
    kept = chance.choice(["TEMPORAL_API_KEY", "TEMPORAL_TLS_KEY_DATA", AUTHORIZATION, COOKIE])
    values[kept] = f"Bearer {key}" if kept == AUTHORIZATION else key
    form = chance.choice(["{}={}\n", "export {}='{}'\n", '{}="{}"\n'])
    written = [name for name in values if name != kept and chance.random() < 0.3]
    if chance.random() < 0.2:
        written = [kept]  # alone: with the others the file may be no `.env` at all
    elif chance.random() < 0.2:
        return values, Path(draw_file())
    text = "".join(form.format(name, values.pop(name)) for name in written)
    return values, world.file(".env", text.encode(errors="surrogateescape"))


def run(path: str, world: World, *settings: Any, **options: Any) -> Script:
    """Run a script, and assert what holds for each of them, whatever it is given."""
    began = time.monotonic()
    done = run_now(path, *settings, **options)
    assert time.monotonic() - began < (15 if path == LOCAL else 5)
    # What a workflow answered is data, and is printed as it is.
    said = done.stderr + ("" if path == PING and done.code == 0 else done.stdout)
    failed = [line for line in said.splitlines() if line.startswith(("✗", "ERROR - ✗"))]
    if path == CHECK and "\nNext: fix what is marked ✗, for a worker; a ping can run" in said:
        failed = []  # its exit code is the ping's
    assert done.code == int(bool(failed)), said
    assert path != CHECK or "Traceback" not in said
    assert [one for one in said if not (one.isprintable() or one == "\n")] == []
    assert leaks(world, said) == set(), said
    assert world.key.lower() not in said.lower(), said
    assert max(map(len, said.splitlines())) < 2100
    assert len(said) < 40_000
    return done


@pytest.mark.parametrize("first", batches(60, 2000))
def test_hostile_settings(
    first: int, tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chance, own in worlds(first, tmp_path, world):
        own.key = draw_secret(chance)
        settings, file = draw_settings(chance, own)
        scripts = chance.choices([1, 3, 4], [80, 10, 1])[0]
        for path in (CHECK, PING, WORKER, LOCAL)[:scripts]:
            nowhere = {} if path == LOCAL else {"target_host": own.nothing}  # and never to Cloud
            monkeypatch.setattr(
                delivered("temporal_client"), "client_options", partial(dict, nowhere)
            )
            run(path, own, settings, file, offline=True, serve=False, db=None)


def serve(chance: random.Random, text: str) -> grpc.GenericRpcHandler:
    """Turn calls down or answer them, with a text wherever the scripts look for one."""
    payload = {"metadata": {"encoding": b"json/plain"}, "data": json.dumps(text).encode()}
    ends = {
        "completed": {"result": {"payloads": [payload]}},
        "failed": {"failure": {"message": text}},
    }
    end, poll = chance.choice([*ends]), {"seconds": int(time.time() * chance.choice([0.9, 1]))}
    event = {
        "event_type": f"EVENT_TYPE_WORKFLOW_EXECUTION_{end.upper()}",
        f"workflow_execution_{end}_event_attributes": ends[end],
    }
    answers: list[Any] = [
        api.GetSystemInfoResponse(),
        api.DescribeNamespaceResponse(),
        api.DescribeTaskQueueResponse(pollers=[{"identity": text, "last_access_time": poll}]),  # type: ignore[list-item]
        api.GetWorkflowExecutionHistoryResponse(history={"events": [event]}),  # type: ignore[arg-type]
        api.ListNamespacesResponse(namespaces=[{"namespace_info": {"name": text}}]),  # type: ignore[list-item]
        api.StartWorkflowExecutionResponse(run_id=text),
    ]
    known = {f"/{SERVICE}/{type(one).__name__.removesuffix('Response')}": one for one in answers}

    def respond(method: str, _: bytes, context: Any) -> bytes:
        if method not in known:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        if chance.random() < 0.2:
            sent = dict(context.invocation_metadata())
            echo = [
                chance.choice(FORMS)(str(sent.get(name))) for name in ("authorization", "cookie")
            ]
            context.abort(chance.choice(list(grpc.StatusCode)[1:]), f"{echo}{text[:4000]}")
        said: bytes = known[method].SerializeToString()
        return chance.choice([said, said, said, said, said, said, b"", chance.randbytes(99)])

    return EveryMethod(respond)


def draw_server(chance: random.Random, world: World) -> str:
    """The address of a server of any kind; each answers at once and hangs up."""
    text = chance.choice([FORGED, "y" * 10**6, "y\n" * 10**5])
    if chance.random() < 0.4:
        return world.other_server(serve(chance, text))
    noise, frames = chance.randbytes(chance.randrange(2000)), BAD_GATEWAY
    hello = b"\x16\x03\x03" + chance.randbytes(2) + b"\2" + noise  # of half a TLS handshake
    half = frames[: chance.randrange(9, len(frames))]
    page = b"HTTP/1.1 200 " + text.encode()
    treat = answer(chance.choice([noise, page, hello, half, frames[:9] + noise]))
    return world.listen(treat) if chance.random() < 0.5 else world.listen_tls(treat)


@pytest.mark.parametrize("first", batches(20, 300))
def test_hostile_servers(first: int, tmp_path: Path, world: World) -> None:
    for chance, own in worlds(first, tmp_path, world):
        own.key = draw_secret(chance, *'"\\äß€')
        settings = {"TEMPORAL_ADDRESS": draw_server(chance, own)}
        settings[chance.choice(["TEMPORAL_API_KEY", "TEMPORAL_API_KEY", COOKIE])] = own.key
        settings["TEMPORAL_TLS"] = chance.choice(["true", "false"])
        settings["TEMPORAL_TLS_SERVER_CA_CERT_PATH"] = str(own.server_ca)
        for path in (CHECK, PING):
            said = run(path, own, settings, timeout=1.0).stdout
            # Where else a worker polls is what the server lists, and is told as that.
            fixes = re.findall("^  → (?!a worker polls).*", said, re.M)
            assert not [one for one in fixes if "settings: complete" in one or "yyyy" in one]
