"""A folder of saved AWS responses, to repeat an audit offline or attach it to a postmortem."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from tracekit.aws.audit.answers import KUBECTL, LOGS, UNREAD, Answers
from tracekit.aws.audit.clusters import read_kubectl
from tracekit.aws.audit.logs import read_logs
from tracekit.aws.operations import OPERATIONS
from tracekit.aws.reader import Answer
from tracekit.bundled import DATASETS
from tracekit.errors import MISSHAPEN, LoadError

ABOUT, ANSWERS = "audit.json", "answers.jsonl"
_CLUSTERS = "kubectl*.json"  # added by hand, as AWS does not report pods
_LOGS = "collector*.log"  # added by hand
_VERSION = 1
_LONGEST_S = 1000 * 86400


def save(answers: Answers, folder: str | Path) -> Path:
    """Write answers into a new folder, completely or not at all."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise LoadError(
            f"cannot save the AWS responses: {folder} is not empty; choose a new folder", source=str(folder)
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
    fields: dict[str, Any] = {"operation": record.operation, "request": record.request, "as_of": record.as_of}
    fields |= {"failure": record.failure} if record.failure else {"answer": record.content}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def load(folder: str | Path) -> Answers:
    """Read a folder of saved AWS responses."""
    folder = _resolve(folder)
    about = _about(folder)
    lines = (folder / ANSWERS).read_text(encoding="utf-8", errors="replace").splitlines()
    records = [_record(line, number) for number, line in enumerate(lines, 1)]
    if records and all(record.operation == UNREAD for record in records):
        raise LoadError(f"{records[0].failure} of {folder / ANSWERS}", source=str(folder / ANSWERS), record=1)
    if len(records) != about["answer_count"]:
        raise LoadError(
            f"expected {about['answer_count']} AWS responses in {folder / ANSWERS}, found {len(records)}: the file is"
            " truncated or changed; save the audit again",
            source=str(folder / ANSWERS),
        )
    answers = Answers(str(about["region"]), int(about["start"]), int(about["end"]), records)
    by_hand = [*read_kubectl(sorted(folder.glob(_CLUSTERS))), *read_logs(sorted(folder.glob(_LOGS)))]
    return answers.including(by_hand)


def _about(folder: Path) -> dict[str, Any]:
    """Return the metadata of a folder of saved AWS responses."""
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        period = 0 <= int(about["start"]) <= int(about["end"]) <= int(about["start"]) + _LONGEST_S
        whole = period and {"region", "answer_count"} <= set(about) and (folder / ANSWERS).is_file()
    except (OSError, *MISSHAPEN):
        whole = False
    if not whole:
        raise LoadError(
            f"no saved AWS responses ({ABOUT} and {ANSWERS}) in {folder}; `tracekit audit --save DIR` writes one",
            source=str(path),
        )
    if about.get("version") != _VERSION:
        raise LoadError(f"expected version {_VERSION} in {path}, found {about.get('version')!r}", source=str(path))
    return dict(about)


def _record(line: str, number: int) -> Answer:
    """Return the answer in a line; a malformed line becomes a failed answer."""
    operation, reason = UNREAD, ""
    try:
        found = json.loads(line)
        operation = found["operation"] if found["operation"] in {*OPERATIONS, KUBECTL, LOGS} else UNREAD
        parts = found["request"], found.get("answer", {}), found["as_of"], found.get("failure", "")
        if [type(part) for part in parts] != [dict, dict, str, str]:
            raise TypeError("expected JSON objects as request and answer, strings as as_of and failure")
        return Answer(operation, *parts)
    except MISSHAPEN as error:
        reason = f": {type(error).__name__}: {error}"
    return Answer(operation, {}, {}, "", f"expected an answer in line {number}, found {line[:60]!r}{reason:.200}")


def _resolve(folder: str | Path) -> Path:
    """Return the folder, or the bundled one of this name after verifying its checksums."""
    if Path(folder).exists():
        return Path(folder)
    for home in DATASETS:
        bundled = home / str(folder)
        if Path(folder).name == str(folder) and (bundled / ABOUT).is_file():
            index = json.loads((home / "index.json").read_text(encoding="utf-8"))
            for file in next(entry["files"] for entry in index["audits"] if entry["name"] == str(folder)):
                if hashlib.sha256((home / file["path"]).read_bytes()).hexdigest() != file["sha256"]:
                    raise LoadError(
                        f"expected SHA-256 {file['sha256']} in {home / file['path']}, found another: the file is"
                        " changed or truncated; reinstall tracekit-notebook",
                        source=str(home / file["path"]),
                    )
            return bundled
    raise LoadError(
        f"no folder {str(folder)!r} of saved AWS responses; create one with: tracekit audit --save DIR",
        source=str(folder),
    )
