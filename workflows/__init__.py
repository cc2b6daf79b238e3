"""Workflows and activities. Import them from their own modules, as the worker does.

For every workflow run the SDK imports this package again, in a sandbox that keeps workflow code
deterministic. Whatever this file imports slows down every run: fifty workflows, ten times.
"""

from workflows.ping_workflow import PingWorkflow

__all__ = ["PingWorkflow"]
