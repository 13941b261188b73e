"""Stages that work chunk by chunk: one file per chunk, recorded as soon as it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from darkfactory.core.digest import digest_value
from darkfactory.core.errors import DamagedError, DarkfactoryError, InputError, RunError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend, invoke
from darkfactory.execute.outcomes import Failure
from darkfactory.pipeline.ledger import forget_failures, part_name, record_failure
from darkfactory.pipeline.request import MAX_FAILED, Request, provenance
from darkfactory.records.manifest import Manifest, Missing, Part

__all__ = [
    "Progress",
    "forget",
    "input_items",
    "missing_of",
    "read_manifest",
    "recall",
    "recalled",
    "run_parts",
    "work_part",
]

Progress = Callable[[str], None]


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest that a chunked stage wrote."""
    return Manifest.from_dict(read_json(path))


def work_part(call: str, request: Mapping[str, Any], item: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    """Make one part on a worker, unless the ledger says that it is there already.

    ``call(request, item, path)`` writes the file and returns the fields of its :class:`Part` that only it knows.
    """
    job = Request.from_dict(request)
    folder = job.output("manifest").with_suffix(".parts")
    name = part_name(job, item)
    path = folder / f"{name}{suffix}"
    ledger = folder / f"{name}.json"
    if ledger.exists() and path.exists():
        return dict(read_json(ledger))
    folder.mkdir(parents=True, exist_ok=True)
    made = invoke(call, (job, dict(item), path))
    part = asdict(Part(point=item["point"], chunk=item["chunk"], path=f"{folder.name}/{path.name}", **made))
    write_json(ledger, part)
    return part


def _allowed(request: Request, items: Sequence[Mapping[str, Any]], failed: Sequence[int]) -> bool:
    """Whether a stage may do without some chunks: simulation only, a fraction only, and of no point all."""
    if any(item.get("meta", {}).get("data") == "real" for item in items):
        return False
    if request.spec.get("external", {}).get("kind") == "data":
        return False
    left = {items[i]["point"] for i in range(len(items)) if i not in set(failed)}
    fraction = float(request.spec.get(MAX_FAILED, 0.0))
    return len(failed) <= fraction * len(items) and left == {item["point"] for item in items}


def _refuse(what: str, failures: Sequence[Failure], total: int) -> DarkfactoryError:
    """The one error of a stage that lost too many chunks."""
    first = failures[0].error(f"{what} failed after {failures[0].attempts} tries")
    if total == 1:
        return first
    text = f"{first}\n{len(failures)} of {total} chunks failed, the others are kept; `darkfactory status` lists them"
    if failures[0].damaged:
        return DamagedError(text, failures[0].damaged)
    return InputError(text) if failures[0].user else RunError(text)


def run_parts(
    request: Request,
    backend: Backend,
    progress: Progress,
    call: str,
    items: Sequence[Mapping[str, Any]],
    suffix: str = ".root",
    missing: Sequence[Missing] = (),
) -> Manifest:
    """Make all parts, write the manifest, remove the files of parts that no longer belong to it.

    All chunks are tried before any failure counts; what failed is recorded in the ledger.

    Args:
        request: the job; needs an output ``manifest`` and ``sample``, ``block`` in its spec.
        backend: where the chunks run.
        progress: told after every chunk.
        call: ``module:function`` of the stage, see :func:`work_part`.
        items: one JSON-like description per chunk, with ``point`` and ``chunk``.
        suffix: of the files.
        missing: chunks that an earlier stage lost.

    Raises:
        UserError, RunError: more chunks failed than the campaign allows (none of data).
    """
    plain = request.to_dict()
    tasks = [("darkfactory.pipeline.parts:work_part", (call, plain, dict(item), suffix)) for item in items]
    what = f"{request.stage} {request.spec['sample']}/{request.spec['block']}"
    outcomes = backend.attempt(tasks, lambda n: progress(f"{what}: chunk {n} of {len(tasks)}"))
    path = request.output("manifest")
    folder = path.with_suffix(".parts")
    failed = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Failure)]
    for i in failed:
        # where there is no room for the record either, the error alone tells
        with contextlib.suppress(OSError):
            record_failure(folder, request, items[i], outcomes[i])
    forget_failures(folder, {part_name(request, items[i]) for i in failed})
    if failed and not _allowed(request, items, failed):
        raise _refuse(what, [outcomes[i] for i in failed], len(items))
    parts = tuple(Part(**made) for made in outcomes if not isinstance(made, Failure))
    reasons = [f"{outcomes[i].kind}: {outcomes[i].text}".splitlines()[0] for i in failed]
    lost = [
        Missing(items[i]["point"], items[i]["chunk"], request.stage, reason)
        for i, reason in zip(failed, reasons, strict=True)
    ]
    for one in lost:
        progress(f"{what}: chunk {one.chunk} of {one.point} is left out: {one.reason}")
    manifest = Manifest(
        request.stage, request.spec["sample"], request.spec["block"], parts, provenance(request), (*missing, *lost)
    )
    write_json(path, manifest.to_dict())
    kept = {Path(p.path).name for p in parts}
    for file in folder.glob(f"*{suffix}"):
        if file.name not in kept:
            file.unlink()
            file.with_suffix(".json").unlink(missing_ok=True)
    return manifest


def recall(call: str, request: Mapping[str, Any], args: Sequence[Any], output: str, stamp: str) -> Any:
    """JSON-like result of ``call(request, *args)``, from the ledger if an earlier run got that far.

    Args:
        call: ``module:function`` of the stage.
        request: the job.
        args: JSON-like arguments.
        output: the output beside which the ledger lies.
        stamp: digest of the inputs, see :func:`recalled`.
    """
    job = Request.from_dict(request)
    folder = job.output(output).with_suffix(".parts")
    file = folder / f"{digest_value([job.key, call, args, stamp])}.json"
    if file.exists():
        return read_json(file)
    value = invoke(call, (request, *args))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(file, value)
    return value


def recalled(
    request: Request, call: str, arguments: Sequence[Sequence[Any]], output: str
) -> list[tuple[str, tuple[Any, ...]]]:
    """Tasks whose results outlive a killed run; :func:`forget` them once the output is written.

    Args:
        request: the job; the bytes of all its inputs belong to the key of a result.
        call: ``module:function``, called with the request and one of ``arguments``; its value is JSON-like.
        arguments: JSON-like, one sequence a task.
        output: the output beside which the ledger lies.
    """
    h = hashlib.sha256()
    for name in sorted(request.inputs):
        for path in request.input_list(name):
            h.update(hashlib.sha256(path.read_bytes()).digest())
    plain = request.to_dict()
    what = "darkfactory.pipeline.parts:recall"
    return [(what, (call, plain, list(args), output, h.hexdigest()[:16])) for args in arguments]


def forget(request: Request, output: str) -> None:
    """Remove the ledger of :func:`recall`: the output holds everything."""
    shutil.rmtree(request.output(output).with_suffix(".parts"), ignore_errors=True)


def input_items(manifest_path: Path) -> list[dict[str, Any]]:
    """One item per part of an input manifest, for stages that map chunk to chunk."""
    manifest = read_manifest(manifest_path)
    items = []
    for part in manifest.parts:
        file = manifest_path.parent / part.path
        if not file.exists():
            raise DamagedError(
                f"{file}: this part of {manifest_path} is gone; delete the manifest and run again to make it anew",
                str(file),
            )
        items.append(
            {
                "point": part.point,
                "chunk": part.chunk,
                "path": str(file),
                "digest": part.digest,
                "n_generated": part.n_generated,
                "meta": dict(part.meta),
            }
        )
    return items


def missing_of(manifest_path: Path) -> tuple[Missing, ...]:
    """Chunks that earlier stages lost."""
    return read_manifest(manifest_path).missing
