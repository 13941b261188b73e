from __future__ import annotations

import numpy as np
import pytest

from darkfactory.core.errors import RunError
from darkfactory.records.histogram import Histogram

EDGES = (np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0]))


def make(scale: float = 1.0) -> Histogram:
    w = scale * np.array([[4.0], [1.0]])
    return Histogram(EDGES, w, w**2, {"loss_up": 1.5 * w}, 10.0)


def test_sum_of_chunks_adds_contents_variances_and_generated_events() -> None:
    total = Histogram.total([make(), make(2.0)])
    assert total.sumw.ravel().tolist() == [12.0, 3.0]
    assert total.sumw2.ravel().tolist() == [80.0, 5.0]
    assert total.variations["loss_up"].ravel().tolist() == [18.0, 4.5]
    assert total.n_generated == 20.0


def test_expected_is_normalised_once() -> None:
    assert (make() + make()).expected(5.0).ravel().tolist() == make().expected(5.0).ravel().tolist() == [2.0, 0.5]


def test_effective_events_of_equal_weights_is_their_number() -> None:
    h = Histogram((np.array([0.0, 1.0, 2.0]),), np.array([21.0, 0.0]), np.array([63.0, 0.0]), {}, 1.0)
    assert h.effective_events().tolist() == [7.0, 0.0]


def test_arrays_round_trip() -> None:
    back = Histogram.from_arrays(make().to_arrays())
    assert back.sumw.tolist() == make().sumw.tolist()
    assert back.variations.keys() == {"loss_up"}
    assert (back + make()).n_generated == 20.0


def test_errors() -> None:
    other = Histogram((EDGES[0] + 1.0, EDGES[1]), make().sumw, make().sumw2, {"loss_up": make().sumw}, 10.0)
    with pytest.raises(RunError, match="different binnings"):
        make() + other
    with pytest.raises(RunError, match="variations"):
        make() + Histogram(EDGES, make().sumw, make().sumw2, {}, 10.0)
    with pytest.raises(RunError, match="shape"):
        Histogram(EDGES, np.ones(2), np.ones(2))
    with pytest.raises(RunError, match="no generated events"):
        Histogram(EDGES, make().sumw, make().sumw2).expected(1.0)
    with pytest.raises(RunError, match="lacks"):
        Histogram.from_arrays({"sumw": np.ones(1)})
