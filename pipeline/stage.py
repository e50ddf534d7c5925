"""What every stage's command shares: its arguments, its lock, and errors as one line with an exit code."""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from pipeline import command, options, places
from specnorm import files, params
from specnorm.errors import ConfigurationError, IntegrityError, SpecnormError

# The kinds of normaliser that have no options of their own.
_PLAIN_KINDS = {"channel", "global", "identity"}
_KINDS = Path("specnorm/normalization")


def run(
    work: Callable[[params.Params, argparse.Namespace], None],
    argv: list[str] | None,
    *,
    outputs: Callable[[argparse.Namespace], list[Path]] = lambda _: [],
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _: None,
) -> int:
    """Check all parameters, take the stage's lock, work, and turn an error of ours into one line with an exit code.

    Args:
        work: the stage.
        argv: the command line without the program's name.
        outputs: the folders that the stage writes; two processes never write the same one at a time.
        arguments: adds the stage's own arguments.
    """
    name = Path(getattr(sys.modules[work.__module__], "__file__", None) or "stage").stem
    parser = command.Parser(prog=f"python -m stages.{name}", description=sys.modules[work.__module__].__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")
    arguments(parser)

    def checked() -> int:
        parsed = parser.parse_args(argv)
        warnings.showwarning = _one_line  # type: ignore[assignment]
        try:
            _work(work, parsed, outputs)
        except SpecnormError as error:
            if parsed.verbose:
                traceback.print_exc()
            command.tell(f"{name}: {error}{_remedy(error)}")
            return error.exit_code
        return 0

    return command.run(name, checked)


def warn(warning: object) -> None:
    """Tell of what need not stop the work."""
    command.tell(f"warning: {warning}")


def norm_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--norm``."""
    parser.add_argument("--norm", required=True, help="the normalisation mode")


def _work(
    work: Callable[[params.Params, argparse.Namespace], None],
    parsed: argparse.Namespace,
    outputs: Callable[[argparse.Namespace], list[Path]],
) -> None:
    loaded = options.load(Path("params.yaml"), Path("conf"))
    _check_modes(loaded.norm)
    asked = getattr(parsed, "norm", None)
    if asked is not None and asked not in loaded.norm:
        raise ConfigurationError("no such mode", where="--norm", expected=f"one of {', '.join(loaded.norm)}", got=asked)
    with ExitStack() as locks:
        for folder in outputs(parsed):
            lock = Path(".cache/locks") / f"{'-'.join(folder.parts)}.lock"
            files.check_writable(folder)
            locks.enter_context(files.exclusive(lock))
            files.clean_partials(folder)
        work(loaded, parsed)


def _remedy(error: SpecnormError) -> str:
    """What makes a damaged or missing output anew; the library itself knows of no stages."""
    made_by = places.maker(error.where)
    if not isinstance(error, IntegrityError) or error.hint is not None or made_by is None:
        return ""
    return f". Run `dvc repro -f -s {made_by}` to make it again"


def _check_modes(modes: Mapping[str, params.NormParams]) -> None:
    """Refuse an unknown kind and a bad option of any mode, in every stage, so that no long run ends in one.

    What is right at a glance does not bring the kinds themselves, and torch with them, into a stage that needs neither.
    """
    if all(settings.kind in _PLAIN_KINDS and not settings.options for settings in modes.values()):
        return
    from specnorm.normalization import fitted

    for mode, settings in modes.items():
        try:
            fitted.check(mode, settings)
        except ConfigurationError as error:
            behind = _left_behind()
            if not behind:
                raise
            hint = f"An experiment outside of the workspace has what git knows: `git add {' '.join(behind)}` first"
            raise ConfigurationError(str(error), hint=hint) from error


def _left_behind() -> list[str]:
    """The modes' code in the repository that its temporary copy, which this process runs in, lacks."""
    there = sorted((places.root() / _KINDS).glob("*.py"))
    return [f"{_KINDS / path.name}" for path in there if not (_KINDS / path.name).exists()]


def _one_line(message: Warning | str, category: type[Warning], *_: object) -> None:
    if issubclass(category, UserWarning | RuntimeWarning):
        warn(message)
