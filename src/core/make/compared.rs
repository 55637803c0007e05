//! What looks alike is held against the file once.
//!
//! Ten thousand machines of a group show three or four different sets of fields; comparing one set takes a keyed digest
//! a field. It decides nothing: the answer is [`diff_without`]'s.

use crate::address::Kind;
use crate::diff::{Differences, diff_without};
use crate::shared::Shared;
use crate::stamp::Vector;
use crate::value::Fields;

/// Looking through more than these would cost more than it saves.
const MOST: usize = 64;

/// Comparisons that were made.
#[derive(Default)]
pub(crate) struct Compared(Vec<One>);

struct One {
    left_out: Option<&'static str>,
    want: Shared<Fields>,
    live: Shared<Fields>,
    last: Option<Shared<Vector>>,
    answer: Differences,
}

impl Compared {
    /// As [`diff_without`]. What is wished, shown and stamped is told apart by where it is kept: equals that are not
    /// shared are compared again.
    pub(super) fn diff(
        &mut self,
        left_out: Option<&'static str>,
        kind: Kind,
        key: &str,
        want: &Shared<Fields>,
        live: &Shared<Fields>,
        last: Option<&Shared<Vector>>,
    ) -> Differences {
        let same = |one: &&One| {
            let stamped = match (&one.last, last) {
                (Some(a), Some(b)) => a.is(b),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            stamped && one.left_out == left_out && one.want.is(want) && one.live.is(live)
        };
        if let Some(known) = self.0.iter().find(same) {
            return known.answer.clone();
        }
        let answer = diff_without(left_out, kind, key, want, live, last.map(|v| &**v));
        if self.0.len() < MOST {
            let (want, live, last) = (want.clone(), live.clone(), last.cloned());
            self.0.push(One { left_out, want, live, last, answer: answer.clone() });
        }
        answer
    }
}
