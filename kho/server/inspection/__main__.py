"""`python -m kho.server.inspection ORDER`: a layer on standard input, frames on standard output."""

import gc
import sys
from contextlib import suppress
from typing import Final

import msgspec

from kho.layers.errors import LayerRefused
from kho.server.inspection import frames
from kho.server.inspection.confinement import confine
from kho.server.inspection.frames import Say
from kho.server.inspection.listing import list_layer
from kho.server.inspection.order import Order
from kho.server.inspection.taking import take_member

_MIB: Final = 1 << 20


def main() -> None:
    """Follow the order; whatever goes wrong with the layer is told in one line."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    confine(order)
    # Nothing here makes circles, and millions of entries would be looked through again and again.
    gc.disable()
    raw = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115  it is the process's own
    told = sys.stdout.buffer
    try:
        if order.take is None:
            list_layer(raw, told.write, order)
        else:
            take_member(raw, told.write, order.take)
    except LayerRefused as error:
        frames.put(told.write, Say.REFUSED, str(error).encode("utf-8", "backslashreplace"))
    except MemoryError:
        most = order.bounds.memory // _MIB
        reason = f"reading the layer needs more than {most} MiB of memory"
        frames.put(told.write, Say.REFUSED, reason.encode())
    told.flush()


if __name__ == "__main__":
    with suppress(BrokenPipeError, ConnectionResetError):  # the worker wants no more
        main()
