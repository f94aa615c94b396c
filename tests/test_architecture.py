"""The arrows between the rooms, what importing them costs, and the size of their files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark import METHODS, PROTOCOLS, SCENES, SPLIT_RULES
from hsicl_core.registries import LOSSES, MINERS, PSEUDO_LABELERS, VIEWS
from sweeps.registries import EXECUTORS, SWEEPS

ROOT = Path(__file__).resolve().parents[1]
ARROWS: dict[str, set[str]] = {
    "hsicl_core": set(),
    "results": set(),
    "benchmark": {"hsicl_core", "results"},
    "sweeps": {"benchmark", "results"},
    "report": {"results"},
}
ROOMS = sorted(ARROWS)
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FRONT_DOOR = [path for path in [ROOT / "hsicl.py"] if path.exists()]
REGISTRIES = (LOSSES, MINERS, PSEUDO_LABELERS, VIEWS, METHODS, PROTOCOLS, SCENES, SPLIT_RULES, EXECUTORS, SWEEPS)


def imports_of(path: Path) -> set[str]:
    """Return every module that a file imports anywhere in it, by full name; inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrows"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def packages_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(path)}


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 40
    assert {where(path).partition("/")[0] for path in MODULES} == set(ROOMS)
    assert packages_of(ROOT / "benchmark/runner.py") >= {"hsicl_core", "results", "torch"}
    # Imported inside a function.
    assert "sklearn" in packages_of(ROOT / "hsicl_core/pseudolabels/k_means.py")


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_the_rooms(room: str) -> None:
    ours = {*ROOMS, "hsicl", "tests"}
    for path in (ROOT / room).rglob("*.py"):
        forbidden = packages_of(path) & ours - ARROWS[room] - {room}
        assert not forbidden, (
            f"{where(path)} imports {sorted(forbidden)}; {room} may only import {sorted(ARROWS[room])}"
        )


def test_strings_that_name_modules_follow_the_arrows_too() -> None:
    # The lazy packages hold the homes of their names as text.
    for path in MODULES:
        room = where(path).partition("/")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME":
                homes = set(ast.literal_eval(node.value).values())
                rooms = {home.partition(".")[0] for home in homes} & set(ROOMS)
                assert rooms <= ARROWS[room] | {room}, where(path)


def test_ray_is_imported_in_one_corner() -> None:
    importers = {where(path) for path in [*MODULES, *FRONT_DOOR] if "ray" in packages_of(path)}
    corner = ("sweeps/on_ray/", "sweeps/trackers/")
    assert importers
    assert {path for path in importers if not path.startswith(corner)} == set()


def test_the_report_needs_no_torch() -> None:
    for path in (ROOT / "report").rglob("*.py"):
        assert not packages_of(path) & {"torch", "ray"}, where(path)


@pytest.mark.parametrize("package", ["hsicl_core", "benchmark", "results", "report", "sweeps"])
def test_importing_a_room_loads_neither_torch_nor_ray(package: str) -> None:
    code = f"import sys, {package}; print(*sorted({{'torch', 'ray'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_building_a_report_loads_neither_torch_nor_ray() -> None:
    names = ", ".join(f"report.{path.stem}" for path in (ROOT / "report").glob("*.py") if not path.stem.startswith("_"))
    code = f"import sys, {names}; print(*sorted({{'torch', 'ray'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", [*MODULES, *FRONT_DOOR], ids=where)
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def literals_compared_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Give every string that something is compared with by ==, !=, in a literal collection, or a match case."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops
        ):
            sides = [node.left, *node.comparators]
            items = [item for side in sides for item in getattr(side, "elts", [side])]
            found = [item for item in items if isinstance(item, ast.Constant)]
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            found = [node.value]
        else:
            continue
        yield from ((item.lineno, item.value) for item in found if isinstance(item.value, str))


def test_comparisons_with_literals_are_found() -> None:
    code = "if a == 'x': pass\nif 'y' != b.c: pass\nif d in ('z', 'w'): pass\nmatch e:\n case 'v': pass\n"
    assert [text for _, text in literals_compared_in(ast.parse(code))] == ["x", "y", "z", "w", "v"]


def test_no_branch_on_a_registered_name() -> None:
    registered = {name for registry in REGISTRIES for name in registry.names()}
    assert {"k_means", "nt_xent", "block", "linear", "ray", "indian_pines"} <= registered
    branches = [
        f"{where(path)}:{line} compares with {text!r}"
        for path in [*MODULES, *FRONT_DOOR]
        for line, text in literals_compared_in(ast.parse(path.read_text(encoding="utf-8")))
        if text in registered
    ]
    assert branches == []


OPTIONAL = (
    "ray",
    "tensorly",
    "matplotlib",
    "jinja2",
    "optuna",
    "pooch",
    "spectral",
    "tifffile",
    "fsspec",
    "h5py",
    "rich",
)
WITHOUT_THEM = f"""
import sys
from pathlib import Path

class Without:
    '''A finder that is blind for some packages: they are then as if never installed.'''

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {OPTIONAL!r} else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
for name in {OPTIONAL!r}:
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(name + " is still there")

from benchmark import SplitSpec, load_scene, plan_trial, run_group
from hsicl_core import MissingPackageError, UserError
from results import open_store
from sweeps import EXECUTORS, launch
from tests.benchmark.entrants import tiny_params
from benchmark import METHODS
from tests.scene_factory import tiny_scene

scene = tiny_scene()
split = SplitSpec(rule="random", labels_per_class=3, val_per_class=3, patch_size=5)
trials = [
    plan_trial(scene, method=method, params=tiny_params(METHODS.get(method)), protocol=protocol, split=split)
    for method in METHODS.names() for protocol in ("knn", "linear")
]
records = list(run_group(trials[:2], scene))
assert [record.status for record in records] == ["ok", "ok"], records
store = open_store(Path(sys.argv[1]) / "store")
outcome = launch(trials, store, {{"tiny": scene}}, EXECUTORS.get("loop")())
assert outcome.n_ok == store.read().num_rows == len(trials), outcome

def message(call):
    try:
        call()
    except UserError as error:
        assert isinstance(error, MissingPackageError), repr(error)
        assert "\\n" not in str(error)
        return str(error)
    raise SystemExit("no error")

assert "'tensorly' is not installed" in message(lambda: load_scene("indian_pines"))
assert "'ray[tune]' is not installed" in message(lambda: EXECUTORS.get("ray"))
print("done")
"""


def test_the_loop_works_without_the_optional_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSICL_DATA", str(tmp_path / "no data"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_THEM, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["done"]
