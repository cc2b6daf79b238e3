"""A workflow without an end that goes over to each new build."""

from temporalio import workflow
from temporalio.workflow import ContinueAsNewVersioningBehavior


@workflow.defn
class PatientWorkflow:
    @workflow.run
    async def run(self, rounds: int) -> None:
        await workflow.sleep(1)
        workflow.continue_as_new(
            rounds + 1, initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE
        )
