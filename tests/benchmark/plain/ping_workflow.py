"""The same workflow as the kit's."""

from temporalio import workflow


@workflow.defn
class PingWorkflow:
    @workflow.run
    async def run(self) -> str:
        return "ok"
