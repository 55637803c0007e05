//! Instances as EC2 shows them, and the calls that move them from state to state.

use std::collections::BTreeMap;

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::{Check, Instance, InstanceState, InstanceStatus, Metadata};
use evenkeel_sim::World;
use evenkeel_sim::death::words;
use evenkeel_sim::request::{Done, Request};
use jiff::Timestamp;

use super::places::zone_id;
use super::{Call, next, tags};
use crate::form::Form;
use crate::xml::Xml;

/// EC2's number and name of a state.
fn state_of(state: InstanceState) -> (u32, &'static str) {
    match state {
        InstanceState::Pending => (0, "pending"),
        InstanceState::Running => (16, "running"),
        InstanceState::ShuttingDown => (32, "shutting-down"),
        InstanceState::Terminated => (48, "terminated"),
        InstanceState::Stopping => (64, "stopping"),
        InstanceState::Stopped => (80, "stopped"),
    }
}

fn state(x: &mut Xml, name: &str, of: InstanceState) {
    let (code, word) = state_of(of);
    x.element(name, |x| {
        x.text("code", code);
        x.text("name", word);
    });
}

/// The metadata service's settings, as instances and `ModifyInstanceMetadataOptions` show them.
pub(super) fn metadata(x: &mut Xml, name: &str, of: &Metadata) {
    x.element(name, |x| {
        x.text("state", "applied");
        x.text("httpTokens", if of.tokens_required { "required" } else { "optional" });
        x.text("httpPutResponseHopLimit", of.hop_limit);
        x.text("httpEndpoint", if of.enabled { "enabled" } else { "disabled" });
        x.text("httpProtocolIpv6", "disabled");
        x.text("instanceMetadataTags", "disabled");
    });
}

/// An instance profile with the id that goes with its name.
pub(super) fn profile(x: &mut Xml, arn: &str) {
    x.element("iamInstanceProfile", |x| {
        x.text("arn", arn);
        x.text("id", format!("AIPA{:017X}", evenkeel_sim::dice::fingerprint(arn)));
    });
}

/// The inside of an instance's `<item>`.
fn instance(x: &mut Xml, world: &World, i: &Instance) {
    x.text("instanceId", &i.id);
    x.text("imageId", &i.image);
    state(x, "instanceState", i.state);
    let private_name = i.private_ip.as_ref().map(|ip| format!("ip-{}.ec2.internal", ip.replace('.', "-")));
    let public_name = i.public_ip.as_ref().map(|ip| format!("ec2-{}.compute-1.amazonaws.com", ip.replace('.', "-")));
    x.text("privateDnsName", private_name.unwrap_or_default());
    x.text("dnsName", public_name.unwrap_or_default());
    let (transition, message) = if i.state_reason.is_empty() { ("", "") } else { words(&i.state_reason) };
    x.text("reason", transition);
    x.some("keyName", i.key.as_ref());
    x.text("amiLaunchIndex", i.launch_index);
    x.list("productCodes", None::<()>, |_, ()| {});
    x.text("instanceType", &i.instance_type);
    x.time("launchTime", i.launched);
    x.element("placement", |x| {
        x.text("availabilityZone", &i.zone);
        x.text("availabilityZoneId", zone_id(world, &i.zone));
        x.text("groupName", i.placement_group.as_deref().unwrap_or_default());
        x.text("tenancy", &i.tenancy);
    });
    x.element("monitoring", |x| x.text("state", if i.monitoring { "enabled" } else { "disabled" }));
    x.filled("subnetId", &i.subnet);
    x.filled("vpcId", &i.vpc);
    x.some("privateIpAddress", i.private_ip.as_ref());
    x.some("ipAddress", i.public_ip.as_ref());
    x.text("sourceDestCheck", true);
    x.list("groupSet", &i.security_groups, |x, (id, name)| {
        x.text("groupId", id);
        x.text("groupName", name);
    });
    if !i.state_reason.is_empty() {
        x.element("stateReason", |x| {
            x.text("code", &i.state_reason);
            x.text("message", format!("{}: {message}", i.state_reason));
        });
    }
    x.some("architecture", world.types.get(&i.instance_type).map(|t| &t.architecture));
    x.text("rootDeviceType", "ebs");
    x.some("rootDeviceName", i.root_device.as_ref());
    x.list("blockDeviceMapping", &i.devices, |x, (device, mapping)| {
        x.text("deviceName", device);
        x.element("ebs", |x| {
            x.text("volumeId", &mapping.volume);
            if let Some(disk) = world.volumes.get(&mapping.volume) {
                let hold = disk.hold.as_ref();
                x.some("status", hold.map(|h| super::volumes::attach_word(h.state)));
                x.time("attachTime", hold.and_then(|h| h.since).unwrap_or(disk.created));
            }
            x.text("deleteOnTermination", mapping.delete_on_termination);
        });
    });
    x.text("virtualizationType", "hvm");
    if i.spot {
        x.text("instanceLifecycle", "spot");
    }
    x.text("clientToken", &i.client_token);
    tags::set(x, &i.tags);
    x.text("hypervisor", "xen");
    if let Some(arn) = &i.instance_profile {
        profile(x, arn);
    }
    x.text("ebsOptimized", false);
    x.text("enaSupport", true);
    metadata(x, "metadataOptions", &i.metadata);
}

/// The inside of a reservation, in a list or as the answer to a launch.
pub(super) fn reservation(x: &mut Xml, world: &World, id: &str, instances: &[&Instance]) {
    x.text("reservationId", id);
    x.text("ownerId", &world.account);
    x.list("groupSet", None::<()>, |_, ()| {});
    x.list("instancesSet", instances, |x, i| instance(x, world, i));
}

fn word(check: Check) -> &'static str {
    match check {
        Check::Ok => "ok",
        Check::Impaired => "impaired",
        Check::Initializing => "initializing",
        Check::InsufficientData => "insufficient-data",
        Check::NotApplicable => "not-applicable",
    }
}

fn check(x: &mut Xml, name: &str, (of, since): (Check, Option<Timestamp>)) {
    let reachable = match of {
        Check::Ok => Some("passed"),
        Check::Impaired => Some("failed"),
        Check::Initializing => Some("initializing"),
        Check::InsufficientData => Some("insufficient-data"),
        Check::NotApplicable => None,
    };
    x.element(name, |x| {
        x.text("status", word(of));
        if let Some(reachable) = reachable {
            x.list("details", [()], |x, ()| {
                x.text("name", "reachability");
                x.text("status", reachable);
                if let Some(since) = since {
                    x.time("impairedSince", since);
                }
            });
        }
    });
}

fn status(x: &mut Xml, world: &World, s: &InstanceStatus) {
    x.text("instanceId", &s.id);
    if let Some(m) = world.instances.get(&s.id) {
        x.text("availabilityZone", &m.zone);
        x.text("availabilityZoneId", zone_id(world, &m.zone));
        state(x, "instanceState", m.state);
    }
    if !s.events.is_empty() {
        x.list("eventsSet", s.events.iter().enumerate(), |x, (n, event)| {
            let id = evenkeel_sim::dice::fingerprint(&format!("{} {n} {}", s.id, event.code));
            x.text("instanceEventId", format!("instance-event-{id:017x}"));
            x.text("code", &event.code);
            x.text("description", &event.description);
            if let Some(at) = event.not_before {
                x.time("notBefore", at);
            }
        });
    }
    check(x, "systemStatus", s.system);
    check(x, "instanceStatus", s.instance);
    check(x, "attachedEbsStatus", s.ebs);
}

impl Call<'_> {
    pub(super) async fn instances(&self, mut form: Form) -> Result<String, Failure> {
        let query = form.query("InstanceId")?;
        form.end()?;
        let shown = self.wire.instances(&query, |world, page| {
            let mut by_reservation: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
            for i in &page.items {
                by_reservation.entry(&i.reservation).or_default().push(i);
            }
            self.body(|x| {
                x.list("reservationSet", &by_reservation, |x, (id, instances)| reservation(x, world, id, instances));
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }

    pub(super) async fn statuses(&self, mut form: Form) -> Result<String, Failure> {
        let query = form.query("InstanceId")?;
        let all = form.flag("IncludeAllInstances")?;
        form.end()?;
        let shown = self.wire.statuses(&query, all, |world, page| {
            self.body(|x| {
                x.list("instanceStatusSet", &page.items, |x, s| status(x, world, s));
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }

    async fn moves(&self, request: Request) -> Result<String, Failure> {
        let shown = self.wire.change(&request, |_, done| {
            let rows = if let Done::Moved(rows) = done { rows } else { Vec::new() };
            self.body(|x| {
                x.list("instancesSet", &rows, |x, (id, was, is)| {
                    x.text("instanceId", id);
                    state(x, "currentState", *is);
                    state(x, "previousState", *was);
                });
            })
        });
        shown.await
    }

    pub(super) async fn terminate(&self, mut form: Form) -> Result<String, Failure> {
        let ids = form.list("InstanceId");
        form.end()?;
        self.moves(Request::Terminate { ids }).await
    }

    pub(super) async fn stop(&self, mut form: Form) -> Result<String, Failure> {
        let ids = form.list("InstanceId");
        // The sim's guests never hang in their shutdown, so there is nothing to force.
        form.flag("Force")?;
        form.end()?;
        self.moves(Request::Stop { ids }).await
    }

    pub(super) async fn start(&self, mut form: Form) -> Result<String, Failure> {
        let ids = form.list("InstanceId");
        form.end()?;
        self.moves(Request::Start { ids }).await
    }

    pub(super) async fn reboot(&self, mut form: Form) -> Result<String, Failure> {
        let ids = form.list("InstanceId");
        form.end()?;
        self.wire.change(&Request::Reboot { ids }, |_, _| self.done()).await
    }
}
