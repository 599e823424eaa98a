"""A process in which a storage thread's next allocations fail, more of them each time."""

import _testcapi  # type: ignore[import-not-found]
import asyncio
import faulthandler
import sys

from kho.server.storage.threads import Threads

MOST = 30


async def main() -> None:
    """Ask again and again; the loop sleeps meanwhile, so only the thread is short of memory."""
    threads = Threads()
    for count in range(1, MOST, 2):
        await asyncio.sleep(0.005)  # the thread of the last time waits for work again
        await threads.run(_testcapi.set_nomemory, 0, count)
        _testcapi.remove_mem_hooks()
    threads.close()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(40, exit=True)
    asyncio.run(main())
    sys.stdout.write("all came back\n")
