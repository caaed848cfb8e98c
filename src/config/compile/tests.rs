// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows for the door: what a model becomes, what it is refused for, and what an object that stays keeps of its life.
