//! The calls of 256 neighbouring Call IDs

use std::net::Ipv4Addr;

/// A sparse set of calls
///
/// `places` gives an ID's index in `entries`. The ID is in the set if the entry at that index has
/// it, so `places` needs no mark for absent IDs.
pub(super) struct Page<T> {
    places: [u8; 256],
    entries: Vec<Entry<T>>,
}

/// A call: the low octet of its ID, its peer, and the value
pub(super) struct Entry<T> {
    pub(super) low: u8,
    pub(super) peer: Ipv4Addr,
    pub(super) value: T,
}

impl<T> Page<T> {
    /// Adds an entry whose ID is not in the page
    pub(super) fn insert(&mut self, entry: Entry<T>) {
        self.note_place(entry.low, self.entries.len());
        self.entries.push(entry);
    }

    pub(super) fn remove(&mut self, low: u8) -> Option<Entry<T>> {
        let place = self.place(low)?;
        let removed = self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.note_place(moved.low, place);
        }
        Some(removed)
    }

    pub(super) fn get_mut(&mut self, low: u8) -> Option<&mut Entry<T>> {
        let place = self.place(low)?;
        self.entries.get_mut(place)
    }

    pub(super) fn get(&self, low: u8) -> Option<&Entry<T>> {
        self.entries.get(self.place(low)?)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.iter()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn place(&self, low: u8) -> Option<usize> {
        let place = usize::from(*self.places.get(usize::from(low))?);
        self.entries.get(place).is_some_and(|entry| entry.low == low).then_some(place)
    }

    fn note_place(&mut self, low: u8, place: usize) {
        if let (Some(noted), Ok(place)) =
            (self.places.get_mut(usize::from(low)), u8::try_from(place))
        {
            *noted = place;
        }
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { places: [0; 256], entries: Vec::new() }
    }
}
