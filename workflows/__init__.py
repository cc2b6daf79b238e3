"""The workflows and activities. Import your own from their own modules, as the worker does.

The sandbox imports this package again for every single workflow run, and with it everything that
this file imports: with fifty workflows in it, each run would take ten times as long.
"""

from workflows.ping_workflow import PingWorkflow

__all__ = ["PingWorkflow"]
