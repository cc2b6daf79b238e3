"""A workflow that uses both."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.ledger import Ledger
    from workflows.rates import Rates

LIMIT = timedelta(seconds=10)


@workflow.defn
class PaymentWorkflow:
    @workflow.run
    async def run(self, amount: float, currency: str) -> float:
        rate = await workflow.execute_activity_method(
            Rates.find_rate, currency, start_to_close_timeout=LIMIT
        )
        return await workflow.execute_activity_method(
            Ledger.record,
            args=[workflow.info().workflow_id, amount * rate],
            start_to_close_timeout=LIMIT,
        )
