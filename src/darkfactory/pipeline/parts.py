"""Stages that work chunk by chunk: one file per chunk, recorded as soon as it is whole."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from darkfactory.core.digest import digest_value
from darkfactory.core.errors import InputError
from darkfactory.core.files import read_json, write_json
from darkfactory.execute.backends import Backend, invoke
from darkfactory.pipeline.request import Request, provenance
from darkfactory.records.manifest import Manifest, Part

__all__ = ["Progress", "forget", "input_items", "read_manifest", "recall", "recalled", "run_parts", "work_part"]

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
    # paths of inputs do not belong to the key, their digests do
    identity = {k: v for k, v in item.items() if not k.startswith("path")}
    name = f"{item['point']}-{item['chunk']:05d}-{digest_value([job.key, identity])}"
    path = folder / f"{name}{suffix}"
    ledger = folder / f"{name}.json"
    if ledger.exists() and path.exists():
        return dict(read_json(ledger))
    folder.mkdir(parents=True, exist_ok=True)
    made = invoke(call, (job, dict(item), path))
    part = asdict(Part(point=item["point"], chunk=item["chunk"], path=f"{folder.name}/{path.name}", **made))
    write_json(ledger, part)
    return part


def run_parts(
    request: Request,
    backend: Backend,
    progress: Progress,
    call: str,
    items: Sequence[Mapping[str, Any]],
    suffix: str = ".root",
) -> Manifest:
    """Make all parts, write the manifest, remove the files of parts that no longer belong to it.

    Args:
        request: the job; needs an output ``manifest`` and ``sample``, ``block`` in its spec.
        backend: where the chunks run.
        progress: told after every chunk.
        call: ``module:function`` of the stage, see :func:`work_part`.
        items: one JSON-like description per chunk, with ``point`` and ``chunk``.
        suffix: of the files.
    """
    plain = request.to_dict()
    tasks = [("darkfactory.pipeline.parts:work_part", (call, plain, dict(item), suffix)) for item in items]
    what = f"{request.stage} {request.spec['sample']}/{request.spec['block']}"
    made = backend.map(tasks, lambda n: progress(f"{what}: chunk {n} of {len(tasks)}"))
    parts = tuple(Part(**m) for m in made)
    manifest = Manifest(request.stage, request.spec["sample"], request.spec["block"], parts, provenance(request))
    path = request.output("manifest")
    write_json(path, manifest.to_dict())
    kept = {Path(p.path).name for p in parts}
    folder = path.with_suffix(".parts")
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
            raise InputError(
                f"{file}: this part of {manifest_path} is gone; delete the manifest and run again to make it anew"
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
