//! Equal parts of many things, kept once.
//!
//! The machines of a group bear the same tags and show the same fields. Ten thousand copies of them would be most of
//! what a look keeps in memory, and comparing one with the file ten thousand times most of what a plan computes.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A value that others may share. Reading is as with the value itself; who writes gets a copy of its own first.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shared<T>(Arc<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    /// Whether both are one: cheap, and never true of what is unequal.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A, T: FromIterator<A>> FromIterator<A> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = A>>(items: I) -> Self {
        T::from_iter(items).into()
    }
}

impl<'a, K, V> IntoIterator for &'a Shared<BTreeMap<K, V>> {
    type Item = (&'a K, &'a V);
    type IntoIter = btree_map::Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T> IntoIterator for &'a Shared<Vec<T>> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T: Clone> IntoIterator for &'a mut Shared<Vec<T>> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// Finds the one that is equal among those that it was given before.
#[derive(Debug)]
pub struct Pool<T>(BTreeSet<Shared<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord> Pool<T> {
    /// `value`, or an equal one that came earlier.
    pub fn share(&mut self, value: impl Into<Shared<T>>) -> Shared<T> {
        let value = value.into();
        match self.0.get(&value) {
            Some(known) => known.clone(),
            None => {
                self.0.insert(value.clone());
                value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_are_one_until_one_is_written() {
        let mut pool = Pool::default();
        let (a, mut b) = (pool.share(vec![1, 2]), pool.share(vec![1, 2]));
        assert!(a.is(&b) && !a.is(&pool.share(vec![3])));
        b.push(3);
        assert_eq!((&*a, &*b), (&vec![1, 2], &vec![1, 2, 3]));
        assert!(!a.is(&b));
    }
}
