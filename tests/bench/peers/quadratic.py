"""Quadratics with a full matrix under Polyak's momentum, every loss recorded."""

import tempfile

from tests.bench.peers import measure

# f* is subtracted from losses of its own size, in another order of sums; and curves of different roundings part a little.
TOLERANCE = 1e-9


def run(case, dimension, kappa, iterations, rounds, timed):
    """Whole runs of so many iterations; timed: at most so many of them are run, by contestant, and the time of the others
    follows, since each iteration costs the same."""
    with tempfile.TemporaryDirectory() as folder:
        polyak = measure.program("polyak_peer_quadratic", dimension, kappa, folder)
        peers = {}
        for kernel, environment in measure.environments().items():
            for library in ("pytorch", "pytorch-sgd", "numpy"):
                peers[f"{library}, {kernel}"] = measure.Process(
                    measure.peer_command("tests.bench.peers.quadratic_peer", library, folder), environment)
        reference = dict(polyak.ask(f"DENSE {timed['DENSE']}")["losses"])
        times = {}
        notes = {}

        def take(name, answer, count, note):
            measure.check_curves(case, name, answer["losses"], reference, TOLERANCE)
            times.setdefault(name, []).append(measure.whole(answer, count, iterations))
            notes[name] = note + ("" if count == iterations else f"; {count:,} iterations timed")

        for _ in range(rounds):
            for plan in ("REDUCED", "DENSE"):
                count = timed.get(plan, iterations)
                answer = polyak.ask(f"{plan} {count}")
                take(f"polyak {answer['plan']}", answer, count, "one thread")
            for name, peer in peers.items():
                take(name, peer.ask(str(timed["peers"])), timed["peers"], peer.greeting["kernel"])
        for process in [polyak, *peers.values()]:
            process.close()
    return measure.medians(case, times, notes)


def ten(rounds):
    return run("d = 10, 1,000,000 iterations", 10, 1e8, 1_000_000, rounds, {"DENSE": 1_000_000, "peers": 5000})


def thousand(rounds):
    return run("d = 1,000, 10,000 iterations", 1000, 1e4, 10_000, rounds, {"DENSE": 300, "peers": 300})


def four_thousand(rounds):
    return run("d = 4,000, 10,000 iterations", 4000, 1e4, 10_000, rounds, {"DENSE": 64, "peers": 64})
