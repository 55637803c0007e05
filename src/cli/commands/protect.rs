//! `protect` and `unprotect`: the mark on the live object that no file can take away.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use evenkeel_core::address::{Address, Group, Kind, ObjectName, is_name};
use evenkeel_core::applyset;
use evenkeel_core::observed::Live;
use evenkeel_core::plan::{Call, ObjectDoes, OnObject};
use evenkeel_core::ready::members;
use evenkeel_core::value::{Fields, Value};
use evenkeel_engine::provider::Payloads;

use super::run::lock;
use crate::args::{self, Global};
use crate::exit::{Ends, Exit, Halt};
use crate::look::look;
use crate::out::Out;
use crate::project::Project;
use crate::session::{Session, block_on};

/// `protect`, or `unprotect` with `on` false.
pub fn run(global: &Global, args: &args::Protect, on: bool, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    let wanted = args.addresses.iter().map(|a| Which::read(a)).collect::<Result<Vec<_>, _>>()?;
    block_on(global, async {
        let session = Session::open(global, &project).await?;
        let _held = lock(&project, &args::Run::default(), None, out).await?;
        let seen = look(&session, &project, false, out).await?;
        let survey = seen.survey(&project, false);
        let providers = session.providers();
        let mut failed = false;
        for which in wanted {
            let mut any = false;
            for (group, g) in &survey.groups {
                for (slot, m) in g.members().filter(|(slot, _)| which.is(group, *slot)) {
                    any = true;
                    let address = group.slot(slot);
                    let fields = Fields::from([("protect".to_owned(), Value::Bool(on))]);
                    let call = Call::Change {
                        id: m.object.id.clone(),
                        kind: group.kind,
                        fields,
                        links: m.object.links.clone(),
                    };
                    let Some(provider) = providers.get(&m.object.scope) else { continue };
                    let was = m.protected() || m.object.fields.get("protect").and_then(Value::bool) == Some(true);
                    let word = word(on, was);
                    match provider.perform(&call, &Payloads::new()).await {
                        Ok(_) => out.say(&format!("{address} ({}) {word}", m.object.id)),
                        Err(f) => {
                            failed = true;
                            out.problem(&format!("{address} ({}): {f}", m.object.id));
                        }
                    }
                    if !on && declared(&project, group) {
                        out.say(&format!(
                            "note: the file says `protect = true` for {group}; the next apply protects it again"
                        ));
                    }
                }
            }
            let objects = members(&project.desired, &seen.observed);
            for (scope, address, live) in objects.into_iter().filter(|(_, address, _)| which.is_object(address)) {
                any = true;
                let Some(provider) = providers.get(scope) else { continue };
                let word = word(on, applyset::annotation(&live.body, applyset::PROTECT) == Some("true"));
                match provider.perform(&marking(&address, live, on), &Payloads::new()).await {
                    Ok(_) => out.say(&format!("{address} {word}")),
                    Err(f) => {
                        failed = true;
                        out.problem(&format!("{address}: {f}"));
                    }
                }
                if !on && declared(&project, &address.group) {
                    let group = &address.group;
                    out.say(&format!(
                        "note: the file says `protect = true` for {group}; the next apply protects it again"
                    ));
                }
            }
            if !any {
                failed = true;
                out.problem(&format!("nothing live is called {}; `evenkeel status` lists what is", which.text));
            }
        }
        session.close()?;
        Ok(if failed { Exit::Error } else { Exit::Fine })
    })
}

/// What has become of one that `was` protected, or was not.
fn word(on: bool, was: bool) -> &'static str {
    match (on, was) {
        (true, _) => "is protected",
        (false, true) => "is no longer protected",
        (false, false) => "was not protected",
    }
}

fn declared(project: &Project, group: &Group) -> bool {
    match group.kind {
        Kind::Machines => project.desired.machines.get(&group.name).is_some_and(|g| g.protect),
        Kind::Volumes => project.desired.volumes.get(&group.name).is_some_and(|g| g.protect),
        Kind::Workloads | Kind::Manifests => project.desired.bundles.get(group).is_some_and(|b| b.protect),
    }
}

/// The call that writes the mark onto an object of a cluster, or takes it off.
fn marking(address: &Address, live: &Live, on: bool) -> Call {
    let key = applyset::PROTECT.to_owned();
    let (set, unset) =
        if on { (BTreeMap::from([(key, "true".to_owned())]), vec![]) } else { (BTreeMap::new(), vec![key]) };
    Call::Object(OnObject {
        object: address.object.as_deref().expect("the address of an object").clone(),
        api_version: live.body.get("apiVersion").and_then(|v| v.as_str()).unwrap_or_default().to_owned(),
        does: ObjectDoes::Mark { uid: live.uid.clone(), set, unset },
    })
}

/// What a person named: a group or some of it, with the kind or without.
struct Which {
    text: String,
    kind: Option<Kind>,
    name: String,
    some: Part,
}

/// What of a group.
enum Part {
    All,
    Slots(Vec<RangeInclusive<u32>>),
    Object(ObjectName),
}

impl Which {
    fn read(text: &str) -> Result<Self, Halt> {
        let bad = || {
            let says = format!(
                "`{text}` is neither a group nor a part of one, such as machines.web, data/1, data/0-2 or \
                 manifests.app/ConfigMap/shop/settings"
            );
            Halt::new(Exit::Usage, says)
        };
        let (group, some) = match text.split_once('/') {
            None => (text, Part::All),
            Some((group, rest)) => match (rest.split(',').map(range).collect(), rest.parse()) {
                (Some(slots), _) => (group, Part::Slots(slots)),
                (None, Ok(object)) => (group, Part::Object(object)),
                (None, Err(_)) => return Err(bad()),
            },
        };
        let (kind, name) = match group.split_once('.') {
            None => (None, group),
            Some((kind, name)) => (Some(kind.parse().map_err(|e| Halt::new(Exit::Usage, e))?), name),
        };
        if !is_name(name) {
            return Err(bad());
        }
        Ok(Self { text: text.to_owned(), kind, name: name.to_owned(), some })
    }

    fn is(&self, group: &Group, slot: u32) -> bool {
        self.is_of(group)
            && match &self.some {
                Part::All => true,
                Part::Slots(all) => all.iter().any(|r| r.contains(&slot)),
                Part::Object(_) => false,
            }
    }

    fn is_object(&self, address: &Address) -> bool {
        self.is_of(&address.group)
            && match &self.some {
                Part::All => true,
                Part::Slots(_) => false,
                Part::Object(object) => address.object.as_deref() == Some(object),
            }
    }

    fn is_of(&self, group: &Group) -> bool {
        self.kind.is_none_or(|k| k == group.kind) && self.name == group.name
    }
}

/// `3` or `0-5`.
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Some(from.parse().ok()?..=to.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_named_as_pages_name_them() {
        let data = Group { kind: Kind::Volumes, name: "data".into() };
        for (text, slots) in [
            ("data", vec![0, 1, 2, 3]),
            ("volumes.data", vec![0, 1, 2, 3]),
            ("volumes.data/1", vec![1]),
            ("data/0-1,3", vec![0, 1, 3]),
            ("machines.data", vec![]),
            ("dat", vec![]),
        ] {
            let which = Which::read(text).unwrap();
            assert_eq!((0..4).filter(|s| which.is(&data, *s)).collect::<Vec<_>>(), slots, "{text}");
        }
        let object = |text: &str| {
            let group = Group { kind: Kind::Manifests, name: "app".into() };
            Which::read(text).unwrap().is_object(&group.object("ConfigMap/shop/settings".parse().unwrap()))
        };
        assert!(
            ["manifests.app", "app", "manifests.app/ConfigMap/shop/settings", "app/ConfigMap/shop/settings"]
                .map(object)
                == [true; 4]
        );
        assert!(["workloads.app", "app/ConfigMap/shop/other", "app/0"].map(object) == [false; 3]);
        for text in ["", "data/", "data/x", "data/1-", "Data", "nothing.data", "../x"] {
            assert!(Which::read(text).is_err(), "{text}");
        }
    }
}
