// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel knows of this process: resident memory, and the CPU time of each worker.
//!
//! Reads only below `/proc/self`, which the hardened unit leaves visible (`ProcSubset=pid`). What cannot be read is
//! zero: these numbers are for eyes and decide nothing.

use std::fs;

/// Ticks of a second in `/proc/*/stat`; the kernel fixes USER_HZ at 100 for every architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in bytes.
pub(super) fn memory_bytes() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|text| resident_bytes(&text)).unwrap_or(0)
}

/// `status` and not `statm`, because it counts in kB and not in pages of an unknown size.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// Seconds of CPU that a thread of this process has used.
pub(super) fn thread_cpu_seconds(thread: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok();
    stat.and_then(|text| cpu_ticks(&text)).unwrap_or(0) as f64 / TICKS_PER_SECOND
}

/// User and system time. The name of the thread stands in parentheses and may hold anything, so count from its end.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, memory_bytes, resident_bytes};

    #[test]
    fn the_kernel_files_are_read() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    1234 kB\nRssAnon: 1 kB\n"), Some(1_234 * 1_024));
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194304 90 0 0 0 42 17 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(59));
        assert_eq!(cpu_ticks("nonsense"), None);
        assert!(memory_bytes() > 0);
    }
}
