//! The slots of one launch as a short text that fits a tag: `0-999/3,7`.
//!
//! `AmiLaunchIndex` picks the entry, so the order is part of the value.

use std::fmt;
use std::str::FromStr;

use crate::text::as_text;

/// An ordered list of slots. Strictly ascending, so that equal sets have equal text and equal tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slots(Vec<u32>);

/// More than EC2 ever launches in a call; a bound on what a hostile tag can make us allocate.
const MOST: usize = 10_000;

impl Slots {
    /// The slots, sorted, each once.
    pub fn new(slots: impl IntoIterator<Item = u32>) -> Self {
        let mut slots: Vec<_> = slots.into_iter().collect();
        slots.sort_unstable();
        slots.dedup();
        Self(slots)
    }

    /// The slot of the instance with this `AmiLaunchIndex`.
    pub fn get(&self, index: u32) -> Option<u32> {
        self.0.get(index as usize).copied()
    }

    /// How many.
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).expect("at most MOST slots")
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// Cut into lists whose text has at most `width` characters each (a tag value holds 256 in all).
    pub fn fit(&self, width: usize) -> Vec<Self> {
        if self.0.len() < 2 || self.to_string().len() <= width {
            return vec![self.clone()];
        }
        let (a, b) = self.0.split_at(self.0.len() / 2);
        let mut all = Self(a.to_vec()).fit(width);
        all.extend(Self(b.to_vec()).fit(width));
        all
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.0;
        let mut i = 0;
        let mut first = true;
        while i < s.len() {
            if !std::mem::take(&mut first) {
                f.write_str(",")?;
            }
            // The longest run of equal steps from here; a run of two is worth it only when they are neighbours.
            let step = s.get(i + 1).map_or(0, |n| n - s[i]);
            let mut j = i;
            while j + 1 < s.len() && s[j + 1] - s[j] == step {
                j += 1;
            }
            if j - i >= 2 || (j > i && step == 1) {
                write!(f, "{}-{}", s[i], s[j])?;
                if step > 1 {
                    write!(f, "/{step}")?;
                }
                i = j + 1;
            } else {
                write!(f, "{}", s[i])?;
                i += 1;
            }
        }
        Ok(())
    }
}

impl FromStr for Slots {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a list of slots such as 0-5,9");
        let number = |s: &str| s.parse::<u32>().map_err(|_| bad());
        let mut all: Vec<u32> = Vec::new();
        for part in text.split(',') {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let (from, to, step) = (number(from)?, number(to)?, number(step)?);
            if step == 0 || to < from || ((to - from) / step) as usize >= MOST || all.last().is_some_and(|l| *l >= from)
            {
                return Err(bad());
            }
            all.extend((from..=to).step_by(step as usize));
            if all.len() > MOST {
                return Err(bad());
            }
        }
        Ok(Self(all))
    }
}

as_text!(Slots);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_read_well() {
        for (slots, text) in [
            (vec![0, 1, 2, 3], "0-3"),
            (vec![0, 3, 6, 9], "0-9/3"),
            (vec![4], "4"),
            (vec![1, 2], "1-2"),
            (vec![1, 5], "1,5"),
            (vec![0, 1, 2, 7, 9, 11, 40], "0-2,7-11/2,40"),
        ] {
            assert_eq!(Slots::new(slots).to_string(), text);
        }
    }

    #[test]
    fn a_hostile_tag_is_refused_and_not_expanded() {
        for bad in ["0-4000000000", "", "a", "3-1", "0-9/0", "1,1", "5,3", "-", "1-", "99999999999"] {
            assert!(bad.parse::<Slots>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn slots_read_back_what_they_write(v in proptest::collection::btree_set(0u32..3000, 1..200)) {
            let s = Slots::new(v);
            prop_assert_eq!(&s.to_string().parse::<Slots>().unwrap(), &s);
            let parts = s.fit(60);
            prop_assert!(parts.iter().all(|p| p.to_string().len() <= 60));
            prop_assert_eq!(parts.iter().flat_map(Slots::iter).collect::<Vec<_>>(), s.iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_text_panics(s in "\\PC*") { let _ = s.parse::<Slots>(); }
    }
}
