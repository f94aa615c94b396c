"""Usual settings are told once; a row tells only what differs from them."""

from report.groups import build_groups
from report.rows import read_rows
from report.settings import settings_text, usual_markdown, usual_settings
from results import open_store
from tests.record_factory import make_record


def found(path, *params, method="mined"):
    """The configurations with these parameters, and the usual settings among them."""
    store = open_store(path)
    for each in params:
        store.write(make_record(method=method, params=each))
    groups = build_groups(read_rows(str(path)))
    return groups[0].configurations, usual_settings(groups)


def test_the_most_frequent_value_is_usual_and_the_rest_is_told(tmp_path):
    params = [{"k": 16, "t": 0.1}, {"k": 16, "t": 0.5}, {"k": 64, "t": 0.1, "only": 1}]
    configurations, usual = found(tmp_path, *params)
    assert usual == {("mined", "linear"): {"k": 16, "only": None, "t": 0.1}}
    texts = {item.params["k"] + item.params["t"]: settings_text(item, usual) for item in configurations}
    assert texts == {16.1: "usual", 16.5: "t=0.5", 64.1: "k=64, only=1"}
    assert usual_markdown(usual) == "Usual settings. mined: k=16, only=none, t=0.1."


def test_one_setting_needs_no_words(tmp_path):
    (item,), usual = found(tmp_path, {"k": 16})
    assert settings_text(item, usual) == "-"
    assert usual_markdown(usual) == ""


def test_of_equally_frequent_values_the_choice_does_not_depend_on_order(tmp_path):
    _, one = found(tmp_path / "one", {"k": 16}, {"k": 64})
    _, other = found(tmp_path / "other", {"k": 64}, {"k": 16})
    assert one == other == {("mined", "linear"): {"k": 16}}


def test_protocols_have_settings_of_their_own(tmp_path):
    store = open_store(tmp_path)
    for value in (1, 2):
        for protocol in ("linear", "knn"):
            params = {"k": value if protocol == "knn" else 7}
            store.write(make_record(method="mined", protocol=protocol, params=params, seed=value))
    usual = usual_settings(build_groups(read_rows(str(tmp_path))))
    assert usual == {("mined", "linear"): {}, ("mined", "knn"): {"k": 1}}
    assert usual_markdown(usual) == "Usual settings. mined (knn): k=1."
