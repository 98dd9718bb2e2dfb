"""Stop one thread of a process, and no other, until the process ends: `freeze.py TID` prints a line once it is stopped.

A signal would stop all threads at once. A debugger stops one: the others go on, as beside one that hangs in a driver.
"""

import ctypes
import os
import sys
from typing import Final

_SEIZE: Final = 0x4206
_INTERRUPT: Final = 0x4207
_WALL: Final = 0x40000000


def main(thread: int) -> None:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in (_SEIZE, _INTERRUPT):
        if ptrace(request, thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    while True:
        _, status = os.waitpid(thread, _WALL)
        if not os.WIFSTOPPED(status):
            return  # gone; only now does its parent hear of it
        print("stopped", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
