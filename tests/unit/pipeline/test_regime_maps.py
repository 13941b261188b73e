from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from darkfactory.config.library import Library
from darkfactory.config.load import validate
from darkfactory.config.regimes import RegimesConfig
from darkfactory.core.errors import ConfigError
from darkfactory.core.files import read_json
from darkfactory.models.regimes import REGIMES
from darkfactory.pipeline.layout import path
from darkfactory.pipeline.regimes import at_point, planes, read_table, widths, write
from darkfactory.store.tables import read_csv, write_csv

LIBRARY = Library(Path(__file__).parents[3] / "config")
CONFIG = validate(RegimesConfig, LIBRARY.file("regimes.yaml"))


@pytest.mark.parametrize("name", list(CONFIG.mediators))
def test_maps_have_thresholds_where_two_dark_particles_fit(name: str) -> None:
    mediator = CONFIG.mediators[name]
    first, second = planes(mediator, CONFIG, read_table(LIBRARY, mediator))
    assert set(np.unique(first.regime)) <= set(range(len(REGIMES)))
    # nothing dark below the threshold but neutrinos of a Z'
    light = first.x < 2 * mediator.dark_mass.value * 0.99
    if name != "zprime":
        assert not np.any(first.regime[:, light] == REGIMES.index("invisible"))
    # heavier dark matter never makes a mediator less visible
    dark = np.isin(second.regime, [REGIMES.index("invisible"), REGIMES.index("mixed")])
    assert np.all(np.diff(dark.astype(int), axis=0) <= 0)


def test_a_dark_photon_of_one_gev_is_prompt_at_large_and_leaves_at_small_mixing() -> None:
    mediator = CONFIG.mediators["dark_photon"].model_copy(update={"at_coupling": 1e-2})
    heavy = mediator.model_copy(update={"dark_mass": mediator.dark_mass.model_copy(update={"value": 5.0})})
    assert at_point(heavy, CONFIG, LIBRARY, 1.0)["regime"] == "prompt"
    weak = heavy.model_copy(update={"at_coupling": 1e-8})
    told = at_point(weak, CONFIG, LIBRARY, 1.0)
    assert (told["regime"], told["searches"]) == ("escapes", "single_photon")
    # the flight goes as one over the mixing squared
    far = at_point(heavy.model_copy(update={"at_coupling": 1e-9}), CONFIG, LIBRARY, 1.0)
    assert far["mean flight [cm]"] == pytest.approx(100 * told["mean flight [cm]"])
    assert at_point(mediator, CONFIG, LIBRARY, 1.0)["regime"] == "invisible"


def test_a_vanilla_zprime_is_seen_half_the_time_above_two_muons() -> None:
    mediator = CONFIG.mediators["zprime"]
    vanilla = mediator.model_copy(update={"dark_coupling": mediator.dark_coupling.model_copy(update={"value": 0.0})})
    one = np.asarray(1.0)
    found = widths(vanilla, CONFIG, None, one, np.asarray(1e-3), one)
    assert float(found.dark / (found.dark + found.visible)) == pytest.approx(0.5, abs=0.02)
    assert at_point(vanilla, CONFIG, LIBRARY, 1.0)["regime"] == "mixed"
    assert at_point(vanilla, CONFIG, LIBRARY, 0.1)["searches"] == "zprime_invisible"


def test_the_dark_higgs_has_the_lifetimes_of_the_search() -> None:
    mediator = CONFIG.mediators["dark_higgs"]
    table = read_table(LIBRARY, mediator)
    assert table is not None
    one = np.asarray(1.0)
    found = widths(mediator, CONFIG, table, np.asarray(0.5), np.asarray(1e-3), one)
    assert 1.973269804e-14 / float(found.visible) == pytest.approx(8.1e-7 / 1e-6, rel=1e-6)


def test_figure_table_and_index_are_written_with_limits_of_a_finished_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"model": "dark_photon", "point": f"m{m}p00000", "mass_gev": float(m), "expected": 1e-3 * m, "cl": 0.9}
        for m in (1, 2, 3)
    ]
    write_csv(path("couplings", campaign="c", search="single_photon", dataset="d"), rows)
    name = "dark_photon"
    write(name, CONFIG.mediators[name], CONFIG, LIBRARY, tmp_path / "out", tmp_path / "results" / "c")
    index = read_json(tmp_path / "out" / f"{name}.json")
    assert sum(r["share of the plane"] for r in index["regimes"]) == pytest.approx(1.0)
    table = read_csv(tmp_path / "out" / f"{name}.csv")
    assert {r["plane"] for r in table} == {"coupling", "dark_mass"}
    assert {r["searches"] for r in table if r["regime"] == "invisible"} <= {"single_photon", None}
    assert (tmp_path / "out" / f"{name}.pdf").stat().st_size > 1000


def test_a_dark_higgs_needs_its_table() -> None:
    value = LIBRARY.file("regimes.yaml")
    value["mediators"]["dark_higgs"].pop("table")
    with pytest.raises(ConfigError, match="a dark Higgs needs the search that has its lifetimes"):
        validate(RegimesConfig, value)
    value = LIBRARY.file("regimes.yaml")
    value["mediators"]["zprime"]["masses"] = [3.0, 1.0]
    with pytest.raises(ConfigError, match="must rise from above 0"):
        validate(RegimesConfig, value)
