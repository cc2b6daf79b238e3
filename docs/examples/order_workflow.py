"""A workflow that waits for a signal, and answers updates and a query meanwhile."""

from temporalio import workflow


@workflow.defn
class OrderWorkflow:
    def __init__(self) -> None:
        self.paid = 0.0
        self.address = ""

    @workflow.run
    async def run(self) -> float:
        await workflow.wait_condition(lambda: self.paid > 0)
        return self.paid

    @workflow.signal
    def pay(self, amount: float) -> None:
        self.paid += amount

    @workflow.update
    def send_to(self, address: str) -> str:
        before, self.address = self.address, address
        return before

    @send_to.validator
    def check_address(self, address: str) -> None:
        if not address:
            raise ValueError("an address is needed")

    @workflow.query
    def state(self) -> str:
        return f"paid: {self.paid}"
