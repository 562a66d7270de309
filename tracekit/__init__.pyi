# The public names in reading order: a new name is one line here.  Type checkers and editors read this file, and so does
# __init__.py, which resolves the names on first use.
# ruff: noqa: I001 - in reading order

from tracekit.loading import read as read
from tracekit.samples import load_sample as load_sample
from tracekit.samples import list_samples as list_samples
from tracekit.loading.convert import convert as convert
from tracekit.loading.store.trace_store import open as open  # noqa: A004 - the public name
from tracekit.loading.store.refining import refine as refine
from tracekit.loading.store.trace_store import TraceStore as TraceStore
from tracekit.loading.requests.read import read_requests as read_requests
from tracekit.loading.profiles.read import read_profile as read_profile
from tracekit.pull import pull as pull
from tracekit.receiver.run import listen as listen
from tracekit.aws.pull.xray import pull_xray as pull_xray
from tracekit.aws.trace_summaries import trace_summaries as trace_summaries

from tracekit.loading.frames import from_frame as from_frame
from tracekit.traces import TraceSet as TraceSet
from tracekit.schema import describe as describe
from tracekit.explanations import about as about
from tracekit.loading.native import describe_build as describe_build
from tracekit.expressions import xray_filter as xray_filter
from tracekit.aws.annotation_lint import annotation_lint as annotation_lint
from tracekit.aws.audit.coverage import audit_coverage as audit_coverage
from tracekit.aws.rules.rule_set import sampling_rules as sampling_rules
from tracekit.aws.tracer.tables import read_dynamodb_tracer as read_dynamodb_tracer
from tracekit.aws.tracer.tables import pull_dynamodb_tracer as pull_dynamodb_tracer
from tracekit.aws.publish import publish_cloudwatch as publish_cloudwatch
from tracekit.analysis.sampling_plan import plan_sampling as plan_sampling

from tracekit.analysis.service_graph.build import service_graph as service_graph
from tracekit.analysis.latency import latency as latency
from tracekit.analysis.self_time import self_time as self_time
from tracekit.analysis.errors import errors as errors
from tracekit.analysis.timeline.compute import timeline as timeline
from tracekit.analysis.critical_path.compute import critical_path as critical_path
from tracekit.analysis.critical_path.result import CriticalPath as CriticalPath
from tracekit.analysis.critical_path.shares import Bands as Bands
from tracekit.analysis.critical_path.compare import PathComparison as PathComparison
from tracekit.analysis.critical_path.flame import Flame as Flame
from tracekit.analysis.critical_path.marks import PathMarks as PathMarks
from tracekit.analysis.critical_path.what_if import WhatIf as WhatIf
from tracekit.analysis.critical_path.what_if import WhatIfCurve as WhatIfCurve
from tracekit.analysis.critical_path.what_if import CapSelfTime as CapSelfTime
from tracekit.analysis.critical_path.what_if import MatchDistribution as MatchDistribution
from tracekit.analysis.compare.compute import compare as compare
from tracekit.analysis.compare.result import Comparison as Comparison
from tracekit.analysis.paths.compute import paths as paths
from tracekit.analysis.paths.result import Paths as Paths
from tracekit.analysis.what_differs.compute import what_differs as what_differs
from tracekit.analysis.what_differs.result import Differences as Differences
from tracekit.analysis.slo.compute import slo as slo
from tracekit.analysis.slo.result import Slo as Slo
from tracekit.analysis.slo.burn_rates import BurnRule as BurnRule
from tracekit.checks.logs.join import logs as logs
from tracekit.checks.logs.result import Logs as Logs
from tracekit.analysis.bounds.compute import bounds as bounds
from tracekit.analysis.bounds.result import Bounds as Bounds
from tracekit.analysis.cost.compute import cost as cost
from tracekit.analysis.cost.result import Cost as Cost
from tracekit.analysis.cost.prices import Price as Price
from tracekit.analysis.skew import clock_skew as clock_skew
from tracekit.checks.suspects import suspects as suspects
from tracekit.analysis.suspects.result import Suspects as Suspects
from tracekit.checks.profile import profile as profile
from tracekit.analysis.profile.result import Profile as Profile
from tracekit.analysis.profile.result import ProfileComparison as ProfileComparison
from tracekit.checks.topics import sampling as sampling
from tracekit.checks.topics import quality as quality
from tracekit.checks.topics import patterns as patterns
from tracekit.analysis.privacy import privacy as privacy
from tracekit.analysis.privacy import Privacy as Privacy
from tracekit.redaction.policy import Policy as Policy
from tracekit.checks.coverage.coverage import coverage as coverage
from tracekit.investigation.investigate import investigate as investigate
from tracekit.investigation.verify import verify as verify
from tracekit.investigation.result import Investigation as Investigation
from tracekit.checks.sampling.latency_bias import latency_bias as latency_bias
from tracekit.checks.sampling.sample_mix import sample_mix as sample_mix
from tracekit.checks.sampling.collection_gaps import collection_gaps as collection_gaps
from tracekit.checks.sampling.start_phases import start_phases as start_phases

from tracekit.findings import Estimate as Estimate
from tracekit.findings import Finding as Finding
from tracekit.findings import Findings as Findings

from tracekit.views import plot as plot
from tracekit.views import waterfall as waterfall
from tracekit.views.explore import explore as explore
from tracekit.report.export import export as export
from tracekit.views.export_trace import markdown as markdown
from tracekit.views.export_trace import mermaid as mermaid
from tracekit.readable_tables import readable as readable
from tracekit.report import report as report
from tracekit.report.markdown import md as md
from tracekit.report.sections import section as section

from tracekit.errors import TracekitError as TracekitError
from tracekit.errors import LoadError as LoadError
from tracekit.errors import SchemaError as SchemaError
from tracekit.errors import FilterError as FilterError
from tracekit.errors import PullError as PullError
from tracekit.errors import RenderError as RenderError

__version__: str
