"""A workflow that waits for a signal, and answers a query meanwhile."""

from temporalio import workflow


@workflow.defn
class OrderWorkflow:
    def __init__(self) -> None:
        self.paid = 0.0

    @workflow.run
    async def run(self) -> float:
        await workflow.wait_condition(lambda: self.paid > 0)
        return self.paid

    @workflow.signal
    def pay(self, amount: float) -> None:
        self.paid += amount

    @workflow.query
    def state(self) -> str:
        return f"paid: {self.paid}"
