//! EC2's query protocol: the action's name decides who reads the parameters and writes the answer.

mod attributes;
mod instances;
mod launch;
mod places;
mod tags;
mod volumes;

use evenkeel_core::failure::Failure;
use evenkeel_sim::action::Action;
use evenkeel_sim::{Sim, Wire};

use crate::answer::EC2_NAMESPACE;
use crate::form::{Form, refuse};
use crate::xml::Xml;

/// One call under way.
#[derive(Clone, Copy)]
struct Call<'a> {
    wire: Wire<'a>,
    action: Action,
    /// The request's id.
    id: &'a str,
}

impl Call<'_> {
    /// The answer's body: its root, the request's id, and what is inside.
    fn body(&self, inside: impl FnOnce(&mut Xml)) -> String {
        Xml::document(&format!("{}Response", self.action), EC2_NAMESPACE, |x| {
            x.text("requestId", self.id);
            inside(x);
        })
    }

    /// The answer of a call that has nothing to tell.
    fn done(&self) -> String {
        self.body(|x| x.text("return", true))
    }
}

/// Answers one request: the body, or what refuses it.
pub(crate) async fn answer(sim: &Sim, name: &str, mut form: Form, id: &str) -> Result<String, Failure> {
    let action = Action::ALL.iter().copied().find(|a| a.name() == name);
    let Some(action) = action else {
        return refuse("InvalidAction", format!("The action {name} is not valid for this web service."));
    };
    let dry_run = form.flag("DryRun")?;
    let call = Call { wire: sim.wire(dry_run), action, id };
    match action {
        Action::GetCallerIdentity
        | Action::AssumeRole
        | Action::GetParameter
        | Action::GetServiceQuota
        | Action::ServerVersion
        | Action::Discovery
        | Action::ListObjects
        | Action::GetObject
        | Action::ReadLog
        | Action::DryRunApply
        | Action::ApplyObject
        | Action::ForceApply
        | Action::PatchObject
        | Action::EvictPod
        | Action::DeleteObject => {
            refuse("InvalidAction", format!("The action {name} is not valid for this web service."))
        }
        Action::DescribeAvailabilityZones => call.zones(form).await,
        Action::DescribeSubnets => call.subnets(form).await,
        Action::DescribeSecurityGroups => call.security_groups(form).await,
        Action::DescribeInstanceTypes => call.types(form).await,
        Action::DescribeImages => call.images(form).await,
        Action::DescribeInstances => call.instances(form).await,
        Action::DescribeInstanceStatus => call.statuses(form).await,
        Action::RunInstances => call.run(form).await,
        Action::TerminateInstances => call.terminate(form).await,
        Action::StopInstances => call.stop(form).await,
        Action::StartInstances => call.start(form).await,
        Action::RebootInstances => call.reboot(form).await,
        Action::DescribeInstanceAttribute => call.attribute(form).await,
        Action::ModifyInstanceAttribute => call.modify_attribute(form).await,
        Action::ModifyInstanceMetadataOptions => call.metadata(form).await,
        Action::MonitorInstances => call.monitor(form, true).await,
        Action::UnmonitorInstances => call.monitor(form, false).await,
        Action::DescribeIamInstanceProfileAssociations => call.associations(form).await,
        Action::AssociateIamInstanceProfile => call.associate(form).await,
        Action::ReplaceIamInstanceProfileAssociation => call.replace_association(form).await,
        Action::DisassociateIamInstanceProfile => call.disassociate(form).await,
        Action::CreateTags => call.create_tags(form).await,
        Action::DeleteTags => call.delete_tags(form).await,
        Action::DescribeVolumes => call.volumes(form).await,
        Action::CreateVolume => call.create_volume(form).await,
        Action::ModifyVolume => call.modify_volume(form).await,
        Action::AttachVolume => call.attach(form).await,
        Action::DetachVolume => call.detach(form).await,
        Action::DeleteVolume => call.delete_volume(form).await,
    }
}

/// `nextToken`, where there is one.
fn next(x: &mut Xml, token: Option<&String>) {
    x.some("nextToken", token);
}
