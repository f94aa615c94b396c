"""The contract suite of methods passes an honest method and fails what breaks the contract, each way in its test."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch

from benchmark import METHODS, fitting
from benchmark.memo import Memo
from benchmark.methods.base import Method
from tests.contracts import cheats
from tests.contracts import test_methods as contract

# Of what a method's file must say of itself a cheat has none.
TESTS = [
    name
    for name, _ in inspect.getmembers(contract, inspect.isfunction)
    if name.startswith("test_") and name != "test_its_file_tells_source_differences_and_cost"
]
CAUGHT: list[tuple[type[Method], str]] = [
    (cheats.ReadsTheObserver, "test_no_hidden_label_reaches_embedding_or_scores"),
    (cheats.DrawsFromTorch, "test_the_same_data_give_the_same_bits"),
    (cheats.DrawsFromNumpy, "test_the_same_data_give_the_same_bits"),
    (cheats.SeedsTorch, "test_the_same_data_give_the_same_bits"),
    (cheats.SeedsNumpy, "test_the_same_data_give_the_same_bits"),
    (cheats.ChangesTheCube, "test_what_it_is_given_is_left_as_it_was"),
    (cheats.ChangesTheLabels, "test_what_it_is_given_is_left_as_it_was"),
    (cheats.ChangesThePixels, "test_what_it_is_given_is_left_as_it_was"),
    (cheats.MemoWithoutSeed, "test_a_memo_that_others_have_filled_changes_nothing"),
    (cheats.MemoWithoutLabels, "test_a_memo_that_others_have_filled_changes_nothing"),
    (cheats.StatisticsOfAll, "test_a_strip_changes_only_what_is_near_it"),
    (cheats.SeesFarther, "test_a_strip_changes_only_what_is_near_it"),
    (cheats.LocalStatistics, "test_where_others_are_does_not_matter_if_its_view_is_bounded"),
    (cheats.SaysItSeesFarther, "test_where_others_are_does_not_matter_if_its_view_is_bounded"),
    (cheats.NeedsTwoOfAClass, "test_one_label_per_class_is_enough"),
    (cheats.NeedsEveryClass, "test_classes_without_a_visible_label_are_no_error"),
    (cheats.Double, "test_embeds_every_pixel"),
    (cheats.Forgets, "test_embeds_every_pixel"),
    (cheats.NoNetwork, "test_a_copy_is_fine_tuned_of_those_that_have_a_network_and_of_no_other"),
    (cheats.TunesTheOriginal, "test_a_copy_is_fine_tuned_of_those_that_have_a_network_and_of_no_other"),
    (cheats.TunesWithOtherDraws, "test_a_copy_is_fine_tuned_of_those_that_have_a_network_and_of_no_other"),
    (cheats.NoScores, "test_class_scores_come_from_those_that_classify_and_from_no_other"),
    (cheats.ABoundAmongEntrants, "test_what_it_says_of_itself_holds"),
    (cheats.OfNoKind, "test_what_it_says_of_itself_holds"),
    (cheats.ScoredByNobody, "test_what_it_says_of_itself_holds"),
    (cheats.SearchesTooMuch, "test_the_leaderboard_can_plan_its_defaults_and_all_of_its_search_space"),
    (cheats.SearchesWhatItLacks, "test_the_leaderboard_can_plan_its_defaults_and_all_of_its_search_space"),
    (cheats.EvenWindow, "test_it_says_how_far_it_sees"),
]


def entering(method: type[Method], monkeypatch: pytest.MonkeyPatch) -> str:
    """Register a method for the time of a test and return its name."""
    known = METHODS.get
    monkeypatch.setattr(METHODS, "get", lambda name: method if name == "cheat" else known(name))
    monkeypatch.setattr(fitting, "_MEMO", Memo(size=16))
    return "cheat"


@pytest.fixture(autouse=True)
def global_stream() -> Iterator[None]:
    """Put back torch's global stream, which cheats draw from."""
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("test", TESTS)
def test_an_honest_method_passes(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    getattr(contract, test)(entering(cheats.Honest, monkeypatch))


@pytest.mark.parametrize(("method", "test"), CAUGHT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_cheat_is_caught(method: type[Method], test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        getattr(contract, test)(entering(method, monkeypatch))


def test_every_cheat_is_tried() -> None:
    members = [value for _, value in inspect.getmembers(cheats, inspect.isclass) if value.__module__ == cheats.__name__]
    assert {method for method, _ in CAUGHT} | {cheats.Honest, *cheats.WRONG_DEVICE} == set(members)


WITHIN_REACH = "test_no_hidden_label_is_within_reach_of_the_fit"


def test_a_runner_that_hands_out_the_diagnostics_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "Reporter", lambda told: told)
    with pytest.raises(AssertionError):
        getattr(contract, WITHIN_REACH)(entering(cheats.Honest, monkeypatch))


def test_a_runner_that_shows_all_labels_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_visible_labels", lambda method, trial, scene, labels: labels)
    with pytest.raises(AssertionError):
        getattr(contract, WITHIN_REACH)(entering(cheats.Honest, monkeypatch))


def test_a_runner_that_keeps_labels_in_the_memo_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    name = entering(cheats.Honest, monkeypatch)
    fitting._MEMO.get("labels", lambda: torch.from_numpy(contract.SCENE.labels.copy()).flatten())
    with pytest.raises(AssertionError):
        getattr(contract, WITHIN_REACH)(name)
