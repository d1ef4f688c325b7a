"""PyTorch for the networks of script/bench-peers: NETWORK FORM FOLDER. Each line on standard input is a number of
iterations to run, or "draw", for numbers like those of the start; what FOLDER holds is said in relu_runs.cc and
deep_linear_runs.cc."""

import json
import math
import os
import sys
import time

import numpy
import torch


def load(folder, name, *shape):
    """Matrices as PyTorch keeps them, row by row; the files are column by column."""
    values = numpy.fromfile(os.path.join(folder, name))
    if len(shape) == 1:
        return torch.from_numpy(values)
    return torch.from_numpy(numpy.ascontiguousarray(values.reshape(shape[::-1]).T))


def parameters_of(folder):
    with open(os.path.join(folder, "parameters.json"), encoding="utf-8") as file:
        return json.load(file)


class Relu:
    """f(x) = sum_r a_r max(0, w_r . x) / sqrt(m), loss |f - y|^2 / 2."""

    def __init__(self, folder):
        self.parameters = p = parameters_of(folder)
        self.features = load(folder, "features", p["examples"], p["inputs"])
        self.targets = load(folder, "targets", p["examples"])
        self.scaled_output = load(folder, "output_weights", p["width"]) / math.sqrt(p["width"])
        self.start = [load(folder, "hidden_weights", p["width"], p["inputs"])]
        # Forward and gradient; comparisons and the update aside.
        self.operations = 4 * p["width"] * p["examples"] * p["inputs"]

    def loss(self, weights):
        outputs = torch.relu(self.features @ weights[0].T) @ self.scaled_output
        return 0.5 * (outputs - self.targets).square().sum()

    def step(self, weights, memories, momentum, step_size):
        """One iteration, written by hand and in place. Returns the loss before it."""
        (weight,), (memory,) = weights, memories
        activations = self.features @ weight.T
        active = activations > 0
        activations *= active
        residual = activations @ self.scaled_output - self.targets
        torch.mul(active, residual[:, None], out=activations)
        activations *= self.scaled_output
        torch.addmm(memory, activations.T, self.features, beta=momentum, out=memory)
        weight.sub_(memory, alpha=step_size)
        return 0.5 * torch.dot(residual, residual)


class DeepLinear:
    """N(x) = W_L ... W_1 x / sqrt(m^{L-1} d_y), loss |N(X) - Y|^2 / 2."""

    def __init__(self, folder):
        self.parameters = p = parameters_of(folder)
        width, depth = p["width"], p["depth"]
        self.inputs = load(folder, "features", p["examples"], p["inputs"]).T.contiguous()
        self.targets = load(folder, "targets", p["examples"], p["outputs"]).T.contiguous()
        self.scale = 1 / math.sqrt(float(width) ** (depth - 1) * p["outputs"])
        values = load(folder, "weights", -1)
        sizes = [p["inputs"], *[width] * (depth - 1), p["outputs"]]
        self.start = []
        for columns, rows in zip(sizes, sizes[1:]):
            self.start.append(values[: rows * columns].reshape(columns, rows).T.contiguous())
            values = values[rows * columns :]
        entries = sum(layer.numel() for layer in self.start)
        # Forward, gradient of the weights, and gradient of each layer's input but the first's.
        self.operations = 2 * p["examples"] * (3 * entries - self.start[0].numel())

    def loss(self, weights):
        image = self.inputs
        for weight in weights:
            image = weight @ image
        return 0.5 * (self.scale * image - self.targets).square().sum()

    def step(self, weights, memories, momentum, step_size):
        """As Relu.step."""
        images = [self.inputs]
        for weight in weights:
            images.append(weight @ images[-1])
        residual = self.scale * images.pop() - self.targets
        backward = self.scale * residual
        for weight, memory, image in zip(weights[::-1], memories[::-1], images[::-1]):
            torch.addmm(memory, backward, image.T, beta=momentum, out=memory)
            if image is not self.inputs:
                backward = weight.T @ backward
            weight.sub_(memory, alpha=step_size)
        return 0.5 * residual.square().sum()


class Stopwatch:
    """Seconds of the wall, and of processor time of all threads."""

    def __init__(self):
        self.began = time.perf_counter(), time.process_time()

    def taken(self):
        return [time.perf_counter() - self.began[0], time.process_time() - self.began[1]]


def timed_steps(step, iterations):
    """Losses 0 to `iterations`, and the time of as many iterations. There is one more before, which is not timed: the first
    touches fresh memory."""
    losses = [step()]
    watch = Stopwatch()
    losses += [step() for _ in range(iterations)]
    losses = torch.stack(losses).tolist()
    return losses, watch.taken()


def by_hand_run(network, iterations):
    """The gradient written by hand, in place, without autograd."""
    momentum, step_size = network.parameters["momentum"], network.parameters["step_size"]
    with torch.inference_mode():
        weights = [layer.clone() for layer in network.start]
        memories = [torch.zeros_like(layer) for layer in weights]
        return timed_steps(lambda: network.step(weights, memories, momentum, step_size), iterations)


def sgd_run(network, iterations):
    """As a user of PyTorch would write it: torch.optim.SGD, loss.backward()."""
    weights = [layer.clone().requires_grad_() for layer in network.start]
    optimizer = torch.optim.SGD(weights, lr=network.parameters["step_size"], momentum=network.parameters["momentum"])

    def step():
        optimizer.zero_grad()
        loss = network.loss(weights)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return timed_steps(step, iterations)


def product_operations_per_second():
    """[wall, processor] of what this PyTorch comes to at its best here: large square matrices, the best of five."""
    size = 2048
    a = torch.ones(size, size, dtype=torch.float64)
    b = torch.ones(size, size, dtype=torch.float64)
    out = torch.empty_like(a)
    best = [0, 0]
    for _ in range(5):
        watch = Stopwatch()
        torch.mm(a, b, out=out)
        best = [max(rate, 2 * size**3 / seconds) for rate, seconds in zip(best, watch.taken())]
    return best


NETWORKS = {"relu": Relu, "deep-linear": DeepLinear}
RUNS = {"by hand": by_hand_run, "SGD": sgd_run}


def main():
    kind, form, folder = sys.argv[1:]
    torch.set_num_threads(os.cpu_count())
    network = NETWORKS[kind](folder)
    RUNS[form](network, 1)  # whatever a library makes at its first call
    print(json.dumps({"operations": network.operations, "momentum": network.parameters["momentum"]}), flush=True)
    for line in sys.stdin:
        if line.strip() == "draw":
            watch = Stopwatch()
            for layer in network.start:
                torch.randn(*layer.shape, dtype=torch.float64)
            print(json.dumps({"train": watch.taken()}), flush=True)
            continue
        losses, train = RUNS[form](network, int(line))
        print(json.dumps({"prepare": [0, 0], "train": train, "losses": list(enumerate(losses)),
                          "product_rate": product_operations_per_second()}), flush=True)


if __name__ == "__main__":
    main()
