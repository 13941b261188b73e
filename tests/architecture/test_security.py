from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "darkfactory"
MODULES = sorted(SOURCE.rglob("*.py"))
# modules whose loading runs code of the file
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# calls that run text, or a shell
CALLS = {"eval", "exec", "__import__", "os.system", "os.popen", "subprocess.getoutput", "yaml.unsafe_load", "compile"}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_module_runs_text_or_unpickles(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not {a.name.split(".")[0] for a in node.names} & PICKLES
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.module.split(".")[0] not in PICKLES
    for call in calls(path):
        name = dotted(call.func)
        assert name not in CALLS, f"line {call.lineno}: {name}"
        keywords = {k.arg: k.value for k in call.keywords}
        if name in ("np.load", "numpy.load"):
            allowed = keywords.get("allow_pickle")
            assert allowed is None or (isinstance(allowed, ast.Constant) and allowed.value is False)
        if name == "yaml.load":
            loader = ast.unparse(keywords.get("Loader", ast.Constant(None)))
            assert "Loader" in loader
            assert "Unsafe" not in loader
            assert loader != "yaml.Loader"
        shell = keywords.get("shell")
        assert shell is None or (isinstance(shell, ast.Constant) and shell.value is False), f"line {call.lineno}: shell"


def test_the_loader_of_yaml_makes_plain_values_only(tmp_path: Path) -> None:
    from darkfactory.config.load import read_yaml
    from darkfactory.core.errors import ConfigError

    file = tmp_path / "x.yaml"
    file.write_text("a: !!python/object/apply:os.system ['touch " + str(tmp_path / "harm") + "']\n")
    with pytest.raises(ConfigError):
        read_yaml(file)
    assert not (tmp_path / "harm").exists()
