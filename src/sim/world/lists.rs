//! Lists: filters, pages, and the promise that their order means nothing.
//!
//! Items come in an order drawn from the seed and each item's id, so that no caller can lean on it.

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{Filter, Page, Query, Tags};

use super::World;
use crate::dice::fingerprint;
use crate::refusal::{bad_value, invalid};

/// Filter values in one request: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html>
const MOST_FILTER_VALUES: usize = 200;

/// A thing that can be listed.
pub(super) trait Listed {
    /// Its id.
    fn id(&self) -> &str;
    /// Its tags, where tags can be filtered by.
    fn tags(&self) -> Option<&Tags>;
    /// Its values of a filter; `None` when there is no such filter here.
    fn field(&self, filter: &str) -> Option<Vec<String>>;
    /// Every filter that [`Listed::field`] knows, so that an empty list refuses the same filters as a full one.
    const FILTERS: &'static [&'static str];
    /// Tags can be filtered by.
    const TAGGED: bool = true;
}

impl World {
    /// The page that `query` (a checked one) asks for, of the objects with these ids; `show` gives `None` for one nobody can see.
    pub(super) fn page<'a, T: Listed>(
        &self,
        query: &'a Query,
        all: impl Iterator<Item = &'a String>,
        mut show: impl FnMut(&str) -> Option<T>,
    ) -> Result<Page<T>, Failure> {
        let place = |id: &str| (fingerprint(id) ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let ids: Vec<&str> = if query.ids.is_empty() {
            all.map(String::as_str).collect()
        } else {
            query.ids.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let mut ids: Vec<(u64, &str)> = ids.into_iter().map(|id| (place(id), id)).collect();
        ids.sort_unstable();
        let this_query = fingerprint(&format!("{} {:?}", T::FILTERS.join(","), query.filters));
        if let Some(token) = &query.next_token {
            let last = read_token(token, this_query)?;
            // An empty place is the list's beginning.
            if !last.is_empty() {
                ids.retain(|(at, id)| (*at, *id) > (place(&last), last.as_str()));
            }
        }
        if self.weather.empty_page && query.max_results.is_some() && !ids.is_empty() {
            // An empty page that is not the end: the same place again.
            let before = query.next_token.clone().unwrap_or_else(|| write_token("", this_query));
            return Ok(Page { items: Vec::new(), next_token: Some(before) });
        }
        let size = query.max_results.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0));
        let mut matching = ids
            .into_iter()
            .filter_map(|(_, id)| show(id))
            .filter(|item| query.filters.iter().all(|f| matches(item, f)));
        let items: Vec<T> = matching.by_ref().take(size).collect();
        let more = matching.next().is_some() && !self.weather.cut_pages;
        let next_token = items.last().filter(|_| more).map(|last| write_token(last.id(), this_query));
        Ok(Page { items, next_token })
    }
}

/// Whether EC2 takes this query at all; asked before it is looked at what there is.
pub(super) fn check_query<T: Listed>(query: &Query) -> Result<(), Failure> {
    if !query.ids.is_empty() && (query.max_results.is_some() || query.next_token.is_some()) {
        return invalid("InvalidParameterCombination", "Pages and ids cannot be asked for together.");
    }
    if let Some(n) = query.max_results
        && !(5..=1000).contains(&n)
    {
        return bad_value(format!(
            "Value ( {n} ) for parameter maxResults is invalid. Expecting a value from 5 to 1000."
        ));
    }
    if query.filters.iter().map(|f| f.values.len()).sum::<usize>() > MOST_FILTER_VALUES {
        return invalid("FilterLimitExceeded", format!("More than {MOST_FILTER_VALUES} filter values."));
    }
    for f in &query.filters {
        let tag = f.name == "tag-key" || f.name.starts_with("tag:");
        if !(T::FILTERS.contains(&f.name.as_str()) || T::TAGGED && tag) {
            return bad_value(format!("The filter '{}' is invalid", f.name));
        }
        if f.values.is_empty() {
            return invalid("InvalidRequest", format!("The filter '{}' has no value", f.name));
        }
    }
    Ok(())
}

fn matches<T: Listed>(item: &T, filter: &Filter) -> bool {
    let any = |value: &str| filter.values.iter().any(|pattern| like(pattern, value));
    if filter.name == "tag-key" {
        return item.tags().is_some_and(|t| t.keys().any(|k| any(k)));
    }
    if let Some(key) = filter.name.strip_prefix("tag:") {
        return item.tags().and_then(|t| t.get(key)).is_some_and(|v| any(v));
    }
    item.field(&filter.name).is_some_and(|values| values.iter().any(|v| any(v)))
}

/// EC2's patterns: `*` is any text, `?` one character, `\` takes their meaning away.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<(char, bool)> = {
        let mut marked = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            marked.push(match c {
                '\\' => (chars.next().unwrap_or('\\'), false),
                c => (c, c == '*' || c == '?'),
            });
        }
        marked
    };
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how much of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(('*', true)) => {
                star = Some((p, t));
                p += 1;
            }
            Some((c, wild)) if (*wild && *c == '?') || *c == text[t] && !(*wild && *c == '*') => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == ('*', true))
}

fn write_token(last: &str, query: u64) -> String {
    BASE64URL_NOPAD.encode(format!("{query:016x}{last}").as_bytes())
}

fn read_token(token: &str, query: u64) -> Result<String, Failure> {
    let text = BASE64URL_NOPAD.decode(token.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
    match text.as_deref().and_then(|t| t.strip_prefix(&format!("{query:016x}"))) {
        Some(last) => Ok(last.to_owned()),
        None => invalid("InvalidNextToken", "The token is not one of this list's."),
    }
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn patterns_are_ec2s() {
        for (pattern, text, yes) in [
            ("*", "", true),
            ("web", "web", true),
            ("web", "webs", false),
            ("al2023-ami-2023.*-x86_64", "al2023-ami-2023.9.1-kernel-6.1-x86_64", true),
            ("al2023-ami-2023.*-x86_64", "al2023-ami-2023.9.1-kernel-6.1-arm64", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            ("*a", "baab", false),
        ] {
            assert_eq!(like(pattern, text), yes, "{pattern} {text}");
        }
    }
}
