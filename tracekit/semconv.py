"""Attribute keys of current and older semantic conventions for each promoted column.

The tables follow the OpenTelemetry semantic conventions 1.44 registry and its deprecation map: the first key present is
used, raw attributes are unchanged.
"""

from __future__ import annotations

SPAN_KEYS: dict[str, tuple[str, ...]] = {
    "http_request_method": ("http.request.method", "http.method"),
    "http_route": ("http.route",),
    "url_full": ("url.full", "http.url"),
    "db_system_name": ("db.system.name", "db.system"),
    "db_namespace": ("db.namespace", "db.name", "db.redis.database_index"),
    "db_collection_name": ("db.collection.name", "db.sql.table", "db.mongodb.collection"),
    "db_operation_name": ("db.operation.name", "db.operation"),
    "messaging_system": ("messaging.system",),
    "messaging_destination_name": ("messaging.destination.name", "messaging.destination"),
    "messaging_operation_type": ("messaging.operation.type", "messaging.operation"),
    "rpc_system_name": ("rpc.system.name", "rpc.system"),
    "faas_name": ("faas.name",),
    "faas_invocation_id": ("faas.invocation_id", "faas.execution"),
}

NUMBER_KEYS: dict[str, tuple[str, ...]] = {
    "http_response_status_code": ("http.response.status_code", "http.status_code"),
}

RESOURCE_KEYS: dict[str, tuple[str, ...]] = {
    "service_namespace": ("service.namespace",),
    "service_version": ("service.version",),
    "service_instance_id": ("service.instance.id",),
    "deployment_environment_name": (
        "deployment.environment.name",
        "deployment.environment",
        "aws.local.environment",
    ),
    "cloud_region": ("cloud.region",),
    "cloud_account_id": ("cloud.account.id",),
    "cloud_platform": ("cloud.platform",),
    "k8s_namespace_name": ("k8s.namespace.name",),
    "k8s_pod_name": ("k8s.pod.name",),
    "k8s_workload_name": (
        "k8s.deployment.name",
        "k8s.statefulset.name",
        "k8s.daemonset.name",
        "k8s.cronjob.name",
        "k8s.job.name",
        "k8s.replicaset.name",
    ),
    "host_name": ("host.name",),
    "xray_origin": ("aws.xray.origin",),
    "resource_arn": ("aws.xray.resource_arn",),
}

HOST_KEYS = ("host.name", "host.id")
INSTANCE_KEYS = ("service.instance.id", "k8s.pod.name", "k8s.pod.uid", "container.id")
PROCESS_KEYS = (*HOST_KEYS, *INSTANCE_KEYS, "k8s.pod.ip", "process.pid")

MESSAGING_KEYS = (
    "messaging.system",
    "messaging.destination.name",
    "messaging.destination",
    "messaging.operation.type",
    "messaging.operation",
    "messaging.operation.name",
    "aws.sqs.queue.url",
    "aws.sns.topic.arn",
)
INVOCATION_TYPE = ("aws.invocation_type", "aws.lambda.invocation_type")
AWS_CALL = ("rpc.service", "rpc.method", "aws.service", "aws.operation", "aws.remote.service", "peer.service")
_AWS_QUEUES = "sqs sns kinesis firehose kinesisfirehose events eventbridge cloudwatchevents pipes"
AWS_MESSAGES = frozenset({*_AWS_QUEUES.split(), "startexecution", "invokeasync"})

OTHER_METHOD, ORIGINAL_METHOD = "_OTHER", "http.request.method_original"
UNKNOWN_SERVICE = "unknown_service"
SERVICE_KEYS = ("service.name",)
SPAN_SERVICE_KEYS = ("aws.local.service",)
FAAS_KEYS = ("faas.name",)

CALLEE_ADDRESS = ("server.address", "net.peer.name", "http.host", "net.sock.peer.addr", "network.peer.address")
CALLER_ADDRESS = ("client.address", "http.client_ip")
CALLEE_PORT = ("server.port", "net.peer.port", "net.sock.peer.port", "network.peer.port")
CALLER_PORT = ("client.port",)
PEER_NAME = ("aws.remote.service", "service.peer.name", "peer.service")
COLD_START = ("faas.coldstart", "is_cold_start")

_DB_SYSTEMS = {
    "mssql": "microsoft.sql_server",
    "dynamodb": "aws.dynamodb",
    "redshift": "aws.redshift",
    "cosmosdb": "azure.cosmosdb",
    "db2": "ibm.db2",
    "oracle": "oracle.db",
    "spanner": "gcp.spanner",
    "hanadb": "sap.hana",
    "netezza": "ibm.netezza",
    "adabas": "softwareag.adabas",
    "informix": "ibm.informix",
    "firebird": "firebirdsql",
    "interbase": "embarcadero.interbase",
    "ingres": "actian.ingres",
    "maxdb": "sap.maxdb",
    "intersystems_cache": "intersystems.cache",
}
_MESSAGING_OPERATIONS = {"publish": "send", "deliver": "process"}

RENAMED: dict[str, dict[str, str]] = {
    "db_system_name": _DB_SYSTEMS,
    "messaging_operation_type": _MESSAGING_OPERATIONS,
}

GRPC_FAULTS = frozenset({"2", "4", "12", "13", "14", "15"})
GRPC_THROTTLE = "8"
GRPC_NAMES = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
GRPC_KEYS = ("rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code")


def aws_names(label: str) -> set[str]:
    """Return the bare names of a service, resource or operation of AWS, in lower case."""
    parts = label.lower().replace(" ", "").removeprefix("aws::").replace("::", "/").split("/")
    return {part.removeprefix("amazon") for part in parts}


def rename(column: str) -> dict[str, str]:
    """Return the deprecated values of a column and their current names."""
    return RENAMED.get(column, {})


CURRENT_KEYS: dict[str, str] = {
    older: names[0]
    for names in (*SPAN_KEYS.values(), *NUMBER_KEYS.values(), ("deployment.environment.name", "deployment.environment"))
    for older in names[1:]
}
"""Key of the current conventions by each older key of the same meaning."""
