"""HEPData submissions: tables, workspaces, one archive a search."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from darkfactory.core.errors import RunError, UserError
from darkfactory.core.files import atomic_path, read_json
from darkfactory.records.unblinding import Unblinding
from darkfactory.report.hepdata import (
    HepdataTable,
    coupling_tables,
    efficiency_tables,
    limit_tables,
    submission_documents,
)
from darkfactory.report.style import DATA_LABELS
from darkfactory.store.tables import read_csv

__all__ = [
    "data_of_results",
    "dataset_tables",
    "submission_comment",
    "validate_archive",
    "workspace_archive",
    "write_archive",
]


def dataset_tables(base: Path, about: Mapping[str, Any]) -> list[HepdataTable]:
    """All tables of a dataset of a search.

    Args:
        base: folder of the dataset's results.
        about: ``dataset``, ``luminosity_fb``, ``sqrts_gev``, ``data``.
    """
    said = {**about, "data": DATA_LABELS[about["data"]]}
    tables = limit_tables(read_csv(base / "limits.csv"), said)
    tables += coupling_tables(read_csv(base / "couplings.csv"), said)
    return tables + efficiency_tables(read_csv(base / "efficiency.csv"), said)


def data_of_results(base: Path, configured: str) -> str:
    """What the limits of a dataset were found with: as they say themselves."""
    rows = read_csv(base / "limits.csv")
    return str(rows[0]["data"]) if rows and rows[0].get("data") else configured


def submission_comment(title: str, campaign: str, states: Mapping[str, tuple[str, Unblinding | None, bool]]) -> str:
    """What a submission is, and what its observed limits are of.

    Args:
        title: of the search.
        campaign: its name.
        states: dataset to the kind of data of its results, the record that opened its data, if there is one, and
            whether it has recorded data.

    Raises:
        UserError: data were opened, but the results are those of before.

    Example:
        >>> submission_comment("T", "laptop", {"d": ("pseudo", None, False)})
        'T. Made by darkfactory, campaign laptop. d: pseudo-data. Nothing here is a measurement.'
    """
    said = []
    for dataset, (data, record, recorded) in states.items():
        if data == "real" and record is not None:
            said.append(f"{dataset}: recorded data, opened {record.time[:10]} by {record.by} ({record.reason})")
        elif record is not None:
            raise UserError(
                f"{dataset}: the data are open since {record.time[:10]}, the results are of {DATA_LABELS[data]}; run "
                "the search again first"
            )
        else:
            said.append(f"{dataset}: {DATA_LABELS[f'blinded_{data}' if recorded else data]}")
    real = any(data == "real" for data, _, _ in states.values())
    text = f"{title}. Made by darkfactory, campaign {campaign}. {'; '.join(said)}."
    return text if real else f"{text} Nothing here is a measurement."


def workspace_archive(base: Path) -> bytes:
    """Plain pyhf workspaces of all points of a dataset, as a compressed archive; the same bytes for the same files.

    Raises:
        UserError: there are none.
    """
    files: dict[str, bytes] = {}
    for file in sorted((base / "workspace").glob("*.json")):
        for key, record in read_json(file).get("points", {}).items():
            if record["spec"] is not None:
                files[f"{key.replace('/', '_')}.json"] = json.dumps(record["spec"], sort_keys=True).encode()
    if not files:
        raise UserError(f"no workspaces in {base / 'workspace'}; run the search first")
    return _tar(files)


def _tar(files: Mapping[str, bytes]) -> bytes:
    """A compressed archive without dates and owners."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write_archive(
    file: Path, tables: Sequence[HepdataTable], comment: str, resources: Mapping[str, tuple[str, bytes]]
) -> None:
    """Write submission.tar.gz.

    Args:
        file: where.
        tables: of all datasets.
        comment: what the submission is.
        resources: name of an attached file to its description and content.
    """
    documents = submission_documents(tables, comment, {k: d for k, (d, _) in resources.items()})
    files = {"submission.yaml": yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True).encode()}
    for table in tables:
        files[table.file] = yaml.safe_dump(table.data(), sort_keys=False).encode()
    files |= {name: content for name, (_, content) in resources.items()}
    with atomic_path(file) as tmp:
        tmp.write_bytes(_tar(files))


def validate_archive(file: Path) -> bool:
    """Have HEPData's own validator look at an archive; False where it is not installed.

    Raises:
        RunError: it finds fault.
    """
    try:
        with warnings.catch_warnings():
            # the validator's use of jsonschema is its own affair
            warnings.simplefilter("ignore", DeprecationWarning)
            from hepdata_validator.full_submission_validator import FullSubmissionValidator
    except ImportError:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        validator = FullSubmissionValidator()
        good = validator.validate(archive=str(file))
    if not good:
        found = {k: [m.message for m in v] for k, v in validator.get_messages().items()}
        raise RunError(f"{file}: HEPData's validator finds fault: {found}")
    return True
