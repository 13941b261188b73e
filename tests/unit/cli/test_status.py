from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from darkfactory.config.resolve import load_campaign
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.outcomes import Failure
from darkfactory.pipeline.books import entries, gaps, summed
from darkfactory.pipeline.jobs import jobs_of, which_output
from darkfactory.pipeline.ledger import record_failure
from darkfactory.pipeline.plan import Planner
from darkfactory.pipeline.request import Request
from darkfactory.records.books import make_book
from darkfactory.records.manifest import Manifest, Missing, Part

Call = Callable[..., Any]


def manifest(stage: str, ids: list[int], kept: list[int], missing: tuple[Missing, ...] = ()) -> dict[str, Any]:
    book = asdict(make_book(ids, [float(i) for i in ids], kept, [float(i) for i in kept]))
    part = Part("all", 0, "x.root", "d", 10, len(kept), float(sum(kept)), {}, book)
    origin = {"stage": stage, "key": "k", "code": "c", "seed": 7}
    return Manifest(stage, "s", "all", (part,), origin, missing).to_dict()


@pytest.fixture
def sample(project: Path) -> tuple[Planner, dict[str, Path]]:
    """A background of the tiny campaign whose chain is done up to the trigger."""
    plan = Planner(load_campaign("tiny"))
    name = next(j for j in jobs_of(plan) if j.stage == "trigger" and j.wildcards["block"] == "all").wildcards["sample"]
    chain = {j.stage: project / j.output for j in jobs_of(plan) if j.wildcards.get("sample") == name}
    write_json(chain["generate"], manifest("generate", [1, 2, 3], [1, 2, 3]))
    write_json(chain["simulate"], manifest("simulate", [1, 2, 3], [1, 2, 3]))
    write_json(chain["skim"], manifest("skim", [1, 2, 3], [1, 3]))
    write_json(chain["trigger"], manifest("trigger", [1, 3], [1, 3]))
    return plan, chain


def fail(chain: dict[str, Path], damaged: str = "", chunk: int = 1) -> None:
    folder = chain["skim"].with_suffix(".parts")
    request = Request("skim", {}, {"manifest": str(chain["skim"])}, {"sample": "s"}, "code")
    failure = Failure("OSError", "No space left on device", 3, "node7", "line 1\nline 2", damaged, bool(damaged))
    record_failure(folder, request, {"point": "all", "chunk": chunk}, failure)


def test_jobs_know_what_they_wait_for(project: Path) -> None:
    jobs = jobs_of(Planner(load_campaign("tiny")))
    outputs = [job.output for job in jobs]
    assert len(set(outputs)) == len(outputs)
    assert {w for job in jobs for w in job.waits} <= set(outputs)
    for job in jobs:
        found = which_output(job.output)
        assert found is not None
        assert found[1]["campaign"] == "tiny"
        assert {k: v for k, v in job.wildcards.items() if k in found[1]}.items() <= found[1].items()


def test_status_counts_jobs_and_lists_failures(call: Call, sample: tuple[Planner, dict[str, Path]]) -> None:
    _, chain = sample
    done = call("status")
    assert done.code == 0
    assert "campaign tiny: nothing runs here" in done.out
    row = next(line.split() for line in done.out.splitlines() if line.startswith("skim"))
    assert row[2:] == ["1", "0", "0"]
    fail(chain)
    done = call("status")
    row = next(line.split() for line in done.out.splitlines() if line.startswith("skim"))
    assert row[2:] == ["1", "0", "1"]
    assert "chunk 1 of all: OSError after 3 tries: No space left on device" in done.out
    assert "`darkfactory retry --failed` tries them again" in done.out


def test_status_tells_the_error_of_a_job_and_a_killed_run(call: Call, project: Path) -> None:
    log = project / "logs" / "tiny" / "report.log"
    log.parent.mkdir(parents=True)
    log.write_text("10:00:00 INFO report started\nerror: results/x.json: no such file\n")
    (project / ".snakemake" / "locks").mkdir(parents=True)
    (project / ".snakemake" / "locks" / "0.input.lock").touch()
    done = call("status")
    assert "logs/tiny/report.log: results/x.json: no such file" in done.out
    assert "a run that left no record may run the workflow here" in done.out


def test_books_close_or_say_where_they_do_not(call: Call, sample: tuple[Planner, dict[str, Path]]) -> None:
    plan, chain = sample
    done = call("status", "--books")
    assert done.code == 0
    assert "all books close" in done.out
    assert gaps(plan, Path()) == []
    (skim,) = [e for e in summed(entries(plan, Path())) if e.job.stage == "skim"]
    assert (skim.book.events_in, skim.book.events_out, skim.book.events_rejected) == (3, 2, 1)
    # an event that is lost between two stages
    write_json(chain["trigger"], manifest("trigger", [1], [1]))
    done = call("status", "--books")
    assert done.code == 1
    assert "1 events of weight 1 came in" in done.err
    assert "skim.json wrote 2 of 4" in done.err
    # a chunk that is neither read nor listed
    value = read_json(chain["trigger"])
    value["parts"][0]["chunk"] = 5
    write_json(chain["trigger"], value)
    assert any("is neither read nor listed as missing" in line for line in gaps(plan, Path()))
    lost = (Missing("all", 0, "trigger", "died"),)
    value["missing"] = [asdict(lost[0])]
    write_json(chain["trigger"], value)
    assert gaps(plan, Path()) == []


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the workflow engine is asked for."""
    asked: list[list[str]] = []
    monkeypatch.setattr("darkfactory.cli.status.snakemake", lambda targets, *rest: asked.append(list(targets)))
    return asked


def test_retry_unmakes_what_failed_and_what_was_made_without_it(
    call: Call, sample: tuple[Planner, dict[str, Path]], engine: list[list[str]], project: Path
) -> None:
    _, chain = sample
    assert "nothing failed" in call("retry", "--failed").out
    assert engine == []
    # a damaged part of the stage before
    parts = chain["simulate"].with_suffix(".parts")
    parts.mkdir()
    for suffix in (".root", ".json"):
        (parts / f"all-00001-0123456789abcdef{suffix}").write_text("{}")
    fail(chain, damaged=str(parts / "all-00001-0123456789abcdef.root"))
    # a stage that was allowed to do without a chunk
    write_json(chain["trigger"], manifest("trigger", [1, 3], [1, 3], (Missing("all", 3, "trigger", "died"),)))
    done = call("retry", "--failed", "--cores", "1")
    assert done.code == 0
    unmade = [str(chain[s].relative_to(project)) for s in ("simulate", "skim", "trigger")]
    assert engine == [[*unmade, "all"]]
    assert not any(chain[s].exists() for s in ("simulate", "skim", "trigger"))
    assert chain["generate"].exists()
    assert list(parts.iterdir()) == []
    assert not list(chain["skim"].with_suffix(".parts").iterdir())


def test_why_tells_origin_failures_and_what_a_run_would_do(
    call: Call, sample: tuple[Planner, dict[str, Path]], engine: list[list[str]], project: Path
) -> None:
    _, chain = sample
    fail(chain)
    done = call("why", str(chain["skim"].relative_to(project)))
    assert "skim of stage skim (campaign tiny, sample" in done.out
    assert "it is there" in done.out
    assert "made by stage skim, key k, seed 7; its code is older: c, now" in done.out
    assert "chunk 1 of all failed after 3 tries on node7: OSError: No space left on device\nline 1\nline 2" in done.out
    assert engine == [[str(chain["skim"].relative_to(project))]]
    part = chain["skim"].with_suffix(".parts") / "all-00000-0123456789abcdef.root"
    done = call("why", str(part.relative_to(project)))
    assert "a part of " in done.out
    done = call("why", "README.md")
    assert done.code == 2
    assert "README.md is no result of the workflow" in done.err
