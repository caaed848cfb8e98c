// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signed tokens: their form, their keys, their claims, and what is remembered of them. The policies that use them are
//! `jwt` and `oauth2`.
//!
//! The verifier is our own and small, over aws-lc: it is on the request path, and libraries read the last of two equal
//! members, build the key for each token, and take the header's word for more than we want. Every signature is checked by
//! aws-lc and nothing here computes one.

pub mod bearer;

pub mod cache;

pub mod claims;

pub mod introspection;

pub mod json;

pub mod jwks;

pub mod jws;

pub mod key;

pub mod keys;

pub mod place;

pub mod refusal;

pub mod told;

#[cfg(test)]
mod replay;

#[cfg(test)]
mod tests;
