"""Time and peak memory of several ways to compute one thing, side by side."""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

Case = Callable[[], object]
Build = Callable[[str, bool], Case]  # (device, small) -> the work, inputs made


class Cost(NamedTuple):
    seconds: float
    megabytes: float


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(cases: Mapping[str, Case], device: str, rounds: int) -> dict[str, float]:
    """Median over rounds that run every case once, so that a busy moment of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            synchronize(device)
            start = time.perf_counter()
            case()
            synchronize(device)
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def resident(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def extra_bytes(build: Build, device: str, threads: int, answer) -> None:
    """In a process of its own: how far memory rises above the inputs while the case runs once."""
    torch.set_num_threads(threads)
    build(device, True)()  # small: loads what the libraries load on first use
    case = build(device, False)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        case()
        answer.put(torch.cuda.max_memory_allocated() - before)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = resident("VmRSS")
        case()
        answer.put(resident("VmHWM") - before)
    except OSError:  # no /proc: the peak so far is that of the imports, below any of these cases
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        case()
        answer.put((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


PROCESSES = 3  # the peak of one process scatters by up to 100 MB from run to run


def peak(build: Build, device: str, threads: int) -> float:
    """Median over fresh processes, in megabytes."""
    return statistics.median(peak_once(build, device, threads) for _ in range(PROCESSES))


def peak_once(build: Build, device: str, threads: int) -> float:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=extra_bytes, args=(build, device, threads, answer))
    process.start()
    result = answer.get(timeout=600)
    process.join()
    return result / 1e6


def costs(builds: Mapping[str, Build], device: str, threads: int, rounds: int) -> dict[str, Cost]:
    """Time and peak extra memory of every case."""
    torch.set_num_threads(threads)
    megabytes = {name: peak(build, device, threads) for name, build in builds.items()}
    medians = seconds({name: build(device, False) for name, build in builds.items()}, device, rounds)
    return {name: Cost(medians[name], megabytes[name]) for name in builds}


def show(title: str, result: Mapping[str, Cost], reference: str, targets: Mapping[str, tuple[float, float]]) -> None:
    """A Markdown table, everything relative to the reference."""
    print(f"\n{title}\n\n| | ms | time ratio | MB | memory ratio | target |\n|---|---|---|---|---|---|")
    base = result[reference]
    for name, cost in result.items():
        target = "≤ {} time, ≤ {} memory".format(*targets[name]) if name in targets else ""
        ratios = cost.seconds / base.seconds, cost.megabytes / base.megabytes
        time_columns = f"{cost.seconds * 1e3:.0f} | {ratios[0]:.2f}"
        print(f"| {name} | {time_columns} | {cost.megabytes:.0f} | {ratios[1]:.2f} | {target} |")
