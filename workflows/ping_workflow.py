"""A smoke test: a workflow that shows that client, server and worker are connected."""

from temporalio import workflow


@workflow.defn
class PingWorkflow:
    """Answers `ok`."""

    @workflow.run
    async def run(self) -> str:
        """Return `ok`."""
        return "ok"
