// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../ARCHITECTURE.md")]

// What every stage speaks of.
pub mod clock;

pub mod fault;

pub mod exchange;

// arrive
pub mod listener;

pub mod tls;

pub mod protocol;

// decide
pub mod route;

pub mod policy;

// forward
pub mod balance;

pub mod upstream;

// reply
pub mod response;

// observe
pub mod observe;

// the journey itself
pub mod proxy;

// behind it
pub mod config;

pub mod control;

pub mod runtime;

pub mod demo;
