"""The package as it is installed from an index, without the pipeline's packages: nothing else is on the path."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LEFT_OUT = [
    "dvc",
    "mlflow",
    "hydra",
    "omegaconf",
    "matplotlib",
    "sklearn",
    "requests",
    "yaml",
    "pytest",
    "pip",
]

WALK = """
import numpy as np, soundfile, torch
import specnorm as sn

front = sn.FrontEnd.linear(sample_rate=16000, clip_seconds=1.0)
soundfile.write("tone.wav", 0.1 * np.sin(np.arange(44100) * 0.05), 44100)
clips = torch.stack([sn.load_clip("tone.wav", front), torch.randn(16000)])
stats = sn.Statistics.like(front)
for spectrograms in front(clips).split(1):
    stats.update(spectrograms)
norm = sn.Channel.fit(stats)
model = torch.nn.Sequential(norm, torch.nn.Conv2d(1, 2, 3))
assert model(front(clips)).isfinite().all()
stats.save("stats.json")
again = sn.fit("channel", "stats.json")
assert torch.equal(again(front(clips)), norm(front(clips)))
assert sn.Statistics.load("stats.json").moments.count.tolist() == [162] * 201
again.load_state_dict(norm.state_dict())
sn.FrontEnd.mel(clip_seconds=1.0)(sn.standardize(clips))
try:
    sn.fit("chanel", stats)
except sn.SpecnormError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that none of it is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "specnorm", folder / "specnorm", ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", folder / "dist", folder], check=True)
    [path] = (folder / "dist").iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of a path that holds the package and what its metadata asks for, and nothing else."""
    target, links = tmp_path_factory.mktemp("target"), tmp_path_factory.mktemp("links")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(install, check=True)
    [ours] = distributions(path=[str(target)])
    for found in closure(ours):
        for place in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (links / place).exists():
                (links / place).symlink_to(Path(str(found.locate_file(place))))
    return [target, links]


def closure(of: Distribution) -> list[Distribution]:
    """The installed distributions that one asks for, and those that these ask for, without any extra that is not."""
    found: dict[str, Distribution] = {}
    waiting = wanted_by(of, set())
    for requirement in waiting:
        distribution(requirement.name)  # what the package itself asks for must be there
    while waiting:
        requirement = waiting.pop()
        key = str(requirement.name) + str(sorted(requirement.extras))
        if key not in found:
            try:
                found[key] = distribution(requirement.name)
            except PackageNotFoundError:  # of another platform
                continue
            waiting += wanted_by(found[key], requirement.extras)
    return list(found.values())


def wanted_by(of: Distribution, extras: set[str]) -> list[Requirement]:
    requirements = [Requirement(text) for text in of.requires or []]
    return [
        each
        for each in requirements
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def child(path: list[Path], code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code that finds the standard library and ``path``: no site-packages, no environment, no current folder."""
    places = [str(place) for place in path]
    start = f"import sys; sys.path += {places!r}\n{code}"
    return subprocess.run([sys.executable, "-I", "-S", "-c", start], cwd=folder, capture_output=True, text=True)


def test_the_wheel_holds_the_types_and_the_templates(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "specnorm/report/templates").iterdir()}
    assert {"specnorm/py.typed", "specnorm/report/templates/page.js", "specnorm/__init__.py", *templates} <= names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "specnorm").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources


def test_the_path_is_as_bare_as_it_claims_to_be(installed: list[Path], tmp_path: Path) -> None:
    code = f"""
import importlib.util, specnorm
print([name for name in {LEFT_OUT} if importlib.util.find_spec(name)])
print(specnorm.__file__)
print([place for place in sys.path if place.endswith("site-packages")])
"""
    done = child(installed, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", str(installed[0] / "specnorm" / "__init__.py"), "[]"]


def test_the_face_works_without_the_pipelines_packages(installed: list[Path], tmp_path: Path) -> None:
    done = child(installed, WALK, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("unknown kind of normaliser: expected one of channel, global, identity")


def test_the_command_line_works_without_them(installed: list[Path], tmp_path: Path) -> None:
    code = "import runpy; sys.argv = ['specnorm', '--help']; runpy.run_module('specnorm', run_name='__main__')"
    done = child(installed, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "verdict" in done.stdout


def test_the_modes_of_a_checkout_are_told_without_them(installed: list[Path], tmp_path: Path) -> None:
    """A regression: with the library alone, the command stopped at the reader of YAML."""
    shutil.copytree(ROOT / "conf/norm", tmp_path / "conf/norm")
    code = "import runpy; sys.argv = ['specnorm', 'modes']; runpy.run_module('specnorm', run_name='__main__')"
    done = child(installed, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "channel_raw" in done.stdout


def test_every_room_up_to_the_trained_classifier_can_be_imported(installed: list[Path], tmp_path: Path) -> None:
    """What the metadata asks for is what these rooms import, the trainer and the store among them."""
    rooms = ("audio", "shards", "statistics", "normalization", "training", "classifier")
    files = [path for room in rooms for path in (ROOT / "specnorm" / room).glob("*.py") if path.stem != "__init__"]
    modules = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files)
    done = child(installed, f"import importlib\nfor name in {modules}: importlib.import_module(name)", tmp_path)
    assert done.returncode == 0, done.stderr
