//! The disks that die with a machine, by device: which differences EBS makes live, and what an earlier file asked for.

use std::collections::BTreeMap;

use super::{SHRINKS, covers};
use crate::value::{Fields, Value};

/// Why other disks need another machine.
const LAUNCHED: &str = "EC2 attaches the disks of a machine at its launch only";
/// Why an encrypted disk, or one with another key, does.
const CREATED: &str = "EBS sets it at creation only";

/// Of more disks than so many nobody works out which an earlier file asked for: each makes it 33 times as many ways.
const MOST_DISKS: usize = 3;

/// Why only a replacement brings these disks about, if so. `live`: what the world shows, if the file has dropped none of
/// it.
pub(super) fn forces_replacement(want: &Value, live: Option<&Value>) -> Option<&'static str> {
    let (Value::Map(want), Some(Value::Map(live))) = (want, live) else { return Some(LAUNCHED) };
    want.iter().find_map(|(device, wish)| {
        let (Value::Map(wish), Some(Value::Map(is))) = (wish, live.get(device)) else { return Some(LAUNCHED) };
        unlike(wish, is).find_map(|(key, v)| match key.as_str() {
            "size" => (v.int() < is.get("size").and_then(Value::int)).then_some(SHRINKS),
            "type" | "iops" | "throughput" => None,
            _ => Some(CREATED),
        })
    })
}

/// What the world shows of what differs, and what is wished of it, by device and key; `dropped` devices with all that they
/// are.
pub(super) fn shown(want: &Value, live: &Value, dropped: &[String]) -> (Value, Value) {
    let (mut old, mut new) = (Fields::new(), Fields::new());
    let of = |all: &Value, device: &str| match all {
        Value::Map(all) => all.get(device).cloned(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) => None,
    };
    let wished: Vec<&String> = if let Value::Map(want) = want { want.keys().collect() } else { vec![] };
    for device in wished {
        match (of(want, device), of(live, device)) {
            (Some(Value::Map(wish)), Some(Value::Map(is))) => {
                let differing: Vec<_> = unlike(&wish, &is).collect();
                if differing.is_empty() {
                    continue;
                }
                let was = differing.iter().map(|(k, _)| ((*k).clone(), is.get(*k).cloned().unwrap_or(Value::Null)));
                old.insert(device.clone(), Value::Map(was.collect()));
                let then = differing.into_iter().map(|(k, v)| (k.clone(), v.clone()));
                new.insert(device.clone(), Value::Map(then.collect()));
            }
            (wish, _) => new.extend(wish.map(|w| (device.clone(), w))),
        }
    }
    old.extend(dropped.iter().filter_map(|d| Some((d.clone(), of(live, d)?))));
    (Value::Map(old), Value::Map(new))
}

/// The keys of a disk that are not as wished.
fn unlike<'w>(wish: &'w Fields, is: &'w Fields) -> impl Iterator<Item = (&'w String, &'w Value)> {
    wish.iter().filter(|(key, v)| !is.get(*key).is_some_and(|is| covers(v, is)))
}

/// Every way to have asked for some of the disks that are shown: the list tells more of a disk than a file must. None
/// where there are too many of them.
pub(super) fn ways(shown: &Value) -> Vec<Value> {
    let Value::Map(devices) = shown else { return vec![] };
    if devices.len() > MOST_DISKS {
        return vec![];
    }
    let mut all: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new()];
    for (device, disk) in devices {
        let Value::Map(told) = disk else { return vec![] };
        let told: Vec<_> = told.iter().filter(|(_, v)| !v.is_nothing()).collect();
        let asked = (0..1_usize << told.len()).map(|chosen| {
            let some = told.iter().enumerate().filter(|(i, _)| chosen >> i & 1 == 1).map(|(_, (k, v))| (*k, *v));
            Value::Map(some.map(|(k, v)| (k.clone(), v.clone())).collect())
        });
        // A disk has a size.
        let asked: Vec<Value> = asked.filter(|d| matches!(d, Value::Map(m) if m.contains_key("size"))).collect();
        let with = all.iter().flat_map(|before| {
            asked.iter().map(move |d| {
                let mut more = before.clone();
                more.insert(device.clone(), d.clone());
                more
            })
        });
        let with: Vec<_> = with.collect();
        all.extend(with);
    }
    all.into_iter().filter(|disks| !disks.is_empty()).map(Value::Map).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Kind;
    use crate::diff::{Differences, diff};
    use crate::plan::Why;
    use crate::stamp::Vector;

    fn table(keys: &[(&str, Value)]) -> Value {
        Value::Map(keys.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    fn one(disks: Value) -> Fields {
        Fields::from([("disks".to_owned(), disks)])
    }

    fn compared(want: Value, live: Value, last: Value) -> Differences {
        diff(Kind::Machines, "k", &one(want), &one(live), Some(&Vector::of(Kind::Machines, "k", &one(last))))
    }

    #[test]
    fn ebs_grows_and_speeds_up_a_disk_in_place_and_only_what_differs_is_asked_for() {
        let told = |size: u32, iops: u32| {
            table(&[("size", size.into()), ("type", "gp3".into()), ("iops", iops.into()), ("encrypted", false.into())])
        };
        let asked = |size: u32| table(&[("size", size.into()), ("type", "gp3".into())]);
        let live = || table(&[("/dev/sdf", told(20, 3000)), ("/dev/sdg", told(5, 3000))]);
        let last = || table(&[("/dev/sdf", asked(20)), ("/dev/sdg", asked(5))]);
        let change = |want: Value| {
            let d = compared(want, live(), last());
            let [change] = d.fields.as_slice() else { panic!("{d:?}") };
            assert_eq!(change.why, Why::Declared);
            let (_, new) = change.shown();
            if change.forces_replacement().is_none() {
                assert_eq!(new, change.asked(), "what is told is what is asked for");
            }
            (change.forces_replacement(), change.asked())
        };
        let fast = table(&[("size", 20_u32.into()), ("type", "gp3".into()), ("iops", 6000_u32.into())]);
        for (disk, part) in [(asked(30), ("size", 30_u32.into())), (fast, ("iops", 6000_u32.into()))] {
            let (forced, asks) = change(table(&[("/dev/sdf", disk), ("/dev/sdg", asked(5))]));
            assert_eq!((forced, asks), (None, table(&[("/dev/sdf", table(&[part]))])));
        }
        let secret = table(&[("size", 20_u32.into()), ("type", "gp3".into()), ("encrypted", true.into())]);
        for (disks, because) in [
            (table(&[("/dev/sdf", asked(10)), ("/dev/sdg", asked(5))]), SHRINKS),
            (table(&[("/dev/sdf", secret), ("/dev/sdg", asked(5))]), CREATED),
            (table(&[("/dev/sdf", asked(20)), ("/dev/sdg", asked(5)), ("/dev/sdh", asked(5))]), LAUNCHED),
            (table(&[("/dev/sdf", asked(30))]), LAUNCHED),
        ] {
            assert_eq!(change(disks).0.as_deref(), Some(because));
        }
    }

    #[test]
    fn a_disk_that_the_file_no_longer_has_is_the_files_change() {
        let told = |size: u32| {
            table(&[
                ("size", size.into()),
                ("type", "gp3".into()),
                ("iops", 3000_u32.into()),
                ("encrypted", false.into()),
            ])
        };
        let asked = |size: u32| table(&[("size", size.into()), ("type", "gp3".into())]);
        let live = one(table(&[("/dev/sdf", told(20)), ("/dev/sdg", told(5))]));
        let both = one(table(&[("/dev/sdf", asked(20)), ("/dev/sdg", asked(5))]));
        let last = Vector::of(Kind::Machines, "k", &both);
        for (want, dropped) in [
            (one(table(&[("/dev/sdg", asked(5))])), vec!["/dev/sdf"]),
            (one(Value::Null), vec!["/dev/sdf", "/dev/sdg"]),
        ] {
            let d = diff(Kind::Machines, "k", &want, &live, Some(&last));
            let [change] = d.fields.as_slice() else { panic!("{d:?}") };
            assert_eq!(
                (change.why, change.dropped.clone()),
                (Why::Declared, dropped.into_iter().map(str::to_owned).collect())
            );
            assert!(change.forces_replacement().is_some() && change.shown().0.is_some_and(|t| !t.is_nothing()));
        }
        // A disk of the image's own was never asked for.
        let own = Vector::of(Kind::Machines, "k", &one(table(&[("/dev/sdg", asked(5))])));
        let want = one(table(&[("/dev/sdg", table(&[("size", 5_u32.into())]))]));
        let d = diff(Kind::Machines, "k", &want, &live, Some(&own));
        assert!(d.fields.is_empty() && d.restamp, "{d:?}");
    }
}
