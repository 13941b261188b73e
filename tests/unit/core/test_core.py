from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from darkfactory.core.digest import code_digest, digest_arrays, digest_value
from darkfactory.core.errors import InputError, UserError
from darkfactory.core.files import atomic_path, read_json, write_json
from darkfactory.core.seeds import generator
from darkfactory.core.units import parse_quantity


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(RuntimeError, match="broken"), atomic_path(path) as tmp:  # noqa: PT012 - what is tested
        tmp.write_text("half")
        raise RuntimeError("broken")
    assert json.loads(path.read_text()) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})


def test_missing_and_damaged_json_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; run the stage"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"not valid JSON .* delete it and rerun"):
        read_json(tmp_path / "bad.json")


def test_digests_see_order_of_content_not_of_keys() -> None:
    assert digest_value({"a": 1, "b": 2}) == digest_value({"b": 2, "a": 1})
    assert digest_value([1, 2]) != digest_value([2, 1])
    one = {"x": np.arange(3), "y": np.ones(2)}
    assert digest_arrays(one) == digest_arrays(dict(reversed(one.items())))
    assert digest_arrays(one) != digest_arrays({**one, "x": np.arange(3.0)})


def test_code_digest_follows_imports_and_ignores_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "darkfactory_probe"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "low.py").write_text('"""Doc."""\nX = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest("darkfactory_probe.low")
    (package / "low.py").write_text('"""Other doc."""\n# a comment\nX  =  1\n')
    assert code_digest("darkfactory_probe.low") == before
    (package / "low.py").write_text('"""Doc."""\nX = 2  \n')
    assert code_digest("darkfactory_probe.low") != before


def test_a_stage_digest_covers_its_own_packages_only() -> None:
    digest = code_digest("darkfactory.trigger.emulate")
    assert digest != code_digest("darkfactory.select.preselect")


def test_seed_streams_are_independent_of_each_other() -> None:
    a = generator(1, "generate", "x", 0).random(1000)
    b = generator(1, "generate", "x", 1).random(1000)
    c = generator(1, "generate", "x", "1").random(1000)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
    assert not np.array_equal(b, c)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("445 GeV", "luminosity", "unit 'GeV' is no unit of luminosity; allowed are /fb"),
        ("much", "energy", "write a number and a unit, one of GeV"),
        ("1.2.3 GeV", "energy", "'1.2.3' is no number"),
    ],
)
def test_wrong_quantities_say_what_is_allowed(text: str, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_quantity(text, kind)
