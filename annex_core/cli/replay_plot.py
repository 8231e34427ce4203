"""Demand and capacity over time, a panel for each route and policy: what was wanted, what ran, what was paid for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from annex_core.model.wording import span
from annex_core.replay.outcome import Outcome

_COLUMNS = 3
_WANTED, _BUSY, _PAID = "#111111", "#2a6f97", "#f2b880"
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "condor-annex",
}


def draw(outcomes: Sequence[Outcome], *files: Path) -> None:
    """One panel for each outcome, on the same axes, so that they compare; each file in the form that its name says."""
    columns = min(len(outcomes), _COLUMNS)
    rows = ceil(len(outcomes) / columns)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.3 * columns + 0.6, 2.1 * rows + 0.7), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for panel, outcome in zip(panels.flat, outcomes, strict=False):
            _panel(panel, outcome)
        for panel in list(panels.flat)[len(outcomes) :]:
            panel.set_axis_off()
            panels[rows - 2][columns - 1].tick_params(labelbottom=True)
        for row in panels:
            row[0].set_ylabel("vCPUs")
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        for file in files:
            figure.savefig(file, dpi=200, metadata={"Date": None} if file.suffix == ".svg" else None)


def _panel(panel: Axes, outcome: Outcome) -> None:
    curves = outcome.curves
    moments = [datetime.fromtimestamp(curves.start + n * curves.width, UTC) for n in range(len(curves.paid))]
    panel.fill_between(moments, curves.paid, step="post", color=_PAID, linewidth=0, label="paid for")  # type: ignore[arg-type]
    panel.fill_between(moments, curves.busy, step="post", color=_BUSY, linewidth=0, label="running jobs")  # type: ignore[arg-type]
    panel.plot(moments, curves.wanted, drawstyle="steps-post", color=_WANTED, linewidth=0.6, label="wanted by jobs")  # type: ignore[arg-type]
    panel.set_title(outcome.name, loc="left", fontweight="bold", fontsize=9, pad=14)
    shares = f"waste {outcome.waste:.0%}   busy {outcome.utilisation:.0%}"
    panel.annotate(
        f"${outcome.dollars:,.0f}   wait {span(outcome.mean_wait)}   {shares}",
        (0, 1),
        xytext=(0, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        color="#555555",
    )
    panel.set_ylim(bottom=0)
    panel.grid(axis="y", color="#e4e4e4", linewidth=0.5)
    panel.set_axisbelow(True)
    panel.margins(x=0)
    locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
