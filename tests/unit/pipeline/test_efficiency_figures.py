"""Figures of efficiency, resolution and trigger where several hypotheses share masses and regions."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from darkfactory.pipeline.figures import _efficiencies

COMMON = {"dataset": "d", "luminosity_fb": 53.0, "data": "pseudo"}


def test_curves_of_two_hypotheses_have_two_names(tmp_path: Path) -> None:
    rows = [
        f"{h},m{i}p00000,{i}.0,,1.0,0.0,100,50,0.5,1.0,50,,low,{i}.0" for h in ("dark_photon", "alp") for i in (1, 2)
    ]
    names = "hypothesis,point,mass_gev,width,sigma_fb,sigma_err_fb,generated,candidates,efficiency,trigger_efficiency"
    head = f"{names},effective_events,effective_fraction,region,resolution"
    (tmp_path / "efficiency.csv").write_text("\n".join([head, *rows]) + "\n")
    lines = {f"{h}/m{i}p00000": {"any": 0.5 + 0.1 * (h == "alp")} for h in ("dark_photon", "alp") for i in (1, 2)}
    (tmp_path / "trigger.json").write_text(json.dumps({"lines": lines, "profiles": {}}))
    inputs = {"efficiency": tmp_path / "efficiency.csv", "trigger": tmp_path / "trigger.json"}
    drawn = {name: figure for name, _, figure in _efficiencies(SimpleNamespace(input=inputs.__getitem__), COMMON)}
    for name, what in (("resolution", "low"), ("trigger", "all lines")):
        labels = [text.get_text() for text in drawn[name].axes[0].get_legend().get_texts()]
        assert labels == [f"dark_photon, {what}", f"alp, {what}"]
    values = {line.get_label(): list(line.get_ydata()) for line in drawn["trigger"].axes[0].lines}
    assert values["dark_photon, all lines"] == [0.5, 0.5]
    assert values["alp, all lines"] == [0.6, 0.6]
