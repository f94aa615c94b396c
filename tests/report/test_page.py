import csv
import dataclasses
import io
import os
import re
import shutil
import subprocess
import sys
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pytest

from report import ReportError, build_report
from results import StoreError, open_store
from tests.golden.make_store import expected_leaderboard, golden_records, golden_table
from tests.record_factory import make_record

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def store_of(path, records):
    path.mkdir(parents=True, exist_ok=True)
    store = open_store(path)
    for record in records:
        store.write(record)
    return str(path)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Reader(HTMLParser):
    """Collects tags, the files a page refers to, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.text, self._skip = [], [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skip = tag in ("style", "script")
        self.links += [value for name, value in attrs if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag):
        self._skip = False

    def handle_data(self, data):
        self.text += "" if self._skip else data


def read_page(index):
    return Reader(index.read_text())


def test_golden_store_is_what_its_script_makes():
    assert open_store(GOLDEN / "store").read().equals(golden_table())


def test_golden_leaderboard():
    assert expected_leaderboard(GOLDEN / "store") == (GOLDEN / "LEADERBOARD.md").read_text()


@pytest.fixture(scope="module")
def golden_index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    shutil.copytree(GOLDEN / "store", folder / "store")
    return build_report(folder / "store", folder / "out")


def test_same_rows_give_the_same_bytes(tmp_path, golden_index):
    # Another process with another order of sets, another folder, and the rows in one file each, written backwards.
    store = store_of(tmp_path / "store", golden_records()[::-1])
    code = "import sys, report; report.build_report(*sys.argv[1:])"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", code, store, tmp_path / "out"], cwd=tmp_path.parent, env=environment, check=True
    )
    mine, other = contents(golden_index.parent), contents(tmp_path / "out")
    assert set(mine) == set(other)
    # In the other process the store lies below the working folder, so its address is shown in full.
    other["index.html"] = other["index.html"].replace(f"{tmp_path.name}/store".encode(), b"store")
    assert [name for name in mine if mine[name] != other[name]] == []


def test_page_refers_to_nothing_but_its_own_files(golden_index):
    page = read_page(golden_index)
    local = [link for link in page.links if link != "data:,"]
    assert local
    assert all((golden_index.parent / link).is_file() for link in local)
    assert all(attrs["alt"] for tag, attrs in page.tags if tag == "img")
    for path in golden_index.parent.rglob("*.svg"):
        assert not re.search(r"<image|@import|<script", path.read_text())


def test_page_shows_every_failure_and_where_the_numbers_come_from(golden_index):
    text = read_page(golden_index).text
    for shown in ("out of memory", "loss is nan at step 7", "Failed or diverged: 3 of 90 trials", "commit c0ffee0"):
        assert shown in text
    for shown in ("0123456789abcdef", "fedcba9876543210", "torch 2.13.0", "2026-01-02", "hsicl report --store"):
        assert shown in text
    assert not any(b"toy-host" in data for data in contents(golden_index.parent).values())


HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "=cmd()|'/c calc'!A0",
    "line\nbreak\r\nand\ttab\0nul",
    "x" * 300,
    "\u202eright to left \u05d0\u05d1",
    "emoji \U0001f6f0 $\\frac{1$ {{ 7*7 }} {% raw %}",
    "../../escape",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_strings_are_shown_as_text(tmp_path, name):
    records = [
        make_record(scene=name, method=name, protocol=name, split_index=split, params={name: value, "s": name})
        for split in range(2)
        for value in (1, 2)
    ]
    failed = {"status": "failed", "error_type": name, "error": name, "split_index": 0}
    records.append(make_record(scene=name, method="other", commit=name, versions={name: name}, **failed))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index = build_report(store_of(tmp_path / "store", records), tmp_path / "out")
    page = read_page(index)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any("onerror" in attrs or attrs.get("src") == "x" for _, attrs in page.tags)
    visible = " ".join(name.replace("\0", " ").replace("\u202e", "").split())
    assert visible in " ".join(page.text.split())
    assert "49" not in page.text.split()
    assert all(path.resolve().is_relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "store"]


def test_csv_cells_cannot_be_formulas(tmp_path):
    records = [make_record(method=name, scene="@x", error="+1") for name in ("=1+1", "-1", "fine")]
    records.append(make_record(method="bad", status="failed", error_type="-e", error="+1"))
    out = build_report(store_of(tmp_path / "store", records), tmp_path / "out").parent
    for path in out.rglob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text())):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t"))
                assert not cell.startswith("-") or float(cell) <= 0
    assert "'=1+1" in (out / "trials.csv").read_text()


def test_empty_store_gives_a_page(tmp_path):
    page = read_page(build_report(store_of(tmp_path / "store", []), tmp_path / "out"))
    assert "No trials in this store" in page.text


def test_only_search_rows_give_a_page(tmp_path):
    records = [make_record(purpose="search", confusion_test=None)]
    page = read_page(build_report(store_of(tmp_path / "store", records), tmp_path / "out"))
    assert "1 rows of a search" in page.text


def test_all_failed_gives_a_page_with_the_errors(tmp_path):
    records = [make_record(seed=seed, status="failed", error=f"trouble {seed}") for seed in range(2)]
    page = read_page(build_report(store_of(tmp_path / "store", records), tmp_path / "out"))
    assert "No entrant has all its trials" in page.text
    assert "withheld: 2 of 2 trials failed" in page.text
    assert "trouble 1" in page.text


def test_one_row_gives_a_page_without_intervals(tmp_path):
    page = read_page(build_report(store_of(tmp_path / "store", [make_record(test_oa=0.5)]), tmp_path / "out"))
    assert "50.0 [n/a]" in page.text
    assert "no interval" in page.text


def test_bare_row_gives_a_page(tmp_path):
    # Only what a record must have: every optional field is None.
    required = {
        field.name: getattr(make_record(), field.name)
        for field in dataclasses.fields(make_record())
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    records = [
        make_record().__class__(**{**required, "status": status, "trial_id": status}) for status in ("ok", "failed")
    ]
    page = read_page(build_report(store_of(tmp_path / "store", records), tmp_path / "out"))
    assert "IncompleteRecord" in page.text


def test_an_interval_with_zero_in_it_is_told_neutrally(tmp_path):
    records = []
    for split, (mined, plain) in enumerate(((0.5, 0.6), (0.6, 0.5), (0.7, 0.69))):
        records.append(make_record(method="mined_negatives", split_index=split, test_oa=mined))
        records.append(make_record(method="nt_xent", split_index=split, test_oa=plain))
        records.append(make_record(method="worse", split_index=split, test_oa=plain - 0.2 - 0.01 * split))
    text = " ".join(read_page(build_report(store_of(tmp_path / "store", records), tmp_path / "out")).text.split())
    assert re.search(
        r"mined_negatives \(linear\) against nt_xent [^.]*: \+0\.3 points .* includes zero, so no diff", text
    )
    assert re.search(r"worse \(linear\) against nt_xent on the same splits and seeds: lower by 21\.0 points", text)


def test_foreign_folders_are_refused_and_reports_replaced(tmp_path):
    store = store_of(tmp_path / "store", [])
    out = tmp_path / "out"
    build_report(store, out)
    (out / "stale.txt").write_text("from an earlier report")
    build_report(store, out)
    assert not (out / "stale.txt").exists()
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "index.html").write_text("<title>mine</title>")
    for target in (foreign, foreign / "index.html"):
        with pytest.raises(ReportError, match="choose another --out") as error:
            build_report(store, target)
        assert "\n" not in str(error.value)
    assert (foreign / "index.html").read_text() == "<title>mine</title>"
    (tmp_path / "empty").mkdir()
    assert build_report(store, tmp_path / "empty").is_file()


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written") as error:
        build_report(store_of(tmp_path / "store", []), tmp_path / "file" / "out")
    assert "\n" not in str(error.value)


def test_a_failed_build_leaves_the_old_report(tmp_path):
    index = build_report(store_of(tmp_path / "store", []), tmp_path / "out")
    before = index.read_bytes()
    torn = store_of(tmp_path / "torn", [make_record()])
    (tmp_path / "torn" / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"bad\.parquet"):
        build_report(torn, tmp_path / "out")
    odd = store_of(tmp_path / "odd", [make_record(params_json="[1]")])
    with pytest.raises(ReportError, match="JSON object"):
        build_report(odd, tmp_path / "out")
    assert index.read_bytes() == before
    with pytest.raises(StoreError, match="does not exist"):
        build_report(tmp_path / "nowhere", tmp_path / "out")


def test_addresses_keep_secrets_and_machines_out(tmp_path, monkeypatch):
    from report.provenance import rebuild_command, shown_uri

    monkeypatch.chdir(tmp_path)
    assert shown_uri("s3://key:secret@bucket/runs?token=x") == "s3://bucket/runs"
    assert shown_uri(str(tmp_path / "results" / "runs")) == "results/runs"
    assert shown_uri("results/runs/") == "results/runs"
    assert shown_uri(str(tmp_path.parent / "elsewhere")) == "elsewhere"
    assert rebuild_command("my runs") == "hsicl report --store 'my runs' --out DIR"


def test_report_imports_neither_torch_nor_ray():
    code = (
        "import sys, pkgutil, importlib, report\n"
        "lazy = sorted({'pandas', 'matplotlib', 'jinja2', 'scipy'} & set(sys.modules))\n"
        "for module in pkgutil.walk_packages(report.__path__, 'report.'): importlib.import_module(module.name)\n"
        "rooms = {'torch', 'ray', 'hsicl_core', 'benchmark', 'sweeps'}\n"
        "print(lazy, sorted(rooms & {name.partition('.')[0] for name in sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[] []"
