"""Run the job table beside the requests of a worker."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from kho.server import telemetry
from kho.server.jobs.schedule import JOBS, Job
from kho.server.resources import Resources

# Workers that start together must not work together.
JITTER: Final = 0.2


@asynccontextmanager
async def run_jobs(resources: Resources) -> AsyncIterator[None]:
    """Keep the jobs running until the block ends."""
    tasks = [asyncio.create_task(_repeat(resources, job)) for job in JOBS]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(resources: Resources, job: Job) -> None:
    while True:
        await asyncio.sleep(job.seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
        try:
            done = await job.run(resources)
        except Exception as error:  # noqa: BLE001  the next round may fare better
            telemetry.log_failure("job failed", error, job=job.name)
        else:
            telemetry.log_event("job done", level="debug", job=job.name, count=done)
