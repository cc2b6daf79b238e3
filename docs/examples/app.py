"""A web application whose client takes up new credentials while it runs."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from temporalio.client import Client

from temporal_kit import Failure, follow_credentials, load_env_file

load_env_file(Path(__file__).with_name(".env"))  # before your modules are imported

from temporal_client import get_temporal_client, load_settings
from workflows.ping_workflow import PingWorkflow


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    settings = load_settings()
    try:
        app.state.temporal = await get_temporal_client(settings)
    except Failure as failure:  # which says all that there is to say
        raise failure.with_traceback(None) from None

    def use(client: Client) -> None:
        app.state.temporal = client

    follow = follow_credentials(settings, get_temporal_client, load_settings, use)
    following = asyncio.create_task(follow)
    yield
    following.cancel()


async def ping(request: Request) -> PlainTextResponse:
    client: Client = request.app.state.temporal  # ask each time: another may be in use by now
    answer = await client.execute_workflow(
        PingWorkflow.run, id=f"ping-{uuid.uuid4()}", task_queue="ap-default"
    )
    return PlainTextResponse(answer)


app = Starlette(routes=[Route("/ping", ping)], lifespan=lifespan)
