"""Touch a file for as long as the event loop answers, for a liveness probe to look at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def alive(file: Path) -> AsyncIterator[None]:
    """Touch `file` every five seconds until the `async with` block ends."""

    async def touch() -> None:
        while True:
            file.touch()
            await asyncio.sleep(5)

    touching = asyncio.create_task(touch())
    try:
        yield
    finally:
        touching.cancel()
