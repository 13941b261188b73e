"""Cross-sections against closed forms and an independent generator."""

from __future__ import annotations

import numpy as np
import pytest
from generator_tools import SYMMETRIC, reference_process, registry, rows

from darkfactory.generate.gridpack import Effort, Gridpack, adapt
from darkfactory.physics.constants import ALPHA

ROWS = rows()
FAST = [name for name, row in ROWS.items() if row.get("fast")]
SLOW = [name for name in ROWS if name not in FAST]


def check(name: str, pack: Gridpack) -> None:
    row = ROWS[name]
    error = float(np.hypot(pack.sigma_err_fb / 1e3, row["error"]))
    assert pack.sigma_fb / 1e3 == pytest.approx(row["pb"], abs=3 * error)
    assert pack.sigma_err_fb < 0.006 * pack.sigma_fb
    assert not pack.suspicious


@pytest.mark.parametrize("name", FAST)
def test_cross_section(name: str) -> None:
    process = reference_process(name, ROWS[name])
    effort = Effort(3, 5_000, 40_000) if process.n_final == 2 else Effort(4, 10_000, 40_000)
    check(name, adapt(process, 1, effort))


@pytest.mark.parametrize("name", ["four_muon", "ee_mumu"])
def test_four_products_with_few_attempts(name: str) -> None:
    pack = adapt(reference_process(name, ROWS[name]), 1, Effort(4, 20_000, 40_000))
    check(name, pack)


@pytest.mark.long
@pytest.mark.parametrize("name", list(ROWS))
def test_cross_section_long(name: str) -> None:
    pack = adapt(reference_process(name, ROWS[name]), 2, Effort(10, 60_000, 600_000))
    check(name, pack)


@pytest.mark.parametrize("mass", [0.2, 2.0, 8.0])
def test_alp_in_closed_form(mass: float) -> None:
    process = registry("gamma_alp", {"isr": {"radiator": "none"}}, {"m_a": mass}, SYMMETRIC)
    pack = adapt(process, 1, Effort(3, 5_000, 40_000))
    closed = ALPHA / 24 * (1 - mass**2 / 10.58**2) ** 3 * 0.3893793721e12
    assert pack.sigma_fb == pytest.approx(closed, rel=5e-4)


def test_identical_photons_are_symmetric_in_grids() -> None:
    process = reference_process("gamma_gamma_gamma", ROWS["gamma_gamma_gamma"])
    assert len(process.channels) == 6
    assert process.groups == 1


# Gamma/M = 0.10 and 0.15 over the narrow-width value, all masses integrated: derived with the closed form of the
# narrow cross-section and (2m/pi) M_G / ((m^2 - M^2)^2 + M_G^2), M_G = (Gamma/M) m^2
@pytest.mark.parametrize(
    ("mass", "ten", "fifteen"), [(1.0, 0.96, 0.94), (4.0, 0.95, 0.93), (6.0, 1.11, 1.16), (8.0, 2.67, 3.42)]
)
def test_wide_zprime_over_narrow(mass: float, ten: float, fifteen: float) -> None:
    def sigma(ratio: float) -> float:
        process = registry(
            "mumu_zprime", {"isr": {"radiator": "none"}}, {"m_Zp": mass, "width_over_mass": ratio}, SYMMETRIC
        )
        return adapt(process, 1).sigma_fb

    narrow = sigma(0.0)
    assert sigma(0.10) / narrow == pytest.approx(ten, abs=0.012)
    assert sigma(0.15) / narrow == pytest.approx(fifteen, abs=0.012)
