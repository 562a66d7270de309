"""What a search asks of X-Ray: its filter expression and the parameters of its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.errors import FilterError, PullError
from tracekit.expressions.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.pull.calls import RejectedError


def expression(plan: Mapping[str, Any]) -> str:
    """Return the filter expression of a plan.

    Examples
    --------
    >>> expression({"service": "cart", "group": None, "filter": "fault"})
    'service("cart") AND (fault)'
    """
    service, group, own = (plan[name] for name in ("service", "group", "filter"))
    parts = [f"service({_quoted(service)})"] if service else []
    parts += [f"group.name = {_quoted(group)}"] if group else []
    parts += [f"({own})" if parts else own] if own else []
    return " AND ".join(parts)


def request(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters shared by all calls for summaries."""
    parameters: dict[str, Any] = {"TimeRangeType": plan["time_range"]}
    if text := expression(plan):
        parameters["FilterExpression"] = text
    share = plan["sampling"]
    if share is not False:
        parameters["Sampling"] = True
    if not isinstance(share, bool):
        parameters["SamplingStrategy"] = {"Name": "FixedRate", "Value": share}
    return parameters


def search_error(plan: Mapping[str, Any], error: RejectedError) -> PullError:
    """Return the error of a rejected call, with the error in its filter expression if there is one."""
    try:
        parse(expression(plan) or "ok")
    except FilterError as wrong:
        message = f"{error}; {wrong}"
        return PullError(message, operation=error.operation, request_id=error.request_id)
    return error


def _quoted(text: str) -> str:
    """Return a text quoted for a filter expression."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
