"""An activity with an HTTP client."""

import httpx
from temporalio import activity


class Rates:
    """Exchange rates from a web service."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    @activity.defn
    async def find_rate(self, currency: str) -> float:
        answer = await self.http.get(f"/rates/{currency}")
        answer.raise_for_status()
        return float(answer.json()["rate"])
