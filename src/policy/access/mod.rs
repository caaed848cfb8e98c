// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies that refuse before anybody asks who calls: by address, by method, by what a caller says of itself.

pub mod bots;

pub mod ip;

pub mod methods;
