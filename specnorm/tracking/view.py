"""How MLflow's pages show the experiment to whoever comes by the link: the columns of the list, and the charts.

It is what the button "Share" of those pages leaves: a tag of the experiment, which the link names. Who comes another
way gets MLflow's own choice: a list without a number, and a chart for each of them.
"""

from __future__ import annotations

import json

from specnorm.tracking.content import ACCURACY, ACCURACY_FROM, ACCURACY_TO, CURVES, SCORES, TEST
from specnorm.tracking.place import VIEW

TAG = f"mlflow.sharedViewState.{VIEW}"

_NUMBERS = [f"metrics.`{name}`" for name in (ACCURACY, ACCURACY_FROM, ACCURACY_TO)]
_COLUMNS = [*_NUMBERS, "attributes.`Dataset`", "attributes.`Models`", "params.`recipe`"]
_WIDTH = 180  # pixels, for a whole name
_CHARTS = (ACCURACY, *CURVES.values())
_SECTION = "Accuracy of each mode, and its mean curves"
# MLflow's own sections, which its pages look for.
_OTHERS = ("Model metrics", "System metrics")


def state() -> str:
    """The content of the tag."""
    return json.dumps(
        {
            "selectedColumns": _COLUMNS,
            "columnOrder": _NUMBERS,  # they come first
            "columnWidths": dict.fromkeys(_NUMBERS, _WIDTH),
            # What is not to be seen is there as deleted, or it would be added.
            "compareRunCharts": [_chart(name) for name in dict.fromkeys([*_CHARTS, *SCORES, *TEST.values()])],
            "compareRunSections": [
                {"uuid": name, "name": name, "display": True, "isReordered": False, "deleted": False}
                for name in (_SECTION, *_OTHERS)
            ],
        }
    )


def _chart(name: str) -> dict[str, object]:
    line = {"type": "LINE", "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True}
    return {
        "uuid": name,
        "metricKey": name,
        "metricSectionId": _SECTION,
        "runsCountToCompare": 10,
        "isGenerated": True,
        "deleted": name not in _CHARTS,
        **(line if name in CURVES.values() else {"type": "BAR"}),
    }
