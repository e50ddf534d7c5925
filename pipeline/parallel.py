"""Run the pipeline with several cells at a time on this machine.

`python -m pipeline.parallel --jobs 2` is `dvc repro`, and with `-S` overrides it is `dvc exp run`, but for the training
stages: DVC runs them one after another, and here they are spread over workers. `make repro JOBS=2` calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from pipeline import command, compose, machine, options, places, progress, workers
from specnorm.errors import ResourceError
from specnorm.params import Params

_PARAMS, _CONF = Path("params.yaml"), Path("conf")
_BEFORE = "normalizers"  # the stages that stand right before the training; DVC builds what they need
_TRAIN = "train"
# What DVC says around a stage's own lines; the prefix and the last line of a cell say it better.
_CHATTER = re.compile(
    r"\s*$|Running stage |> |(Updating|Generating) lock file|To track the changes|\s+git add|To enable auto|"
    r"\s+dvc config|Use `dvc push`|ERROR: failed to reproduce "
)
_EXIT = re.compile(r"ERROR: failed to reproduce .*exited with (-?\d+)")


def main(argv: list[str] | None = None) -> int:
    def parsed() -> int:
        asked = _parser().parse_args(argv)
        try:
            return work(asked.jobs, asked.set_param, keep_going=asked.keep_going)
        except workers.SignalError as stop:
            _say(f"ended by {stop}; run the same command again to go on")
            return stop.exit_code

    return command.run("parallel", parsed)


def work(jobs: int, overrides: list[str], *, keep_going: bool) -> int:
    """Run the pipeline; return the exit code of the first cell that failed, or of DVC.

    Args:
        jobs: how many cells are trained at a time.
        overrides: what `dvc exp run` takes after `-S`; with none, params.yaml is run as it is.
        keep_going: whether the failure of a cell lets the others start.

    Raises:
        ConfigurationError: the parameters, or the number of jobs.
        SignalError: this process got a signal, and has ended all that it started.
    """
    # 1. The parameters, and each worker's part of the machine.
    if overrides:
        compose.compose(overrides)
    loaded = options.load(_PARAMS, _CONF)
    plan = _plan(jobs, loaded)

    # 2. All that the training needs, one stage after another.
    if code := workers.run([*_dvc(), "repro", _BEFORE]):
        return code

    # 3. The cells that are not done.
    if code := _train(_changed_cells(), loaded, plan, keep_going=keep_going):
        return code

    # 4. The rest. DVC checks every stage again here, so a cell that was missed would be trained now.
    return workers.run(_rest(overrides))


def _plan(jobs: int, loaded: Params) -> list[machine.Share]:
    """The workers; never more than the cells, so that few cells have all cores among them."""
    cores, gpus = machine.cores_of_this_process(), _gpus(loaded.train.device)
    machine.shares(jobs, cores, gpus)  # refuses what was asked for, not what is left of it
    cells = len(loaded.norm) * len(loaded.protocol.folds) * len(loaded.protocol.seeds)
    return machine.shares(min(jobs, cells), cores, gpus)


def _gpus(device: str) -> list[str]:
    """The GPUs that cells may be spread over; one that is named takes all of them."""
    if device in ("cpu", "mps"):
        return []
    return machine.visible_gpus() if device in ("auto", "cuda") else [device]


def _changed_cells() -> list[str]:
    """The training stages that are not up to date, in the order of the matrix."""
    asked = subprocess.run(  # noqa: S603 (constants)
        [*_dvc(), "--wait-for-lock", "status", "--json", _TRAIN],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if asked.returncode:  # DVC has said why
        raise ResourceError("DVC cannot tell which cells are done", got=f"exit code {asked.returncode}")
    return list(json.loads(asked.stdout.splitlines()[-1]))


def _train(cells: list[str], loaded: Params, plan: list[machine.Share], *, keep_going: bool) -> int:
    if not cells:
        return 0
    watch = _Watch(cells, loaded, len(plan), keep_going=keep_going)
    started = time.monotonic()
    threads = machine.environment(plan[0], os.environ)["OMP_NUM_THREADS"]
    _say(f"cells to do: {len(cells)}, at a time: {len(plan)}, threads of each: {threads}", error=False)
    commands = {cell: _cell_command(cell) for cell in cells}
    workers.run_all(commands, plan, on_start=watch.start, on_line=watch.line, on_end=watch.end)

    failed = [cell for cell in watch.ended if cell.code]
    _say(_summary(watch.ended, len(cells), time.monotonic() - started), error=bool(failed))
    for cell in failed:  # last, where they are seen
        _say(f"{cell.name} failed with exit code {_exit_code(cell)}: {_last_words(cell)}")
    return _exit_code(failed[0]) if failed else 0


class _Watch:
    """What is told of cells while they run, and those of them that have ended."""

    def __init__(self, cells: list[str], loaded: Params, jobs: int, *, keep_going: bool) -> None:
        self.ended: list[workers.Ended] = []
        self._loaded, self._jobs, self._keep_going = loaded, jobs, keep_going
        self._width, self._count, self._begun = max(map(len, cells)), len(cells), 0
        self._keys = {f"{places.maker(places.cell_folder(key))}": key for key in progress.keys(loaded)}
        self._before = [key for cell, key in self._keys.items() if cell not in cells]

    def start(self, cell: str) -> None:
        self._begun += 1
        place = len(self._before) + self._begun
        self.line(cell, progress.line(self._loaded, self._keys[cell], place=place, left_s=self._left_s()))

    def line(self, cell: str, text: str) -> None:
        if not _CHATTER.match(text):
            print(f"{cell:<{self._width}} | {text}", flush=True)

    def end(self, cell: workers.Ended) -> bool:
        self.ended.append(cell)
        done = "failed" if cell.code else "done"
        self.line(cell.name, f"{done} after {cell.seconds:.1f} s, {len(self.ended)} of {self._count}")
        if not cell.code:
            there = [*self._before, *(self._keys[each.name] for each in self.ended if not each.code)]
            command.say(progress.table(self._loaded, progress.read(there)))
        return self._keep_going or not any(each.code for each in self.ended)

    def _left_s(self) -> float | None:
        """Seconds for the cells that are not done, by those that were trained here, or else before."""
        seconds = [cell.seconds for cell in self.ended if _trained(cell)]
        seconds = seconds or [done.seconds for done in progress.read(self._before).values()]
        if not seconds:
            return None
        return sum(seconds) / len(seconds) * (self._count - len(self.ended)) / self._jobs


def _trained(cell: workers.Ended) -> bool:
    return cell.code == 0 and any(line.startswith("Running stage ") for line in cell.lines)


def _summary(ended: list[workers.Ended], cells: int, seconds: float) -> str:
    trained = sum(map(_trained, ended))
    counts = {
        "trained": trained,
        "from the cache": sum(cell.code == 0 for cell in ended) - trained,
        "failed": sum(cell.code != 0 for cell in ended),
        "not started": cells - len(ended),
    }
    return f"{', '.join(f'{count} {what}' for what, count in counts.items() if count)}, in {seconds:.1f} s"


def _last_words(cell: workers.Ended) -> str:
    """The last line that the stage itself printed, which is its error; DVC's own where the stage printed none."""
    own = [line for line in cell.lines if not _CHATTER.match(line)]
    return next(iter([*own[-1:], *cell.lines[-1:]]), "it printed nothing")


def _exit_code(cell: workers.Ended) -> int:
    """The exit code of the stage's command, which DVC reports in words, or DVC's own."""
    found = [int(match.group(1)) for line in cell.lines if (match := _EXIT.match(line))]
    code = found[-1] if found else cell.code
    return code if code >= 0 else 128 - code


def _dvc() -> list[str]:
    return [sys.executable, "-m", "pipeline.quiet_dvc"]


def _cell_command(cell: str) -> list[str]:
    # Without --wait-for-lock a DVC that meets another one at the lock gives up after three seconds.
    return [*_dvc(), "--wait-for-lock", "repro", "--single-item", cell]


def _rest(overrides: list[str]) -> list[str]:
    if not overrides:
        return [*_dvc(), "repro"]
    return [*_dvc(), "exp", "run", *(word for override in overrides for word in ("-S", override))]


def _say(message: str, *, error: bool = True) -> None:
    (command.tell if error else command.say)(f"parallel: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(prog="python -m pipeline.parallel", description=__doc__)
    parser.add_argument("-j", "--jobs", type=int, required=True, help="how many cells are trained at a time")
    parser.add_argument(
        "-S", "--set-param", action="append", default=[], metavar="KEY=VALUE", help="an override, as of `dvc exp run`"
    )
    parser.add_argument("-k", "--keep-going", action="store_true", help="start the other cells though one has failed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
