// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cells of atomics found by key, for all workers: fixed size, no allocation after it is made, a lock for newcomers only.
//!
//! A key belongs to one set of cells and is looked for from its own place in it. A key that has a cell is found without
//! any lock; one that has none takes a cell under the claim of its set, so that no key ever has two. A table has twice
//! as many cells as keys it is made for, so that a set is full only when there are more keys than that. What must stay
//! true: a cell changes hands only with its tag marked as moving, and whoever changed what is in a cell looks at the
//! tag again ([`Place::is_still`]) and takes the change back if the cell is another key's by then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Cells of a set.
const WAYS: usize = 64;

/// Most keys that a table may be made for: 128 MiB of cells.
pub const KEYS_MAX: usize = 4 * 1024 * 1024;

/// No key has this tag.
const EMPTY: u64 = 0;

/// The cell is changing hands.
const MOVING: u64 = 1;

/// Tries to claim a set before a thread lets others run; it is claimed for some hundred nanoseconds.
const SPINS_MAX: u32 = 64;

/// Cells that hold a `T` for each key.
#[derive(Debug)]
pub(in crate::policy) struct Table<T> {
    cells: Box<[Cell<T>]>,
    claims: Box<[AtomicBool]>,
}

#[derive(Debug, Default)]
struct Cell<T> {
    tag: AtomicU64,
    value: T,
}

/// The cell of a key.
#[derive(Debug)]
pub(in crate::policy) struct Place<'t, T> {
    cell: &'t Cell<T>,
    key: u64,
    pub(in crate::policy) index: usize,
}

impl<T> Place<'_, T> {
    pub(in crate::policy) fn value(&self) -> &T {
        &self.cell.value
    }

    /// Whether the cell still is that of the key.
    pub(in crate::policy) fn is_still(&self) -> bool {
        self.cell.tag.load(Ordering::SeqCst) == self.key
    }
}

enum Entered<'t, T> {
    Here(Place<'t, T>),
    /// What was to be taken came alive in the meantime.
    Lost,
    Full,
}

/// What may become of a cell that a newcomer could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Worth {
    /// Nobody misses it.
    Free,
    /// It may go if there is no other; of several the one that is worth least.
    Loss(u64),
    /// It must stay.
    Held,
}

impl<T: Default> Table<T> {
    /// For `keys` keys at once.
    pub(in crate::policy) fn new(keys: usize) -> Self {
        let sets = (keys.clamp(1, KEYS_MAX) * 2).div_ceil(WAYS).next_power_of_two();
        Self {
            cells: (0..sets * WAYS).map(|_| Cell::default()).collect(),
            claims: (0..sets).map(|_| AtomicBool::default()).collect(),
        }
    }
}

impl<T> Table<T> {
    /// The number of sets.
    pub(in crate::policy) fn sets(&self) -> usize {
        self.claims.len()
    }

    /// The cell of a key that has one.
    pub(in crate::policy) fn find(&self, key: u64) -> Option<Place<'_, T>> {
        let key = key.max(MOVING + 1);
        for index in self.probe(key) {
            let cell = self.cells.get(index)?;
            match cell.tag.load(Ordering::SeqCst) {
                tag if tag == key => return Some(Place { cell, key, index }),
                // Cells are taken in this order and never become empty again.
                EMPTY => return None,
                _ => {}
            }
        }
        None
    }

    /// The cell of a key, which takes one if it has none; `None` if all that it could have are held.
    ///
    /// `worth` says what becomes of a cell, `take` makes its value that of a newcomer and says whether it could.
    pub(in crate::policy) fn enter(
        &self,
        key: u64,
        worth: impl Fn(&T) -> Worth,
        take: impl Fn(&T) -> bool,
    ) -> Option<Place<'_, T>> {
        let key = key.max(MOVING + 1);
        loop {
            if let Some(place) = self.find(key) {
                return Some(place);
            }
            let claim = self.claims.get(self.set_of(key))?;
            claim_it(claim);
            let entered = self.enter_claimed(key, &worth, &take);
            claim.store(false, Ordering::Release);
            match entered {
                Entered::Here(place) => return Some(place),
                Entered::Lost => {}
                Entered::Full => return None,
            }
        }
    }

    fn enter_claimed(&self, key: u64, worth: &impl Fn(&T) -> Worth, take: &impl Fn(&T) -> bool) -> Entered<'_, T> {
        if let Some(place) = self.find(key) {
            return Entered::Here(place);
        }
        let chosen = self.choose(key, worth).and_then(|index| Some((index, self.cells.get(index)?)));
        let Some((index, cell)) = chosen else { return Entered::Full };
        let before = cell.tag.swap(MOVING, Ordering::SeqCst);
        let is_taken = take(&cell.value);
        cell.tag.store(if is_taken { key } else { before }, Ordering::SeqCst);
        if is_taken { Entered::Here(Place { cell, key, index }) } else { Entered::Lost }
    }

    /// The value of the cell at an index.
    pub(in crate::policy) fn value_at(&self, index: usize) -> Option<&T> {
        self.cells.get(index).map(|cell| &cell.value)
    }

    /// The keys of a set with their values.
    pub(in crate::policy) fn set(&self, set: usize) -> impl Iterator<Item = (u64, &T)> {
        let cells = self.cells.get(set * WAYS..(set + 1) * WAYS).unwrap_or_default();
        let known = |cell: &Cell<T>| Some(cell.tag.load(Ordering::SeqCst)).filter(|tag| *tag > MOVING);
        cells.iter().filter_map(move |cell| Some((known(cell)?, &cell.value)))
    }

    fn set_of(&self, key: u64) -> usize {
        usize::try_from(key >> 32).unwrap_or_default() & (self.claims.len() - 1)
    }

    /// Its cells in the order in which a key looks for its own.
    fn probe(&self, key: u64) -> impl Iterator<Item = usize> + use<T> {
        let (first, start) = (self.set_of(key) * WAYS, usize::try_from(key % WAYS as u64).unwrap_or_default());
        (0..WAYS).map(move |step| first + (start + step) % WAYS)
    }

    /// The cell that a newcomer gets: the first free one, else the one that is worth least.
    fn choose(&self, key: u64, worth: &impl Fn(&T) -> Worth) -> Option<usize> {
        let mut least: Option<(u64, usize)> = None;
        for index in self.probe(key) {
            let cell = self.cells.get(index)?;
            if cell.tag.load(Ordering::SeqCst) == EMPTY {
                return Some(index);
            }
            match worth(&cell.value) {
                Worth::Free => return Some(index),
                Worth::Loss(loss) if least.is_none_or(|(held, _)| loss < held) => least = Some((loss, index)),
                Worth::Loss(_) | Worth::Held => {}
            }
        }
        least.map(|(_, index)| index)
    }
}

fn claim_it(claim: &AtomicBool) {
    let mut spins = 0;
    while claim.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        spins += 1;
        if spins % SPINS_MAX == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}
