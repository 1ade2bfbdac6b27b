//! Sockets by number

/// The number of a socket among its kind; used again once the socket is gone
pub(crate) type Id = u32;

/// A table of sockets by number
///
/// They are boxed, so that a hole costs a pointer; an empty table holds no memory.
#[derive(Debug)]
pub(crate) struct Table<T> {
    entries: Vec<Option<Box<T>>>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Puts an entry at the lowest free number
    pub(crate) fn insert(&mut self, entry: T) -> Id {
        let entry = Some(Box::new(entry));
        let free = self.entries.iter_mut().enumerate().find(|(_, slot)| slot.is_none());
        let at = if let Some((at, slot)) = free {
            *slot = entry;
            at
        } else {
            self.entries.push(entry);
            self.entries.len().saturating_sub(1)
        };
        Id::try_from(at).unwrap_or(Id::MAX)
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<Box<T>> {
        let removed = self.entries.get_mut(index(id))?.take();
        let used =
            self.entries.iter().rposition(Option::is_some).map_or(0, |at| at.saturating_add(1));
        self.entries.truncate(used);
        if self.entries.len().saturating_mul(4) <= self.entries.capacity() {
            self.entries.shrink_to_fit();
        }
        removed
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        self.entries.get_mut(index(id))?.as_deref_mut()
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        self.entries.get(index(id))?.as_deref()
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        let numbered = (0..).zip(&self.entries);
        numbered.filter_map(|(id, entry)| Some((id, entry.as_deref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Id, &mut T)> {
        let numbered = (0..).zip(&mut self.entries);
        numbered.filter_map(|(id, entry)| Some((id, entry.as_deref_mut()?)))
    }
}

fn index(id: Id) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_an_empty_table_holds_no_memory() {
        let mut table = Table::new();
        let (a, b) = (table.insert('a'), table.insert('b'));
        assert_eq!(table.remove(a).as_deref(), Some(&'a'));
        assert!(table.remove(a).is_none());
        assert_eq!(table.insert('c'), a);
        assert_eq!(table.iter().map(|(_, entry)| *entry).collect::<String>(), "cb");
        table.remove(a);
        table.remove(b);
        assert_eq!(table.entries.capacity(), 0);
    }
}
