from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from darkfactory.config.templates import TemplatesConfig


def value(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "signal": "parametric",
        "background": "polynomial",
        "switch_mass": {"value": 6.85, "source": "published"},
        "regions": [
            {"name": "gg", "observable": "m2_gg", "mass": [0.2, "switch"], "observable_range": [0, 60]},
            {"name": "recoil", "observable": "m2_recoil", "mass": ["switch", 9.7], "observable_range": [30, 105]},
        ],
    }
    return {**base, **changes}


def test_switch_mass_divides_the_regions() -> None:
    config = TemplatesConfig.model_validate(value())
    names = [getattr(config.region_of(m), "name", None) for m in (0.1, 0.2, 6.84, 6.85, 9.7, 9.71)]
    assert names == [None, "gg", "gg", "recoil", "recoil", None]


def test_samples_not_named_take_the_default() -> None:
    config = TemplatesConfig.model_validate(value(samples={"eta": {"role": "peaking"}}))
    assert config.sample("eta").role == "peaking"
    assert config.sample("other") == config.default_sample


def test_columns_may_be_chosen() -> None:
    config = TemplatesConfig.model_validate(value(systematics={"columns": ["tracking"]}))
    assert config.uses_column("tracking")
    assert not config.uses_column("photon_loss")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"switch_mass": None}, "give `switch_mass`"),
        ({"unknown": 1}, "Extra inputs"),
        ({"polynomial": {"orders": [5, 2]}}, "lowest <= highest"),
        ({"hepdata": "x"}, "pattern"),
        ({"regions": [{**value()["regions"][0]}, {**value()["regions"][0]}]}, "must differ"),
        (
            {"regions": [value()["regions"][0], {**value()["regions"][1], "mass": [5.0, 9.0]}]},
            "overlap between masses 5.0 and 6.85",
        ),
        ({"regions": [{**value()["regions"][0], "mass": [8.0, "switch"]}]}, "are empty"),
        ({"regions": [{**value()["regions"][0], "observable_range": [2, 1]}]}, "observable_range is empty"),
        (
            {"regions": [{**value()["regions"][0], "second_axis": {"observable": "t", "edges": [0, 1]}}]},
            "polynomial background has one axis",
        ),
        (
            {"regions": [{**value()["regions"][0], "second_axis": {"observable": "t", "edges": [1, 0]}}]},
            "must ascend",
        ),
        (
            {
                "regions": [
                    {
                        **value()["regions"][0],
                        "second_axis": {"observable": "t", "edges": [0, 1]},
                        "background": "simulation",
                    }
                ]
            },
            "parametric signal has one axis",
        ),
    ],
)
def test_errors_say_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TemplatesConfig.model_validate(value(**changes))


def test_a_region_may_have_a_signal_of_its_own() -> None:
    regions = value()["regions"]
    config = TemplatesConfig.model_validate(value(regions=[{**regions[0], "signal": "simulation"}, regions[1]]))
    assert (config.signal_of("gg"), config.signal_of("recoil")) == ("simulation", "parametric")


def test_a_region_may_have_windows_of_its_own() -> None:
    regions = value()["regions"]
    own = {"half_width": 3.0, "merge": 3, "max_bins": 4}
    config = TemplatesConfig.model_validate(value(regions=[{**regions[0], "window": own}, regions[1]]))
    assert config.window_of("gg").half_width == 3.0
    assert config.window_of("recoil") == config.window
