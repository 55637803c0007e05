//! `sim`: look at the embedded world, let time pass, and break things behind evenkeel's back.

use evenkeel_core::health::moment;
use evenkeel_ec2::api::ScheduledEvent;
use evenkeel_engine::clock::Clock;
use evenkeel_present::redact::Redactor;
use evenkeel_sim::Sim;
use evenkeel_sim::cluster::{Body, Hand};
use evenkeel_sim::death::Death;
use evenkeel_sim::ops::{Deed, Part};
use jiff::{SignedDuration, Timestamp};

use super::run::duration;
use super::world::{objects, page};
use crate::args::Global;
use crate::deeds::{self, Check, SimDeed};
use crate::exit::{Ends, Exit, Halt};
use crate::kubectl::{Kubectl, KubectlHand};
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
            SimDeed::Kubectl(Kubectl { cluster, hand: KubectlHand::Get { kind, json } }) => {
                get(&sim, &cluster, kind.as_deref(), json, out)?;
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

/// The objects of a cluster.
fn get(sim: &Sim, cluster: &str, kind: Option<&str>, json: bool, out: &Out) -> Result<(), Halt> {
    sim.cluster(cluster).map_err(|e| Halt::error(e.to_string()))?;
    let world = sim.world().map_err(|e| Halt::error(e.to_string()))?;
    let kube = world.clusters.get(cluster);
    if let Some(word) = kind.filter(|k| kube.is_some_and(|c| c.kind(k).is_none())) {
        return Err(Halt::error(format!("the cluster has no kind {word}; try deployments, svc or pods")));
    }
    let seen = kube.map(|k| k.look(kind)).unwrap_or_default();
    let none = Redactor::none();
    if json {
        out.data(&evenkeel_present::json::pretty(&seen, &none));
    } else {
        out.page(&objects(cluster, world.now, &seen), &none);
    }
    Ok(())
}

/// What a hand does in a cluster.
fn hand_of(hand: KubectlHand) -> Result<Hand, Halt> {
    let json = |text: &str| {
        serde_json::from_str(text).map(Body).map_err(|e| Halt::new(Exit::Usage, format!("that is no JSON: {e}")))
    };
    let pair = |text: String| match (text.split_once('='), text.strip_suffix('-')) {
        (Some((key, value)), _) => Ok((key.to_owned(), Some(value.to_owned()))),
        (None, Some(key)) => Ok((key.to_owned(), None)),
        (None, None) => Err(Halt::new(Exit::Usage, format!("`{text}` is neither KEY=VALUE nor KEY-"))),
    };
    Ok(match hand {
        KubectlHand::Get { .. } => unreachable!("it is no deed; `run` does it"),
        KubectlHand::Scale { object, replicas } => Hand::Scale { object, replicas },
        KubectlHand::SetImage { object, image, container } => Hand::SetImage { object, container, image },
        KubectlHand::Label { object, label } => {
            let (key, value) = pair(label)?;
            Hand::Label { object, key, value }
        }
        KubectlHand::Annotate { object, annotation } => {
            let (key, value) = pair(annotation)?;
            Hand::Annotate { object, key, value }
        }
        KubectlHand::Edit { object, patch } => Hand::Edit { object, patch: json(&patch)? },
        KubectlHand::Create { body } => Hand::Create { body: json(&body)? },
        KubectlHand::Delete { object } => Hand::Delete { object },
        KubectlHand::Cordon { node, undo } => Hand::Cordon { node, on: !undo },
        KubectlHand::Silence { node, undo } => Hand::Silence { node, on: !undo },
        KubectlHand::SpoilImage { image, undo } => Hand::SpoilImage { image, bad: !undo },
        KubectlHand::CrashImage { image, log, undo } => Hand::CrashImage { image, log: (!undo).then_some(log) },
    })
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
        SimDeed::Die { machine, reason } => {
            let reason = match reason {
                deeds::Death::Launch => Death::Launch,
                deeds::Death::Volumes => Death::Volumes,
                deeds::Death::Internal => Death::Internal,
                deeds::Death::Spot => Death::Spot,
                deeds::Death::Shutdown => Death::Shutdown,
            };
            Deed::Die { instance: find(sim, &machine)?, reason }
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
        SimDeed::Kubectl(Kubectl { cluster, hand }) => Deed::Kubernetes { cluster, hand: hand_of(hand)? },
        SimDeed::Do { json } => serde_json::from_str(&json)
            .map_err(|e| Halt::new(Exit::Usage, format!("that is no deed: {e}; docs/sim.md lists them")))?,
        SimDeed::ClearFaults => Deed::ClearFaults,
    })
}
