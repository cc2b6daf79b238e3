"""What is defined, but not registered, is found without asking the owner's objects for anything."""

from __future__ import annotations

import asyncio
import functools
import sys
import types
from pathlib import Path

import pytest

from temporal_kit.own_thread import in_own_thread
from temporal_kit.registration import short_path, unregistered

from .kit import SOURCE

BROAD = """
from unittest.mock import MagicMock
from temporalio import activity, workflow

class AttrDict(dict):
    __getattr__ = dict.__getitem__
    def __call__(self): pass

class Answers:
    def __getattr__(self, name): return lambda *args: 1
    def __call__(self): pass

class Refuses:
    def __getattribute__(self, name): raise RuntimeError(name)
    def __call__(self): pass

class AnswersForClasses(type):
    def __getattr__(cls, name): return 1

class RefusesForClasses(type):
    def __getattr__(cls, name): raise KeyError(name)

class One(metaclass=AnswersForClasses): part = AttrDict()
class Other(metaclass=RefusesForClasses): part = Refuses()

settings, answers, refuses, mock = AttrDict(key=1), Answers(), Refuses(), MagicMock()

@activity.defn
def registered(): pass

@activity.defn(name="forgotten by name")
def forgotten(): pass

class Payments:
    @activity.defn
    def charge(self): pass
    @activity.defn
    def refund(self): pass

@workflow.defn
class Order:
    @workflow.run
    async def run(self): pass

@workflow.defn
class Forgotten:
    @workflow.run
    async def run(self): pass
"""


def test_objects_of_the_owners_are_not_asked_for_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    own = types.ModuleType("broad")
    own.__file__ = str(SOURCE.parent / "broad.py")
    monkeypatch.setitem(sys.modules, "broad", own)
    exec(BROAD, vars(own))
    registered = [own.registered, own.Payments().charge, own.Order]
    assert unregistered(registered) == ["Forgotten", "forgotten by name", "refund"]
    objects = [own.settings, own.answers, own.refuses, own.mock, own.One, own.Other]
    assert unregistered([*registered[:2], *objects]) == ["forgotten by name", "refund"]


def test_a_path_object_in_the_search_path_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [Path("/srv/app"), "/srv", ""])
    assert short_path("/srv/app/worker.py") == str(Path("app", "worker.py"))


def test_what_exits_in_a_thread_of_its_own_is_an_error_of_its_callers() -> None:
    with pytest.raises(RuntimeError, match="vault down"):
        asyncio.run(in_own_thread(functools.partial(sys.exit, "vault down")))
