//! A changing call as a value, so that one can be under way: sent by a caller that may be dead when it arrives.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{CreateVolume, InstanceChange, ModifyVolume, RunInstances, Tags};
use serde::{Deserialize, Serialize};

use crate::world::World;

/// A changing call with all its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the parameters are those of the trait's methods")]
pub enum Request {
    /// `RunInstances`.
    RunInstances(Box<RunInstances>),
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
    /// `CreateTags`.
    SetTags { ids: Vec<String>, tags: Tags },
    /// `DeleteTags`.
    UnsetTags { ids: Vec<String>, keys: Vec<String> },
    /// `CreateVolume`.
    CreateVolume(Box<CreateVolume>),
    /// `ModifyVolume`.
    ModifyVolume { id: String, change: ModifyVolume },
    /// `AttachVolume`.
    Attach { volume: String, instance: String, device: String },
    /// `DetachVolume`.
    Detach { volume: String, instance: String, device: String },
    /// `DeleteVolume`.
    DeleteVolume { id: String },
}

impl World {
    /// The call reaches the world; nobody waits for its answer.
    pub(crate) fn arrive(&mut self, request: &Request) -> Result<(), Failure> {
        match request {
            Request::RunInstances(r) => self.run_instances(r).map(|_| ()),
            Request::Terminate { ids } => self.terminate(ids),
            Request::Stop { ids } => self.stop(ids),
            Request::Start { ids } => self.start(ids),
            Request::Reboot { ids } => self.reboot(ids),
            Request::ChangeInstance { id, change } => self.change_instance(id, change),
            Request::SetTags { ids, tags } => self.set_tags(ids, tags),
            Request::UnsetTags { ids, keys } => self.unset_tags(ids, keys),
            Request::CreateVolume(r) => self.create_volume(r).map(|_| ()),
            Request::ModifyVolume { id, change } => self.modify_volume(id, change),
            Request::Attach { volume, instance, device } => self.attach(volume, instance, device),
            Request::Detach { volume, instance, device } => self.detach(volume, instance, device),
            Request::DeleteVolume { id } => self.delete_volume(id),
        }
    }
}
