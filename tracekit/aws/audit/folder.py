"""A folder of saved answers: an audit that can be repeated offline, and put into a postmortem."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from tracekit.aws.audit.answers import KUBECTL, LOGS, OPERATIONS, Answer, Answers
from tracekit.aws.audit.clusters import read_saved
from tracekit.aws.audit.logs import read_logs
from tracekit.bundled import DATASETS
from tracekit.errors import LoadError

ABOUT, ANSWERS = "audit.json", "answers.jsonl"
_CLUSTERS = "kubectl*.json"  # of the API servers of clusters, which are not AWS's: put there by hand
_LOGS = "collector*.log"  # likewise, of collectors
_VERSION = 1


def save(answers: Answers, folder: str | Path) -> Path:
    """Write answers into a new folder: the whole of it, or nothing.

    Parameters
    ----------
    answers
        What AWS said; credentials were never in it.
    folder
        That does not exist yet, or is empty.

    Returns
    -------
    pathlib.Path
        The folder, with ``audit.json`` (region and period) and ``answers.jsonl`` (one call a line).

    Raises
    ------
    LoadError
        Something is there already.

    Examples
    --------
    >>> import tempfile
    >>> folder = save(Answers("eu-west-1", 0, 3600), Path(tempfile.mkdtemp()) / "audit")
    >>> load(folder).region
    'eu-west-1'
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise LoadError(
            f"expected a new folder for the answers, found {folder} with something in it", source=str(folder)
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    lines = [_line(record) for record in answers.records]
    (part / ANSWERS).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    about = {"version": _VERSION, "region": answers.region, "start": answers.start, "end": answers.end}
    about |= {"answer_count": len(lines)}
    (part / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    part.rename(folder)
    return folder


def _line(record: Answer) -> str:
    """Return a call as a line of JSON."""
    members: dict[str, Any] = {"operation": record.operation, "request": record.request, "as_of": record.as_of}
    members |= {"failure": record.failure} if record.failure else {"answer": record.content}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


def load(folder: str | Path) -> Answers:
    """Read a folder of saved answers.

    Parameters
    ----------
    folder
        As ``save`` wrote it, or the name of one that comes with tracekit (``audit-shop``).

    Returns
    -------
    Answers
        As they were.

    Raises
    ------
    LoadError
        No such folder, one that is not whole, or a line that is no answer: its number is named.

    Examples
    --------
    >>> load("audit-shop").region
    'eu-west-1'
    """
    folder = _place(folder)
    about = _about(folder)
    records = []
    for number, line in enumerate((folder / ANSWERS).read_text(encoding="utf-8").splitlines(), 1):
        records.append(_record(line, number, folder / ANSWERS))
    if len(records) != about["answer_count"]:
        raise LoadError(
            f"expected {about['answer_count']} answers in {folder / ANSWERS}, found {len(records)}: the file was cut or"
            " changed; save the audit again",
            source=str(folder / ANSWERS),
        )
    answers = Answers(str(about["region"]), int(about["start"]), int(about["end"]), records)
    by_hand = [*read_saved(sorted(folder.glob(_CLUSTERS))), *read_logs(sorted(folder.glob(_LOGS)))]
    return answers.including(by_hand)


def _about(folder: Path) -> dict[str, Any]:
    """Return what a folder says about itself."""
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        whole = {"region", "start", "end", "answer_count"} <= set(about) and (folder / ANSWERS).is_file()
    except (OSError, ValueError, TypeError):
        whole = False
    if not whole:
        raise LoadError(
            f"expected a folder of saved answers ({ABOUT} and {ANSWERS}), found none in {folder};"
            " `tracekit audit --save DIR` writes one",
            source=str(path),
        )
    if about.get("version") != _VERSION:
        raise LoadError(f"expected version {_VERSION} in {path}, found {about.get('version')!r}", source=str(path))
    return dict(about)


def _record(line: str, number: int, path: Path) -> Answer:
    """Return the call of a line."""
    try:
        found = json.loads(line)
        if found["operation"] not in {KUBECTL, LOGS}:
            OPERATIONS[found["operation"]]
        return Answer(
            found["operation"], found["request"], found.get("answer", {}), found["as_of"], found.get("failure", "")
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LoadError(
            f"expected an answer in line {number} of {path}, found {line[:60]!r} ({error})",
            source=str(path),
            record=number,
        ) from error


def _place(folder: str | Path) -> Path:
    """Return the folder itself, or the one that comes with tracekit under this name, looked at for damage."""
    if Path(folder).exists():
        return Path(folder)
    for home in DATASETS:
        bundled = home / str(folder)
        if Path(folder).name == str(folder) and (bundled / ABOUT).is_file():
            index = json.loads((home / "index.json").read_text(encoding="utf-8"))
            for file in next(entry["files"] for entry in index["audits"] if entry["name"] == str(folder)):
                if hashlib.sha256((home / file["path"]).read_bytes()).hexdigest() != file["sha256"]:
                    raise LoadError(
                        f"expected SHA-256 {file['sha256']} in {home / file['path']}, found another: the file was"
                        " changed or cut; install tracekit-notebook again",
                        source=str(home / file["path"]),
                    )
            return bundled
    raise LoadError(
        f"expected a folder of saved answers, found no folder {folder}; `tracekit audit --save DIR` writes one",
        source=str(folder),
    )
