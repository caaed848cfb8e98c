// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be typed after the verbs that are about one endpoint, now and not in the configuration.

use clap::{Args as Group, Subcommand};
use weirgate_store::model::Span;

/// What may be asked about one endpoint, or all endpoints of an upstream.
#[derive(Clone, Debug, Subcommand)]
pub enum EndpointVerb {
    /// Send an endpoint no new requests; those in flight finish
    Drain(DrainArgs),
    /// Take an endpoint back into service
    Ready(OverrideArgs),
    /// Send an endpoint nothing, not even health checks
    Maint(MaintArgs),
    /// Give an endpoint another weight until it is reset
    Weight(WeightArgs),
    /// Register an endpoint for a while, renew that, or take it away
    Lease(LeaseArgs),
    /// Show when and why endpoints of an upstream went up and down
    Timeline(TimelineArgs),
}

/// Which endpoint is meant.
#[derive(Clone, Debug, Group)]
pub struct EndpointArgs {
    /// Name of the upstream
    pub upstream: String,
    /// Address of the endpoint; its host or :port is enough if only one fits
    pub endpoint: String,
}

/// What every override takes.
#[derive(Clone, Debug, Group)]
pub struct OverrideArgs {
    #[command(flatten)]
    pub target: EndpointArgs,
    /// Shown wherever the endpoint is shown
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Show what would change and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Group)]
pub struct DrainArgs {
    #[command(flatten)]
    pub set: OverrideArgs,
    /// Cut what is still in flight after this time, such as 5m; never, if absent
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<Span>,
    /// Take the drain back after this time, such as 1h; never, if absent
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Span>,
    /// Show what is left until nothing is
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
}

#[derive(Clone, Debug, Group)]
pub struct MaintArgs {
    #[command(flatten)]
    pub set: OverrideArgs,
    /// Take it back after this time, such as 1h; never, if absent
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Span>,
}

#[derive(Clone, Debug, Group)]
pub struct WeightArgs {
    #[command(flatten)]
    pub set: OverrideArgs,
    /// Share of the work relative to the other endpoints; 0 takes no new work
    #[arg(value_name = "N", required_unless_present = "reset")]
    pub weight: Option<u32>,
    /// Go back to the configured weight
    #[arg(long, conflicts_with = "weight")]
    pub reset: bool,
    /// Take it back after this time, such as 1h; as before, if absent
    #[arg(long, value_name = "TIME", conflicts_with = "reset")]
    pub expires: Option<Span>,
}

#[derive(Clone, Debug, Group)]
pub struct LeaseArgs {
    /// Name of an upstream whose discovery is by lease
    pub upstream: String,
    /// Address of the endpoint: IP and port
    pub endpoint: String,
    /// Gone after this time unless renewed; the longest that the upstream allows, if absent
    #[arg(long, value_name = "TIME", conflicts_with = "remove")]
    pub ttl: Option<Span>,
    /// Share of the work relative to the other endpoints
    #[arg(long, value_name = "N", conflicts_with = "remove")]
    pub weight: Option<u32>,
    /// Where it is, for `zone.prefer`
    #[arg(long, value_name = "NAME", conflicts_with = "remove")]
    pub zone: Option<String>,
    /// Take it away before its time is over
    #[arg(long)]
    pub remove: bool,
}

#[derive(Clone, Debug, Group)]
pub struct TimelineArgs {
    /// Name of the upstream
    pub upstream: String,
    /// Only this endpoint; its host or :port is enough
    pub endpoint: Option<String>,
    /// Show at most so many
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50)]
    pub limit: usize,
}
