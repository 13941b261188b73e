"""Efficiency tables, the orthogonal-reference method, rates, and menus as text."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
from trigger_events import menu, shipped

from darkfactory.core.errors import ConfigError, RunError
from darkfactory.trigger.efficiency import efficiency_curve, efficiency_table, format_efficiencies, wilson
from darkfactory.trigger.rates import Accepted, accepted, format_rates, rates
from darkfactory.trigger.show import assumed_numbers, diff_menus, format_diff, format_menu

T = {"value": 1.0, "source": "assumed"}
TOY = {
    "l1": {
        "lines": {
            "track": {"expr": "true", "eff": T | {"value": 0.9}},
            "ecl": {"expr": "true"},
            "pre": {"expr": "true", "prescale": T | {"value": 10}},
        },
        "only": ["track", "ecl", "pre"],
    },
    "hlt": {"lines": {"keep": {"expr": "true"}}, "only": ["keep"]},
}
HLT_ALL = np.uint64(1)


def with_bits(l1: np.ndarray, hlt: np.ndarray | None = None, weight: np.ndarray | None = None) -> ak.Array:
    n = len(l1)
    return ak.zip(
        {
            "weight": np.ones(n) if weight is None else weight,
            "l1": l1.astype(np.uint64),
            "hlt": (np.ones(n) if hlt is None else hlt).astype(np.uint64),
        }
    )


def test_efficiencies_are_fractions_with_binomial_errors() -> None:
    sample = with_bits(np.array([0b001] * 30 + [0b011] * 30 + [0] * 40))
    table = {e.name: e for e in efficiency_table(sample, menu(**TOY), ["track", "ecl"])}
    assert table["track"].value == pytest.approx(0.9 * 0.6)
    assert table["track"].condition == pytest.approx(0.6)
    assert table["ecl"].value == pytest.approx(0.3)
    assert table["any"].value == pytest.approx(0.3 + 0.3 * 0.9)
    half = (table["ecl"].high - table["ecl"].low) / 2
    assert half == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=0.02)


def test_weights_reduce_the_effective_number_of_events() -> None:
    bits = np.array([1, 0] * 50)
    flat = efficiency_table(with_bits(bits), menu(**TOY), ["track"], np.ones(100))[0]
    spread = efficiency_table(with_bits(bits), menu(**TOY), ["track"], np.tile([1.0, 1.0, 5.0, 5.0], 25))[0]
    assert flat.events == pytest.approx(100)
    assert spread.events == pytest.approx(300**2 / (25 * 52))
    assert spread.high - spread.low > flat.high - flat.low


def test_wilson_covers() -> None:
    rng = np.random.default_rng(0)
    for true, n in ((0.1, 9000), (0.5, 4000), (0.97, 20000)):
        counts = rng.binomial(n, true, 4000)
        inside = [low <= true <= high for low, high in (wilson(c / n, n) for c in counts)]
        assert np.mean(inside) == pytest.approx(0.683, abs=0.03)
    assert wilson(0.0, 0.0) == (0.0, 1.0)


def test_orthogonal_reference_finds_the_efficiency_of_independent_lines() -> None:
    rng = np.random.default_rng(1)
    n = 60_000
    track, ecl = rng.random(n) < 0.6, rng.random(n) < 0.3
    sample = with_bits(track * 1 + ecl * 2)
    m = menu(**TOY)
    direct = efficiency_table(sample, m, ["track"])[0]
    measured = efficiency_table(sample, m, ["track"], reference=["ecl"])[0]
    assert measured.value == pytest.approx(direct.value, abs=3 * (measured.high - measured.low))
    assert measured.events == pytest.approx(0.3 * n, rel=0.05)
    assert measured.reference == ("ecl",)
    with pytest.raises(ConfigError, match=r"\['ecl'\] are measured and are the reference"):
        efficiency_table(sample, m, ["ecl"], reference=["ecl"])


def test_turn_on_curve() -> None:
    energy = np.linspace(0, 2, 2000, endpoint=False)
    sample = with_bits((energy >= 1).astype(int) * 2)
    curve = efficiency_curve(sample, menu(**TOY), ["ecl"], energy, [0, 0.5, 0.9, 1.1, 2])
    assert [round(c.value, 2) for c in curve] == [0, 0, 0.5, 1]
    assert curve[1].name == "[0.5, 0.9)"
    assert efficiency_curve(sample, menu(**TOY), ["ecl"], energy, [5, 6])[0].events == 0


def test_rates_from_cross_sections() -> None:
    # 1000 fb of which 60 % fire the track line (eff 0.9) and 30 % the ECL line
    sample = with_bits(np.array([0b001] * 30 + [0b011] * 30 + [0] * 40), weight=np.full(100, 1000.0))
    m = menu(**TOY)
    got = rates({"sig": accepted(sample, m)}, m, 5.0)
    by_line = {r.line: r for r in got.l1.lines}
    hz = 1000.0 * 1e-39 * 5e34 * 0.95  # the injection veto's dead time
    assert by_line["track"].rate == pytest.approx(hz * 0.54)
    assert by_line["ecl"].rate == pytest.approx(hz * 0.30)
    assert by_line["track"].unique == pytest.approx(hz * 0.27)
    assert by_line["ecl"].unique == pytest.approx(hz * 0.30 * 0.1)
    assert by_line["track"].cumulative == pytest.approx(hz * 0.54)
    assert by_line["ecl"].cumulative == pytest.approx(hz * 0.57)
    assert got.l1.total == pytest.approx(by_line["pre"].cumulative)
    assert got.hlt.total == pytest.approx(got.l1.total)
    assert got.l1.within_limit
    assert by_line["track"].error == pytest.approx(hz * 0.9 * np.sqrt(60) / 100)
    text = format_rates(got)
    assert "limit 30 kHz" in text
    assert "sig 100%" in text
    assert not rates({"sig": accepted(sample, m)}, m, 5e10).l1.within_limit
    assert "ABOVE THE LIMIT" in format_rates(rates({"sig": accepted(sample, m)}, m, 5e10))


def test_rates_of_chunks_add_up_and_survive_json() -> None:
    rng = np.random.default_rng(5)
    m = menu(**TOY)
    sample = with_bits(rng.integers(0, 8, 500), rng.integers(0, 2, 500), rng.uniform(0, 3, 500))
    whole, parts = accepted(sample, m), accepted(sample[:200], m) + accepted(sample[200:], m)
    assert parts.l1.unique == pytest.approx(whole.l1.unique)
    assert parts.hlt.any == pytest.approx(whole.hlt.any)
    assert parts.events == 500
    assert Accepted.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    other = menu("belle2_phase2")
    with pytest.raises(RunError, match="other l1 lines than menu 'belle2_phase2'"):
        rates({"x": whole}, other, 1.0)
    with pytest.raises(RunError, match="different menus"):
        _ = whole + accepted(sample, other)


def test_unique_and_cumulative_against_throws() -> None:
    rng = np.random.default_rng(6)
    m = menu(**TOY)
    bits = rng.integers(0, 8, 40_000)
    fire = np.stack([(bits >> i) & 1 for i in range(3)]).astype(bool)
    kept = fire & (rng.random(fire.shape) < np.array([0.9, 1.0, 0.1])[:, None]) & (rng.random(len(bits)) < 0.95)
    sums = accepted(with_bits(bits), m).l1
    alone = kept & (kept.sum(axis=0) == 1)
    np.testing.assert_allclose(sums.unique, alone.sum(axis=1), rtol=0.06, atol=40)
    np.testing.assert_allclose(sums.cumulative, [kept[: i + 1].any(axis=0).sum() for i in range(3)], rtol=0.02)


def test_random_triggers_have_their_own_rate() -> None:
    m = shipped("belle2_phase3")
    sample = with_bits(np.zeros(10), np.zeros(10))
    got = rates({"x": accepted(sample, m)}, m, 1.0)
    assert got.l1.total == pytest.approx(1.0)


def test_diff_lists_what_a_period_changes_and_nothing_else() -> None:
    two, three, run2 = (shipped(f"belle2_{n}") for n in ("phase2", "phase3", "run2"))
    same = diff_menus(three, three)
    assert same.changes == ()
    assert "do the same" in format_diff(same)
    changes = {c.path: c for c in diff_menus(two, three).changes}
    assert changes["l1.lines.cdcklm1"].kind == "added"
    assert changes["l1.lines.lml4.prescale"].before == "10 (published)"
    assert changes["l1.lines.lml4.prescale"].after == "20 (published)"
    assert changes["l1.lines.ffo.eff"].before == "0.875 (recalled)"
    assert set(changes) == {
        "l1.lines.cdcklm1",
        "l1.lines.lml4.prescale",
        "l1.lines.lml5.prescale",
        "l1.lines.ffo.eff",
        "l1.lines.ffy",
        "l1.lines.fyo",
    }
    text = format_diff(diff_menus(three, run2))
    assert "+ l1.lines.stt" in text
    assert "- " not in text
    removed = {c.path for c in diff_menus(run2, three).changes if c.kind == "removed"}
    assert {"l1.lines.stt", "hlt.lines.photon_0p5gev_44_98"} <= removed
    deeper = shipped("belle2_phase3", {"l1": {"vetoes": {"bhabha": "false"}}, "limits": {"l1_max_khz": {"value": 20}}})
    paths = {c.path for c in diff_menus(three, deeper).changes}
    assert paths == {"l1.vetoes.bhabha", "limits.l1_max_khz"}


def test_menu_as_text_names_every_line() -> None:
    m = shipped("belle2_phase3")
    text = format_menu(m)
    for name in (*m.l1_names, *m.hlt_names):
        assert f"  {name} " in text
    assert "disabled: stt" in text
    assert "L1 limit 30 (published) kHz" in text
    assert "n2d >= 2 and open90 and not bhabha" in text


def test_assumed_numbers_of_a_choice() -> None:
    m = shipped("belle2_phase3")
    ffo = assumed_numbers(m, ["ffo"], [])
    assert "l1.lines.ffo.eff" in ffo
    assert "l1.lines.cdcklm1.eff" not in ffo
    assert not any(path.startswith("hlt") for path in ffo)
    assert "injection_veto.dead_time" not in ffo
    with pytest.raises(ConfigError, match="does not exist"):
        assumed_numbers(m, ["nope"], [])


def test_efficiency_text() -> None:
    text = format_efficiencies(efficiency_table(with_bits(np.array([1, 3, 0])), menu(**TOY)))
    assert [row.split()[0] for row in text.splitlines()] == ["line", "track", "ecl", "pre", "any"]
