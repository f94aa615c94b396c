import itertools

import numpy as np
import pyarrow as pa
import pytest

from report.ablation import build_ablations
from report.comparison import captured_gains, differences_to_reference
from report.groups import build_groups
from report.leaderboard import build_leaderboard
from report.pictures import ablation_picture
from report.rows import tidy
from report.verdict import describe
from tests.record_factory import make_record


def trials(method, oa, shape=(2, 2), **changes):
    """Return a grid of records; split 1 is 0.1 harder, seed 1 is 0.02 better, for every method."""
    return [
        make_record(method=method, split_index=p, seed=s, test_oa=oa - 0.1 * (p == 1) + 0.02 * (s == 1), **changes)
        for p, s in itertools.product(range(shape[0]), range(shape[1]))
    ]


def only_group(records):
    (group,) = build_groups(tidy(pa.concat_tables([record.to_table() for record in records])))
    return group


def mined_grid(level=lambda hard, temperature: 0.5):
    return [
        record
        for hard, temperature in itertools.product((0.0, 0.5, 1.0), (0.1, 0.5))
        for record in trials(
            "mined_negatives",
            level(hard, temperature),
            params={"hard_fraction": hard, "temperature": temperature, "epochs": 9},
        )
    ]


def controls():
    records = []
    for temperature in (0.1, 0.5):
        params = {"temperature": temperature, "epochs": 9}
        records += trials("nt_xent", 0.50 if temperature == 0.1 else 0.40, params=params)
        records += trials("oracle_negatives", 0.70, params=params, sees_labels="all")
    return [*records, *trials("raw_spectra", 0.3, protocol="svm")]


def test_response_is_averaged_over_the_other_axes_by_hand():
    # hard 0 -> .50, .5 -> .60, 1 -> .55, temperature .5 costs .04: means .48, .58, .53; the grid's own shift is
    # -.05 (half the splits are .1 harder) + .01 (half the seeds .02 better).
    effect = {0.0: 0.50, 0.5: 0.60, 1.0: 0.55}
    group = only_group(mined_grid(lambda hard, temperature: effect[hard] - 0.04 * (temperature == 0.5)))
    ablations, notes = build_ablations(group)
    assert notes == ()
    assert [(item.axis, item.averaged_over) for item in ablations] == [
        ("hard_fraction", ("temperature",)),
        ("temperature", ("hard_fraction",)),
    ]
    (series,) = ablations[0].series
    assert series.values == (0.0, 0.5, 1.0)
    assert [interval.mean for interval in series.intervals] == pytest.approx([0.44, 0.54, 0.49])
    assert series.n_settings == 2
    assert ablations[0].contrast == pytest.approx((0.05, 0.05, 0.05))
    assert [interval.mean for interval in ablations[1].series[0].intervals] == pytest.approx([0.51, 0.47])


def test_controls_are_levels_or_curves_of_the_same_protocol():
    ablations, _ = build_ablations(only_group(mined_grid() + controls()))
    by_axis = {item.axis: {series.method: series for series in item.series} for item in ablations}
    assert set(by_axis) == {"hard_fraction", "temperature"}
    hard = by_axis["hard_fraction"]
    assert set(hard) == {"mined_negatives", "nt_xent", "oracle_negatives"}
    assert hard["nt_xent"].is_level
    assert hard["oracle_negatives"].is_bound
    assert hard["nt_xent"].intervals[0].mean == pytest.approx(0.45 - 0.04)
    assert by_axis["temperature"]["nt_xent"].values == (0.1, 0.5)


def test_lower_panel_is_paired_at_the_same_value():
    ablations, _ = build_ablations(only_group(mined_grid() + controls()))
    by_axis = {item.axis: {series.method: series for series in item.series} for item in ablations}
    assert by_axis["hard_fraction"]["mined_negatives"].differences[0] == pytest.approx((0.05, 0.05, 0.05))
    temperature = by_axis["temperature"]["mined_negatives"].differences
    assert [item.mean for item in temperature] == pytest.approx([0.0, 0.1])
    assert by_axis["temperature"]["nt_xent"].differences == ()


def without(records, hard, temperature):
    params = {"hard_fraction": hard, "temperature": temperature, "epochs": 9}
    kept = [record for record in records if record not in trials("mined_negatives", 0.5, params=params)]
    assert len(kept) == len(records) - 4
    failed = {"status": "failed", "error_type": "MemoryError"}
    return kept + trials("mined_negatives", 0.5, params=params, **failed)


def test_a_hole_removes_its_setting_everywhere_and_controls_follow():
    ablations, _ = build_ablations(only_group(without(mined_grid(), 1.0, 0.5) + controls()))
    series = {item.method: item for item in ablations[0].series}
    assert ablations[0].axis == "hard_fraction"
    assert series["mined_negatives"].n_settings == 1
    assert "1 of 2 settings left out" in series["mined_negatives"].note
    # Only temperature 0.1 is left in the curve, so plain NT-Xent is drawn at 0.1 too: .50, not the mean .45.
    assert series["nt_xent"].intervals[0].mean == pytest.approx(0.50 - 0.04)
    assert series["mined_negatives"].differences[0].mean == pytest.approx(0.0)


def test_controls_are_weighted_as_the_curve_is():
    # 16 and 64 clusters at temperature 0.1, 16 only at 0.5: the curve holds 0.1 twice, so the control does too.
    records = []
    for hard, (clusters, temperature) in itertools.product((0.0, 1.0), ((16, 0.1), (64, 0.1), (16, 0.5))):
        params = {"hard_fraction": hard, "n_clusters": clusters, "temperature": temperature}
        records += trials("mined_negatives", 0.5, params=params)
    ablations, _ = build_ablations(only_group(records + controls()))
    series = {item.method: item for item in ablations[0].series}
    assert series["nt_xent"].intervals[0].mean == pytest.approx((0.50 + 0.50 + 0.40) / 3 - 0.04)


def test_an_axis_without_a_common_setting_is_noted_not_drawn():
    # Temperature and fraction move together: the effect of one is not separable from that of the other.
    records = [
        *trials("m", 0.5, params={"hard_fraction": 0.0, "temperature": 0.1}),
        *trials("m", 0.6, params={"hard_fraction": 1.0, "temperature": 0.5}),
    ]
    ablations, notes = build_ablations(only_group(records))
    assert ablations == ()
    assert len(notes) == 2
    assert "not drawn" in notes[0]


def test_swept_protocol_parameters_are_axes_too():
    records = [*trials("m", 0.5, protocol_params_json='{"c":1}'), *trials("m", 0.6, protocol_params_json='{"c":2}')]
    ((ablation,), _) = build_ablations(only_group(records))
    assert ablation.axis == "protocol.c"


@pytest.mark.parametrize("values", [("kmeans", "spectral"), (None, 64), (True, False), ([1, 2], [3])])
def test_values_of_any_kind_are_drawn(values):
    records = [record for i, value in enumerate(values) for record in trials("m", 0.5 + 0.1 * i, params={"x": value})]
    ((ablation,), _) = build_ablations(only_group(records))
    picture = ablation_picture(ablation, 1)
    assert set(picture.files) == {"svg", "dark.svg", "png"}


def test_caption_says_what_is_averaged_resampled_and_selected():
    ablations, _ = build_ablations(only_group(mined_grid() + controls()))
    picture = ablation_picture(ablations[0], 3)
    assert picture.stem == "03-ablation-hard_fraction"
    for text in ("all 2 settings of temperature", "8 trials per value", "2 splits x 2 seeds", "crossed", "No config"):
        assert text in picture.caption
    assert "oracle_negatives (bound) level" in picture.alt
    assert len(picture.data) == 5


def test_differences_pair_validation_choices():
    board = build_leaderboard(only_group(mined_grid(lambda hard, _: 0.5 + 0.1 * hard) + controls()))
    found = {item.method: item for item in differences_to_reference(board)}
    assert set(found) == {"mined_negatives", "raw_spectra", "oracle_negatives"}
    assert found["mined_negatives"].n_tried == 6
    assert found["mined_negatives"].reference_n_tried == 2
    assert found["raw_spectra"].reference_protocol == "linear"
    reference = next(entry.shown for entry in board.ranked if entry.shown.method == "nt_xent")
    assert found["raw_spectra"].oa.mean == pytest.approx(0.26 - reference.oa.mean())


def test_captured_gain_at_equal_temperature_by_hand():
    # Temperature 0.1: plain .50, oracle .70, mined .55 -> 25 %. At 0.5: plain .40, oracle .70, mined .55 -> 50 %.
    gains = {item.setting: item for item in captured_gains(only_group(mined_grid(lambda *_: 0.55) + controls()))}
    assert set(gains) == {"each at its own choice", "temperature = 0.1", "temperature = 0.5"}
    assert gains["temperature = 0.1"].share.mean == pytest.approx(0.25)
    assert gains["temperature = 0.5"].share.mean == pytest.approx(0.5)
    assert gains["temperature = 0.5"].n_settings == 3


def test_captured_gain_is_undefined_where_the_oracle_does_not_gain():
    records = [*trials("mined_negatives", 0.6), *trials("nt_xent", 0.5)]
    records += [*trials("oracle_negatives", 0.5, sees_labels="all")]
    group = only_group(records)
    (gain,) = captured_gains(group)
    assert np.isnan(gain.share.mean)
    assert "undefined" in describe(build_leaderboard(group), (), (), (gain,))[-1]
