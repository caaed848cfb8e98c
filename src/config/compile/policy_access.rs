// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that look at address, method and manners.

use std::sync::Arc;

use weirgate_store::check::any_of;
use weirgate_store::model::{BotsPolicy, IpPolicy, MethodsPolicy};
use weirgate_store::networks::Networks;

use crate::config::problems::Problems;
use crate::policy::{Bots, Ip, Methods, Policy};

pub(super) fn ip(name: Arc<str>, policy: &IpPolicy) -> Policy {
    let networks = |list: &[_]| Networks::new(list.iter().copied());
    Policy::Ip(Ip::new(name, networks(&policy.allow), networks(&policy.deny)).into())
}

pub(super) fn methods(name: Arc<str>, policy: &MethodsPolicy) -> Policy {
    Policy::Methods(Methods::new(name, &policy.allow).into())
}

pub(super) fn bots(name: Arc<str>, policy: &BotsPolicy, path: &str, problems: &mut Problems) -> Option<Policy> {
    const HELP: &str = "see the syntax of the regex crate; look-around and back references do not exist there";
    let deny = problems.keep(&format!("{path}.deny"), HELP, any_of(&policy.deny));
    let allow = problems.keep(&format!("{path}.allow"), HELP, any_of(&policy.allow));
    Some(Policy::Bots(Bots::new(name, deny?, allow?, &policy.require_headers).into()))
}
