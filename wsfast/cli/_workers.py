"""Running a load in this process, or in several."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from typing import Any

from ._load import Load, Plan, Report, Result

__all__ = ["run_here", "run_in_workers"]

#: Makes the plan: one that is made in the process itself may hold what can't be sent.
MakePlan = Callable[[Any], Plan]


def run_here(plan: Plan, report: Report) -> Result:
    """
    Run a load in this process; SIGINT ends it early.

    Args:
        plan: The load.
        report: See `Load`.

    """
    # From Python 3.11 on asyncio has a handler of its own while it runs.
    catch = signal.getsignal(signal.SIGINT) is signal.default_int_handler

    async def run() -> Result:
        load = Load(plan, report)
        if catch:
            with contextlib.suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, load.stop)
        return await load.run()

    return asyncio.run(run())


def run_in_workers(
    make_plan: MakePlan, options: Any, workers: int, report: Report
) -> Result:
    """
    Run a load in several processes, each of which has its share.

    Args:
        make_plan: Makes the whole plan out of ``options``; a function of a module.
        options: What can be sent to a process.
        workers: How many.
        report: See `Load`; gets the sums.

    Raises:
        Exception: What a worker has failed with.

    """
    context = multiprocessing.get_context("spawn")
    pipes: list[Pipe] = []
    processes = []
    try:
        for index in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(make_plan, options, index, workers, theirs)
            )
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        try:
            return _gather(pipes, report)
        except KeyboardInterrupt:
            for pipe in pipes:
                with contextlib.suppress(OSError):
                    pipe.send("stop")
            return _gather(pipes, report, begun=True)
    finally:
        for pipe in pipes:
            pipe.close()  # a worker that is left ends by that
        for process in processes:
            process.join()


def _gather(pipes: list[Pipe], report: Report, begun: bool = False) -> Result:
    """Take the reports of all workers, and in the end their results."""
    shares: dict[Any, tuple[float, int]] = dict.fromkeys(pipes, (0.0, 0))
    result = Result()
    waiting, connecting = set(pipes), 0 if begun else len(pipes)
    while waiting:
        for pipe in wait(list(waiting)):
            assert isinstance(pipe, Pipe)
            try:
                kind, *values = pipe.recv()
            except EOFError:
                raise RuntimeError("a worker has died") from None
            if kind == "report":
                phase, share, answers = values
                shares[pipe] = (share, answers)
                done = sum(share for share, _ in shares.values()) / len(pipes)
                report(phase, done, sum(answers for _, answers in shares.values()))
            elif kind == "ready":
                connecting -= 1
                if connecting == 0:
                    for each in pipes:
                        each.send("go")
            elif kind == "error":
                raise values[0]
            else:
                result.merge(values[0])
                waiting.discard(pipe)
    return result


def share_of(plan: Plan, index: int, workers: int) -> Plan:
    """Return what one of several workers does of a plan."""
    connections = plan.connections // workers
    connections += index < plan.connections % workers
    rate = plan.rate and plan.rate * connections / plan.connections
    return replace(plan, connections=connections, rate=rate)


def _work(
    make_plan: MakePlan, options: Any, index: int, workers: int, pipe: Pipe
) -> None:
    """Do one worker's share."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent has it
    with contextlib.suppress(OSError, EOFError):  # the parent has gone
        try:
            plan = share_of(make_plan(options), index, workers)
            pipe.send(("result", asyncio.run(_run(plan, pipe))))
        except OSError as exc:
            pipe.send(("error", exc))
        except Exception as exc:
            pipe.send(("error", RuntimeError(f"{type(exc).__name__}: {exc}")))


async def _run(plan: Plan, pipe: Pipe) -> Result:
    loop = asyncio.get_running_loop()
    go = asyncio.Event()

    def report(*values: object) -> None:
        pipe.send(("report", *values))

    load = Load(plan, report)

    def stop() -> None:
        go.set()
        load.stop()

    def listen() -> None:
        with contextlib.suppress(OSError, EOFError, RuntimeError):
            while pipe.recv() == "go":
                loop.call_soon_threadsafe(go.set)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(stop)

    async def ready() -> None:
        pipe.send(("ready",))
        await go.wait()

    threading.Thread(target=listen, daemon=True).start()
    return await load.run(ready)
