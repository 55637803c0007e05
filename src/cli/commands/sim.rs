//! `sim`: look at the embedded world, let time pass, and break things behind evenkeel's back.

use evenkeel_core::health::moment;
use evenkeel_ec2::api::ScheduledEvent;
use evenkeel_engine::clock::Clock;
use evenkeel_present::redact::Redactor;
use evenkeel_sim::Sim;
use evenkeel_sim::ops::{Deed, Part};
use jiff::{SignedDuration, Timestamp};

use super::run::duration;
use super::world::page;
use crate::args::{Check, Global, SimDeed};
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;
use crate::session::{block_on, sim};

/// `sim`
pub fn run(global: &Global, deed: Option<SimDeed>, out: &Out) -> Ends {
    if let Some(SimDeed::Serve { port, speed }) = deed {
        return super::serve::run(global, port, speed, out);
    }
    block_on(global, async {
        let sim = sim(global, None)?;
        match deed.unwrap_or(SimDeed::Look { json: false }) {
            SimDeed::Look { json } => look(&sim, json, out)?,
            SimDeed::Advance { time } => {
                sim.advance(duration(&time)?).map_err(|e| Halt::error(e.to_string()))?;
                out.say(&format!("It is {} now in the sim.", moment(sim.clock().now())));
            }
            SimDeed::Kill { machines } => {
                for m in machines {
                    let instance = find(&sim, &m)?;
                    act(&sim, &Deed::Terminate { instance: instance.clone() })?;
                    out.say(&format!("{m} ({instance}) is terminated."));
                }
            }
            other => {
                let deed = deed_of(&sim, other)?;
                act(&sim, &deed)?;
                out.say("Done: `evenkeel sim` shows the world, `evenkeel status` what evenkeel makes of it.");
            }
        }
        sim.save().map_err(|e| Halt::error(e.to_string()))?;
        Ok(Exit::Fine)
    })
}

fn look(sim: &Sim, json: bool, out: &Out) -> Result<(), Halt> {
    let seen = sim.world().map_err(|e| Halt::error(e.to_string()))?.look();
    let none = Redactor::none();
    if json {
        out.data(&evenkeel_present::json::pretty(&seen, &none));
    } else {
        out.page(&page(&seen), &none);
    }
    Ok(())
}

fn act(sim: &Sim, deed: &Deed) -> Result<(), Halt> {
    sim.act(deed).map_err(|r| Halt::error(r.to_string()))
}

/// The one live thing that a person means.
fn find(sim: &Sim, name: &str) -> Result<String, Halt> {
    let found = sim.world().map_err(|e| Halt::error(e.to_string()))?.find(name);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Halt::error(format!("nothing live is called {name}; `evenkeel sim` shows what there is"))),
        many => Err(Halt::error(format!("{name} may be any of {}; name one by its id", many.join(", ")))),
    }
}

fn deed_of(sim: &Sim, deed: SimDeed) -> Result<Deed, Halt> {
    let now: Timestamp = sim.clock().now();
    let shifted = |text: &str, sign: i32| -> Result<Timestamp, Halt> {
        let by = SignedDuration::try_from(duration(text)?).map_err(|e| Halt::new(Exit::Usage, e.to_string()))?;
        now.checked_add(by * sign).map_err(|e| Halt::new(Exit::Usage, e.to_string()))
    };
    Ok(match deed {
        SimDeed::Look { .. } | SimDeed::Advance { .. } | SimDeed::Kill { .. } | SimDeed::Serve { .. } => {
            unreachable!("these are no single deeds; `run` does them")
        }
        SimDeed::Stop { machine } => Deed::Stop { instance: find(sim, &machine)? },
        SimDeed::Start { machine } => Deed::Start { instance: find(sim, &machine)? },
        SimDeed::Impair { machine, check, ago } => {
            let check = match check {
                Check::System => Part::System,
                Check::Instance => Part::Instance,
                Check::Ebs => Part::Ebs,
            };
            let since = ago.map(|a| shifted(&a, -1)).transpose()?;
            Deed::Impair { instance: find(sim, &machine)?, check, since }
        }
        SimDeed::Recover { machine } => Deed::Recover { instance: find(sim, &machine)? },
        SimDeed::LoseZone { zone, announced } => Deed::LoseZone { zone, announced },
        SimDeed::RestoreZone { zone } => Deed::RestoreZone { zone },
        SimDeed::Tag { object, tag } => {
            let (key, value) = tag
                .split_once('=')
                .ok_or_else(|| Halt::new(Exit::Usage, format!("a tag is KEY=VALUE, and `{tag}` has no `=`")))?;
            Deed::SetTag { id: find(sim, &object)?, key: key.into(), value: value.into() }
        }
        SimDeed::Untag { object, key } => Deed::UnsetTag { id: find(sim, &object)?, key },
        SimDeed::SetType { machine, instance_type } => Deed::SetType { instance: find(sim, &machine)?, instance_type },
        SimDeed::SetGroups { machine, groups } => Deed::SetSecurityGroups { instance: find(sim, &machine)?, groups },
        SimDeed::Retire { machine, within } => Deed::Schedule {
            instance: find(sim, &machine)?,
            event: ScheduledEvent {
                code: "instance-retirement".into(),
                description: "The instance is running on degraded hardware".into(),
                not_before: Some(shifted(&within, 1)?),
            },
        },
        SimDeed::Detach { volume } => Deed::Detach { volume: find(sim, &volume)? },
        SimDeed::DeleteVolume { volume } => Deed::DeleteVolume { volume: find(sim, &volume)? },
        SimDeed::Capacity { zone, instance_type, most } => Deed::SetCapacity { zone, instance_type, most },
        SimDeed::SpoilImage { image, mend } => Deed::SpoilImage { image, bad: !mend },
        SimDeed::Do { json } => serde_json::from_str(&json)
            .map_err(|e| Halt::new(Exit::Usage, format!("that is no deed: {e}; docs/sim.md lists them")))?,
        SimDeed::ClearFaults => Deed::ClearFaults,
    })
}
