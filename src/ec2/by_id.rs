//! What was listed, found by its id.
//!
//! The answers are large and there are ten thousand of them: they stay in the list that they came in, and only their
//! places are looked up.

use crate::api::{Instance, InstanceStatus, Volume};
use crate::fast::FastMap;

/// What has an id.
pub(crate) trait Named {
    /// `i-…`, `vol-…`.
    fn id(&self) -> &str;
}

impl Named for Instance {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Named for InstanceStatus {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Named for Volume {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Each id once; of two the later counts.
pub(crate) struct ById<T> {
    items: Vec<T>,
    places: FastMap<String, usize>,
}

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self { items: Vec::new(), places: FastMap::default() }
    }
}

impl<T: Named> ById<T> {
    pub(crate) fn of(items: Vec<T>) -> Self {
        let places: FastMap<String, usize> = items.iter().enumerate().map(|(at, i)| (i.id().to_owned(), at)).collect();
        if places.len() == items.len() {
            return Self { items, places };
        }
        // A page that shifted while it was read shows one thing twice.
        let mut once = Self::default();
        once.extend(items);
        once
    }

    pub(crate) fn insert(&mut self, item: T) {
        match self.places.get(item.id()) {
            Some(at) => self.items[*at] = item,
            None => {
                self.places.insert(item.id().to_owned(), self.items.len());
                self.items.push(item);
            }
        }
    }

    pub(crate) fn extend(&mut self, items: impl IntoIterator<Item = T>) {
        items.into_iter().for_each(|item| self.insert(item));
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.places.get(id).map(|at| &self.items[*at])
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    /// In no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// By id.
    pub(crate) fn in_order(&self) -> Vec<&T> {
        let mut all: Vec<&T> = self.items.iter().collect();
        all.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct One(&'static str, u8);

    impl Named for One {
        fn id(&self) -> &str {
            self.0
        }
    }

    #[test]
    fn each_id_is_there_once_as_it_was_seen_last() {
        let mut all = ById::of(vec![One("b", 1), One("a", 1), One("b", 2)]);
        all.extend([One("c", 1), One("a", 3)]);
        assert_eq!(all.in_order(), [&One("a", 3), &One("b", 2), &One("c", 1)]);
        assert_eq!((all.get("b"), all.get("x"), all.has("c")), (Some(&One("b", 2)), None, true));
        assert_eq!(all.iter().count(), 3);
    }
}
