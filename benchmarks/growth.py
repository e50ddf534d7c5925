"""How costs grow with cells, modes, clips and classes: `make bench-growth` writes it into docs/scale.md.

CPU seconds and memory are those of whole processes with all that they started; what counts is the exponent of each
curve, and not the seconds, which are this machine's. A quiet machine, or other work makes them up to a third larger.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks import grown
from benchmarks.__main__ import machine
from benchmarks.workspace import REPOSITORY, Spent
from pipeline.scale.plan import Plan
from specnorm.report import style
from specnorm.report.picture import Picture

BEGIN, END = "<!-- growth: make bench-growth -->", "<!-- /growth -->"
PICTURE = "scale-growth"


@dataclass(frozen=True)
class Point:
    """What one size of a curve cost."""

    size: int
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Curve:
    """A cost by size."""

    what: str
    unit: str  # of the size
    points: list[Point]

    @property
    def exponent(self) -> float:
        """Slope of log cost over log size, between the least and the greatest; 1 is linear."""
        first, last = self.points[0], self.points[-1]
        return float(np.log(last.cpu_s / first.cpu_s) / np.log(last.size / first.size))


def cells(folder: Path, largest: float) -> Iterator[Curve]:
    """DVC around cells that cost nothing, by how many are declared and in the lock file."""
    planning, alone, cell, home, nothing, experiment = ([] for _ in range(6))
    for seeds in _sizes((1, 5, 11, 25), largest):
        place, more = folder / f"cells-{seeds}", f"protocol.seeds={list(range(seeds))}"
        made = grown.workspace(place, 60, 2, more)
        grown.without_work(made)
        made.run("dvc", "repro", "normalizers")
        planning.append(_point(20 * seeds, made.spent("pipeline.scale", "plan", "train")))
        names = list(Plan.read(made.root / "plan.json").work)
        cell.append(_point(len(names), made.spent("pipeline.scale", "cell", "plan.json", "0")))
        whole = float(made.asked("benchmarks.grown", "collect", "plan.json")["cpu_s"])
        home.append(Point(len(names), whole / len(names), 0.0))
        nothing.append(_point(len(names), made.spent("dvc", "repro", "train")))
        alone.append(_point(len(names), made.spent("dvc", "repro", "--force", "--single-item", names[0])))
        made.run("pipeline.quiet_dvc", "repro")
        overrides = [word for each in (*grown.of(place), more) for word in ("-S", each)]
        made.run("pipeline.quiet_dvc", "exp", "run", *overrides)
        experiment.append(_point(len(names), made.spent("dvc", "exp", "run", *overrides)))
        shutil.rmtree(place)
    yield Curve("a cell by `dvc repro`, which writes the whole lock file for each", "cells", alone)
    yield Curve("planning all cells", "cells", planning)
    yield Curve("a cell by `specnorm scale`, in its clone", "cells", cell)
    yield Curve("a cell's result brought home, all at once", "cells", home)
    yield Curve("`dvc repro train`, nothing to do", "cells", nothing)
    yield Curve("`dvc exp run`, nothing to do", "cells", experiment)


def comparisons(folder: Path, largest: float) -> Iterator[Curve]:
    """`compare` by modes, by clips, and by classes."""
    for what, unit, sizes, rest in (
        ("`compare`, 2000 clips of 50 classes", "modes", (4, 8, 16), {"clips": 2000, "classes": 50}),
        ("`compare`, 4 modes, 50 classes", "clips", (2000, 20_000, 200_000), {"modes": 4, "classes": 50}),
        ("`compare`, 4 modes, 5000 clips", "classes", (50, 500), {"modes": 4, "clips": 5000}),
    ):
        points = []
        for size in _sizes(sizes, largest):
            asked = {**rest, unit: size}
            made = grown.workspace(folder / "compare", asked["clips"], asked["classes"], *grown.modes(asked["modes"]))
            for stage in ("source", "download", "spectrograms", "statistics"):
                made.run(f"stages.{stage}")
            for norm in grown.params_of(made).norm:
                made.run("stages.normalizers", "--norm", norm)
            made.run("benchmarks.grown", "cells")
            points.append(_point(size, made.spent("stages.compare")))
            page = (made.root / "data/comparison/report.html").stat().st_size / 1e6
            print(f"  the page has {page:.1f} MB", flush=True)
            shutil.rmtree(folder / "compare")
        yield Curve(what, unit, points)


def clips(folder: Path, largest: float) -> Iterator[Curve]:
    """Everything before the cells, by clips: looking at the folder, the archive, spectrograms, statistics."""
    titles = {
        ("source", "first"): "a folder of own clips, looked at the first time",
        ("source", "again"): "the same folder, looked at again",
        ("download", "first"): "its table audited, its archive made",
        ("spectrograms", "first"): "spectrograms",
        ("spectrograms", "again"): "the same spectrograms, whose parts are kept",
        ("statistics", "first"): "statistics",
    }
    points: dict[tuple[str, str], list[Point]] = {title: [] for title in titles}
    for size in _sizes((1000, 10_000, 30_000, 100_000), largest):
        made = grown.workspace(folder / "clips", size, 10)
        for stage in ("source", "download", "spectrograms", "statistics"):
            points[stage, "first"].append(_point(size, made.spent(f"stages.{stage}")))
        points["source", "again"].append(_point(size, made.spent("stages.source")))
        made.clear("data/spectrograms")  # as DVC does before a stage
        points["spectrograms", "again"].append(_point(size, made.spent("stages.spectrograms")))
        shutil.rmtree(folder / "clips")
    for title, found in points.items():
        yield Curve(titles[title], "clips", found)


PARTS: dict[str, Callable[[Path, float], Iterator[Curve]]] = {
    "cells": cells,
    "compare": comparisons,
    "clips": clips,
}


def table(curves: list[Curve]) -> list[str]:
    """A row a curve: CPU seconds (and memory) by size, and the exponent."""
    lines = ["| what | CPU seconds by size (peak MB) | exponent |", "|---|---|--:|"]
    for curve in curves:
        told = [
            f"{point.size:,} {curve.unit}: {point.cpu_s:.3g}" + (f" ({point.peak_mb:.0f})" if point.peak_mb else "")
            for point in curve.points
        ]
        lines.append(f"| {curve.what} | {'; '.join(told)} | {curve.exponent:.2f} |")
    return lines


@style.drawn
def picture(curves: list[Curve]) -> Picture:
    """The curves, a panel a unit, both axes logarithmic."""
    units = list(dict.fromkeys(curve.unit for curve in curves))
    own = {unit: [curve for curve in curves if curve.unit == unit] for unit in units}
    figure = Figure(figsize=(style.WIDE, sum(2.6 + 0.2 * len(found) for found in own.values())))
    heights = [2.4 + 0.2 * len(found) for found in own.values()]
    panels = figure.subplots(len(units), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (unit, found) in zip(panels, own.items(), strict=True):
        for number, curve in enumerate(found):
            sizes, seconds = ([getattr(point, name) for point in curve.points] for name in ("size", "cpu_s"))
            shade = list(style.COLOURS.values())[number % len(style.COLOURS)]
            label = f"{curve.what.replace('`', '')} ({curve.exponent:.2f})"
            axes.loglog(sizes, seconds, marker="o", markersize=4, color=shade, label=label)
        costs = [point.cpu_s for curve in found for point in curve.points]
        axes.set_ylim(min(costs) / 2, max(costs) * 2)
        axes.set_xticks(sorted({point.size for curve in found for point in curve.points}))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:,g}")
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(unit)
        axes.set_ylabel("CPU seconds")
        axes.legend(fontsize=7.5, loc="upper left", bbox_to_anchor=(0, -0.16))
    steepest = max(curves, key=lambda curve: curve.exponent)
    alt = f"CPU seconds by size on logarithmic axes; the steepest curve is {steepest.what} ({steepest.exponent:.2f})."
    return Picture(figure, "How costs grow", alt)


def written(page: str, curves: list[Curve]) -> str:
    """The page with the figures between its marks."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    where = f"{machine()}; n = 1 each, so no spread is known."
    lines = [BEGIN, f"![How costs grow]({PICTURE}.svg)", "", *table(curves), "", where, END]
    return head + "\n".join(lines) + tail


def main(argv: list[str] | None = None) -> int:
    """Measure, and write the page after each part: what was measured is not lost when time runs out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument(
        "--largest",
        type=float,
        default=1.0,
        help="of each curve, as a part of its greatest size; the two least are measured in any case",
    )
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs/scale.md")
    parser.add_argument("--figures", type=Path, help="where the figures are kept between calls", required=True)
    asked = parser.parse_args(argv)
    kept: dict[str, list[Curve]] = _read(asked.figures)
    with tempfile.TemporaryDirectory(prefix="specnorm-growth-") as folder:
        for name in asked.parts:
            kept[name] = []
            for curve in PARTS[name](Path(folder), asked.largest):
                print("\n".join(table([curve])[2:]), flush=True)
                kept[name].append(curve)
            told = {part: [asdict(each) for each in found] for part, found in kept.items()}
            asked.figures.write_text(json.dumps(told), encoding="utf-8")
            curves = [curve for part in PARTS for curve in kept.get(part, [])]
            asked.page.write_text(written(asked.page.read_text(encoding="utf-8"), curves), encoding="utf-8")
            svg = style.svg(picture(curves), PICTURE)
            asked.page.with_name(f"{PICTURE}.svg").write_text(svg, encoding="utf-8")
    return 0


def _read(path: Path) -> dict[str, list[Curve]]:
    if not path.exists():
        return {}
    told = json.loads(path.read_text())
    return {
        part: [Curve(each["what"], each["unit"], [Point(**point) for point in each["points"]]) for each in found]
        for part, found in told.items()
    }


def _sizes(sizes: tuple[int, ...], largest: float) -> tuple[int, ...]:
    """Those up to a part of the greatest, and two at the least, or there is no exponent."""
    return sizes[: max(2, sum(size <= largest * sizes[-1] for size in sizes))]


def _point(size: int, spent: Spent) -> Point:
    print(f"  {size}: {spent.cpu_s:.3g} CPU s, {spent.peak_mb:.0f} MB", flush=True)
    return Point(size, spent.cpu_s, spent.peak_mb)


if __name__ == "__main__":
    sys.exit(main())
