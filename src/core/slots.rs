//! The slots of one launch as a short text that fits a tag: `0-999/3,7`.
//!
//! `AmiLaunchIndex` picks the entry, so the order is part of the value.

use std::fmt;
use std::str::FromStr;

use crate::text::as_text;

/// An ordered list of slots. Strictly ascending, so that equal sets have equal text and equal tokens.
///
/// Kept as the runs that its text shows: every machine of a batch bears the slots of all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slots(Vec<Run>);

/// `from`, and every `step`-th slot after it up to and with `to`. One slot alone has step 0, two neighbours are a run,
/// two others are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Run {
    from: u32,
    to: u32,
    step: u32,
}

/// More than EC2 ever launches in a call; a bound on what a hostile tag can make us allocate.
const MOST: u32 = 10_000;

impl Run {
    /// How many slots; at least 1.
    fn len(self) -> u32 {
        (self.to - self.from).checked_div(self.step).unwrap_or(0) + 1
    }

    fn slots(self) -> impl Iterator<Item = u32> {
        // At most `to`, and so without overflow.
        (0..self.len()).map(move |n| self.from + n * self.step)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            0 => write!(f, "{}", self.from),
            1 => write!(f, "{}-{}", self.from, self.to),
            step => write!(f, "{}-{}/{step}", self.from, self.to),
        }
    }
}

impl Slots {
    /// The slots, sorted, each once.
    pub fn new(slots: impl IntoIterator<Item = u32>) -> Self {
        let mut slots: Vec<_> = slots.into_iter().collect();
        slots.sort_unstable();
        slots.dedup();
        Self::ascending(&slots)
    }

    /// The longest run of equal steps from each slot that no run has yet.
    fn ascending(s: &[u32]) -> Self {
        let mut runs = Vec::new();
        let mut i = 0;
        while i < s.len() {
            let step = s.get(i + 1).map_or(0, |n| n - s[i]);
            let mut j = i;
            while j + 1 < s.len() && s[j + 1] - s[j] == step {
                j += 1;
            }
            // A run of two is worth it only when they are neighbours.
            if j - i < 2 && (j == i || step != 1) {
                runs.push(Run { from: s[i], to: s[i], step: 0 });
                i += 1;
            } else {
                runs.push(Run { from: s[i], to: s[j], step });
                i = j + 1;
            }
        }
        Self(runs)
    }

    /// The slot of the instance with this `AmiLaunchIndex`.
    pub fn get(&self, index: u32) -> Option<u32> {
        let mut before = 0;
        for run in &self.0 {
            let at = index - before;
            if at < run.len() {
                return Some(run.from + at * run.step);
            }
            before += run.len();
        }
        None
    }

    /// How many.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|run| run.len()).sum()
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|run| run.slots())
    }

    /// Cut into lists whose text has at most `width` characters each (a tag value holds 256 in all).
    pub fn fit(&self, width: usize) -> Vec<Self> {
        if self.len() < 2 || self.to_string().len() <= width {
            return vec![self.clone()];
        }
        let all: Vec<u32> = self.iter().collect();
        let (a, b) = all.split_at(all.len() / 2);
        let mut parts = Self::ascending(a).fit(width);
        parts.extend(Self::ascending(b).fit(width));
        parts
    }
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, run) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            run.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Slots {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a list of slots such as 0-5,9");
        let number = |s: &str| s.parse::<u32>().map_err(|_| bad());
        let mut runs: Vec<Run> = Vec::new();
        let mut count = 0;
        for part in text.split(',') {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let (from, to, step) = (number(from)?, number(to)?, number(step)?);
            let follows = runs.last().is_none_or(|last| last.to < from);
            if step == 0 || to < from || (to - from) / step >= MOST || !follows {
                return Err(bad());
            }
            let run = Run { from, to: to - (to - from) % step, step };
            count += run.len();
            if count > MOST {
                return Err(bad());
            }
            runs.push(run);
        }
        // One long run is what nearly every mark says. Whatever else stands there is brought into the one form that its
        // slots have.
        match runs.as_slice() {
            [one] if one.len() > 2 => Ok(Self(runs)),
            _ => Ok(Self::ascending(&runs.iter().flat_map(|run| run.slots()).collect::<Vec<_>>())),
        }
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
        for bad in [
            "0-4294967295",
            "0-9999,20000",
            "0-4000000000",
            "",
            "a",
            "3-1",
            "0-9/0",
            "1,1",
            "5,3",
            "-",
            "1-",
            "99999999999",
        ] {
            assert!(bad.parse::<Slots>().is_err(), "{bad}");
        }
    }

    #[test]
    fn other_words_for_the_same_slots_are_the_same() {
        for (text, same) in [("0,1,2", "0-2"), ("0-1,2-3", "0-3"), ("0-2/2", "0,2"), ("5-5", "5"), ("0-5/2", "0-4/2")] {
            assert_eq!(text.parse::<Slots>().unwrap(), same.parse().unwrap(), "{text}");
            assert_eq!(text.parse::<Slots>().unwrap().to_string(), same);
        }
    }

    proptest! {
        #[test]
        fn slots_read_back_what_they_write(v in proptest::collection::btree_set(0u32..3000, 1..200)) {
            let s = Slots::new(v.clone());
            prop_assert_eq!(s.iter().collect::<Vec<_>>(), v.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(s.len() as usize, v.len());
            for (n, slot) in (0..).zip(&v) {
                prop_assert_eq!(s.get(n), Some(*slot));
            }
            prop_assert_eq!(s.get(s.len()), None);
            prop_assert_eq!(&s.to_string().parse::<Slots>().unwrap(), &s);
            let parts = s.fit(60);
            prop_assert!(parts.iter().all(|p| p.to_string().len() <= 60));
            prop_assert_eq!(parts.iter().flat_map(Slots::iter).collect::<Vec<_>>(), s.iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_text_panics(s in "\\PC*") { let _ = s.parse::<Slots>(); }
    }
}
