//! Acting: each of core's calls as EC2's wire calls, each safe to repeat.
//!
//! Creates carry tokens; attaching, detaching, deleting and terminating what is already so is done, not failed. A batch
//! in which EC2 refuses one id is cut, so that the others go on and the refused one is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use evenkeel_core::address::Kind;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::launch::{Launch, NewVolume};
use evenkeel_core::plan::{Call, Target};
use evenkeel_core::rehearsal::Limit;
use evenkeel_core::stamp::tag;
use evenkeel_core::value::Fields;
use evenkeel_engine::caller::{Ask, Caller};
use evenkeel_engine::provider::{Eyes, Looked, Made, Payloads, Provider, Reading, Rehearsed, Wants};

use crate::api::{
    AttachState, Ec2, HeldProfile, Instance, InstanceChange, ModifyVolume, ProfileChange, Tags, Volume, VolumeState,
};
use crate::kinds::{machine, volume, wrong};
use crate::limits;
use crate::pages::split;
use crate::read::Ec2Eyes;
use crate::wire::{Calls, call, family};

/// EC2 to look at and to act on.
pub struct Ec2Provider<E: ?Sized> {
    eyes: Ec2Eyes<E>,
}

impl<E: Ec2 + ?Sized + 'static> Ec2Provider<E> {
    /// Looks and acts through `ec2`; `scope` is the alias that objects found by id bear. Every wire call passes
    /// through `caller`, one an account and region.
    pub fn new(ec2: Arc<E>, scope: impl Into<String>, caller: Arc<Caller>) -> Self {
        Self { eyes: Ec2Eyes::new(ec2, scope, caller) }
    }

    /// Where every wire call passes.
    pub fn caller(&self) -> &Arc<Caller> {
        self.eyes.caller()
    }

    /// One changing wire call.
    pub(crate) async fn acts<T, F>(&self, action: &str, make: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        call(self.caller(), &Calls::default(), action, Ask::new(action, family(action)), make).await
    }

    /// One changing wire call that pays for each of `n` machines.
    async fn acts_on<T, F>(&self, action: &str, n: usize, make: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        call(self.caller(), &Calls::default(), action, Ask::new(action, family(action)).resources(n), make).await
    }

    pub(crate) fn ec2(&self) -> &E {
        self.eyes.ec2()
    }

    /// One `RunInstances`. Which of a launch's places and types is tried when is for the engine to say, which writes it
    /// down first: another place is another token, and only the token makes a repeat harmless.
    async fn launch(&self, l: &Launch, payloads: &Payloads) -> Result<Made, Failure> {
        let ([place], [instance_type]) = (l.places.as_slice(), l.types.as_slice()) else {
            return Err(wrong(format!("{}: a launch goes to one place with one type", l.group)));
        };
        let script = match &l.user_data {
            None => None,
            Some(digest) => Some(payloads.get(digest).cloned().ok_or_else(|| {
                wrong("the boot script of this launch is not at hand: it is no part of a saved plan; plan again here")
            })?),
        };
        let request = machine::run(l, place, instance_type, script)?;
        let count = request.count as usize;
        let new = self.acts_on("RunInstances", count, || self.ec2().run_instances(&request)).await?;
        made(l, &new)
    }

    async fn create_volume(&self, v: &NewVolume) -> Result<Made, Failure> {
        let request = volume::create(v)?;
        let new = self.acts("CreateVolume", || self.ec2().create_volume(&request)).await?;
        match new.state {
            VolumeState::Creating | VolumeState::Available | VolumeState::InUse => {
                Ok(Made::from([(v.address.clone(), new.id)]))
            }
            VolumeState::Deleting | VolumeState::Deleted | VolumeState::Error => Err(Failure::new(
                Class::TokenSpent,
                "",
                format!("CreateVolume: the token belongs to {}, which is gone", new.id),
            )),
        }
    }

    async fn change(
        &self,
        id: &str,
        kind: Kind,
        fields: &Fields,
        links: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        let protect = match kind {
            Kind::Machines => {
                let changes = machine::changes(fields, links)?;
                for change in &changes.instance {
                    self.change_machine(id, change).await?;
                }
                if let Some(wanted) = &changes.profile {
                    self.change_profile(id, wanted.as_deref()).await?;
                }
                for (volume, change) in &changes.volumes {
                    self.modify(volume, change).await?;
                }
                changes.protect
            }
            Kind::Volumes => {
                let (change, protect) = volume::changes(fields)?;
                if let Some(change) = &change {
                    self.modify(id, change).await?;
                }
                protect
            }
            Kind::Workloads | Kind::Manifests => return Err(not_ours("Change")),
        };
        let id = [id.to_owned()];
        match protect {
            Some(true) => self.set_tags(&id, &Tags::from([(tag::PROTECT.into(), "true".into())])).await,
            Some(false) => self.unset_tags(&id, &[tag::PROTECT.into()]).await,
            None => Ok(()),
        }
    }

    async fn change_machine(&self, id: &str, change: &InstanceChange) -> Result<(), Failure> {
        self.acts(change.action(), || async {
            let failure = match self.ec2().change_instance(id, change).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            // A repeat after the machine was started again is refused, although the type is as wished by now.
            if let (InstanceChange::Type(wanted), Class::Busy) = (change, failure.class) {
                let now = self.eyes.instances_by_id(&Calls::default(), [id.to_owned()]).await?.whole()?;
                if now.iter().any(|i| i.instance_type == *wanted) {
                    return Ok(());
                }
            }
            Err(failure)
        })
        .await
    }

    /// The profile is exchanged by its association, which has to be found first.
    async fn change_profile(&self, id: &str, wanted: Option<&str>) -> Result<(), Failure> {
        let name = |profile: &str| profile.rsplit('/').next().unwrap_or_default().to_owned();
        let is_as_wished = |held: &Option<HeldProfile>| held.as_ref().map(|h| name(&h.profile)) == wanted.map(name);
        let held = self.held_profile(id).await?;
        if is_as_wished(&held) {
            return Ok(());
        }
        let instance = id.to_owned();
        let change = match (held.map(|held| held.association), wanted.map(str::to_owned)) {
            (None, None) => return Ok(()),
            (None, Some(profile)) => ProfileChange::Associate { instance, profile },
            (Some(association), Some(profile)) => ProfileChange::Replace { association, profile },
            (Some(association), None) => ProfileChange::Disassociate { association },
        };
        self.acts(change.action(), || async {
            match self.ec2().change_profile(&change).await {
                // Each change ends what it begins with: a repeat is refused, although all is as wished by now.
                Err(failure) if [Class::NotFound, Class::Busy].contains(&failure.class) => {
                    if is_as_wished(&self.held_profile(id).await?) { Ok(()) } else { Err(failure) }
                }
                other => other,
            }
        })
        .await
    }

    async fn held_profile(&self, id: &str) -> Result<Option<HeldProfile>, Failure> {
        let action = "DescribeIamInstanceProfileAssociations";
        self.eyes.asks(&Calls::default(), action, || self.ec2().held_profile(id)).await
    }

    /// `ModifyVolume`. EC2 refuses a second one within six hours, a repeat of the first included.
    async fn modify(&self, id: &str, change: &ModifyVolume) -> Result<(), Failure> {
        self.acts("ModifyVolume", || async {
            match self.ec2().modify_volume(id, change).await {
                Err(failure) if failure.class == Class::Busy => match self.volume(id).await? {
                    Some(now) if volume::is_as(&now, change) => Ok(()),
                    Some(_) | None => Err(failure),
                },
                other => other,
            }
        })
        .await
    }

    async fn volume(&self, id: &str) -> Result<Option<Volume>, Failure> {
        Ok(self.eyes.volumes_by_id(&Calls::default(), [id.to_owned()]).await?.whole()?.pop())
    }

    async fn set_tags(&self, ids: &[String], tags: &Tags) -> Result<(), Failure> {
        self.in_batches(ids, |ids| async move { self.acts("CreateTags", || self.ec2().set_tags(&ids, tags)).await })
            .await
    }

    async fn unset_tags(&self, ids: &[String], keys: &[String]) -> Result<(), Failure> {
        self.in_batches(ids, |ids| async move { self.acts("DeleteTags", || self.ec2().unset_tags(&ids, keys)).await })
            .await
    }

    /// Terminates; an id that does not exist is as terminated as can be.
    async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        self.in_batches(ids, |ids| async move {
            match self.acts_on("TerminateInstances", ids.len(), || self.ec2().terminate(&ids)).await {
                Err(failure) if failure.class == Class::NotFound && ids.len() == 1 => Ok(()),
                other => other,
            }
        })
        .await
    }

    /// Does `act` to all ids, [`limits::IDS`] at a time. Where EC2 refuses a whole batch because of one id, the batch
    /// is cut until that one stands alone; the others go on.
    ///
    /// # Errors
    /// The first failure, when all that could be done is done.
    async fn in_batches<F, Fut>(&self, ids: &[String], act: F) -> Result<(), Failure>
    where
        F: Fn(Vec<String>) -> Fut,
        Fut: Future<Output = Result<(), Failure>>,
    {
        let mut todo: Vec<Vec<String>> = ids.chunks(limits::IDS).rev().map(<[String]>::to_vec).collect();
        let mut first: Option<Failure> = None;
        while let Some(batch) = todo.pop() {
            let Err(failure) = act(batch.clone()).await else { continue };
            let of_one_id = match failure.class {
                Class::NotFound | Class::Protected | Class::Busy => batch.len() > 1,
                Class::Throttled
                | Class::Transient
                | Class::Capacity
                | Class::Quota
                | Class::Denied
                | Class::Credentials
                | Class::TokenMismatch
                | Class::TokenSpent
                | Class::Invalid => false,
            };
            if of_one_id {
                let (named, rest) = split(batch, &failure.says);
                // One by one, so that each is reported, or turns out to be fine, by itself.
                todo.extend(named.into_iter().map(|id| vec![id]));
                todo.extend(rest);
            } else {
                first.get_or_insert(failure);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Attaches. Both ends may have been made a moment ago and not be visible everywhere yet.
    async fn attach(&self, volume: &Target, machine: &Target, device: &str) -> Result<(), Failure> {
        let (volume, machine) = (known(volume)?, known(machine)?);
        let ask = Ask::new("AttachVolume", family("AttachVolume")).young();
        call(self.caller(), &Calls::default(), "AttachVolume", ask, || async {
            let failure = match self.ec2().attach(volume, machine, device).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let refused = match failure.class {
                Class::Busy | Class::Invalid => true,
                Class::Throttled
                | Class::Transient
                | Class::Capacity
                | Class::Quota
                | Class::Denied
                | Class::Credentials
                | Class::NotFound
                | Class::Protected
                | Class::TokenMismatch
                | Class::TokenSpent => false,
            };
            // In use: by whom? If it hangs where it should, an earlier try got through.
            if refused && self.hangs(volume, machine, Some(device)).await? { Ok(()) } else { Err(failure) }
        })
        .await
    }

    async fn detach(&self, volume: &str, machine: &str, device: &str) -> Result<(), Failure> {
        self.acts("DetachVolume", || async {
            let failure = match self.ec2().detach(volume, machine, device).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let refused = match failure.class {
                Class::Busy | Class::Invalid | Class::NotFound => true,
                Class::Throttled
                | Class::Transient
                | Class::Capacity
                | Class::Quota
                | Class::Denied
                | Class::Credentials
                | Class::Protected
                | Class::TokenMismatch
                | Class::TokenSpent => false,
            };
            // It does not hang there any more, or is on its way: done.
            if refused && !self.hangs(volume, machine, None).await? { Ok(()) } else { Err(failure) }
        })
        .await
    }

    /// Whether the volume hangs at the machine (at the device, if one is given), or is on its way there.
    async fn hangs(&self, volume: &str, machine: &str, device: Option<&str>) -> Result<bool, Failure> {
        let held = |state| match state {
            AttachState::Attaching | AttachState::Attached => true,
            AttachState::Detaching | AttachState::Busy | AttachState::Detached => false,
        };
        let now = self.volume(volume).await?;
        let mut all = now.iter().flat_map(|v| &v.attachments);
        Ok(all.any(|a| a.instance == machine && device.is_none_or(|d| a.device == d) && held(a.state)))
    }

    async fn delete_volume(&self, id: &str) -> Result<(), Failure> {
        match self.acts("DeleteVolume", || self.ec2().delete_volume(id)).await {
            Err(failure) if failure.class == Class::NotFound => Ok(()),
            other => other,
        }
    }
}

/// An id; the engine has put the ids of what the plan made in place by now.
fn known(target: &Target) -> Result<&str, Failure> {
    match target {
        Target::Id(id) => Ok(id),
        Target::New(address) => Err(wrong(format!("{address} has no id yet"))),
    }
}

/// Which address each instance of a batch is. The answer to a repeated launch may show machines that have died since:
/// if all have, the token is spent; if some live, another launch of the batch would make those twice, so the dead are
/// told like the others, and whoever waits for them will see.
fn made(l: &Launch, instances: &[Instance]) -> Result<Made, Failure> {
    let dead = |i: &Instance| !machine::phase(i.state).alive();
    if let Some(first) = instances.first()
        && instances.iter().all(dead)
    {
        let says = format!("RunInstances: the token belongs to {}, which is dead", first.id);
        return Err(Failure::new(Class::TokenSpent, "", says));
    }
    let mut out = Made::new();
    for i in instances {
        let slot = l.tag.slots.get(i.launch_index);
        let slot = slot.ok_or_else(|| wrong(format!("RunInstances: {} has no place in the batch", i.id)))?;
        out.insert(l.group.slot(slot), i.id.clone());
    }
    let (got, asked) = (instances.len(), l.tag.slots.len() as usize);
    if out.len() != asked || got != asked {
        return Err(wrong(format!("RunInstances: {got} machines where {asked} were asked for")));
    }
    Ok(out)
}

/// A call that belongs to another world: a plan that says so was not vetted.
fn not_ours(call: &str) -> Failure {
    Failure::new(Class::Invalid, "", format!("{call} is not EC2's to do"))
}

#[async_trait]
impl<E: Ec2 + ?Sized + 'static> Eyes for Ec2Provider<E> {
    async fn read(&self, wants: &Wants) -> Reading {
        self.eyes.read(wants).await
    }

    async fn look(&self, ids: &BTreeSet<String>) -> Result<Looked, Failure> {
        self.eyes.look(ids).await
    }
}

#[async_trait]
impl<E: Ec2 + ?Sized + 'static> Provider for Ec2Provider<E> {
    async fn perform(&self, call: &Call, payloads: &Payloads) -> Result<Made, Failure> {
        let done = match call {
            Call::Launch(l) => return self.launch(l, payloads).await,
            Call::CreateVolume(v) => return self.create_volume(v).await,
            Call::Terminate(ids) => self.terminate(ids).await,
            Call::Stop(ids) => {
                self.in_batches(ids, |ids| async move {
                    self.acts_on("StopInstances", ids.len(), || self.ec2().stop(&ids)).await
                })
                .await
            }
            Call::Start(ids) => {
                self.in_batches(ids, |ids| async move {
                    self.acts_on("StartInstances", ids.len(), || self.ec2().start(&ids)).await
                })
                .await
            }
            Call::Change { id, kind, fields, links } => self.change(id, *kind, fields, links).await,
            Call::Tag { ids, set, unset } => {
                let set = if set.is_empty() { Ok(()) } else { self.set_tags(ids, set).await };
                // What could not be set on one object does not keep the others from losing theirs.
                let unset = if unset.is_empty() { Ok(()) } else { self.unset_tags(ids, unset).await };
                set.and(unset)
            }
            Call::Attach { volume, machine, device } => self.attach(volume, machine, device).await,
            Call::Detach { volume, machine, device } => self.detach(volume, machine, device).await,
            Call::DeleteVolume(id) => self.delete_volume(id).await,
            Call::Object(_) => Err(not_ours("Object")),
        };
        done.map(|()| Made::new())
    }

    async fn rehearse(&self, call: &Call, payloads: &Payloads) -> Rehearsed {
        self.rehearses(call, payloads).await
    }

    async fn limit(&self, types: &BTreeSet<String>, spot: bool) -> Result<Option<Limit>, Failure> {
        self.limits(types, spot).await
    }
}
