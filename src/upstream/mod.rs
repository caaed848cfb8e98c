// SPDX-License-Identifier: MIT OR Apache-2.0
//! upstream
pub mod endpoint;
pub mod health;
pub mod retry;
