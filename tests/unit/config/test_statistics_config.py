"""The statistics section says what is wrong with it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from darkfactory.config.statistics import StatisticsConfig


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"cls": []}, "give at least one confidence level"),
        ({"cls": [0.9, 0.9]}, "repeats a level"),
        ({"cls": [0.05]}, "greater than 0.5"),
        ({"quadrature": 1000}, "no power of two"),
        ({"few_events": 40.0}, "is below few_events 40.0"),
        ({"level": 0.9}, "Extra inputs"),
    ],
)
def test_bad_sections(settings: dict, match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        StatisticsConfig(**settings)


def test_defaults_are_the_design_s() -> None:
    config = StatisticsConfig()
    # the design's three events, raised to where the asymptotic formula covers
    assert config.few_events == 12.0
    assert config.certificate.tolerance == 1e-6
    assert config.certificate.stock_fraction == 0.01
