"""What set-up and an iteration take as a network grows wider, beside an iteration of PyTorch as far as its memory goes."""

import tempfile

from tests.bench.peers import measure, networks

# PyTorch keeps three matrices of a network's size and reads its start from a file: beyond these widths that is gigabytes,
# and the deep network's orthogonal start takes minutes to draw.
RELU_WIDTHS = [10**k for k in range(3, 9)]
RELU_PEER_MAX = 10**6
DEEP_WIDTHS = [10**k for k in range(2, 10)]
DEEP_PEER_MAX = 10**3
PEER = "PyTorch, by hand"
# From here on one run is enough: it takes minutes.
ONE_RUN_FROM = 10**8


def point_rows(network, program, arguments, kind, width, layers, rounds, iterations, peer_max):
    """Of one width: the rows of its set-up and of its iteration."""
    case = f"{network}, m = {width:,}"
    setup, iteration, notes = {}, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        has_peer = width <= peer_max
        polyak = measure.program(program, *arguments, *([folder] if has_peer else []))
        peer = None
        if has_peer:
            peer = measure.Process(measure.peer_command("tests.bench.peers.network_peer", kind, "by hand", folder))
            checked = 20 if width < RELU_PEER_MAX else 4
            largest = measure.check_curves(case, PEER, peer.ask(str(checked))["losses"],
                                           dict(polyak.ask(f"REDUCED {checked}")["losses"]),
                                           networks.tolerance(width, layers, peer.greeting["momentum"]))
            notes[PEER] = f"{checked} losses within {largest:.1e} of the first"
        for _ in range(1 if width >= ONE_RUN_FROM else rounds):
            answer = polyak.ask(f"REDUCED {iterations}")
            name = f"polyak {answer['plan']}"
            setup.setdefault(name, []).append(answer["prepare"])
            iteration.setdefault(name, []).append([taken / iterations for taken in answer["train"]])
            notes[name] = f"{iterations} iterations timed" + (
                "" if answer["flipped"] is None else f"; {answer['flipped']:.2%} of the activations flipped")
            if peer is not None:
                timed = max(2, min(200, 10**6 * layers // (width if kind == "relu" else width**2)))
                iteration.setdefault(PEER, []).append([taken / timed for taken in peer.ask(str(timed))["train"]])
        for process in [polyak] if peer is None else [polyak, peer]:
            process.close()
    rows = measure.medians(f"{case}: set-up", setup, {}) + measure.medians(f"{case}: iteration", iteration, notes)
    for row in rows:
        row.point = {"network": network, "width": width, "what": row.case.split(": ")[1]}
    return rows


def relu(rounds):
    rows = []
    for width in RELU_WIDTHS:
        rows += point_rows("ReLU, n = d = 20", "polyak_peer_relu", ("sphere", 20, 20, width), "relu", width, 1, rounds, 100,
                           RELU_PEER_MAX)
    return rows


def deep_linear(rounds):
    rows = []
    for width in DEEP_WIDTHS:
        rows += point_rows("deep linear, L = 10", "polyak_peer_deep_linear", ("orthogonal", 50, 20, 10, 10, width),
                           "deep-linear", width, 10, rounds, 1000, DEEP_PEER_MAX)
    return rows
