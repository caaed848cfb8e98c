// SPDX-License-Identifier: MIT OR Apache-2.0
//! Equal turns in the order of the list.
//!
//! The cursor remembers whom it served, not a count, so an endpoint that is stepped over does not hand its turn twice
//! to the same neighbour.

use super::group::{Group, Picked};
use super::{Balance, Candidate, Reason};

pub(super) fn pick<V: Fn(usize) -> Candidate>(group: &Group<'_, V>) -> Option<Picked> {
    let after = match group.turns.cursor.get() {
        // A start that a seed gave may lie past the end of the list.
        Some(last) if group.members.last().is_some_and(|end| last > *end as usize) => last % group.len() + 1,
        Some(last) => group.members.partition_point(|index| *index as usize <= last),
        None => 0,
    };
    let (before, following) = group.members.split_at_checked(after).unwrap_or((&[], group.members));
    let turns = following.iter().chain(before).map(|index| *index as usize);
    let mut able = turns.filter(|index| (group.view)(*index).takes());
    let index = able.next()?;
    group.turns.cursor.set(Some(index));
    let alone = able.next().is_none();
    Some((index, if alone { Reason::Only(Balance::RoundRobin) } else { Reason::Turn }))
}
