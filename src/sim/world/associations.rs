//! Instance profiles as EC2 associates them: each association has an id of its own, which changes with its profile.
//!
//! The world keeps only the profile's name on the instance; the id follows from both.

use std::collections::BTreeMap;

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{InstanceState, Page, Query, Tags};
use jiff::Timestamp;

use super::World;
use super::lists::{Listed, check_query};
use crate::dice::fingerprint;
use crate::refusal::{bad_value, busy, invalid, not_found};

/// An instance and its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Association {
    /// `iip-assoc-…`.
    pub id: String,
    /// `i-…`.
    pub instance: String,
    /// The profile's ARN.
    pub profile: String,
    /// Since when; EC2 tells the time of the association, the sim that of the launch.
    pub since: Timestamp,
}

impl World {
    /// `DescribeIamInstanceProfileAssociations`, one page.
    pub(crate) fn list_associations(&self, query: &Query) -> Result<Page<Association>, Failure> {
        check_query::<Association>(query)?;
        let all = self.associations();
        match query.ids.iter().find(|id| !all.contains_key(*id)) {
            Some(id) => no_association(id),
            None => self.page(query, all.keys(), |id| all.get(id).cloned()),
        }
    }

    fn associations(&self) -> BTreeMap<String, Association> {
        let live = self.instances.iter().filter(|(_, m)| m.visible <= self.now && !m.is_dead());
        live.filter_map(|(id, _)| self.association(id)).map(|a| (a.id.clone(), a)).collect()
    }

    /// The association of an instance that has a profile.
    pub(crate) fn association(&self, instance: &str) -> Option<Association> {
        let m = self.instances.get(instance)?;
        let profile = self.profile_arn(m.instance_profile.as_ref()?);
        let id = format!("iip-assoc-{:017x}", fingerprint(&format!("{instance} {profile}")));
        Some(Association { id, instance: instance.to_owned(), profile, since: m.launched })
    }

    /// `AssociateIamInstanceProfile`: only where there is none.
    pub(crate) fn associate(&mut self, instance: &str, profile: &str) -> Result<Option<Association>, Failure> {
        let m = self.seen_machine(instance)?;
        if m.instance_profile.is_some() {
            return busy("IncorrectState", format!("There is an existing association for instance {instance}"));
        }
        match m.state {
            InstanceState::Pending | InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped => {}
            InstanceState::ShuttingDown | InstanceState::Terminated => {
                return busy("IncorrectInstanceState", format!("The instance {instance} is not running or stopped."));
            }
        }
        self.set_profile(instance, Some(profile))?;
        Ok(self.association(instance))
    }

    /// `ReplaceIamInstanceProfileAssociation`.
    pub(crate) fn replace_association(&mut self, id: &str, profile: &str) -> Result<Option<Association>, Failure> {
        let instance = self.associated(id)?.instance;
        self.set_profile(&instance, Some(profile))?;
        Ok(self.association(&instance))
    }

    /// `DisassociateIamInstanceProfile`.
    pub(crate) fn disassociate(&mut self, id: &str) -> Result<Association, Failure> {
        let gone = self.associated(id)?;
        self.set_profile(&gone.instance, None)?;
        Ok(gone)
    }

    fn associated(&self, id: &str) -> Result<Association, Failure> {
        match self.associations().remove(id) {
            Some(found) => Ok(found),
            None => no_association(id),
        }
    }
}

fn no_association<T>(id: &str) -> Result<T, Failure> {
    if id.starts_with("iip-assoc-") {
        return not_found("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"));
    }
    if id.is_empty() {
        return invalid("MissingParameter", "The request must contain the parameter AssociationId");
    }
    bad_value(format!("Value ({id}) for parameter AssociationId is invalid."))
}

impl Listed for Association {
    const FILTERS: &'static [&'static str] = &["instance-id", "state"];
    const TAGGED: bool = false;

    fn id(&self) -> &str {
        &self.id
    }

    fn tags(&self) -> Option<&Tags> {
        None
    }

    fn field(&self, filter: &str) -> Option<Vec<String>> {
        Some(match filter {
            "instance-id" => vec![self.instance.clone()],
            // The sim associates at once.
            "state" => vec!["associated".to_owned()],
            _ => return None,
        })
    }
}
