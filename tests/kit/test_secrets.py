"""No output, log, error, process title or metric carries an API key or a private key."""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest

from temporal_kit.reading import collect_settings
from temporal_kit.redaction import HIDDEN, hide_secrets, redact, remember_secret, shorten
from temporal_kit.settings import SETTINGS

from .cases import CLOUD, OWN_TLS, PAIR, WRONG_SETTINGS, Case, env, filled
from .delivered import delivered
from .inside import run_now
from .kit import API_KEY, CHECK, PING, SOURCE, WORKER, Kit, free_port, write
from .test_diagnosis import run_alone
from .world import HOST, World, leaks

KEY, TOKEN, PEM, LONG = "{w.key}", "{w.good_jwt}", "{w.private_pem}", "orders-" * 60
HERE = env(CLOUD, ADDRESS="{w.nothing}", TLS_SERVER_NAME=HOST)  # where nothing listens
PATHS = ("TLS_CLIENT_CERT_PATH", "TLS_CLIENT_KEY_PATH", "TLS_SERVER_CA_CERT_PATH")
BOTH = {**HERE, **PAIR}
# Secrets where none belongs. A key without a form of its own is known by TEMPORAL_API_KEY alone.
ELSEWHERE = [
    *(
        Case(f"{kind} as {name}", env(BOTH if name in PATHS else HERE, **{name: value}))
        for name in (setting.removeprefix("TEMPORAL_") for setting in SETTINGS)
        for kind, value in (("key", KEY), ("token", TOKEN), ("PEM", PEM))
        if name != "API_KEY"
    ),
    Case("two keys by two names", env(BOTH, TLS_CERT_DATA=KEY, TLS_CLIENT_CERT_DATA=PEM)),
    Case("key with a port", env(HERE, ADDRESS=f"{KEY}:7233")),
    Case("key in a URL", env(HERE, ADDRESS=f"https://{KEY}@h:7233")),
    Case("token as host", env(ADDRESS=f"{TOKEN}.tmprl.cloud:7233")),
    Case("key after a namespace", env(HERE, NAMESPACE=f"payments.a1b2c {KEY}")),
    Case("name in .env glued to the token", env(ADDRESS="h"), dotenv=f"TEMPORAL_API_KEY{TOKEN}\n"),
    Case("token alone in .env", env(ADDRESS="h"), dotenv=f"{TOKEN}\n{KEY}\n"),
    Case("key with a colon in .env", HERE, dotenv=f"TEMPORAL_API_KEY: {KEY}\n"),
    Case("bare PEM in .env", env(ADDRESS="h"), dotenv=f"TEMPORAL_TLS_KEY_DATA={PEM}\n"),
]


ERRORS = [case for case in WRONG_SETTINGS if case.level == "error"]
SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in ERRORS if case not in ERRORS[::4]]


@pytest.mark.parametrize("case", [*ERRORS[::4], *SLOW, *ELSEWHERE], ids=str)
def test_wrong_settings_show_no_secret(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the core lets pass is told once the connection fails: no test connects to Cloud.
    monkeypatch.setattr(
        delivered("temporal_client"), "client_options", lambda: {"target_host": world.nothing}
    )

    # Of the table's cases test_diagnosis.py asserts the same about the check, and all that is wrong
    # with settings the worker says as the ping does.
    for path in (PING, WORKER, CHECK) if case in ELSEWHERE else (PING,):
        done = run_alone(path, case, world)
        assert done.code == 1 or path == CHECK  # a secret may well be good as a queue's name
        assert leaks(world, done.stdout, done.stderr) == set(), (path, done)
        assert "\x1b" not in done.stdout + done.stderr
        assert path == CHECK or "Traceback" in done.stderr
    settings = collect_settings(filled(case.settings, world), None, {})
    assert leaks(world, repr(settings), str(settings), repr(settings.values)) == set()


def test_a_secret_is_hidden_in_every_form(world: World) -> None:
    secrets = ['opaque-"k3y"/with+signs', world.key, *world.private_pem.splitlines()[1:-1]]
    remember_secret("\n".join(secrets))
    for line in secrets:
        raw = line.encode()
        coded = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
        for form in (line, json.dumps(line)[1:-1], quote(raw, safe=""), *coded):
            assert redact(f"a {form};b").replace("=", "") == "a (hidden);b"


def wrapped(text: str, width: int, between: str) -> str:
    return between.join(text[at : at + width] for at in range(0, len(text), width))


def go_json(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return "".join(rf"\u{ord(one):04x}" if one in "<>&" else one for one in quoted)


def octal(text: str) -> str:
    return "".join(
        chr(one) if one < 128 and chr(one).isalnum() else f"\\{one:03o}" for one in text.encode()
    )


CODED: list[Callable[[bytes], bytes]] = [
    base64.b64encode,
    base64.urlsafe_b64encode,
    base64.encodebytes,
    base64.b32encode,
    lambda raw: raw.hex().encode(),
]
FORMS: list[Callable[[str], str]] = [
    str.upper,
    str.lower,
    str.title,
    quote,
    lambda key: quote(key, safe=""),
    lambda key: quote(key, safe=";,/?:@&=+$-_.!~*'()#"),
    quote_plus,
    lambda key: re.sub("%..", lambda found: found[0].lower(), quote(key, safe="")),
    lambda key: "".join(f"%{one:02X}" for one in key.encode()),
    html.escape,
    lambda key: html.escape(key, quote=False),
    lambda key: "".join(f"&#{ord(one)};" for one in key),
    lambda key: html.escape(key).encode("ascii", "xmlcharrefreplace").decode(),
    lambda key: json.dumps(key)[1:-1],
    lambda key: json.dumps(key).replace("/", r"\/")[1:-1],
    go_json,
    lambda key: repr(key)[1:-1],
    lambda key: ascii(key)[1:-1],
    lambda key: repr(key.encode())[2:-1],
    octal,
    lambda key: ascii(ascii(ascii(key)[1:-1])[1:-1])[1:-1],
    lambda key: json.dumps(html.escape(key))[1:-1],
    lambda key: quote(json.dumps(key)[1:-1], safe=""),
    lambda key: html.escape(json.dumps(key)[1:-1]),
    lambda key: quote(quote(key, safe=""), safe=""),
    lambda key: wrapped(key, 20, "\n"),
    lambda key: wrapped(key, 7, "\r\n    "),
    lambda key: json.dumps(wrapped(key, 9, "\n"))[1:-1],
    lambda key: wrapped(quote(key, safe=""), 24, "\n"),
    lambda key: wrapped(key.encode().hex().upper(), 32, "\n"),
    *(lambda key, code=code: code(key.encode()).decode().rstrip("=\n") for code in CODED),
]
LETTERS = [
    string.ascii_letters + string.digits,
    string.ascii_letters + string.digits + "/+=",
    string.ascii_letters + string.punctuation,
    "äöüßİıΣσςéñ漢字😀" + string.ascii_letters,
    r"aA1\n\r%41&lt;",
]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 40))]
)
def test_no_form_of_a_key_shows_a_piece_of_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    for letters in LETTERS * 6:
        key = "".join(chance.choices(letters, k=chance.choice([8, 12, 20, 33, 64, 300])))
        monkeypatch.setattr("temporal_kit.redaction._secrets", set())
        remember_secret(key)
        for form in (make(key) for make in FORMS):
            for around in ("{}", "a {} b", '{"x":"{}"}', "k={}&y=1", "Bearer {}"):
                said = hide_secrets(around.replace("{}", form))
                assert said == around.replace("{}", HIDDEN), (key, form)


def test_ordinary_text_stays_whatever_is_known() -> None:
    pages = [*(SOURCE / "docs").rglob("*.md"), *(SOURCE / "temporal_kit").rglob("*.py")]
    texts = [page.read_text("utf-8") for page in pages]
    before = list(map(hide_secrets, texts))
    chance = random.Random(1)
    for length in (5, 6, 8, 16, 64) * 20:
        remember_secret("".join(chance.choices(string.ascii_letters + string.digits, k=length)))
    assert list(map(hide_secrets, texts)) == before


def test_what_is_cut_was_redacted_before() -> None:
    remember_secret(API_KEY)
    for before in range(0, 120, 7):
        said = "x" * before + API_KEY * 3
        for cut in (shorten(said, 100), redact(said, 100)):
            assert not any(API_KEY[at : at + 4] in cut for at in range(len(API_KEY) - 3))


HOLDING = {
    "TEMPORAL_API_KEY": ["{} # prod", "'{}'", "Bearer {}", "export TEMPORAL_API_KEY='{}' # prod"],
    "TEMPORAL_API_KEY_FILE": ["# prod\n{} # prod\n", "Bearer {}\n", '{{"token": "{}"}}', "key: {}"],
    "HTTPS_PROXY": ["me:{}@proxy:3128", "http:me:{}@proxy", "http://me:{}@proxy:3128/"],
    "TEMPORAL_GRPC_META_COOKIE": ["session={}; Path=/; Secure"],
    "TEMPORAL_GRPC_META_X_AUTH": ["{}", "Basic {}"],
    "TEMPORAL_GRPC_META_X_ANYTHING": ["{}"],
}


@pytest.mark.parametrize(
    ("name", "held"), [(name, held) for name, texts in HOLDING.items() for held in texts]
)
@pytest.mark.parametrize("source", ["environment", ".env", "TOML"])
def test_the_parts_of_what_a_setting_holds_are_secrets(
    tmp_path: Path, name: str, held: str, source: str
) -> None:
    key = f"{API_KEY[:20]}Q9"
    text = held.format(key)
    if name.endswith("_FILE"):
        text = str(write(tmp_path / "key", text))
    environ, env_file = {name: text}, tmp_path / ".env"
    if source == ".env":
        environ = {}
        write(env_file, f"{name}={json.dumps(text)}\n")
    elif source == "TOML":
        field = name.removeprefix("TEMPORAL_").lower().replace("grpc_meta_", "grpc_meta.")
        toml = f"[profile.default]\naddress = 'h:1'\n{field} = {json.dumps(text)}\n"
        environ = {"TEMPORAL_CONFIG_FILE": str(write(tmp_path / "t.toml", toml))}
        if name.startswith("HTTPS") or name.endswith("_FILE"):
            return  # no TOML file has it
    settings = collect_settings(environ, env_file, {})
    assert settings.is_set(name)
    words = "Bearer prod proxy export true session"
    assert redact(f"{key} {words}") == f"(hidden) {words}"
    assert key not in settings.table() + repr(settings)


@pytest.mark.parametrize(
    "known_by",
    [
        "GRPC_META_COOKIE=session={}",
        pytest.param("GRPC_META_X_AUTH={}", marks=pytest.mark.slow),
        pytest.param("TLS_CLIENT_KEY_DATA='{}' # prod", marks=pytest.mark.slow),
        pytest.param("SOME_TOKEN={}", marks=pytest.mark.slow),
    ],
)
def test_a_secret_of_any_setting_is_hidden_as_any_other(known_by: str, world: World) -> None:
    name, _, text = known_by.format(world.key).partition("=")
    for setting in SETTINGS:
        for value in (world.key, f"{world.key}:7233", f"x,{world.key}"):
            settings = {f"TEMPORAL_{name}": text, "TEMPORAL_ADDRESS": world.nothing, setting: value}
            done = run_now(CHECK, settings, None, offline=True)
            assert "Checks:" in done.stdout, done
            assert leaks(world, done.stdout, done.stderr) == set(), (setting, done)


def test_a_header_that_another_setting_shows_or_a_short_word_is_no_secret() -> None:
    environ = {"TEMPORAL_NAMESPACE": "payments.a1b2c", "TEMPORAL_ADDRESS": "h:7233"}
    headers = {"TEMPORAL_NAMESPACE": "payments.a1b2c", "X_TEAM": "blue", "X_ON": "true", "X": "a"}
    headers |= {"X_TENANT": "tenant-9"}
    environ |= {f"TEMPORAL_GRPC_META_{name}": value for name, value in headers.items()}
    collect_settings(environ, None, {})
    said = redact("payments.a1b2c blue true a tenant-9")
    assert said == "payments.a1b2c blue true a (hidden)"


def test_what_looks_like_a_secret_is_hidden_whoever_says_it(world: World) -> None:
    said = f"401 for {world.good_jwt} and\n{world.private_pem} from https://ada:pass@proxy:80/x"
    assert leaks(world, redact(said)) == set()
    assert "pass" not in redact(said)
    assert redact("a\x1b[31mb\u202ec\nd") == r"a\x1b[31mb\u202ec\nd"


def test_a_running_worker_shows_no_secret(kit: Kit, world: World) -> None:
    at = f"127.0.0.1:{free_port()}"
    own = env({**OWN_TLS, **PAIR}, API_KEY=KEY, METRICS_ADDRESS=at, TASK_QUEUE=LONG)
    settings = filled(own, world)
    worker = kit.work("--verbose", **settings)
    ping = run_now(PING, settings)
    assert ping.stdout == "ok\n", ping
    metrics = httpx.get(f"http://{at}/metrics", trust_env=False).text
    assert "temporal_" in metrics
    process = Path("/proc", str(worker.process.pid))
    titles = [(process / name).read_text() for name in ("cmdline", "comm") if process.exists()]
    worker.process.terminate()
    assert worker.wait() == 0, worker.stderr
    lost = kit.start(PING, "--verbose", **filled(env(HERE, NAMESPACE=f"a.b {KEY}"), world))
    assert lost.wait() == 1
    said = ping.stderr, worker.stdout, worker.stderr, lost.stdout, lost.stderr
    assert leaks(world, metrics, *titles, *said) == set()
