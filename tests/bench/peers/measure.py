"""What every case of script/bench-peers needs: contestants that run in processes of their own, in turn."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys


@dataclasses.dataclass
class Row:
    """Medians: of the wall's seconds, and of the seconds of processor time of all threads, which other programs on the
    machine do not add to."""

    case: str
    contestant: str
    seconds: float
    processor_seconds: float
    ratio: float  # seconds of this over those of the first contestant
    processor_ratio: float
    note: str
    times: list  # [wall, processor] of each round
    point: dict = dataclasses.field(default_factory=dict)  # where in a plot, if it is in one


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


class Process:
    """A program that answers each line with a line of JSON."""

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.greeting = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def environments():
    """The environment as it is, and, where OpenBLAS is told which kernels to use, without that."""
    told = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}
    every = {"as set": dict(os.environ)}
    if told & os.environ.keys():
        every["OPENBLAS_* unset"] = {key: value for key, value in os.environ.items() if key not in told}
    for environment in every.values():
        environment["OMP_NUM_THREADS"] = environment["OPENBLAS_NUM_THREADS"] = str(os.cpu_count())
    return every


def peer_command(module, *arguments):
    return [sys.executable, "-m", module, *map(str, arguments)]


def check_curves(case, contestant, losses, expected, tolerance):
    """Fails unless the losses at the iterations that both have differ by at most tolerance x the first one. Returns the
    largest difference over the first loss."""
    compared = 0
    largest = 0.0
    for iteration, loss in losses:
        if iteration in expected:
            compared += 1
            if not abs(loss - expected[iteration]) <= tolerance * expected[0]:
                raise SystemExit(f"{case}: the loss of {contestant} at iteration {iteration} is {loss}, not {expected[iteration]}")
            largest = max(largest, abs(loss - expected[iteration]) / expected[0])
    if compared < 2:
        raise SystemExit(f"{case}: no curves to compare for {contestant}")
    return largest


def whole(answer, timed, iterations):
    """[wall, processor] seconds of a run of so many iterations, of which so many were timed: set-up is spent once, and each
    iteration costs the same."""
    return [prepare + train * iterations / timed for prepare, train in zip(answer["prepare"], answer["train"])]


def program(name, *arguments):
    """One of the C++ programs beside this file."""
    return Process([os.path.join(os.environ["POLYAK_BINARY_DIR"], name), *map(str, arguments)])


def medians(case, times, notes):
    """Rows of contestants, by name: lists of [wall, processor] seconds; the first is what the others are compared with."""
    rows = []
    for name, taken in times.items():
        wall, processor = (statistics.median(column) for column in zip(*taken))
        first = rows[0] if rows else None
        rows.append(Row(case, name, wall, processor, wall / first.seconds if first else 1,
                        processor / first.processor_seconds if first else 1, notes.get(name, ""), taken))
    return rows
