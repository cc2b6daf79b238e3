"""The smallest workflow there is, to see that everything is connected."""

from temporalio import workflow


@workflow.defn
class PingWorkflow:
    """Answers `ok`."""

    @workflow.run
    async def run(self) -> str:
        """Take nothing, return `ok`."""
        return "ok"
