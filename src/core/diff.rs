//! Field by field: who moved, the file or the world?
//!
//! Three values meet without a state file: what the file wishes, what the world shows, and the digest of what was
//! last applied. A field the file does not mention and we never set is nobody's business of ours.

use crate::address::Kind;
use crate::plan::Why;
use crate::schema::{self, Change, Ebs, Field, Seen};
use crate::stamp::Vector;
use crate::value::{Fields, Value};

mod disks;

/// One field's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which field.
    pub field: &'static Field,
    /// What the world shows; `None`: not observed, its digest differs from the file's.
    pub live: Option<Value>,
    /// What the file wishes.
    pub want: Value,
    /// Who moved.
    pub why: Why,
    /// For a table: keys that we set last time and the file no longer has.
    pub dropped: Vec<String>,
}

/// All answers for one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Fields that must change.
    pub fields: Vec<Difference>,
    /// Nothing differs, but the stamp says otherwise (done by hand, or an older stamp): write it anew.
    pub restamp: bool,
    /// Fields that no list showed and whose digest agrees with the file.
    pub unread: Vec<&'static str>,
    /// Fields that the file no longer names and that stay as they are.
    pub let_go: Vec<&'static str>,
    /// Fields that ask for no encryption and were launched so, and are encrypted all the same.
    pub encrypted: Vec<&'static str>,
}

impl Difference {
    /// Why only a replacement can bring it about, if so.
    pub fn forces_replacement(&self) -> Option<String> {
        match self.field.change {
            Change::Replace(why) => Some(why.to_owned()),
            Change::Live | Change::Stopped => None,
            Change::Grow => {
                let shrinks = self.want.int() < self.live.as_ref().and_then(Value::int);
                shrinks.then(|| SHRINKS.to_owned())
            }
            Change::Disks => {
                let live = self.live.as_ref().filter(|_| self.dropped.is_empty());
                disks::forces_replacement(&self.want, live).map(str::to_owned)
            }
        }
    }

    /// What a call must say to bring it about: of a preference the first, of disks what differs.
    pub fn asked(&self) -> Value {
        match self.field.change {
            Change::Stopped => self.want.list().first().unwrap_or(&self.want).clone(),
            Change::Disks => self.shown().1,
            Change::Replace(_) | Change::Live | Change::Grow => self.want.clone(),
        }
    }

    /// What the world shows and what the file wishes, as far as a change touches it: keys of a table that nobody declared
    /// stay, and are not told; of disks only what differs is.
    pub fn shown(&self) -> (Option<Value>, Value) {
        let (want, live) = (&self.want, &self.live);
        match (self.field.change, live) {
            (Change::Disks, Some(live)) => {
                let (old, new) = disks::shown(want, live, &self.dropped);
                (Some(old), new)
            }
            (_, Some(Value::Map(shown))) => {
                let wished = |key: &String| matches!(want, Value::Map(want) if want.contains_key(key));
                let told = shown.iter().filter(|(k, _)| wished(k) || self.dropped.contains(k));
                (Some(Value::Map(told.map(|(k, v)| (k.clone(), v.clone())).collect())), want.clone())
            }
            (_, live) => (live.clone(), want.clone()),
        }
    }

    /// Whether it must be stopped for it.
    pub fn needs_stop(&self) -> bool {
        match self.field.change {
            Change::Stopped => true,
            Change::Replace(_) | Change::Live | Change::Grow | Change::Disks => false,
        }
    }
}

impl Differences {
    /// Whether EBS modifies a volume for any of them, and lets it rest then.
    pub fn modify_a_volume(&self) -> bool {
        self.fields.iter().any(|d| d.field.ebs != Ebs::No)
    }
}

/// Why what should be smaller needs another machine, or another volume.
const SHRINKS: &str = "EBS cannot shrink";

/// Compares what the file wishes with what the world shows and with what was last applied (`last`; `None` where the
/// stamp cannot be read). `key` is the stack's digest key.
pub fn diff(kind: Kind, key: &str, want: &Fields, live: &Fields, last: Option<&Vector>) -> Differences {
    diff_without(None, kind, key, want, live, last)
}

/// The same, and one field is nobody's matter here, if it is named.
pub fn diff_without(
    left_out: Option<&str>,
    kind: Kind,
    key: &str,
    want: &Fields,
    live: &Fields,
    last: Option<&Vector>,
) -> Differences {
    let mut out = Differences::default();
    let placement = |f: &Field| f.name == "zone" || f.name == "subnet";
    for field in schema::fields(kind).iter().filter(|f| !placement(f) && left_out != Some(f.name)) {
        let wish = want.get(field.name).unwrap_or(&Value::Null);
        let applied = last.map(|l| l.was(field.code, key, wish));
        let Some(shown) = live.get(field.name) else {
            // Nothing shows it. Only what we applied ourselves can speak.
            match applied {
                Some(true) if !wish.is_nothing() && field.seen == Seen::Deep => out.unread.push(field.name),
                Some(true) => {}
                // A field that lists do not show and whose digest differs has moved in the file; a listed one that was
                // not shown this time (a part that could not be read) is not judged at all.
                Some(false) if field.seen != Seen::Listed => {
                    let (live, want) = (None, wish.clone());
                    out.fields.push(Difference { field, live, want, why: Why::Declared, dropped: vec![] });
                }
                Some(false) | None => out.restamp |= last.is_none(),
            }
            continue;
        };
        if wish.is_nothing() && (field.stays || last.and_then(|l| l.get(field.code)).is_none()) {
            // Of what the file names no more, the stamp must not say that it was asked for.
            if applied == Some(false) {
                out.restamp = true;
                out.let_go.push(field.name);
            }
            continue;
        }
        // Protection outlives its line in the file and is put on by hand too: only `unprotect` lifts it.
        if field.name == "protect" && wish.bool() != Some(true) {
            // Off is what a file means that says nothing.
            out.restamp |= applied == Some(false) && shown.bool() != Some(true);
            continue;
        }
        let dropped = match last {
            Some(l) if applied != Some(true) => dropped(field, l, key, wish, shown),
            Some(_) | None => vec![],
        };
        if same(field, wish, shown) && dropped.is_empty() {
            out.restamp |= applied != Some(true);
            continue;
        }
        let is_disk = matches!(field.name, "encrypted" | "root-encrypted" | "disks");
        if is_disk && applied == Some(true) && covers(wish, &plain(wish, shown)) {
            out.encrypted.push(field.name);
            continue;
        }
        let why = match (applied, last) {
            (Some(true), _) => Why::Drifted,
            (_, Some(l)) if was_live(field, l, key, wish, shown) => Why::Declared,
            // What we never set, the provider chose: its default is nobody's move.
            (_, Some(l)) if l.get(field.code).is_none() => Why::Declared,
            (_, Some(_)) => Why::Conflict,
            // Without a stamp nobody can say who moved; the file is what the user wants.
            (_, None) => Why::Declared,
        };
        out.fields.push(Difference { field, live: Some(shown.clone()), want: wish.clone(), why, dropped });
    }
    out
}

/// Whether the world fulfils the wish: a table may hold more than was asked for, a preference is fulfilled by any of
/// its list, and nothing is nothing.
fn same(field: &Field, wish: &Value, shown: &Value) -> bool {
    match field.name {
        "type" => match wish {
            Value::List(any) => any.contains(shown),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Map(_) => wish == shown,
        },
        _ => covers(wish, shown),
    }
}

fn covers(wish: &Value, shown: &Value) -> bool {
    match (wish, shown) {
        (Value::Map(w), Value::Map(s)) => w.iter().all(|(k, v)| s.get(k).is_some_and(|s| covers(v, s))),
        _ => wish == shown || (wish.is_nothing() && shown.is_nothing()) || is_key_of(wish, shown),
    }
}

/// What is shown, as if it were not encrypted where the wish says so. Nothing changes a disk's encryption after its
/// creation, and an encrypted image, or an account that encrypts by default, is so whatever is asked for.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html>
fn plain(wish: &Value, shown: &Value) -> Value {
    match (wish, shown) {
        (Value::Bool(false), Value::Bool(true)) => Value::Bool(false),
        (Value::Map(w), Value::Map(s)) => {
            let of = |(k, v): (&String, &Value)| {
                let inner = w.get(k).filter(|_| k == "encrypted" || matches!(v, Value::Map(_)));
                (k.clone(), inner.map_or_else(|| v.clone(), |w| plain(w, v)))
            };
            Value::Map(s.iter().map(of).collect())
        }
        (_, _) => shown.clone(),
    }
}

/// The world shows a KMS key by its ARN; a file may name it by its id, or by an alias, which no list resolves. A
/// volume is never replaced over a name that only looks different.
fn is_key_of(wish: &Value, shown: &Value) -> bool {
    let (Some(wish), Some(shown)) = (wish.text(), shown.text()) else { return false };
    let Some((_, id)) = shown.split_once(":key/").filter(|_| shown.contains(":kms:")) else { return false };
    wish == id || wish.starts_with("alias/") || (wish.contains(":kms:") && wish.contains(":alias/"))
}

/// Whether the world still shows what was last applied, so that the file must have moved.
fn was_live(field: &Field, last: &Vector, key: &str, wish: &Value, shown: &Value) -> bool {
    match field.name {
        // The digest is of the list of preference, any of which may have been launched.
        "type" if field.change == Change::Stopped => last.had_type(key, shown),
        _ => {
            // A table shows more than was asked for (defaults, other people's tags): compare the part that was.
            last.was(field.code, key, shown)
                || last.was(field.code, key, &masked(wish, shown))
                || parts(field, shown).any(|part| last.was(field.code, key, &part))
        }
    }
}

/// Keys of a table that were applied last time, are still there, and are no longer wished.
fn dropped(field: &Field, last: &Vector, key: &str, wish: &Value, shown: &Value) -> Vec<String> {
    let whole = std::iter::once(shown.clone());
    let applied = whole.chain(parts(field, shown)).find(|part| last.was(field.code, key, part));
    match (applied, wish) {
        (Some(Value::Map(was)), Value::Map(w)) => was.into_keys().filter(|k| !w.contains_key(k)).collect(),
        (Some(Value::Map(was)), Value::Null) => was.into_keys().collect(),
        _ => vec![],
    }
}

/// `shown`, without the keys that the wish does not mention.
fn masked(wish: &Value, shown: &Value) -> Value {
    match (wish, shown) {
        (Value::Map(w), Value::Map(s)) => {
            let inner = s.iter().filter_map(|(k, v)| Some((k.clone(), masked(w.get(k)?, v))));
            Value::Map(inner.collect())
        }
        _ => shown.clone(),
    }
}

/// The tables that an earlier file may have asked for, of what is shown.
fn parts<'v>(field: &Field, shown: &'v Value) -> Box<dyn Iterator<Item = Value> + 'v> {
    match field.name {
        "disks" => Box::new(disks::ways(shown).into_iter()),
        _ => Box::new(smaller(shown)),
    }
}

/// Every table that is `shown` with one key left out: finds the last applied tags when the file adds one tag and
/// somebody else has added another.
fn smaller(shown: &Value) -> impl Iterator<Item = Value> + '_ {
    let map = match shown {
        Value::Map(m) => Some(m),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) => None,
    };
    map.into_iter().flat_map(|m| {
        m.keys().map(move |left_out| {
            Value::Map(m.iter().filter(|(k, _)| *k != left_out).map(|(k, v)| (k.clone(), v.clone())).collect())
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn one(name: &str, v: impl Into<Value>) -> Fields {
        Fields::from([(name.to_owned(), v.into())])
    }

    fn verdict(want: &Fields, live: &Fields, applied: &Fields) -> Option<Why> {
        let last = Vector::of(Kind::Machines, "k", applied);
        diff(Kind::Machines, "k", want, live, Some(&last)).fields.first().map(|d| d.why)
    }

    #[test]
    fn three_values_tell_who_moved() {
        let f = |v: &str| one("security-groups", Value::set([v]));
        assert_eq!(verdict(&f("a"), &f("a"), &f("a")), None);
        assert_eq!(verdict(&f("a"), &f("b"), &f("a")), Some(Why::Drifted));
        assert_eq!(verdict(&f("b"), &f("a"), &f("a")), Some(Why::Declared));
        assert_eq!(verdict(&f("c"), &f("b"), &f("a")), Some(Why::Conflict));
        let last = Vector::of(Kind::Machines, "k", &f("a"));
        let by_hand = diff(Kind::Machines, "k", &f("b"), &f("b"), Some(&last));
        assert!(by_hand.fields.is_empty() && by_hand.restamp);
    }

    #[test]
    fn what_nobody_set_is_nobodys_difference() {
        assert_eq!(verdict(&Fields::new(), &one("key", "theirs"), &Fields::new()), None);
        assert_eq!(verdict(&Fields::new(), &one("key", "ours"), &one("key", "ours")), Some(Why::Declared));
        let groups = |v: &str| one("security-groups", Value::set([v]));
        assert_eq!(verdict(&groups("web"), &groups("default"), &Fields::new()), Some(Why::Declared));
    }

    #[test]
    fn an_older_stamp_restamps_and_never_replaces() {
        let f = one("image", "ami-1");
        let d = diff(Kind::Machines, "k", &f, &f, None);
        assert!(d.fields.is_empty() && d.restamp);
    }

    #[test]
    fn any_type_of_the_preference_will_do() {
        let want = one("type", Value::List(vec!["t3.small".into(), "t3a.small".into()]));
        assert_eq!(verdict(&want, &one("type", "t3a.small"), &want), None);
        assert_eq!(verdict(&want, &one("type", "m5.large"), &want), Some(Why::Drifted));
    }

    #[test]
    fn a_type_set_by_hand_is_a_conflict_where_the_file_moved_too() {
        let list = |all: &[&str]| one("type", Value::List(all.iter().map(|t| (*t).into()).collect()));
        for applied in [list(&["t3.small"]), list(&["t3.small", "t3a.small"])] {
            let new = list(&["m5.large", "m5a.large"]);
            assert_eq!(verdict(&new, &one("type", "t3.small"), &applied), Some(Why::Declared));
            assert_eq!(verdict(&new, &one("type", "t3.large"), &applied), Some(Why::Conflict));
        }
        let several = list(&["t3.small", "t3a.small"]);
        assert_eq!(verdict(&list(&["m5.large"]), &one("type", "t3a.small"), &several), Some(Why::Declared));
        assert_eq!(verdict(&list(&["t3.small"]), &one("type", "t3a.small"), &several), Some(Why::Declared));
        let volume = |want: &str, live: &str| {
            let last = Vector::of(Kind::Volumes, "k", &one("type", "gp2"));
            diff(Kind::Volumes, "k", &one("type", want), &one("type", live), Some(&last)).fields[0].why
        };
        assert_eq!((volume("gp3", "gp2"), volume("gp3", "io1")), (Why::Declared, Why::Conflict));
    }

    #[test]
    fn keys_that_nobody_declared_are_not_told() {
        let tags = |all: &[(&str, &str)]| {
            one("tags", Value::Map(all.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect()))
        };
        let told = |want: &Fields, applied: &Fields| {
            let live = tags(&[("team", "a"), ("old", "x"), ("CostCenter", "42")]);
            let d = diff(Kind::Machines, "k", want, &live, Some(&Vector::of(Kind::Machines, "k", applied)));
            d.fields[0].shown().0.unwrap()
        };
        let both = tags(&[("team", "a"), ("old", "x")]);
        assert_eq!(told(&tags(&[("team", "b"), ("old", "x")]), &both), both["tags"]);
        assert_eq!(told(&tags(&[("team", "a")]), &both), both["tags"], "what goes is told");
        assert_eq!(told(&tags(&[("team", "b")]), &tags(&[("team", "b")])), tags(&[("team", "a")])["tags"]);
    }

    #[test]
    fn what_the_file_leaves_to_ec2_again_stays_as_it_is_and_only_the_stamp_moves() {
        let kinds = [Kind::Machines, Kind::Volumes];
        let fields = kinds.into_iter().flat_map(|kind| schema::fields(kind).iter().map(move |f| (kind, f)));
        let staying: Vec<_> = fields.filter(|(_, f)| f.stays).collect();
        assert_eq!(staying.len(), 11);
        for (kind, field) in staying {
            let live = one(field.name, 6000_u32);
            let last = Vector::of(kind, "k", &live);
            let d = diff(kind, "k", &one(field.name, Value::Null), &live, Some(&last));
            assert!(d.fields.is_empty() && d.restamp && d.let_go == [field.name], "{}: {d:?}", field.name);
            let none = Vector::of(kind, "k", &Fields::new());
            let d = diff(kind, "k", &one(field.name, Value::Null), &live, Some(&none));
            assert_eq!(d, Differences::default(), "{}", field.name);
        }
        // A group of disks that the file no longer has is another matter.
        let disks = one("disks", Value::Map(BTreeMap::from([("/dev/sdb".into(), Value::Map(BTreeMap::new()))])));
        let last = Vector::of(Kind::Machines, "k", &disks);
        assert_eq!(diff(Kind::Machines, "k", &Fields::new(), &disks, Some(&last)).fields.len(), 1);
    }

    #[test]
    fn given_up_protection_is_no_difference() {
        let last = Vector::of(Kind::Volumes, "k", &one("protect", true));
        for (live, restamp) in [(true, false), (false, true)] {
            let d = diff(Kind::Volumes, "k", &one("protect", Value::Null), &one("protect", live), Some(&last));
            assert_eq!((d.fields.len(), d.restamp), (0, restamp));
        }
    }

    #[test]
    fn an_account_that_encrypts_whatever_is_asked_for_is_no_drift() {
        let disk = |encrypted: bool, size: u32| {
            let disk = BTreeMap::from([("encrypted".to_owned(), encrypted.into()), ("size".to_owned(), size.into())]);
            Value::Map(BTreeMap::from([("/dev/sdb".to_owned(), Value::Map(disk))]))
        };
        for (kind, name, plain, sealed) in [
            (Kind::Machines, "root-encrypted", false.into(), true.into()),
            (Kind::Volumes, "encrypted", false.into(), true.into()),
            (Kind::Machines, "disks", disk(false, 10), disk(true, 10)),
        ] {
            let (want, live) = (one(name, plain), one(name, sealed));
            let d = diff(kind, "k", &want, &live, Some(&Vector::of(kind, "k", &want)));
            assert_eq!((d.fields.len(), d.encrypted.as_slice()), (0, &[name][..]));
            // Whoever had asked for encryption and asks for none now has changed the file.
            let d = diff(kind, "k", &want, &live, Some(&Vector::of(kind, "k", &live)));
            assert_eq!((d.fields.len(), d.encrypted.len()), (1, 0), "{name}");
            assert!(d.fields[0].forces_replacement().is_some());
            // What was asked for and is not encrypted is drift.
            assert_eq!(diff(kind, "k", &live, &want, Some(&Vector::of(kind, "k", &live))).fields.len(), 1, "{name}");
        }
        let (want, live) = (one("disks", disk(false, 10)), one("disks", disk(true, 20)));
        let d = diff(Kind::Machines, "k", &want, &live, Some(&Vector::of(Kind::Machines, "k", &want)));
        assert_eq!(d.fields.len(), 1, "its size has moved as well");
    }

    #[test]
    fn tags_of_other_people_are_left_alone() {
        let tags = |all: &[(&str, &str)]| {
            one("tags", Value::Map(all.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect::<BTreeMap<_, _>>()))
        };
        let ours = tags(&[("team", "a")]);
        assert_eq!(verdict(&ours, &tags(&[("team", "a"), ("backup", "yes")]), &ours), None);
        assert_eq!(verdict(&ours, &tags(&[("team", "b"), ("backup", "yes")]), &ours), Some(Why::Drifted));
        let more = tags(&[("team", "a"), ("cost", "1")]);
        assert_eq!(verdict(&more, &tags(&[("team", "a"), ("backup", "yes")]), &ours), Some(Why::Declared));
    }

    #[test]
    fn a_tag_that_the_file_drops_is_taken_away_and_no_other() {
        let tags = |all: &[&str]| one("tags", Value::Map(all.iter().map(|k| ((*k).to_owned(), "x".into())).collect()));
        let last = Vector::of(Kind::Machines, "k", &tags(&["a", "b"]));
        for live in [tags(&["a", "b"]), tags(&["a", "b", "theirs"])] {
            let d = diff(Kind::Machines, "k", &tags(&["a"]), &live, Some(&last));
            assert_eq!((d.fields[0].why, d.fields[0].dropped.clone()), (Why::Declared, vec!["b".to_owned()]));
        }
    }

    #[test]
    fn a_field_that_no_list_shows_is_judged_by_its_digest() {
        let (a, b) = (one("user-data", "digest-a"), one("user-data", "digest-b"));
        let last = Vector::of(Kind::Machines, "k", &a);
        let same = diff(Kind::Machines, "k", &a, &Fields::new(), Some(&last));
        assert_eq!((same.fields.len(), same.unread), (0, vec!["user-data"]));
        let moved = diff(Kind::Machines, "k", &b, &Fields::new(), Some(&last));
        assert_eq!(moved.fields[0].why, Why::Declared);
        assert_eq!(moved.fields[0].forces_replacement().as_deref(), Some("boot scripts run at the first boot only"));
        let part = one("root-size", 8u32);
        let unseen =
            diff(Kind::Machines, "k", &part, &Fields::new(), Some(&Vector::of(Kind::Machines, "k", &Fields::new())));
        assert!(unseen.fields.is_empty(), "a root disk that could not be read is not judged");
    }

    #[test]
    fn a_key_is_one_by_any_of_its_names() {
        let arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab";
        let key = |name: &str| one("kms-key", name);
        let differs = |wish: &str| {
            let last = Vector::of(Kind::Volumes, "k", &key(wish));
            !diff(Kind::Volumes, "k", &key(wish), &key(arn), Some(&last)).fields.is_empty()
        };
        for same in [arn, "1234abcd-12ab", "alias/data", "arn:aws:kms:us-east-1:123456789012:alias/data"] {
            assert!(!differs(same), "{same}");
        }
        for other in ["1234abcd", "arn:aws:kms:us-east-1:123456789012:key/other", "other"] {
            assert!(differs(other), "{other}");
        }
    }

    #[test]
    fn protection_is_put_on_and_never_taken_off() {
        let f = |on: bool| one("protect", on);
        assert_eq!(verdict(&f(true), &f(false), &f(false)), Some(Why::Declared));
        assert_eq!(verdict(&f(true), &f(false), &f(true)), Some(Why::Drifted));
        assert_eq!(verdict(&f(false), &f(true), &f(true)), None, "it outlives its line in the file");
        assert_eq!(verdict(&f(false), &f(true), &f(false)), None, "it was put on by hand");
    }

    #[test]
    fn a_disk_only_grows() {
        let d = |want: u32, live: u32| {
            let last = Vector::of(Kind::Volumes, "k", &one("size", live));
            diff(Kind::Volumes, "k", &one("size", want), &one("size", live), Some(&last)).fields[0].forces_replacement()
        };
        assert_eq!(d(20, 10), None);
        assert_eq!(d(10, 20).as_deref(), Some("EBS cannot shrink"));
    }
}
