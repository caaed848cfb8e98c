// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that find out who is calling. They are the only writers of the consumer of an exchange, and each of
//! them replaces whatever the client said about itself.

pub mod api_key;

pub mod jwt;

pub mod oauth2;

mod presented;

pub mod token;
