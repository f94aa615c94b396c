"""Published rows are as printed, add up or say that they do not, and are never taken for measured ones."""

import csv
import shutil
import tomllib

import pytest

from benchmark import METHODS, PROTOCOLS, SCENES
from report import published
from report import published_rows as rows_module
from report.errors import ReportError
from report.published import published_lines
from report.published_rows import COLUMNS, PublishedRow, published_for, published_rows, read_published
from report.text import one_line

GOOD = {
    "scene": "tiny", "rule": "random", "labels_per_class": "10", "labels_percent": "", "val_per_class": "",
    "method": "NET", "method_here": "", "oa": "81.50", "aa": "80", "kappa": "79.9", "n_runs": "5",
    "source": "Nobody 2000", "where": "Table 1", "flag": "",
}  # fmt: skip

CONTRASTIVE = "inter-spectral contrastive learning"


def key(scene, rule="random", labels_per_class=None, labels_percent=None, **others):
    return {
        "scene": scene, "split_rule": rule, "labels_per_class": labels_per_class, "labels_percent": labels_percent,
        **others,
    }  # fmt: skip


def as_csv(*changes):
    return "\n".join(
        [",".join(COLUMNS), *(",".join(f'"{cell}"' for cell in (GOOD | each).values()) for each in changes)]
    )


@pytest.fixture
def only(monkeypatch):
    def replace(*changes):
        rows = read_published(as_csv(*changes))
        # Once where it is used to find rows, once where a test asks for all of them.
        monkeypatch.setattr(rows_module, "published_rows", lambda: rows)
        monkeypatch.setattr(published, "published_rows", lambda: rows)

    return replace


# Typed from the notes on the field, not from the file: scene, budget, method, word of the source, OA, AA, kappa.
@pytest.mark.parametrize(
    ("scene", "rule", "per_class", "percent", "method", "source", "oa", "aa", "kappa"),
    [
        ("pavia_university", "fixed_pool", 10, None, CONTRASTIVE, "Hang", "75.78", "82.76", "69.66"),
        ("whu_hi_longkou", "fixed_pool", 10, None, "PCA+RF", "Hang", "92.94", "", ""),
        ("houston_2013", "fixed_pool", 10, None, "CAE", "Hang", "75.21", "", ""),
        ("pavia_university", "random", 30, None, "SVM", "Li", "71.31", "71.98", "63.96"),
        ("houston_2013", "random", 30, None, "GSC-ViT", "Li", "91.85", "92.97", "91.18"),
        ("whu_hi_hanchuan", "random", 30, None, "DMSGer", "Li", "84.39", "88.26", "82.01"),
        ("whu_hi_honghu", "random", 30, None, "MambaHSI", "Li", "94.58", "94.77", "94.00"),
        ("pavia_university", "random", 30, None, "SpectralFormer", "Li", "91.10", "79.93", "77.40"),
        ("pavia_university", "random", 30, None, "SpectralFormer", "2304.05961", "81.51", "84.94", "75.79"),
        ("indian_pines", "random", 30, None, "miniGCN", "2304.05961", "63.92", "69.09", "59.44"),
        ("salinas", "random", 30, None, "DMVL+SVM", "2304.05961", "97.01", "95.85", "96.67"),
        ("indian_pines", "random", 30, None, "SSFTT", "3361652", "94.49", "", ""),
        ("whu_hi_honghu", "random", 10, None, "CASST", "3361652", "85.71", "84.57", "82.24"),
        ("pavia_university", "random", 10, None, "SQSFormer", "3361652", "92.85", "92.06", "90.61"),
        ("indian_pines", "random", 10, None, "SSRN", "3361652", "83.37", "", ""),
        ("indian_pines", "random", 5, None, "HiT", "3361652", "51.78", "", ""),
        ("salinas", "random", None, 30, "HybridSN", "1902.06701", "100", "", ""),
        ("pavia_university", "random", None, 10, "2D-CNN", "1902.06701", "96.63", "", ""),
        ("indian_pines", "random", None, 20, "SSRN", "2755542", "99.19", "98.93", "99.07"),
        ("indian_pines", "random", None, 10, "SSFTT", "3144158", "98.62", "97.94", "98.43"),
        ("indian_pines", "random", 50, None, "HyperSIGMA", "hypersigma", "93.22", "96.22", "92.2"),
    ],
)  # fmt: skip
def test_cells_are_as_printed(scene, rule, per_class, percent, method, source, oa, aa, kappa):
    rows = published_for(scene, rule, per_class, percent)
    (found,) = [row for row in rows if row.method == method and source in row.source]
    assert (found.oa, found.aa, found.kappa) == (oa, aa, kappa)


def test_the_file_holds_all_rows_of_every_table_once():
    sources = {}
    for row in published_rows():
        sources.setdefault(row.source.split(",")[0].split(" ")[0], []).append(row)
    # 4 methods x 3 scenes; 9 x 4; 9 x 3 and of the other paper 9 + 1 + 7 + 8 + 5 - 1 of one scene; ...
    counts = {name: len(rows) for name, rows in sources.items()}
    assert counts == {
        "Hang": 12, "Li": 36, "Chen": 27 + 8 + 1 + 7 + 8 + 5, "Roy": 15 + 12, "Zhong": 4, "Sun": 1,
        "chunghoon0629/hypersigma-benchmark": 4,
    }  # fmt: skip
    assert {row.val_per_class for row in sources["Li"]} == {10}
    assert {row.n_runs for row in sources["Li"]} == {10}


def test_values_recalled_from_memory_are_left_out():
    # Fixed splits of SpectralFormer and high budgets of SSFTT: nobody has looked them up.
    unverified = {
        "81.76",
        "87.81",
        "79.19",
        "91.07",
        "90.20",
        "88.05",
        "88.01",
        "88.91",
        "86.99",
        "97.47",
        "99.21",
        "98.35",
    }
    for row in published_rows():
        # The one of them that a source prints, as the average accuracy of another method.
        if (row.method, row.aa) != ("SQSFormer", "90.20"):
            assert not {row.oa, row.aa, row.kappa} & unverified, row
        assert row.rule in ("random", "fixed_pool"), row
        assert "unverified" not in row.flag


def test_scenes_and_entrants_are_those_of_the_suite():
    assert {row.scene for row in published_rows()} <= set(SCENES.names())
    entrants = {tuple(row.method_here.split(":")) for row in published_rows() if row.method_here}
    assert {method for method, _ in entrants} <= set(METHODS.names())
    assert {protocol for _, protocol in entrants} <= set(PROTOCOLS.names())
    named = {(row.method, row.method_here) for row in published_rows() if row.method_here}
    # One name, one entrant, wherever it is printed.
    assert len({name for name, _ in named}) == len({here for _, here in named}) == len(named) == 11


def contradicts_itself(row, counts):
    """Whether no confusion matrix on the scene's classes has this OA and this kappa.

    Chance agreement is sum p_c q_c of true and predicted shares. As q differs from p by a total variation of at most
    1 - OA, it lies within (1 - OA) * (max p - min p) of sum p_c^2.
    """
    n_train = [min(row.labels_per_class or round(n * row.labels_percent / 100), n // 2) for n in counts]
    left = [n - t for n, t in zip(counts, n_train, strict=True)]
    p = [n / sum(left) for n in left]
    oa, kappa = float(row.oa) / 100, float(row.kappa) / 100
    slack = (1 - oa) * (max(p) - min(p)) + 0.006
    # Both are rounded: half of the last printed digit each.
    half = [0.005 / 10 ** len(text.partition(".")[2]) for text in (row.oa, row.kappa)]
    ends = [
        (oa + a * half[0] - kappa - b * half[1]) / (1 - kappa - b * half[1]) for a in (-1, 1) for b in (-1, 1)
    ]  # fmt: skip
    middle = sum(share**2 for share in p)
    return max(ends) < middle - slack or min(ends) > middle + slack


def test_rows_that_do_not_add_up_are_those_that_say_so():
    counts = {scene: SCENES.get(scene).class_counts for scene in {row.scene for row in published_rows()}}
    odd = {
        (row.scene, row.method, row.source[:5])
        for row in published_rows()
        if row.kappa and contradicts_itself(row, counts[row.scene])
    }
    said = {
        (row.scene, row.method, row.source[:5])
        for row in published_rows()
        if "kappa" in row.flag or (row.kappa and "of the 9 classes" in row.flag)
    }
    assert odd == said
    assert ("pavia_university", "SpectralFormer", "Li et") in odd
    assert {name for _, name, _ in odd} == {"FullyContNet", "SpectralFormer", "MambaHSI", "HyperSIGMA"}
    above = [row for row in published_rows() if row.kappa and float(row.kappa) > float(row.oa)]
    assert [(row.scene, row.method) for row in above] == [
        (scene, "FullyContNet") for scene in ("pavia_university", "houston_2013", "whu_hi_honghu")
    ]
    assert all(row.flag == "kappa above OA" for row in above)


def test_the_copied_row_and_single_runs_say_so():
    (copied,) = [row for row in published_rows() if "identical to" in row.flag]
    (own,) = [row for row in published_for("indian_pines", "random", None, 20) if row.method == "SSRN"]
    assert (copied.method, copied.labels_percent) == ("SSRN", 30)
    assert (copied.oa, copied.aa, copied.kappa) == (own.oa, own.aa, own.kappa)
    assert copied.source != own.source
    single = {row.method for row in published_rows() if row.n_runs == 1}
    assert single == {row.method for row in published_rows() if "one run" in row.flag} == {"SpectralFormer", "SSFTT"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"oa": ""}, "oa must not be empty"),
        ({"source": " "}, "source must not be empty"),
        ({"oa": "100.01"}, "oa must be in 0..100, got '100.01'"),
        ({"aa": "-1"}, "aa must be in 0..100"),
        ({"kappa": "nan"}, "kappa must be in 0..100"),
        ({"kappa": "81.51"}, "kappa 81.51 is above OA 81.50"),
        ({"labels_percent": "10"}, "one budget"),
        ({"labels_per_class": ""}, "one budget"),
        ({"labels_per_class": "", "labels_percent": "100"}, "below 100"),
        ({"labels_per_class": "ten"}, "labels_per_class must be a number above 0, got 'ten'"),
        ({"n_runs": "0"}, "n_runs must be a number above 0"),
        ({"method_here": "ssrn"}, "METHOD:PROTOCOL"),
        ({"flag": 'a", "b'}, "14 cells are needed, got 15"),
    ],
)
def test_a_line_that_is_no_row_is_refused_in_one_line(change, words):
    with pytest.raises(ReportError, match=r"^published rows, line 3: .*: .*$") as caught:
        read_published(as_csv({"method": "first"}, change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_there_twice_is_refused_and_another_place_in_the_source_is_not():
    with pytest.raises(ReportError, match="line 3: 'NET' is there already"):
        read_published(as_csv({}, {"oa": "82"}))
    assert len(read_published(as_csv({}, {"where": "Table 2"}, {"labels_per_class": "11"}))) == 3
    with pytest.raises(ReportError, match="header"):
        read_published("scene,rule\n")
    with pytest.raises(ReportError, match="header"):
        read_published("")


def test_a_kappa_above_oa_is_kept_as_printed_where_it_is_flagged():
    (row,) = read_published(as_csv({"kappa": "90.10", "flag": "kappa above OA"}))
    assert row == PublishedRow(
        scene="tiny", rule="random", labels_per_class=10, labels_percent=None, val_per_class=None, method="NET",
        method_here="", oa="81.50", aa="80", kappa="90.10", n_runs=5, source="Nobody 2000", where="Table 1",
        flag="kappa above OA",
    )  # fmt: skip


def test_only_the_same_scene_rule_and_budget_stand_beside_a_group(only):
    only(
        {"method": "SAME"}, {"method": "OTHER_SCENE", "scene": "big"}, {"method": "OTHER_RULE", "rule": "block"},
        {"method": "OTHER_N", "labels_per_class": "5"},
        {"method": "PERCENT", "labels_per_class": "", "labels_percent": "10"},
    )  # fmt: skip

    def methods(*args):
        return [row.method for row in published_for(*args)]

    assert methods("tiny", "random", 10, None) == ["SAME"]
    assert methods("tiny", "random", None, 10.0) == ["PERCENT"]
    assert methods("tiny", "random", None, None) == []
    assert published_lines(key("tiny", labels_per_class=7)) == []
    assert published.published_text(key("tiny", masks="NAME@0", patch_size=9)) == ""
    assert published.beside_measured(key("big", labels_per_class=5), {"ssrn:own_classifier": "1"}) == []


def test_the_tables_say_first_that_nothing_in_them_was_measured_and_rank_nothing(only):
    only({"method": "LOW", "oa": "80"}, {"method": "HIGH", "oa": "95", "kappa": "", "n_runs": "", "val_per_class": "3"})
    lines = published_lines(key("tiny", labels_per_class=10))
    assert lines[:3] == [
        "#### Published elsewhere, not measured here: tiny, random split, 10 labels per class", "", published.CAUTION,
    ]  # fmt: skip
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert cells[0] == [
        "method", "published OA", "published AA", "published kappa", "val per class", "runs", "source", "remark",
    ]  # fmt: skip
    # In the order of the file.
    assert cells[1:] == [
        ["LOW", "80", "80", "79.9", "n/a", "5", "Nobody 2000", ""],
        ["HIGH", "95", "80", "n/a", "3", "n/a", "Nobody 2000", ""],
    ]
    text = published.published_text(key("tiny", labels_per_class=10)).splitlines()
    assert text[0] == "Published elsewhere, not measured here: tiny, random split, 10 labels per class"
    assert text[1].split()[:3] == ["method", "published", "OA"]
    assert [line.split()[0] for line in text[2:4]] == ["LOW", "HIGH"]
    assert text[4:] == [published.CAUTION]
    for word in ("other training and test pixels", "other tuning", "other validation", "ranked", "no interval"):
        assert word in published.CAUTION


def test_a_measured_score_stands_beside_the_row_that_names_its_entrant_only(only):
    only(
        {"method": "A", "method_here": "net:svm"}, {"method": "B", "method_here": "net:linear", "flag": "odd"},
        {"method": "C"},
    )  # fmt: skip
    measured = {"net:svm": "61.2 [58.1, 64.4]", "other:svm": "99.9 [99.8, 100.0]", "": "12.3"}
    lines = published.beside_measured(key("tiny", labels_per_class=10), measured)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert cells[0][:4] == ["method", "published OA", "measured OA", "entrant here"]
    assert [row[:4] for row in cells[1:]] == [
        ["A", "81.50", r"61.2 \[58.1, 64.4\]", "net:svm"],
        ["B", "81.50", "-", "net:linear"],
        ["C", "81.50", "-", "-"],
    ]
    assert published.CAUTION in lines
    text = published.published_text(key("tiny", labels_per_class=10), measured)
    assert "61.2 [58.1, 64.4]" in text
    assert "99.9" not in text
    assert "12.3" not in text
    assert "\nB: odd\n" in text


def test_hostile_text_stays_in_its_cell(only):
    hostile = "</td><script>x</script> | a\n# b\x1b[2J\u202e *c*"
    only({"method": hostile, "source": hostile, "flag": hostile, "where": hostile, "scene": hostile})
    lines = published_lines(key(hostile, labels_per_class=10))
    shown = "\n".join([*lines, published.page(published.published_rows())])
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert not any(line.startswith("# b") for line in shown.splitlines())
    rows = [line for line in lines if line.startswith("| ")]
    # Heads and one row, each of eight cells.
    assert [line.replace(r"\|", "").count("|") for line in rows] == [9, 9]
    text = published.published_text(key(hostile, labels_per_class=10))
    assert "\x1b" not in text
    assert text.splitlines()[0].endswith(f"{one_line(hostile)}, random split, 10 labels per class")
    assert len(text.splitlines()) == 5


def test_the_page_is_current_and_an_edited_one_is_noticed(tmp_path, monkeypatch, pytestconfig, capsys):
    shutil.copytree(pytestconfig.rootpath / "results/published", tmp_path / "results/published")
    monkeypatch.chdir(tmp_path)
    assert published.main(["--check"]) == 0
    text = published.PAGE.read_text(encoding="utf-8")
    published.PAGE.write_text(text.replace("83.37", "84.37"), encoding="utf-8")
    assert published.main(["--check"]) == 1
    assert "84.37" in published.PAGE.read_text(encoding="utf-8")
    assert "python -m report.published" in capsys.readouterr().err
    assert published.main([]) == 0
    assert published.PAGE.read_text(encoding="utf-8") == text
    published.PAGE.unlink()
    assert published.main(["--check"]) == 1


def test_every_row_is_on_the_page_with_its_place_and_remark():
    text = published.page(published_rows())
    assert published.CAUTION in text.split("## ")[0]
    assert sum(line.startswith("| ") and not line.startswith("| method |") for line in text.splitlines()) == len(
        published_rows()
    )
    for words in ("own authors give for 20%", "src/jupyter/table_gen.ipynb", "raw_spectra:svm", "one run"):
        assert words in text


def test_the_file_comes_with_the_package(pytestconfig):
    root = pytestconfig.rootpath
    patterns = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in patterns["results"] for path in (root / "results").glob(pattern)}
    assert root / "results/published/rows.csv" in shipped


def test_the_file_is_plain_csv(pytestconfig):
    data = (pytestconfig.rootpath / "results/published/rows.csv").read_bytes()
    assert b"\r" not in data
    assert data.endswith(b"\n")
    with (pytestconfig.rootpath / "results/published/rows.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(published_rows()) == 140
    for line in lines:
        assert all(cell == one_line(cell) for cell in line.values()), line
