//! A request's parameters, taken out one by one. What nobody took was not understood, and is refused: a front that
//! ignored a parameter would pretend to have done what it did not.

use std::collections::BTreeMap;
use std::str::FromStr;

use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{Filter, Query, Tags};

use crate::limits;

/// Parameters by name; those of a structure or list element have the names they have inside it.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// `Placement.`, `Filter.2.`, or nothing.
    within: String,
    values: BTreeMap<String, String>,
}

pub(crate) fn refuse<T>(code: &str, says: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::new(Class::Invalid, code, says))
}

impl Form {
    /// Reads a form-encoded text.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Failure> {
        let mut values = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(text) {
            if values.len() == limits::PARAMETERS {
                return refuse("InvalidParameterValue", format!("More than {} parameters.", limits::PARAMETERS));
            }
            if values.insert(key.to_string(), value.into_owned()).is_some() {
                return refuse("InvalidQueryParameter", format!("The parameter {key} is given twice."));
            }
        }
        Ok(Self { within: String::new(), values })
    }

    /// The parameter, if it is given.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    /// The parameter, which must be given.
    pub(crate) fn need(&mut self, name: &str) -> Result<String, Failure> {
        match self.take(name) {
            Some(value) => Ok(value),
            None => {
                let name = format!("{}{name}", self.within);
                refuse("MissingParameter", format!("The request must contain the parameter {name}"))
            }
        }
    }

    /// A number, or `true` and `false`, if it is given.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => {
                let name = format!("{}{name}", self.within);
                refuse("InvalidParameterValue", format!("Value ({text}) for parameter {name} is invalid."))
            }
        }
    }

    /// `true` or `false`, or false where it is not given.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        Ok(self.parsed(name)?.unwrap_or(false))
    }

    /// The structure of this name; empty where no part of it is given.
    pub(crate) fn part(&mut self, name: &str) -> Self {
        let prefix = format!("{name}.");
        let inside = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
        let keys: Vec<String> = self.values.keys().filter(|k| inside(k).is_some()).cloned().collect();
        let move_in = |key: String| Some((inside(&key)?, self.values.remove(&key)?));
        Self { values: keys.into_iter().filter_map(move_in).collect(), within: format!("{}{prefix}", self.within) }
    }

    /// The structures `name.1`, `name.2` …, in the order of their numbers.
    pub(crate) fn parts(&mut self, name: &str) -> Vec<Self> {
        let mut all = self.part(name);
        let number = |key: &String| key.split('.').next().and_then(|n| n.parse::<u32>().ok());
        let mut numbers: Vec<u32> = all.values.keys().filter_map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let parts = numbers.into_iter().map(|n| all.part(&n.to_string())).collect();
        self.give_back(name, all);
        parts
    }

    /// The values `name.1`, `name.2` …, in the order of their numbers.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let mut all = self.part(name);
        let mut numbers: Vec<(u32, String)> =
            all.values.keys().filter_map(|key| Some((key.parse().ok()?, key.clone()))).collect();
        numbers.sort_unstable();
        let values = numbers.into_iter().filter_map(|(_, key)| all.values.remove(&key)).collect();
        self.give_back(name, all);
        values
    }

    /// What was no element of the list stays to be refused.
    fn give_back(&mut self, name: &str, rest: Self) {
        self.values.extend(rest.values.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
    }

    /// No part of this structure is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// `Filter.N`.
    pub(crate) fn filters(&mut self) -> Result<Vec<Filter>, Failure> {
        let one = |mut f: Self| {
            let filter = Filter { name: f.need("Name")?, values: f.list("Value") };
            f.end().map(|()| filter)
        };
        self.parts("Filter").into_iter().map(one).collect()
    }

    /// `name.N` as ids, with filters and page.
    pub(crate) fn query(&mut self, ids: &str) -> Result<Query, Failure> {
        Ok(Query {
            ids: self.list(ids),
            filters: self.filters()?,
            max_results: self.parsed("MaxResults")?,
            next_token: self.take("NextToken"),
        })
    }

    /// `Tag.N`.
    pub(crate) fn tags(&mut self) -> Result<Tags, Failure> {
        let mut tags = Tags::new();
        for mut tag in self.parts("Tag") {
            let key = tag.need("Key")?;
            let value = tag.take("Value").unwrap_or_default();
            tag.end()?;
            if tags.insert(key.clone(), value).is_some() {
                return refuse("InvalidParameterValue", format!("Duplicate tag key '{key}' specified."));
            }
        }
        Ok(tags)
    }

    /// Nothing is left that nobody understood.
    pub(crate) fn end(self) -> Result<(), Failure> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(key) => {
                refuse("UnknownParameter", format!("The parameter {}{key} is not recognized here", self.within))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_the_order_of_their_numbers_and_structures_keep_their_parts() {
        let text = b"Id.10=c&Id.2=b&Id.1=a%20a&Filter.1.Name=tag%3Ax&Filter.1.Value.1=1&Filter.1.Value.2=2&P.Zone=z";
        let mut form = Form::parse(text).unwrap();
        assert_eq!(form.list("Id"), ["a a", "b", "c"]);
        assert_eq!(form.filters().unwrap(), [Filter { name: "tag:x".into(), values: vec!["1".into(), "2".into()] }]);
        assert_eq!(form.part("P").take("Zone").as_deref(), Some("z"));
        assert_eq!(form.end(), Ok(()));
    }

    #[test]
    fn what_nobody_took_is_refused_by_its_whole_name() {
        for (text, name) in [("A.B.1=x", "A.B.1"), ("Tag.1.Key=k&Tag.1.Colour=red", "Tag.1.Colour"), ("Id.x=1", "Id.x")]
        {
            let mut form = Form::parse(text.as_bytes()).unwrap();
            form.list("Id");
            let refused = form.tags().map(drop).and_then(|()| form.end()).unwrap_err();
            assert!(refused.code == "UnknownParameter" && refused.says.contains(name), "{text}: {refused}");
        }
    }

    #[test]
    fn a_parameter_given_twice_or_of_another_type_is_refused() {
        assert_eq!(Form::parse(b"A=1&A=2").unwrap_err().code, "InvalidQueryParameter");
        let mut form = Form::parse(b"MaxResults=many").unwrap();
        assert_eq!(form.query("Id").unwrap_err().code, "InvalidParameterValue");
        assert_eq!(Form::default().need("Id").unwrap_err().code, "MissingParameter");
    }
}
