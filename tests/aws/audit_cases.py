"""Accounts with one fault each, made by the code that made the bundled audit."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from tracekit.aws.audit.answers import Answers
from tracekit.aws.audit.containers import DEFINITION, is_collector
from tracekit.aws.audit.logs import FILTER, PATTERN, log_content
from tracekit.aws.reader import Answer

_PATH = Path(__file__).parents[2] / "datasets" / "record" / "audit_world.py"
sys.path.append(str(_PATH.parent))
_SPEC = importlib.util.spec_from_file_location("audit_world", _PATH)
audit_world = importlib.util.module_from_spec(_SPEC)
sys.modules["audit_world"] = audit_world
_SPEC.loader.exec_module(audit_world)
App, World, END, HOUR, REGION = (getattr(audit_world, name) for name in ("App", "World", "END", "HOUR", "REGION"))

BANK = App("bank", "remote", per_hour=60, callers=("a",), own_rule=False)
WORLDS = {
    "OK": World((App("a"),)),
    "OK of a function": World((App("a", "lambda", per_hour=2000),)),
    "T0q": World((App("a", per_hour=0),)),
    "T0u": World((App("a", "instance"),)),
    "D1a": World((App("a", environment={"OTEL_TRACES_EXPORTER": "none"}, recorded=False),)),
    "D1b": World((App("a", "lambda", mode="PassThrough", recorded=False),)),
    "D1c": World((App("a", "lambda", recorded=False),)),
    "D2a": World((App("a", collector=None, recorded=False),)),
    "D2a none runs": World((App("a", collectors_up=0, recorded=False),)),
    "D2b": World((App("a", health="UNHEALTHY", crashes=3, kept=0.2),)),
    "D2c": World((App("a", recorded=False),)),
    "D3a": World((App("a", rate=0.02, per_hour=900),)),
    "D3b": World((App("a", rate=1.0, kept=0.7),)),
    "D3b'": World((App("a", kept=0.3),)),
    "D3d": World((App("a", rate=0.2, kept=0.4),)),
    "D3e": World((App("a", per_hour=1, rate=0.1),)),
    "D3f": World((App("a", kept=0.005),), destination="CloudWatchLogs", indexed=1.0),
    "D3x": World((App("a", per_hour=0.1, rate=0.1, recorded=False),)),
    "D4a": World((App("a", "lambda", recorded=False, is_new=True, begins=100),)),
    "D4b": World((App("a", ends=158, changed_at=157),)),
    "D5a": World((App("a", hole=(100, 104, 0.7)),)),
    "D5b": World((App("a"), BANK)),
    "D5c": World((App("a", orphans=0.3),)),
    "D5c unanswered": World((App("a", unanswered=0.3),)),
    "D1a of a stage": World((App("a/prod", "gateway", mode="off", recorded=False),)),
    "OK of a stage": World((App("a/prod", "gateway"),)),
    "D1n": World((), http_apis=("a",)),
    "OK of pods": World((App("a", "pod"),)),
    "OK of pods with sidecars": World((App("a", "pod"),), daemon=None),
    "D1a of pods": World((App("a", "pod", environment={"OTEL_SDK_DISABLED": "true"}, recorded=False),)),
    "D2a of pods": World((App("a", "pod", collector=None, recorded=False),), daemon=None),
    "D2a of pods none runs": World((App("a", "pod", recorded=False),), daemons=(0, 3)),
    "D2b of pods": World((App("a", "pod", kept=0.3),), daemons=(1, 3)),
    "D2b of an add-on": World(
        (App("a", "pod", kept=0.3),),
        has_kubectl=False,
        addons=(("amazon-cloudwatch-observability", "DEGRADED", "InsufficientNumberOfReplicas"),),
    ),
    "D2c of pods": World((App("a", "pod", recorded=False),)),
    "D4a of pods": World((App("a", "pod", recorded=False, is_new=True, begins=100),)),
    "D4b of a version": World(
        (App("a", "lambda", mode="PassThrough", ends=158, versions=((-99, "Active"), (158, "PassThrough"))),)
    ),
    "D4b by CodeDeploy": World((App("a", ends=158, code_deployed=(157,)),)),
    "D4b of a service": World((App("a", ends=158, rolled=(158,)),)),
    "W1 of pods": World((App("a", "pod", recorded=False, refused=("xray:PutTraceSegments",)),)),
    "W1": World((App("a", "lambda", recorded=False, refused=("xray:PutTraceSegments",)),)),
    "W2": World((App("a", recorded=False, subnets=("subnet-shut",)),)),
}


def answers_of(world, **how):
    """What AWS would answer in such an account."""
    world = replace(world, **how)
    records = [
        Answer(one["operation"], one["request"], one.get("answer", {}), one["as_of"], one.get("failure", ""))
        for one in audit_world.answers(world)
    ]
    return Answers(REGION, END - world.hours * HOUR, END, records)


def logged(answers, *lines, failure="", at=END - HOUR):
    """The same, with collectors of ECS that log to CloudWatch, and what that gives of it."""
    options = {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "ecs"}
    for call in answers.of(DEFINITION):
        for container in filter(is_collector, call.content["taskDefinition"]["containerDefinitions"]):
            container["logConfiguration"] = {"logDriver": "awslogs", "options": options}
    period = {"startTime": 1000 * answers.start, "endTime": 1000 * answers.end, "filterPattern": PATTERN}
    request = {"logGroupName": "/ecs/shop", "logStreamNamePrefix": "ecs/collector/", **period}
    content = {} if failure else log_content((line, at) for line in lines)
    record = Answer(FILTER, request, content, "2025-11-21T00:00:00+00:00", failure)
    return replace(answers, records=[*answers.records, record])
