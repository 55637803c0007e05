//! `protect` and `unprotect`: the mark on the live object that no file can take away.

use evenkeel_core::address::{Address, Group, Kind};
use evenkeel_core::plan::Call;
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
        let _held = lock(&project, &args::Run::default(), None).await?;
        let seen = look(&session, &project, false).await?;
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
                    let Some(provider) = providers.get(&g.scope) else { continue };
                    let word = if on { "protected" } else { "no longer protected" };
                    match provider.perform(&call, &Payloads::new()).await {
                        Ok(_) => out.say(&format!("{address} ({}) is {word}", m.object.id)),
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
            if !any {
                failed = true;
                out.problem(&format!("nothing live is called {}; `evenkeel status` lists what is", which.text()));
            }
        }
        session.close()?;
        Ok(if failed { Exit::Error } else { Exit::Fine })
    })
}

fn declared(project: &Project, group: &Group) -> bool {
    match group.kind {
        Kind::Machines => project.desired.machines.get(&group.name).is_some_and(|g| g.protect),
        Kind::Volumes => project.desired.volumes.get(&group.name).is_some_and(|g| g.protect),
    }
}

enum Which {
    Group(Group),
    One(Address),
}

impl Which {
    fn read(text: &str) -> Result<Self, Halt> {
        if text.contains('/') { text.parse().map(Self::One) } else { text.parse().map(Self::Group) }
            .map_err(|e| Halt::new(Exit::Usage, e))
    }

    fn is(&self, group: &Group, slot: u32) -> bool {
        match self {
            Self::Group(g) => g == group,
            Self::One(a) => a.group == *group && a.slot == slot,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Group(g) => g.to_string(),
            Self::One(a) => a.to_string(),
        }
    }
}
