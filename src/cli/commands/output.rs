//! `output`: what the file's `[outputs]` say, computed from the live world.

use std::collections::BTreeMap;

use evenkeel_core::address::{Kind, ObjectName};
use evenkeel_core::declaration::evaluate;
use evenkeel_core::objects::redact::is_secret;
use evenkeel_core::observed::Live;
use evenkeel_core::ready::live;
use evenkeel_present::json;
use evenkeel_present::output::{NoValue, Outputs};
use serde_json::{Map, Value, json};

use crate::args::{self, Global, OutputFormat};
use crate::exit::{Ends, Exit, Halt};
use crate::look::{Look, look};
use crate::out::Out;
use crate::project::Project;
use crate::session::{Session, block_on};

/// `output`
pub fn run(global: &Global, args: &args::Output, out: &Out) -> Ends {
    let project = Project::open(global, out)?;
    block_on(global, async {
        let session = Session::open(global, &project).await?;
        let seen = look(&session, &project, false, out).await?;
        session.close()?;
        let world = world(&project, &seen);
        let (stack, secrets) = (&project.desired.stack, &project.secrets);
        let mut all = Outputs::of((&stack.name, &stack.id), seen.observed.at, &seen.observed.gaps);
        let asked = |name: &String| args.name.as_ref().is_none_or(|n| n == name);
        for (name, expression) in project.desired.outputs.iter().filter(|(name, _)| asked(name)) {
            match evaluate(expression, &world) {
                Ok(value) => drop(all.outputs.insert(name, value)),
                // The others are worth having all the same.
                Err(says) => {
                    let at = project.desired.origins.get(&format!("outputs.{name}")).map_or("", String::as_str);
                    all.failed.push(NoValue { name, at, says });
                }
            }
        }
        all.failed.iter().for_each(|one| out.problem(&one.words()));
        let failed = !all.failed.is_empty();
        let format = if args.json { OutputFormat::Json } else { args.format };
        match (&args.name, format) {
            (Some(_), _) if failed => {}
            (Some(name), format) => {
                let one = match format {
                    OutputFormat::Human => all.one(name, secrets),
                    OutputFormat::Json => all.one_json(name, secrets),
                };
                let names: Vec<_> = project.desired.outputs.keys().map(String::as_str).collect();
                out.data(&one.ok_or_else(|| {
                    Halt::error(format!("there is no output `{name}`; there are: {}", names.join(", ")))
                })?);
            }
            (None, OutputFormat::Human) => out.data(&all.text(secrets)),
            (None, OutputFormat::Json) => out.data(&json::pretty(&all, secrets)),
        }
        Ok(match (failed, seen.observed.gaps.is_empty()) {
            (true, _) => Exit::Error,
            (false, true) => Exit::Fine,
            (false, false) => Exit::Blind,
        })
    })
}

/// The objects of one group as expressions see them, by kind and name, without what secrets hold. Every one stands under
/// `namespace/name` too; a name that stands in several namespaces, under that alone.
fn objects(all: &BTreeMap<&ObjectName, &Live>) -> Value {
    let mut kinds: Map<String, Value> = Map::new();
    let alone = |o: &ObjectName| all.keys().filter(|p| (&p.kind, &p.name) == (&o.kind, &o.name)).count() == 1;
    for (object, live) in all {
        let mut body = live.body.clone();
        if let Some(body) = body.as_object_mut().filter(|_| is_secret(&live.body)) {
            body.remove("data");
        }
        let kind = kinds.entry(object.kind.clone()).or_insert_with(|| json!({}));
        if alone(object) {
            kind[&object.name] = body.clone();
        }
        if !object.namespace.is_empty() {
            kind[format!("{}/{}", object.namespace, object.name)] = body;
        }
    }
    Value::Object(kinds)
}

/// `machines.web[0].private_ip`: the live world as expressions see it, by kind, group and slot.
fn world(project: &Project, seen: &Look) -> Value {
    let survey = seen.survey(project, false);
    let mut kinds: Map<String, Value> = Kind::ALL.iter().map(|k| (k.word().to_owned(), json!({}))).collect();
    for (group, g) in &survey.groups {
        let mut members = Vec::new();
        for (slot, m) in g.members() {
            let mut one = Map::new();
            let plain = |k: &str| k.replace('-', "_");
            for (k, v) in m.object.fields.iter().chain(&m.object.facts) {
                one.insert(plain(k), serde_json::to_value(v).unwrap_or(Value::Null));
            }
            one.insert("id".into(), m.object.id.clone().into());
            one.insert("slot".into(), slot.into());
            one.insert("zone".into(), m.object.zone.clone().into());
            one.insert("ready".into(), m.ready().into());
            members.push(Value::Object(one));
        }
        if let Some(Value::Object(kind)) = kinds.get_mut(group.kind.word()) {
            kind.insert(group.name.clone(), Value::Array(members));
        }
    }
    let live = live(&project.desired, &seen.observed);
    let nothing = BTreeMap::new();
    for group in project.desired.bundles.keys().chain(live.keys()) {
        let shown = objects(live.get(group).unwrap_or(&nothing));
        kinds[group.kind.word()][&group.name] = shown;
    }
    let stack = &project.desired.stack;
    kinds.insert("stack".into(), json!({ "name": stack.name, "id": stack.id }));
    Value::Object(kinds)
}
