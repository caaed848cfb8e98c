// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only source of time and time zone in the console. The pure parts get both as data: the time in `Event::Tick`,
//! the zone in `App`.

use jiff::tz::TimeZone;

/// Where the system says which zone it is in.
const LOCALTIME: &str = "/etc/localtime";

/// Where zones are kept by name.
const ZONES: &str = "/usr/share/zoneinfo";

/// Milliseconds since 1970-01-01 UTC.
pub fn now_ms() -> i64 {
    weirgate_store::clock::wall_ms()
}

/// The zone of `TZ`, else of the system, else UTC.
pub fn zone() -> TimeZone {
    let named = std::env::var("TZ").ok().map(|name| name.trim_start_matches(':').to_owned());
    let path = match named {
        Some(name) if name.is_empty() || name.contains("..") => return TimeZone::UTC,
        Some(name) => std::path::Path::new(ZONES).join(name),
        None => LOCALTIME.into(),
    };
    std::fs::read(path).ok().and_then(|data| TimeZone::tzif("local", &data).ok()).unwrap_or(TimeZone::UTC)
}

/// A moment to measure from.
pub fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
