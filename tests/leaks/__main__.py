"""
Run each public operation a thousand times, and see whether references are left.

``python3-dbg -m tests.leaks [PART OF A NAME...]``, with an interpreter that counts
references and extension modules built for it: ``make leaks`` sees to both. Names the
operations that leak, and fails if there is one.
"""

from __future__ import annotations

import gc
import logging
import sys

from tests.leaks import clients, engine, events, protocol, serving, threads
from tests.leaks.measure import TIMES, Operation, measure
from wsfast.engine import KERNEL

OPERATIONS = [
    operation
    for module in (engine, protocol, serving, clients, events, threads)
    for operation in module.operations.all
]

_kept: list[object] = []


def _keeps_one() -> None:
    _kept.append(object())


async def _keeps_one_later() -> None:
    _kept.append(object())


def check_measure() -> None:
    """Fail unless a leak of one reference is found."""
    for run in (_keeps_one, _keeps_one_later):
        found = measure(Operation("planted", run, None), settle_s=0).leaks
        if found < TIMES:
            sys.exit(f"a planted leak went unseen: {found} references")
    _kept.clear()


def main(wanted: list[str]) -> int:
    """Measure the operations whose names hold one of the words; return a status."""
    if not hasattr(sys, "gettotalrefcount"):
        sys.exit("this interpreter does not count references: use python3-dbg")
    if KERNEL == "python":
        sys.exit("the extension modules are not built for this interpreter")
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    check_measure()
    chosen = [o for o in OPERATIONS if not wanted or any(w in o.name for w in wanted)]
    leaking = []
    for operation in chosen:
        verdict = measure(operation)
        counts = " ".join(map(str, verdict.left))
        print(f"{operation.name:52} {verdict.seconds:5.1f} s  {counts}", flush=True)
        if verdict.leaks:
            leaking.append(f"{operation.name}: {verdict.leaks} references")
    print(f"{len(chosen)} operations, {TIMES} times each: ", end="")
    print("no reference left" if not leaking else f"{len(leaking)} leak")
    for line in leaking:
        print("LEAK", line)
    return 1 if leaking or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
