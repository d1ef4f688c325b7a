"""One peer of tests.bench.peers.quadratic: LIBRARY FOLDER. Each line on standard input is a number of iterations to run."""

import ctypes
import json
import os
import sys
import time

import numpy


def load(folder):
    def values(name):
        return numpy.fromfile(os.path.join(folder, name))

    with open(os.path.join(folder, "parameters.json"), encoding="utf-8") as file:
        parameters = json.load(file)
    dimension = parameters["dimension"]
    # Symmetric: by columns is by rows.
    return (values("hessian").reshape(dimension, dimension), values("linear_term"), values("initial_point"), values("minimiser"),
            parameters["step_size"], parameters["momentum"])


def kernel_name():
    try:
        library = ctypes.CDLL("libopenblas.so.0")
        library.openblas_get_corename.restype = ctypes.c_char_p
        return "OpenBLAS " + library.openblas_get_corename().decode()
    except OSError:
        return "no OpenBLAS"


def numpy_run(hessian, linear_term, point, step_size, momentum, iterations):
    w = point.copy()
    memory = numpy.zeros_like(w)
    gradient = numpy.empty_like(w)
    losses = []
    for t in range(iterations + 1):
        numpy.dot(hessian, w, out=gradient)
        gradient -= linear_term
        losses.append(0.5 * (w @ gradient - w @ linear_term))
        if t < iterations:
            memory *= momentum
            memory += gradient
            w -= step_size * memory
    return losses


def pytorch_run(hessian, linear_term, point, step_size, momentum, iterations):
    """The gradient written by hand, in place, without autograd."""
    import torch

    with torch.inference_mode():
        h, b = torch.from_numpy(hessian), torch.from_numpy(linear_term)
        w = torch.from_numpy(point).clone()
        memory = torch.zeros_like(w)
        gradient = torch.empty_like(w)
        losses = []
        for t in range(iterations + 1):
            torch.mv(h, w, out=gradient)
            gradient.sub_(b)
            losses.append(0.5 * (torch.dot(w, gradient) - torch.dot(w, b)))
            if t < iterations:
                memory.mul_(momentum).add_(gradient)
                w.sub_(memory, alpha=step_size)
        return torch.stack(losses).tolist()


def pytorch_sgd_run(hessian, linear_term, point, step_size, momentum, iterations):
    """As a user of PyTorch would write it: torch.optim.SGD, loss.backward()."""
    import torch

    h, b = torch.from_numpy(hessian), torch.from_numpy(linear_term)
    w = torch.from_numpy(point).clone().requires_grad_()
    optimizer = torch.optim.SGD([w], lr=step_size, momentum=momentum)
    losses = []
    for t in range(iterations + 1):
        optimizer.zero_grad()
        loss = 0.5 * torch.dot(w, torch.mv(h, w)) - torch.dot(b, w)
        losses.append(loss.detach())
        if t < iterations:
            loss.backward()
            optimizer.step()
    return torch.stack(losses).tolist()


RUNS = {"numpy": numpy_run, "pytorch": pytorch_run, "pytorch-sgd": pytorch_sgd_run}


def main():
    library, folder = sys.argv[1:]
    hessian, linear_term, point, minimiser, step_size, momentum = load(folder)
    least = -0.5 * (linear_term @ minimiser)
    threads = os.cpu_count()
    if library != "numpy":
        import torch

        torch.set_num_threads(threads)
    RUNS[library](hessian, linear_term, point, step_size, momentum, 3)  # whatever a library makes at its first call
    print(json.dumps({"kernel": f"{kernel_name()}, {threads} threads"}), flush=True)
    for line in sys.stdin:
        iterations = int(line)
        start = time.perf_counter(), time.process_time()
        losses = RUNS[library](hessian, linear_term, point, step_size, momentum, iterations)
        train = [time.perf_counter() - start[0], time.process_time() - start[1]]
        chosen = [0] + [2**k for k in range(iterations.bit_length()) if 2**k <= iterations]
        print(json.dumps({"prepare": [0, 0], "train": train, "losses": [[t, losses[t] - least] for t in chosen]}), flush=True)


if __name__ == "__main__":
    main()
