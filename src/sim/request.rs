//! A changing call as a value, so that one can be under way: sent by a caller that may be dead when it arrives.
//!
//! It knows more than evenkeel asks for: whatever EC2's protocol carries for these calls, as other clients use it.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{
    Attachment, CreateVolume, Instance, InstanceChange, InstanceState, Metadata, ModifyVolume, RunInstances, Tags,
    Volume,
};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::refusal::no_instance;
use crate::world::{Association, Cost, World};

/// A changing call with all its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the parameters are those of the trait's methods, or EC2's own")]
pub enum Request {
    /// `RunInstances`, all or none.
    RunInstances(Box<RunInstances>),
    /// `RunInstances` with `least` as MinCount and without need of a token.
    RunBetween { least: u32, launch: Box<RunInstances> },
    /// `TerminateInstances`.
    Terminate { ids: Vec<String> },
    /// `StopInstances`.
    Stop { ids: Vec<String> },
    /// `StartInstances`.
    Start { ids: Vec<String> },
    /// `RebootInstances`.
    Reboot { ids: Vec<String> },
    /// One change to one instance.
    ChangeInstance { id: String, change: InstanceChange },
    /// `MonitorInstances`, `UnmonitorInstances`.
    Monitor { ids: Vec<String>, on: bool },
    /// `ModifyInstanceMetadataOptions`: what is `None` stays.
    SetMetadata { id: String, tokens_required: Option<bool>, hop_limit: Option<i32>, enabled: Option<bool> },
    /// `AssociateIamInstanceProfile`.
    Associate { instance: String, profile: String },
    /// `ReplaceIamInstanceProfileAssociation`.
    ReplaceAssociation { association: String, profile: String },
    /// `DisassociateIamInstanceProfile`.
    Disassociate { association: String },
    /// `CreateTags`.
    SetTags { ids: Vec<String>, tags: Tags },
    /// `DeleteTags` by key.
    UnsetTags { ids: Vec<String>, keys: Vec<String> },
    /// `DeleteTags` by key, and by value where there is one. None at all: every tag but AWS's own.
    UnsetTagsLike { ids: Vec<String>, tags: Vec<(String, Option<String>)> },
    /// `CreateVolume`.
    CreateVolume(Box<CreateVolume>),
    /// `CreateVolume` without need of a token.
    NewVolume(Box<CreateVolume>),
    /// `ModifyVolume`.
    ModifyVolume { id: String, change: ModifyVolume },
    /// `AttachVolume`.
    Attach { volume: String, instance: String, device: String },
    /// `DetachVolume`.
    Detach { volume: String, instance: String, device: String },
    /// `DetachVolume` from wherever it hangs, or from what is named.
    DetachAny { volume: String, instance: Option<String>, device: Option<String> },
    /// `DeleteVolume`.
    DeleteVolume { id: String },
    /// A call to a Kubernetes cluster.
    Kubernetes(Box<crate::cluster::Request>),
}

/// What a changing call did, as its answer tells it.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// Nothing more to tell.
    It,
    /// The machines of one launch.
    Launched(Vec<Instance>),
    /// Instances, their states before and now.
    Moved(Vec<(String, InstanceState, InstanceState)>),
    /// Instances with monitoring on or off.
    Monitored(Vec<String>, bool),
    /// An instance's metadata service from now on.
    Metadata(String, Metadata),
    /// A profile was given to an instance, or taken away.
    Associated(Association),
    /// A new volume.
    Volume(Box<Volume>),
    /// A volume before and after.
    Modified(Box<Volume>, Box<Volume>),
    /// A volume and where it hangs now, or hung until now.
    Attachment(String, Attachment),
}

impl Request {
    /// Which call it is.
    pub fn action(&self) -> Action {
        match self {
            Self::RunInstances(_) | Self::RunBetween { .. } => Action::RunInstances,
            Self::Terminate { .. } => Action::TerminateInstances,
            Self::Stop { .. } => Action::StopInstances,
            Self::Start { .. } => Action::StartInstances,
            Self::Reboot { .. } => Action::RebootInstances,
            Self::ChangeInstance { change, .. } => match change {
                InstanceChange::Type(_) | InstanceChange::SecurityGroups(_) | InstanceChange::Protect(_) => {
                    Action::ModifyInstanceAttribute
                }
                InstanceChange::Monitoring(true) => Action::MonitorInstances,
                InstanceChange::Monitoring(false) => Action::UnmonitorInstances,
                InstanceChange::Metadata(_) => Action::ModifyInstanceMetadataOptions,
            },
            Self::Monitor { on: true, .. } => Action::MonitorInstances,
            Self::Monitor { on: false, .. } => Action::UnmonitorInstances,
            Self::SetMetadata { .. } => Action::ModifyInstanceMetadataOptions,
            Self::Associate { .. } => Action::AssociateIamInstanceProfile,
            Self::ReplaceAssociation { .. } => Action::ReplaceIamInstanceProfileAssociation,
            Self::Disassociate { .. } => Action::DisassociateIamInstanceProfile,
            Self::SetTags { .. } => Action::CreateTags,
            Self::UnsetTags { .. } | Self::UnsetTagsLike { .. } => Action::DeleteTags,
            Self::CreateVolume(_) | Self::NewVolume(_) => Action::CreateVolume,
            Self::ModifyVolume { .. } => Action::ModifyVolume,
            Self::Attach { .. } => Action::AttachVolume,
            Self::Detach { .. } | Self::DetachAny { .. } => Action::DetachVolume,
            Self::DeleteVolume { .. } => Action::DeleteVolume,
            Self::Kubernetes(request) => request.action(),
        }
    }

    /// What it takes out of its buckets.
    pub(crate) fn cost(&self) -> Cost {
        let machines = match self {
            Self::RunInstances(launch) | Self::RunBetween { launch, .. } => launch.count as usize,
            Self::Terminate { ids } | Self::Stop { ids } | Self::Start { ids } => ids.len(),
            _ => 0,
        };
        Cost { unfiltered: false, machines: u32::try_from(machines).unwrap_or(u32::MAX) }
    }
}

impl World {
    /// The call reaches the world. Who waits for its answer, if anybody still does, is no matter of the world.
    pub(crate) fn arrive(&mut self, request: &Request) -> Result<Done, Failure> {
        match request {
            Request::RunInstances(r) => self.run_instances(r).map(Done::Launched),
            Request::RunBetween { least, launch } => self.run_between(launch, *least).map(Done::Launched),
            Request::Terminate { ids } => self.moved(ids, Self::terminate),
            Request::Stop { ids } => self.moved(ids, Self::stop),
            Request::Start { ids } => self.moved(ids, Self::start),
            Request::Reboot { ids } => self.reboot(ids).map(|()| Done::It),
            Request::ChangeInstance { id, change } => self.change_instance(id, change).map(|()| Done::It),
            Request::Monitor { ids, on } => {
                self.monitor(ids, *on)?;
                Ok(Done::Monitored(ids.clone(), *on))
            }
            Request::SetMetadata { id, tokens_required, hop_limit, enabled } => {
                let now = self.seen_machine(id)?.metadata.clone();
                let wanted = Metadata {
                    tokens_required: tokens_required.unwrap_or(now.tokens_required),
                    hop_limit: hop_limit.unwrap_or(now.hop_limit),
                    enabled: enabled.unwrap_or(now.enabled),
                };
                self.change_instance(id, &InstanceChange::Metadata(wanted.clone()))?;
                Ok(Done::Metadata(id.clone(), wanted))
            }
            Request::Associate { instance, profile } => {
                let made = self.associate(instance, profile)?;
                made.map_or_else(|| no_instance(instance), |a| Ok(Done::Associated(a)))
            }
            Request::ReplaceAssociation { association, profile } => {
                let made = self.replace_association(association, profile)?;
                made.map_or_else(|| no_instance(association), |a| Ok(Done::Associated(a)))
            }
            Request::Disassociate { association } => self.disassociate(association).map(Done::Associated),
            Request::SetTags { ids, tags } => self.set_tags(ids, tags).map(|()| Done::It),
            Request::UnsetTags { ids, keys } => self.unset_tags(ids, keys).map(|()| Done::It),
            Request::UnsetTagsLike { ids, tags } => self.unset_tags_like(ids, tags).map(|()| Done::It),
            Request::CreateVolume(r) => self.create_volume(r).map(|v| Done::Volume(Box::new(v))),
            Request::NewVolume(r) => self.new_volume(r).map(|v| Done::Volume(Box::new(v))),
            Request::ModifyVolume { id, change } => {
                let before = self.volumes.get(id).map(|v| v.show(id));
                self.modify_volume(id, change)?;
                let after = self.volumes.get(id).map(|v| v.show(id));
                let both = before.zip(after);
                Ok(both.map_or(Done::It, |(before, after)| Done::Modified(Box::new(before), Box::new(after))))
            }
            Request::Attach { volume, instance, device } => {
                self.attach(volume, instance, device)?;
                Ok(self.attachment(volume).map_or(Done::It, |a| Done::Attachment(volume.clone(), a)))
            }
            Request::Detach { volume, instance, device } => {
                self.detach(volume, instance, device)?;
                Ok(self.attachment(volume).map_or(Done::It, |a| Done::Attachment(volume.clone(), a)))
            }
            Request::DetachAny { volume, instance, device } => {
                let held = self.attachment(volume);
                let of = |named: &Option<String>, held: Option<&String>| named.clone().or(held.cloned());
                let instance = of(instance, held.as_ref().map(|h| &h.instance)).unwrap_or_default();
                let device = of(device, held.as_ref().map(|h| &h.device)).unwrap_or_default();
                self.arrive(&Request::Detach { volume: volume.clone(), instance, device })
            }
            Request::DeleteVolume { id } => self.delete_volume(id).map(|()| Done::It),
            Request::Kubernetes(r) => self.serve(r).map(|_| Done::It).map_err(|refusal| refusal.failure),
        }
    }

    fn attachment(&self, volume: &str) -> Option<Attachment> {
        self.volumes.get(volume)?.show(volume).attachments.pop()
    }

    /// A call that moves instances from state to state, with the states before and after.
    fn moved(
        &mut self,
        ids: &[String],
        call: impl FnOnce(&mut Self, &[String]) -> Result<(), Failure>,
    ) -> Result<Done, Failure> {
        let states = |world: &Self| -> Vec<Option<InstanceState>> {
            ids.iter().map(|id| world.instances.get(id).map(|m| m.state)).collect()
        };
        let before = states(self);
        call(self, ids)?;
        let both = before.into_iter().zip(states(self));
        let rows = ids.iter().zip(both).filter_map(|(id, (was, is))| Some((id.clone(), was?, is?)));
        Ok(Done::Moved(rows.collect()))
    }
}
