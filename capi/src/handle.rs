//! Handles: what C holds is no address but a number, looked up on every call. One that was given back, was never given out or is of another kind is
//! therefore an error and not a corruption of memory.
//!
//! ```text
//! 63      56 55 54             20 19       0
//! │  kind   │ 1 │     serial     │  index  │     bit 55 makes it an address that no machine has: to follow it is a fault
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::failure::Failure;

const INDEX_BITS: u32 = 20;
const SERIAL_BITS: u32 = 35;
const NO_ADDRESS: u64 = 1 << 55;
const KIND_SHIFT: u32 = 56;

/// No serial is given out twice in the life of the process, whatever its table.
static SERIALS: AtomicU64 = AtomicU64::new(1);

/// The objects of one kind that C has handles of.
pub(crate) struct Table<T> {
    kind: u8,
    what: &'static str,
    slots: RwLock<Slots<T>>,
}

struct Slots<T> {
    all: Vec<Slot<T>>,
    free: Vec<usize>,
}

struct Slot<T> {
    handle: u64,
    references: usize,
    value: Option<Arc<T>>,
}

impl<T> Table<T> {
    /// `kind` is a number of its own for each table; `what` is the object's name in errors.
    pub const fn new(kind: u8, what: &'static str) -> Self {
        Self { kind, what, slots: RwLock::new(Slots { all: Vec::new(), free: Vec::new() }) }
    }

    /// A new handle with one reference.
    pub fn insert<H>(&self, value: T) -> Result<*mut H, Failure> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let index = slots.free.pop().unwrap_or(slots.all.len());
        let serial = SERIALS.fetch_add(1, Ordering::Relaxed) % (1 << SERIAL_BITS);
        let handle = u64::from(self.kind) << KIND_SHIFT | NO_ADDRESS | serial << INDEX_BITS | index as u64;
        if index >> INDEX_BITS != 0 {
            return Err(Failure::invalid(format!("too many handles of a {}", self.what)));
        }
        let slot = Slot { handle, references: 1, value: Some(Arc::new(value)) };
        match slots.all.get_mut(index) {
            Some(place) => *place = slot,
            None => slots.all.push(slot),
        }
        Ok(handle as usize as *mut H)
    }

    /// The object of a handle.
    pub fn get<H>(&self, handle: *const H) -> Result<Arc<T>, Failure> {
        self.find(handle).ok_or_else(|| match handle.is_null() {
            true => Failure::invalid(format!("{} is NULL", self.what)),
            false => Failure::invalid(format!("not a handle of a {}, or given back before", self.what)),
        })
    }

    /// The same without a reason.
    pub fn find<H>(&self, handle: *const H) -> Option<Arc<T>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.all.get(index(handle as usize as u64))?;
        slot.value.as_ref().filter(|_| slot.handle == handle as usize as u64).map(Arc::clone)
    }

    /// One more reference; the same handle, or NULL for one that is not valid.
    pub fn add_reference<H>(&self, handle: *mut H) -> *mut H {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        match slots.named(handle as usize as u64) {
            Some(slot) => {
                slot.references += 1;
                handle
            }
            None => std::ptr::null_mut(),
        }
    }

    /// One reference less; the object goes with the last. What is not valid is ignored.
    pub fn give_back<H>(&self, handle: *mut H) {
        // Dropped when the lock is free: its end may run code of the host.
        let _gone = {
            let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
            slots.give_back(handle as usize as u64)
        };
    }
}

impl<T> Slots<T> {
    fn named(&mut self, handle: u64) -> Option<&mut Slot<T>> {
        self.all.get_mut(index(handle)).filter(|slot| slot.handle == handle && slot.value.is_some())
    }

    fn give_back(&mut self, handle: u64) -> Option<Arc<T>> {
        let slot = self.named(handle)?;
        slot.references -= 1;
        let value = if slot.references == 0 { slot.value.take() } else { None };
        if value.is_some() {
            self.free.push(index(handle));
        }
        if self.free.len() == self.all.len() {
            // Nothing is left: a host that unloads the library finds all memory given back.
            (self.all, self.free) = (Vec::new(), Vec::new());
        }
        value
    }
}

fn index(handle: u64) -> usize {
    (handle & ((1 << INDEX_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_lives_until_its_last_reference_and_is_an_error_afterwards() {
        let table: Table<&str> = Table::new(1, "thing");
        let first: *mut u8 = table.insert("a").unwrap();
        assert_eq!(table.add_reference(first), first);
        table.give_back(first);
        assert_eq!(*table.get(first).unwrap(), "a");
        table.give_back(first);
        assert!(table.get(first).is_err());
        table.give_back(first);
        let second: *mut u8 = table.insert("b").unwrap();
        assert_ne!(first, second, "the place is used again, its name is not");
        assert!(table.get(first).is_err() && table.add_reference(first).is_null());
        assert_eq!(*table.get(second).unwrap(), "b");
    }

    #[test]
    fn another_kind_and_garbage_are_errors() {
        let (tables, others): (Table<u8>, Table<u8>) = (Table::new(1, "thing"), Table::new(2, "other thing"));
        let handle: *mut u8 = tables.insert(1).unwrap();
        others.insert::<u8>(2).unwrap();
        assert!(others.get(handle).is_err());
        for garbage in [0usize, 1, 0x1000, usize::MAX, handle as usize ^ 1, handle as usize ^ 1 << 30] {
            assert!(tables.get(garbage as *mut u8).is_err(), "{garbage:x}");
        }
    }

    #[test]
    fn an_object_in_use_outlives_its_handle_and_an_empty_table_holds_no_memory() {
        let table: Table<Vec<u8>> = Table::new(1, "thing");
        let handle: *mut u8 = table.insert(vec![7]).unwrap();
        let used = table.get(handle).unwrap();
        table.give_back(handle);
        assert_eq!(*used, [7]);
        assert_eq!(table.slots.read().unwrap().all.capacity(), 0);
    }
}
