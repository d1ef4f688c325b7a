"""Networks under Polyak's momentum with the theorem's parameters, every loss recorded, beside PyTorch."""

import statistics
import sys
import tempfile

from tests.bench.peers import measure

FORMS = ("by hand", "SGD")


def tolerance(width, layers, momentum):
    """Of the first loss. A sum of m terms whose partial sums are of the size of the result rounds by about sqrt(m) eps of it,
    each layer does so, and momentum keeps what the last 1 / (1 - beta) iterations rounded; 16 for the constants."""
    return 16 * sys.float_info.epsilon * width**0.5 * layers / (1 - momentum)


class Contest:
    """A network, and PyTorch's two ways to train it, from the same numbers."""

    def __init__(self, case, program, arguments, kind, width, layers):
        self.case = case
        self._folder = tempfile.TemporaryDirectory()
        self.polyak = measure.program(program, *arguments, self._folder.name)
        self.peers = {}
        for name, environment in measure.environments().items():
            for form in FORMS:
                self.peers[f"PyTorch, {form}" + ("" if name == "as set" else f", {name}")] = measure.Process(
                    measure.peer_command("tests.bench.peers.network_peer", kind, form, self._folder.name), environment)
        greeting = next(iter(self.peers.values())).greeting
        self.operations = greeting["operations"]
        self.tolerance = tolerance(width, layers, greeting["momentum"])
        self.shares = {}
        self.notes = {}

    def check(self, plan, iterations):
        """That PyTorch's curves over so many iterations are those of the plan; before anything is timed."""
        reference = dict(self.polyak.ask(f"{plan} {iterations}")["losses"])
        for name, peer in self.peers.items():
            largest = measure.check_curves(self.case, name, peer.ask(str(iterations))["losses"], reference, self.tolerance)
            self.notes[name] = f"{iterations} losses within {largest:.1e} of the first, {self.tolerance:.1e} allowed"

    def run_polyak(self, plan, iterations):
        answer = self.polyak.ask(f"{plan} {iterations}")
        name = f"polyak {answer['plan']}"
        flipped = "" if answer["flipped"] is None else f"; {answer['flipped']:.2%} of the activations flipped"
        self.notes[name] = f"{iterations:,} iterations timed{flipped}"
        return name, answer

    def run_peer(self, name, iterations):
        """[wall, processor] of an iteration."""
        answer = self.peers[name].ask(str(iterations))
        seconds = [taken / iterations for taken in answer["train"]]
        self.shares.setdefault(name, []).append(
            [self.operations / second / rate for second, rate in zip(seconds, answer["product_rate"])]
            + [answer["product_rate"][0]])
        return seconds

    def close(self):
        for process in [self.polyak, *self.peers.values()]:
            process.close()
        self._folder.cleanup()

    def rows(self, times):
        notes = dict(self.notes)
        for name, shares in self.shares.items():
            wall, processor, rate = (statistics.median(column) for column in zip(*shares))
            share = (f"{processor:.0%} of what a large product does in a processor second ({wall:.0%} by the wall, "
                     f"{rate / 1e9:.0f} GFLOP/s)")
            for contestant in times:
                if contestant.startswith(name):
                    notes[contestant] = f"{share}; {self.notes[name]}"
        return measure.medians(self.case, times, notes)


def whole_runs(contest, rounds, iterations, checked, timed):
    """From the spec to the last record; beside PyTorch's iterations alone, one and all of them."""
    contest.check("AUTO", checked)
    times = {}
    for _ in range(rounds):
        name, answer = contest.run_polyak("AUTO", iterations)
        times.setdefault(name, []).append(measure.whole(answer, iterations, iterations))
        for peer in contest.peers:
            seconds = contest.run_peer(peer, timed)
            times.setdefault(f"{peer}, 1 iteration", []).append(seconds)
            times.setdefault(f"{peer}, {iterations:,} iterations", []).append([second * iterations for second in seconds])
        # What polyak's run begins with, and PyTorch's reads from a file.
        drawing = next(iter(contest.peers.values())).ask("draw")["train"]
        times.setdefault("PyTorch, normal numbers for W", []).append(drawing)
    contest.close()
    return contest.rows(times)


def iterations_alone(contest, rounds, plans, checked, timed):
    """An iteration; plans: how many iterations are timed by each."""
    contest.check(next(iter(plans)), checked)
    times = {}
    for _ in range(rounds):
        for plan, iterations in plans.items():
            name, answer = contest.run_polyak(plan, iterations)
            times.setdefault(name, []).append([taken / iterations for taken in answer["train"]])
        for peer in contest.peers:
            times.setdefault(peer, []).append(contest.run_peer(peer, timed))
    contest.close()
    return contest.rows(times)


def relu_65536(rounds):
    width = 65_536
    contest = Contest("relu m = 65,536, n = 100, d = 784", "polyak_peer_relu", ("sphere", 100, 784, width), "relu", width, 1)
    return whole_runs(contest, rounds, 300, checked=12, timed=3)


def relu_digits(rounds):
    width = 16_384
    contest = Contest("relu m = 16,384, 100 digits", "polyak_peer_relu", ("digits", 100, 64, width), "relu", width, 1)
    return whole_runs(contest, rounds, 1000, checked=100, timed=30)


def deep_linear(start, width):
    return Contest(f"deep linear m = {width:,}, L = 10, {start}", "polyak_peer_deep_linear", (start, 50, 20, 10, 10, width),
                   "deep-linear", width, 10)


def deep_linear_2048(rounds):
    return iterations_alone(deep_linear("orthogonal", 2048), rounds, {"REDUCED": 2000, "DENSE": 2}, checked=8, timed=3)


def deep_linear_gaussian(rounds):
    return iterations_alone(deep_linear("gaussian", 2048), rounds, {"DENSE": 3}, checked=8, timed=3)
