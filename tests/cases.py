"""The list of bad inputs and crashes in docs/reliability.md, with the tests of each: `python -m tests.cases` writes it.

What the cases are stands in `cases.csv`; a test says by `@pytest.mark.case("D4")` that it covers one.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/reliability.md"
HEADING = "## The cases\n"
GROUPS = {
    "D": "Downloads",
    "Z": "Archives",
    "M": "Tables of clips",
    "W": "Recordings",
    "F": "Spectrograms and shards",
    "S": "Statistics",
    "P": "Parameters",
    "T": "Training",
    "V": "DVC and MLflow",
    "X": "Everything",
}


def cases() -> pd.DataFrame:
    """A row a case: ``happens``, ``follows``, and why it is ``not_covered``, by its name."""
    return pd.read_csv(TESTS / "cases.csv", index_col="case", keep_default_na=False)


def covered() -> dict[str, list[str]]:
    """The tests of every case that has some, as ``folder/file.py: name``, in the order of the files."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, case in _marked(tree.body, _of_module(tree)):
            found[case].append(f"{path.relative_to(TESTS).as_posix()}: {name}")
    return dict(found)


def section() -> str:
    """The part of the page below its heading."""
    listed, tests = cases(), covered()
    lines = [HEADING]
    for letter, title in GROUPS.items():
        lines += [f"### {title}", "| | what happens | what follows | tests |", "|---|---|---|---|"]
        for case, row in listed[listed.index.str.startswith(letter)].iterrows():
            shown = row["not_covered"] or "<br>".join(dict.fromkeys(f"`{test}`" for test in tests.get(str(case), [])))
            lines.append(f"| {case} | {row['happens']} | {row['follows']} | {shown} |")
        lines.append("")
    return "\n".join(lines)


def page() -> str:
    """The whole page, with the section made anew."""
    return PAGE.read_text(encoding="utf-8").partition(HEADING)[0] + section()


def _marked(body: list[ast.stmt], above: list[str]) -> Iterator[tuple[str, str]]:
    """Every test with every case that it, its class or its module is marked with."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _marked(node.body, above + _in(*node.decorator_list))
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for case in dict.fromkeys(above + _in(*node.decorator_list)):
                yield node.name, case


def _of_module(tree: ast.Module) -> list[str]:
    marks = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
    ]
    return _in(*marks)


def _in(*expressions: ast.expr) -> list[str]:
    """The cases of the marks in some expressions, of `pytest.param(..., marks=...)` too."""
    return [
        ast.literal_eval(argument)
        for expression in expressions
        for node in ast.walk(expression)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "case"
        for argument in node.args
    ]


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
