"""Servers whose answers are damaged, absurd or malicious: told, and never a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

from .cases import FRONT, env, filled
from .cloud_front import CloudFront
from .inside import run_now
from .kit import CHECK, PING
from .world import World, leaks

TIMES = (
    Timestamp(seconds=2**40),
    Timestamp(seconds=-(2**40)),
    Timestamp(seconds=2**63 - 1, nanos=2**31 - 1),
    Timestamp(seconds=-(2**63), nanos=-(2**31)),
)
ESCAPES = "\x1b]0;owned\x07\r\x00\u202e"


def with_pollers(time: Timestamp) -> Callable[[bytes], bytes]:
    """A change of what a server says of a task queue: a poller of this time, with such a name."""

    def change(answer: bytes) -> bytes:
        described = DescribeTaskQueueResponse.FromString(answer)
        described.pollers.append(PollerInfo(identity=ESCAPES, last_access_time=time))
        described.versioning_info.current_deployment_version.deployment_name = ESCAPES
        described.versioning_info.current_deployment_version.build_id = "$(reboot)"
        return described.SerializeToString()

    return change


def said_by(path: str, cloud: CloudFront, world: World, **options: Any) -> str:
    """All that a script says with this server, of which nothing may be a traceback or a leak."""
    settings = filled(env(FRONT, ADDRESS=cloud.address, TASK_QUEUE="hostile"), world)
    done = run_now(path, settings, verbose=False, **options)
    everything = done.stdout + done.stderr
    assert done.code in (0, 1), everything
    assert "Traceback" not in everything
    assert all(letter.isprintable() or letter == "\n" for letter in everything), everything
    assert leaks(world, everything) == set()
    return everything


@pytest.mark.parametrize("time", TIMES, ids=str)
def test_a_poller_of_an_absurd_time(time: Timestamp, cloud: CloudFront, world: World) -> None:
    cloud.changes["DescribeTaskQueue"] = with_pollers(time)
    said = said_by(CHECK, cloud, world)
    assert "workers: " in said
    assert "reboot" not in said.partition("→")[2]  # no line to paste has a name of the server's


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_answers_that_are_damaged(seed: int, cloud: CloudFront, world: World) -> None:
    draw = random.Random(seed)

    def damage(answer: bytes) -> bytes:
        letters = bytearray(answer or b"\0")
        for _ in range(draw.randint(1, 8)):
            letters[draw.randrange(len(letters))] = draw.randrange(256)
        return bytes(letters[: draw.randint(0, len(letters) + 1)])

    calls = ("DescribeNamespace", "DescribeTaskQueue", "ListWorkers", "GetSystemInfo")
    for call in draw.sample(calls, draw.randint(1, 3)):
        cloud.changes[call] = damage
    said_by(CHECK, cloud, world)
    said_by(PING, cloud, world, timeout=0.5)
