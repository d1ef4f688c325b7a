"""The picture of tests.bench.peers.growth: time against width, a panel a network.

    script/bench-peers --case growth-relu --case growth-deep-linear --plot docs/cost-growth.svg
"""

import collections

LINES = {  # (what, whether of polyak): label and style
    ("iteration", False): ("PyTorch, an iteration", {"color": "#c44e52", "marker": "s"}),
    ("set-up", True): ("polyak, set-up", {"color": "#4c72b0", "marker": "o", "linestyle": "--"}),
    ("iteration", True): ("polyak, an iteration", {"color": "#4c72b0", "marker": "o"}),
}


def curves(rows):
    """{network: {(what, whether of polyak): [(width, processor seconds), ...]}} of rows that have a point."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        if row.point:
            key = row.point["what"], row.contestant.startswith("polyak")
            found[row.point["network"]][key].append((row.point["width"], row.processor_seconds))
    return found


def draw(rows, path, caption):
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "polyak", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    found = curves(rows)
    if not found:
        raise SystemExit("--plot: none of these cases has a plot; accepted: --case growth-relu, growth-deep-linear")
    figure, panels = pyplot.subplots(1, len(found), figsize=(4.5 * len(found), 3.6), sharey=True, squeeze=False)
    for panel, (network, lines) in zip(panels[0], found.items()):
        for key, (label, style) in LINES.items():
            points = sorted(lines.get(key, []))
            if points:
                panel.loglog(*zip(*points), label=label, markersize=4, **style)
        panel.set_title(network)
        panel.set_xlabel("width m")
        panel.grid(True, which="major", linewidth=0.3)
    panels[0][0].set_ylabel("processor seconds")
    panels[0][-1].legend(fontsize=8)
    figure.text(0.01, 0.01, caption, fontsize=7, color="#555555")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, format="svg", metadata={"Date": None})
