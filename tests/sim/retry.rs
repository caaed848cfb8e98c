// SPDX-License-Identifier: MIT OR Apache-2.0
//! Retries stay within their share of the requests, whatever comes in whatever rhythm.

use std::collections::VecDeque;

use weirgate::fault::Fault;
use weirgate::upstream::retry::{Body, Decision, RETRIES_MIN, RetryBudget, Rules, Tried, allows, allows_copy};

#[test]
fn retries_stay_within_the_budget() {
    super::simulate("retry", |random| {
        let rules = Rules::default();
        let fault = Fault::Connect { endpoint: "e".into(), cause: "refused".into() };
        let tried = Tried { method: "POST", body: Body::InHand, attempts: 1, stale: 0 };
        let (mut budget, mut requests, mut retries) = (RetryBudget::default(), VecDeque::new(), VecDeque::new());
        let mut now: u64 = 0;
        for step in 0..200_000 {
            now += if random.u16(..) == 0 { 20_000_000_000 } else { random.u64(0..20_000_000) };
            budget.record(now);
            requests.push_back(now / 1_000_000_000);
            if random.u8(..) < 128 && allows(&rules, &fault, tried, &mut budget, now) == Decision::Again {
                retries.push_back(now / 1_000_000_000);
            }
            for seconds in [&mut requests, &mut retries] {
                while seconds.front().is_some_and(|second| second + 10 <= now / 1_000_000_000) {
                    seconds.pop_front();
                }
            }
            let counted = (u32::try_from(requests.len()), u32::try_from(retries.len()));
            assert_eq!(budget.counted(now), (counted.0.expect("few"), counted.1.expect("few")), "step {step}");
        }
        // A storm: every request fails. No more than a fifth of them is sent again.
        let (mut budget, mut again) = (RetryBudget::default(), 0);
        for request in 1..=10_000_u32 {
            budget.record(1);
            again += u32::from(allows(&rules, &fault, tried, &mut budget, 1) == Decision::Again);
            assert!(again <= RETRIES_MIN.max(request / 5), "{again} retries for {request} requests");
        }
        assert!(again >= 1999, "{again} of the 2000 that are allowed");
    });
}

/// Second copies and retries draw on one budget, and together stay within it.
#[test]
fn copies_and_retries_share_the_budget() {
    super::simulate("hedge", |random| {
        let rules = Rules { percent: random.u32(5..=50), ..Rules::default() };
        let fault = Fault::Connect { endpoint: "e".into(), cause: "refused".into() };
        let tried = Tried { method: "GET", body: Body::InHand, attempts: 1, stale: 0 };
        let (mut budget, mut spent) = (RetryBudget::default(), 0);
        for request in 1..=1_000_000_u32 {
            budget.record(1);
            let is_allowed = match random.u8(0..3) {
                0 => allows_copy(&rules, &mut budget, 1),
                1 => allows(&rules, &fault, tried, &mut budget, 1) == Decision::Again,
                _ => false,
            };
            spent += u32::from(is_allowed);
            assert!(spent <= RETRIES_MIN.max(request * rules.percent / 100), "{spent} for {request} requests");
        }
    });
}
