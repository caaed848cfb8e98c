// SPDX-License-Identifier: MIT OR Apache-2.0
//! The name, kind and meaning of every metric that weirgate exports. No other file spells one.
//!
//! The names are an interface: dashboards and alerts are written against them, so one is never reused for another
//! meaning. Labels are bounded by `metrics`.

/// What a metric is, in the words of OpenMetrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Info,
    Gauge,
    Counter,
    Histogram,
}

impl Type {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One family of metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) help: &'static str,
}

const fn family(name: &'static str, kind: Type, help: &'static str) -> Family {
    Family { name, kind, help }
}

pub(super) const BUILD: Family = family("weirgate_build", Type::Info, "Version of the running daemon.");
pub(super) const REVISION: Family =
    family("weirgate_revision", Type::Gauge, "Number of the running revision of the configuration.");
pub(super) const STORE_OK: Family = family("weirgate_store_ok", Type::Gauge, "1 while the store keeps every change.");
pub(super) const CONNECTIONS: Family = family("weirgate_connections", Type::Gauge, "Client connections that are open.");
pub(super) const MEMORY: Family =
    family("weirgate_memory_resident_bytes", Type::Gauge, "Resident memory of the daemon.");
pub(super) const WORKER_CPU: Family =
    family("weirgate_worker_cpu_seconds", Type::Counter, "CPU time that each worker has used.");
pub(super) const REQUESTS: Family = family("weirgate_requests", Type::Counter, "Requests that were finished.");
pub(super) const ERRORS: Family = family(
    "weirgate_request_errors",
    Type::Counter,
    "Requests by class of failure: client (4xx save 429), refused (429), server (5xx).",
);
pub(super) const BYTES_IN: Family =
    family("weirgate_received_bytes", Type::Counter, "Bytes of requests received from clients.");
pub(super) const BYTES_OUT: Family = family("weirgate_sent_bytes", Type::Counter, "Bytes of replies sent to clients.");
pub(super) const IN_FLIGHT: Family =
    family("weirgate_requests_in_flight", Type::Gauge, "Requests that were begun and are not finished.");
pub(super) const DURATION: Family = family(
    "weirgate_request_duration_seconds",
    Type::Histogram,
    "Time from the first byte of a request to the last of its reply.",
);
pub(super) const TAIL_DROPPED: Family =
    family("weirgate_tail_dropped_records", Type::Counter, "Exchange records that a watcher was too slow for.");
pub(super) const ENDPOINT_UP: Family = family("weirgate_endpoint_up", Type::Gauge, "1 while health checks pass.");
pub(super) const ENDPOINT_IN_FLIGHT: Family =
    family("weirgate_endpoint_in_flight", Type::Gauge, "Requests that the endpoint is working on.");
pub(super) const OVERRIDDEN: Family = family(
    "weirgate_endpoint_overridden",
    Type::Gauge,
    "1 while an operator's override (drain, maintenance, weight) stands.",
);

pub(super) const QUEUED: Family =
    family("weirgate_upstream_queued", Type::Gauge, "Requests that wait for a place in a full upstream.");
pub(super) const QUEUE_TIMEOUTS: Family = family(
    "weirgate_upstream_queue_timeouts",
    Type::Counter,
    "Requests that waited for a place until their time was over.",
);
pub(super) const QUEUE_SECONDS: Family =
    family("weirgate_upstream_queue_seconds", Type::Counter, "Sum of the times that requests waited for a place.");
pub(super) const REQUESTS_MAX: Family = family(
    "weirgate_upstream_requests_max",
    Type::Gauge,
    "Requests in flight that are allowed now, where the limit finds itself.",
);
pub(super) const BREAKER_OPEN: Family =
    family("weirgate_upstream_breaker_open", Type::Gauge, "1 while the circuit breaker refuses requests.");
pub(super) const HEDGES: Family =
    family("weirgate_upstream_hedges", Type::Counter, "Second copies of slow requests that were sent.");
pub(super) const ENDPOINT_CONNECTIONS: Family =
    family("weirgate_endpoint_connections", Type::Gauge, "Connections to the endpoint, unused ones included.");

/// The families of one kind of object: requests, errors and the sum of durations, by its label.
#[derive(Clone, Copy, Debug)]
pub(super) struct ObjectFamilies {
    pub(super) label: &'static str,
    pub(super) requests: Family,
    pub(super) errors: Family,
    pub(super) seconds: Family,
}

pub(super) const ROUTE: ObjectFamilies = ObjectFamilies {
    label: "route",
    requests: family("weirgate_route_requests", Type::Counter, "Requests by route."),
    errors: family("weirgate_route_errors", Type::Counter, "Failed requests by route and class."),
    seconds: family("weirgate_route_seconds", Type::Counter, "Sum of request durations by route."),
};
pub(super) const UPSTREAM: ObjectFamilies = ObjectFamilies {
    label: "upstream",
    requests: family("weirgate_upstream_requests", Type::Counter, "Requests by upstream."),
    errors: family("weirgate_upstream_errors", Type::Counter, "Failed requests by upstream and class."),
    seconds: family("weirgate_upstream_seconds", Type::Counter, "Sum of request durations by upstream."),
};
pub(super) const ENDPOINT: ObjectFamilies = ObjectFamilies {
    label: "endpoint",
    requests: family("weirgate_endpoint_requests", Type::Counter, "Requests by upstream/endpoint."),
    errors: family("weirgate_endpoint_errors", Type::Counter, "Failed requests by upstream/endpoint and class."),
    seconds: family("weirgate_endpoint_seconds", Type::Counter, "Sum of request durations by upstream/endpoint."),
};
pub(super) const SIDE: ObjectFamilies = ObjectFamilies {
    label: "side",
    requests: family("weirgate_side_requests", Type::Counter, "Requests by route/upstream of a split."),
    errors: family("weirgate_side_errors", Type::Counter, "Failed requests by route/upstream of a split, and class."),
    seconds: family("weirgate_side_seconds", Type::Counter, "Sum of times to a reply by route/upstream of a split."),
};
pub(super) const COPIES: Family = family(
    "weirgate_mirror_copies",
    Type::Counter,
    "Copies that the mirror of a route was to make, by result: sent, failed, skipped.",
);
pub(super) const LOG_WRITTEN: Family =
    family("weirgate_log_written_lines", Type::Counter, "Lines of a log that were written.");
pub(super) const LOG_DROPPED: Family = family(
    "weirgate_log_dropped_lines",
    Type::Counter,
    "Lines of a log that did not fit its queue or that nobody took.",
);
pub(super) const CONSUMER: ObjectFamilies = ObjectFamilies {
    label: "consumer",
    requests: family("weirgate_consumer_requests", Type::Counter, "Requests by consumer."),
    errors: family("weirgate_consumer_errors", Type::Counter, "Failed requests by consumer and class."),
    seconds: family("weirgate_consumer_seconds", Type::Counter, "Sum of request durations by consumer."),
};
