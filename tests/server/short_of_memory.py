"""A process in which a thread's next allocations fail, more of them each time."""

import _testcapi  # type: ignore[import-not-found]
import asyncio
import faulthandler
import sys
import time

from kho.server.threads import Threads

MOST = 30


def starve(count: int) -> None:
    """Once the loop sleeps: only this thread is to be short of memory."""
    time.sleep(0.1)
    _testcapi.set_nomemory(0, count)


async def main() -> None:
    """Ask again and again."""
    threads = Threads("starving", 2)
    for count in range(1, MOST, 2):
        await asyncio.sleep(0.005)  # the thread of the last time waits for work again
        await threads.run(starve, count)
        _testcapi.remove_mem_hooks()
    threads.close()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(40, exit=True)
    asyncio.run(main())
    sys.stdout.write("all came back\n")
