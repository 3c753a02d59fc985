"""Every Prometheus metric of the process. No label holds an id or a person (cardinality, privacy); a target has its name."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

HTTP_REQUESTS = Counter("trustpack_http_requests_total", "HTTP requests answered.", ("method", "route", "status"))
HTTP_DURATION = Histogram("trustpack_http_request_seconds", "Time to answer a request.", ("method", "route"), buckets=_FAST)
RATE_LIMITED = Counter(
    "trustpack_rate_limited_total", "Requests refused for their number, by limit: token or failed_sign_ins.", ("limit",)
)
CONNECTIONS_CUT = Counter(
    "trustpack_connections_cut_total",
    "Connections that the server ended, by reason: slow_request, slow_reader, long_head or crowded.",
    ("reason",),
)
SIGNAL_STREAMS = Gauge("trustpack_signal_streams", "Open pages that are told of changes.")
POLICY_DURATION = Histogram(
    "trustpack_policy_decision_seconds", "Time of one policy decision.", ("package", "engine"), buckets=_FAST
)
POLICY_OUTCOMES = Counter("trustpack_policy_decisions_total", "Policy decisions by outcome.", ("package", "mode", "outcome"))
TRANSITIONS = Counter("trustpack_transitions_total", "Transitions of governed subjects.", ("kind", "action"))
JOB_DURATION = Histogram("trustpack_job_seconds", "Time of one job.", ("kind", "outcome"), buckets=_FAST)
JOBS_DUE = Gauge("trustpack_jobs_due", "Jobs that are due and not claimed.")
JOBS_OLDEST_DUE_SECONDS = Gauge("trustpack_jobs_oldest_due_seconds", "How late the oldest due job is.")
JOBS_RETRYING = Gauge(
    "trustpack_jobs_retrying", "Jobs whose last attempt failed and that are tried again; for reverts this must be 0.", ("kind",)
)
REVERTS_UNPROVEN = Gauge("trustpack_reverts_unproven", "Grants that are to be gone and could not be proven gone yet; must be 0.")
REVERTS = Counter("trustpack_reverts_total", "Attempts to take a grant back, by outcome: proven or unproven.", ("outcome",))
REVERT_LATENESS = Histogram(
    "trustpack_revert_lateness_seconds",
    "Time from a grant's end to the proof that it is gone.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 30, 300),
)
TARGET_DRIFT = Gauge(
    "trustpack_target_drift",
    "Findings that stood when a target was last compared, over all tenants; absent means none.",
    ("code", "target"),
)
TARGET_COMPARED_SECONDS = Gauge(
    "trustpack_target_compared_seconds",
    "Time since a target was last compared with success (of several tenants the oldest; +Inf: never); must stay near 60.",
    ("target",),
)
RECONCILIATIONS = Counter(
    "trustpack_reconciliations_total",
    "Comparisons of a target with its grants, by outcome: clean, drift, unavailable or crashed.",
    ("outcome",),
)
DRIFT_REPAIRS = Counter(
    "trustpack_drift_repairs_total", "Attempts to set drift right, by outcome: done or blocked.", ("code", "outcome")
)
