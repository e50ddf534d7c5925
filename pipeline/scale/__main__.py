"""Run the pipeline with its cells elsewhere, or several at a time: `python -m pipeline.scale run executor=ray`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline import command, compose, options
from pipeline.scale import collect, executor, here, on_ray, plan
from pipeline.scale.attempt import Result
from pipeline.scale.board import Board
from pipeline.scale.executor import ExecutorParams
from pipeline.scale.plan import Plan

_PARAMS, _CONF = Path("params.yaml"), Path("conf")
_TRAIN, _BEFORE = "train", "normalizers"


def main(argv: list[str] | None = None) -> int:
    return command.run("scale", lambda: work(_parser().parse_args(argv)))


def work(asked: argparse.Namespace) -> int:
    """Run the pipeline; return the exit code of the first cell that failed, or of DVC."""
    params = executor.load(asked.overrides)
    if asked.set_param:
        compose.compose(asked.set_param)
    loaded = options.load(_PARAMS, _CONF)

    # 1. All that the training reads.
    if code := _dvc("repro", _BEFORE):
        return code

    # 2. The cells that are not done.
    planned = plan.make(_TRAIN, remote=params.remote, scratch=params.scratch)
    planned.write(params.scratch / "plan.json")
    names = list(planned.work)
    if names:
        board = Board(loaded, names)
        threads = params.threads or max(1, (os.cpu_count() or 1) // params.jobs)
        environment = {"OMP_NUM_THREADS": str(threads), "SPECNORM_MEMORY_SHARE": str(1 / params.jobs)}
        command.say(f"cells to do: {len(names)}, threads of each: {threads}")
        for result in _results(planned, environment, params, board):
            board.end(result)
        found = collect.collect(planned, board.entries())
        board.scores()
        for name, why in found.refused.items():
            command.tell(f"scale: {name} is not taken: {why}")
        for failed in board.failed():
            command.tell(f"scale: {failed.name} failed with exit code {failed.code}: {' '.join(failed.tail[-1:])}")
        if board.failed():
            return board.failed()[0].code
        if found.refused:
            return 1

    # 3. The rest. DVC looks at every stage again, so a cell that was missed would be trained now.
    if not asked.set_param:
        return _dvc("repro")
    return _dvc("exp", "run", *(word for override in asked.set_param for word in ("-S", override)))


def _results(planned: Plan, environment: Mapping[str, str], params: ExecutorParams, board: Board) -> Iterator[Result]:
    if params.kind == "local":
        return here.run(planned, environment, board.line)
    return on_ray.run(planned, environment, params)


def _dvc(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "pipeline.quiet_dvc", *words], check=False).returncode  # noqa: S603


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="python -m pipeline.scale", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="plan, run and collect")
    run.add_argument("overrides", nargs="*", metavar="executor.KEY=VALUE", help="of conf/executor/")
    run.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="as of `dvc exp run`")
    return parser


if __name__ == "__main__":
    sys.exit(main())
