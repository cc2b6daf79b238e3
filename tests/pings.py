"""Pings without end, and what the server says of them: the last word on what is lost."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import grpc  # type: ignore[import-untyped]
from kit import RunningScript, call
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus
from temporalio.api.history.v1 import History
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    CountWorkflowExecutionsResponse,
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
)

PING = "WorkflowType = 'PingWorkflow'"
HUNDREDS = 300
ENDLESS = ("-c", "1000000")  # for start_ping.py: more than any machine answers in a test


def wait_until(true: Callable[[], bool], what: str, timeout: float = 60) -> float:
    """Wait until something is so; gives the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < timeout, f"not within {timeout} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


@dataclass(frozen=True)
class Pings:
    """The pings in one namespace of a server."""

    address: str
    namespace: str = "default"

    def count(self, query: str = "ExecutionStatus = 'Completed'") -> int:
        """How many pings there are of this kind; 0 from a server that does not answer."""
        request = CountWorkflowExecutionsRequest(
            namespace=self.namespace, query=f"{PING} AND {query}"
        )
        try:
            answer = call(
                self.address, "CountWorkflowExecutions", request, CountWorkflowExecutionsResponse, 2
            )
        except grpc.RpcError:
            return 0
        return answer.count

    def wait_for_more(self, more: int) -> None:
        """Wait until so many more have their answer."""
        wanted = self.count() + more
        wait_until(lambda: self.count() >= wanted, f"{wanted} answered pings")

    def first_answer_after(self, moment: float) -> float:
        """Seconds from a moment, as ``time.time`` tells it, to the first answer after it."""
        while True:
            closed = []
            with suppress(grpc.RpcError):  # a server that has just come back, on a busy machine
                closed = [run.close_time.ToNanoseconds() / 1e9 for run in self._runs()]
            if after := [end for end in closed if end > moment]:
                return min(after) - moment
            assert time.time() - moment < 60, "no ping was answered within 60 s"
            time.sleep(0.1)

    def all_answered(self, at_least: int) -> int:
        """Each has run once, to ``ok``; gives how many there are."""
        wait_until(
            lambda: self.count() >= at_least and not self.count("ExecutionStatus = 'Running'"),
            f"{at_least} answered pings and none that runs",
        )
        runs = self._runs()
        assert len({run.execution.workflow_id for run in runs}) == len(runs) >= at_least
        done = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
        assert {run.status for run in runs} == {done}
        answers = []
        for run in runs:
            history = self._history(run.execution.workflow_id)
            last = history.events[-1].workflow_execution_completed_event_attributes
            answers += [payload.data for payload in last.result.payloads]
        assert answers == [b'"ok"'] * len(runs)
        return len(runs)

    def tasks_timed_out(self) -> int:
        """How often a worker was given a task and never answered it."""
        gone = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
        histories = [self._history(run.execution.workflow_id) for run in self._runs()]
        return sum(event.event_type == gone for one in histories for event in one.events)

    def _runs(self) -> list[WorkflowExecutionInfo]:
        request = ListWorkflowExecutionsRequest(
            namespace=self.namespace, query=PING, page_size=1000
        )
        runs: list[WorkflowExecutionInfo] = []
        while True:
            method, answer = "ListWorkflowExecutions", ListWorkflowExecutionsResponse
            page = call(self.address, method, request, answer, 20)
            runs += page.executions
            request.next_page_token = page.next_page_token
            if not page.next_page_token:
                return runs

    def _history(self, workflow_id: str) -> History:
        request = GetWorkflowExecutionHistoryRequest(namespace=self.namespace)
        request.execution.workflow_id = workflow_id
        method, answer = "GetWorkflowExecutionHistory", GetWorkflowExecutionHistoryResponse
        return call(self.address, method, request, answer, 20).history


def judge(load: RunningScript, pings: Pings, fault: str, *numbers: str) -> None:
    """End what starts pings without end; each that it started is answered, as the server says."""
    wait_until(lambda: pings.count() >= HUNDREDS, f"{HUNDREDS} answered pings")
    load.signal(signal.SIGINT)
    assert load.wait() == 130, load.stderr
    ok, failed = map(int, re.findall(r"(\d+) (?:ok|failed)", load.stdout))
    assert failed == 0, load.stderr
    assert len(load.stdout.splitlines()) == 1
    print(f"{fault}: {load.stdout.strip()}; {pings.all_answered(ok)} started", *numbers, sep="; ")
