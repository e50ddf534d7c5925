"""Run the pipeline with its cells elsewhere, or several at a time on this machine.

`run` is `dvc repro`, and with `-S` overrides it is `dvc exp run`, but for the cells: these run where `executor=` says.
`plan`, `cell` and `collect` are its parts, for a scheduler that starts cells by itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from pipeline import command, compose, options, share
from pipeline.scale import attempt, collect, executor, here, left, on_ray, plan, store
from pipeline.scale.attempt import Result
from pipeline.scale.board import Board
from pipeline.scale.collect import Collected
from pipeline.scale.executor import ExecutorParams
from pipeline.scale.plan import Plan
from specnorm.errors import ConfigurationError

_PARAMS, _CONF = Path("params.yaml"), Path("conf")
_BEFORE = {"train": "normalizers", "spectrograms": "download"}  # what stands right before, which DVC itself runs
_AFTER = "compare"  # what a clone with nothing but the remote wants to see


def main(argv: list[str] | None = None) -> int:
    def work() -> int:
        asked = _parser().parse_args(argv)
        done: int = asked.work(asked)
        return done

    return command.run("scale", work)


def run(asked: argparse.Namespace) -> int:
    """Plan, run and collect what is not done, and then the rest of the pipeline.

    Returns:
        The exit code of the first cell that failed, or of DVC.
    """
    params = executor.load(asked.executor)
    if params.kind == "ray":
        on_ray.check(params)
    if asked.set_param:
        compose.compose(asked.set_param)
    loaded = options.load(_PARAMS, _CONF)

    # 1. All that the cells read, one stage after another.
    if code := _dvc("repro", _BEFORE[asked.stage]):
        return code

    # 2. The cells that are not done: those that have a result already, of a run that was broken off, and the others.
    planned = plan.make(asked.stage, remote=params.remote, scratch=params.scratch)
    found = collect.collect(planned, left.entries(planned))
    rest = planned.only([name for name in planned.work if name not in found.accepted])
    if found.accepted:
        command.say(f"scale: {len(found.accepted)} had a result already")
    if rest.work:
        board = Board(loaded, list(rest.work))
        environment = _environment(params, len(rest.work))
        threads = share.threads(environment)
        command.say(f"scale: cells to do: {len(rest.work)}, threads of each: {threads}")
        for result in _results(rest, environment, params, loaded.train.device, board):
            board.end(result)
        found = collect.collect(rest, board.entries())
        if code := _told(found, board.failed()):
            return code

    # 3. The rest. DVC looks at every stage again, so a cell that was missed would be trained now.
    overrides = [word for override in asked.set_param for word in ("-S", override)]
    code = _dvc("exp", "run", *overrides) if overrides else _dvc("repro")
    if not code and planned.remote is not None:
        with store.opened(planned.remote) as repo:
            repo.push([_AFTER], remote=store.STORE)
    return code


def make_plan(asked: argparse.Namespace) -> int:
    """Write the plan of what is not done."""
    params = executor.load(asked.executor)
    planned = plan.make(asked.stage, remote=params.remote, scratch=params.scratch)
    planned.write(asked.out)
    command.say(f"{len(planned.work)} cells, 0 to {len(planned.work) - 1}" if planned.work else "nothing to do")
    return 0


def run_cell(asked: argparse.Namespace) -> int:
    """Run one cell of a plan, by its number or name; return its exit code."""
    planned = Plan.read(asked.plan)
    names = list(planned.work)
    name = names[int(asked.cell)] if asked.cell.isdecimal() and int(asked.cell) < len(names) else asked.cell
    if name not in names:
        raise ConfigurationError(
            "no such cell", where=asked.plan, expected=f"0 to {len(names) - 1}, or a name", got=name
        )
    bundle = Path(planned.bundle).read_bytes()
    threads = os.environ.get("SLURM_CPUS_PER_TASK", "")
    environment = share.environment(int(threads) if threads.isdecimal() else share.cores(), 1.0, os.environ)
    return attempt.run(asdict(planned), name, bundle, environment, command.say).code


def collect_plan(asked: argparse.Namespace) -> int:
    """Bring home what a plan's cells have left."""
    planned = Plan.read(asked.plan)
    found = collect.collect(planned, left.entries(planned))
    command.say(f"{len(found.accepted)} collected, {len(found.missing)} missing")
    return _told(found, []) or int(bool(found.missing))


def _told(found: Collected, failed: list[Result]) -> int:
    """Say what went wrong; the exit code of it."""
    for name in found.twice:
        command.tell(f"scale: warning: {name} ran twice and gave other bytes; the first is taken")
    for name, why in found.refused.items():
        command.tell(f"scale: {name} is not taken: {why}")
    for result in failed:
        command.tell(f"scale: {result.name} failed with exit code {result.code}: {' '.join(result.tail[-1:])}")
    return failed[0].code if failed else int(bool(found.refused))


def _results(
    planned: Plan, environment: Mapping[str, str], params: ExecutorParams, device: str, board: Board
) -> Iterator[Result]:
    if params.kind == "local":
        return here.run(planned, environment, board.begin, board.line)
    # Ray shows a cell its own GPU alone, so one that is called by its number has to be seen beside the others.
    return on_ray.run(planned, environment, params, gpu=device in ("auto", "cuda"))


def _environment(params: ExecutorParams, cells: int) -> dict[str, str]:
    """What a cell's processes may take of their machine; few cells share all cores of this one."""
    beside = min(params.jobs, cells)
    threads = params.threads or (max(1, int(params.cpus)) if params.cluster else max(1, share.cores() // beside))
    return share.environment(threads, 1 / beside, os.environ)


def _dvc(*words: str) -> int:
    """Run DVC with this process's output; its exit code. Nothing that it starts outlives this process's work."""
    with subprocess.Popen(  # noqa: S603 (constants, and what the user asks of DVC)
        [sys.executable, "-m", "pipeline.quiet_dvc", *words], start_new_session=True
    ) as process:
        try:
            return process.wait()
        finally:
            attempt.end(process)


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="specnorm scale", description=__doc__.partition("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, work: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = commands.add_parser(name, help=(work.__doc__ or "").partition("\n")[0])
        added.set_defaults(work=work)
        return added

    for name, work in (("run", run), ("plan", make_plan)):
        each = add(name, work)
        each.add_argument("stage", choices=list(_BEFORE), help="whose cells")
        each.add_argument("executor", nargs="*", metavar="executor.KEY=VALUE", help="of conf/executor/")
        if work is run:
            each.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="as of DVC")
        else:
            each.add_argument("-o", "--out", type=Path, default=Path("plan.json"), help="the plan's file")
    one = add("cell", run_cell)
    one.add_argument("plan", type=Path)
    one.add_argument("cell", help="its number in the plan, or its name")
    add("collect", collect_plan).add_argument("plan", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
