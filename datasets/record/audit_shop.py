"""Write ``datasets/audit-shop``: the saved AWS responses of a coverage audit of a synthetic account.

``python datasets/record/audit_shop.py --seed 7`` writes the folder and its entry in ``../index.json``; the same
seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from audit_world import END, HOUR, REGION, App, World, answers

DATASETS = Path(__file__).resolve().parent.parent
NAME = "audit-shop"
APPS = (
    App("web", rate=0.2, per_hour=900, code_deployed=(30,)),
    App("checkout", rate=1.0, kept=0.71, per_hour=120, callers=()),
    App("catalogue", rate=0.5, per_hour=600, hole=(100, 104, 0.7)),
    App("search", rate=0.5, per_hour=300, collector=None, recorded=False),
    App("recommender", rate=0.5, per_hour=200, health="UNHEALTHY", crashes=4, kept=0.2),
    App("gift-cards", rate=0.5, per_hour=80, recorded=False, is_new=True, begins=96),
    App("invoices", rate=0.5, per_hour=150, ends=158, changed_at=157),
    App("refunds", rate=0.02, per_hour=500),
    App("resize-images", "lambda", per_hour=55, mode="PassThrough", layers=(), recorded=False),
    App("send-mail", "lambda", per_hour=260, versions=((-400, "Active"), (20, "Active"))),
    App("loyalty", "instance", rate=0.3, per_hour=150, orphans=0.4),
    App("bank", "remote", per_hour=60, callers=("checkout",), own_rule=False),
    App("wishlist", "pod", rate=0.5, per_hour=150),
    App("reviews", "pod", rate=0.5, per_hour=90, recorded=False),
    App("shop-api/prod", "gateway", rate=0.2, per_hour=700),
    App("shop-api/partners", "gateway", rate=0.2, per_hour=40, mode="off", recorded=False),
)
HTTP_APIS = ("landing-page",)
TRUTH = {
    "summary": "10 of 17 services are missing traces: a collection gap of four hours, services without tracing or "
    "collector, dropped traces, broken context propagation",
    "headlines": {
        "bank": "D5b",
        "catalogue": "D5a",
        "checkout": "D3b",
        "gift-cards": "D4a",
        "invoices": "D4b",
        "landing-page": "D1n",
        "loyalty": "D5c",
        "recommender": "D2b",
        "refunds": "OK",
        "resize-images": "D1b",
        "reviews": "D2c",
        "search": "D2a",
        "send-mail": "OK",
        "shop-api/partners": "D1a",
        "shop-api/prod": "OK",
        "web": "OK",
        "wishlist": "OK",
    },
    "headlines_with_incident_20": {"refunds": "D3a"},
}


def main() -> None:
    """Write the folder and its entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=DATASETS)
    asked = parser.parse_args()
    write(asked.out / NAME, world(asked.seed))
    if asked.out == DATASETS:
        enter(DATASETS / "index.json", asked.seed)


def world(seed: int) -> World:
    """Return the synthetic account."""
    return World(APPS, seed=seed, traces=120, http_apis=HTTP_APIS)


def write(folder: Path, account: World) -> None:
    """Write the responses in the format of ``tracekit audit --save``."""
    records = answers(account)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n" for record in records]
    (folder / "answers.jsonl").write_text("".join(lines), encoding="utf-8")
    about = {
        "version": 1,
        "region": REGION,
        "start": END - account.hours * HOUR,
        "end": END,
        "answer_count": len(lines),
    }
    (folder / "audit.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def enter(index: Path, seed: int) -> None:
    """Add the folder to the index."""
    files = []
    for name in ("audit.json", "answers.jsonl"):
        content = (index.parent / NAME / name).read_bytes()
        files.append({"path": f"{NAME}/{name}", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    entry: dict[str, Any] = {
        "name": NAME,
        "title": "Coverage audit of a synthetic AWS account",
        "description": "AWS responses about seventeen services over seven days, in the format of "
        "`tracekit audit --save`.",
        "licence": "MIT",
        "made": {"command": f"python datasets/record/audit_shop.py --seed {seed}", "seed": seed},
        "files": files,
        "truth": TRUTH,
    }
    whole = json.loads(index.read_text(encoding="utf-8"))
    others = [one for one in whole.get("audits", []) if one["name"] != NAME]
    index.write_text(json.dumps({**whole, "audits": [*others, entry]}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
