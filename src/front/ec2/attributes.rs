//! What can be read and changed on one instance: attributes, metadata options, monitoring, its profile.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::InstanceChange;
use evenkeel_sim::request::{Done, Request};
use evenkeel_sim::world::Association;

use super::instances::{metadata, profile};
use super::{Call, next};
use crate::form::{Form, refuse};
use crate::xml::Xml;

/// The metadata options a request may set.
#[derive(Debug, Default)]
pub(super) struct Switches {
    pub(super) tokens_required: Option<bool>,
    pub(super) hop_limit: Option<i32>,
    pub(super) enabled: Option<bool>,
}

impl Switches {
    pub(super) fn read(form: &mut Form) -> Result<Self, Failure> {
        Ok(Self {
            tokens_required: either(form, "HttpTokens", "required", "optional")?,
            hop_limit: form.parsed("HttpPutResponseHopLimit")?,
            enabled: either(form, "HttpEndpoint", "enabled", "disabled")?,
        })
    }
}

fn either(form: &mut Form, name: &str, yes: &str, no: &str) -> Result<Option<bool>, Failure> {
    match form.take(name) {
        None => Ok(None),
        Some(value) if value == yes => Ok(Some(true)),
        Some(value) if value == no => Ok(Some(false)),
        Some(value) => refuse("InvalidParameterValue", format!("Value ({value}) for parameter {name} is invalid.")),
    }
}

/// An instance profile by ARN or name, whichever is given.
pub(super) fn profile_of(form: &mut Form, name: &str) -> Result<Option<String>, Failure> {
    let mut part = form.part(name);
    let (arn, name) = (part.take("Arn"), part.take("Name"));
    part.end()?;
    match (arn, name) {
        (Some(_), Some(_)) => refuse("InvalidParameterCombination", "Give a profile's Arn or its Name, not both."),
        (one, other) => Ok(one.or(other)),
    }
}

fn association(x: &mut Xml, a: &Association, state: &str) {
    x.text("associationId", &a.id);
    x.text("instanceId", &a.instance);
    profile(x, &a.profile);
    x.text("state", state);
    x.time("timestamp", a.since);
}

impl Call<'_> {
    pub(super) async fn attribute(&self, mut form: Form) -> Result<String, Failure> {
        let (id, name) = (form.need("InstanceId")?, form.need("Attribute")?);
        form.end()?;
        let shown = self.wire.instance(&id, |world, m| {
            let value = |text: &dyn std::fmt::Display| {
                let text = text.to_string();
                self.body(|x| {
                    x.text("instanceId", &id);
                    x.element(&name, |x| x.text("value", &text));
                })
            };
            Ok(match name.as_str() {
                "userData" => self.body(|x| {
                    x.text("instanceId", &id);
                    x.element("userData", |x| x.some("value", m.user_data.as_ref()));
                }),
                "disableApiTermination" => value(&m.protected),
                "instanceType" => value(&m.instance_type),
                "groupSet" => self.body(|x| {
                    x.text("instanceId", &id);
                    x.list("groupSet", &m.security_groups, |x, id| {
                        x.text("groupId", id);
                        x.some("groupName", world.security_groups.get(id).map(|g| &g.name));
                    });
                }),
                other => {
                    return refuse(
                        "InvalidParameterValue",
                        format!("Value ({other}) for parameter attribute is invalid here."),
                    );
                }
            })
        });
        shown.await
    }

    pub(super) async fn modify_attribute(&self, mut form: Form) -> Result<String, Failure> {
        let id = form.need("InstanceId")?;
        let groups = form.list("GroupId");
        let mut valued = |name: &str| {
            let mut part = form.part(name);
            let value = part.take("Value");
            part.end().map(|()| value)
        };
        let (kind, protect) = (valued("InstanceType")?, valued("DisableApiTermination")?);
        form.end()?;
        let change = match (kind, protect, groups.is_empty()) {
            (Some(kind), None, true) => InstanceChange::Type(kind),
            (None, Some(on), true) => match on.parse() {
                Ok(on) => InstanceChange::Protect(on),
                Err(_) => return refuse("InvalidParameterValue", format!("Value ({on}) is neither true nor false.")),
            },
            (None, None, false) => InstanceChange::SecurityGroups(groups),
            (None, None, true) => return refuse("MissingParameter", "No attributes specified."),
            (_, _, _) => {
                return refuse("InvalidParameterCombination", "Fields for multiple attribute types specified");
            }
        };
        self.wire.change(&Request::ChangeInstance { id, change }, |_, _| self.done()).await
    }

    pub(super) async fn metadata(&self, mut form: Form) -> Result<String, Failure> {
        let id = form.need("InstanceId")?;
        let Switches { tokens_required, hop_limit, enabled } = Switches::read(&mut form)?;
        form.end()?;
        let request = Request::SetMetadata { id, tokens_required, hop_limit, enabled };
        let shown = self.wire.change(&request, |_, done| {
            self.body(|x| {
                if let Done::Metadata(id, now) = done {
                    x.text("instanceId", id);
                    metadata(x, "instanceMetadataOptions", &now);
                }
            })
        });
        shown.await
    }

    pub(super) async fn monitor(&self, mut form: Form, on: bool) -> Result<String, Failure> {
        let ids = form.list("InstanceId");
        form.end()?;
        let request = Request::Monitor { ids, on };
        let shown = self.wire.change(&request, |_, done| {
            let (ids, on) = if let Done::Monitored(ids, on) = done { (ids, on) } else { (Vec::new(), on) };
            self.body(|x| {
                x.list("instancesSet", &ids, |x, id| {
                    x.text("instanceId", id);
                    // The sim turns it on and off at once.
                    x.element("monitoring", |x| x.text("state", if on { "enabled" } else { "disabled" }));
                });
            })
        });
        shown.await
    }

    pub(super) async fn associations(&self, mut form: Form) -> Result<String, Failure> {
        let query = form.query("AssociationId")?;
        form.end()?;
        let shown = self.wire.associations(&query, |_, page| {
            self.body(|x| {
                x.list("iamInstanceProfileAssociationSet", &page.items, |x, a| association(x, a, "associated"));
                next(x, page.next_token.as_ref());
            })
        });
        shown.await
    }

    async fn associated(&self, request: Request, state: &str) -> Result<String, Failure> {
        let shown = self.wire.change(&request, |_, done| {
            self.body(|x| {
                if let Done::Associated(a) = &done {
                    x.element("iamInstanceProfileAssociation", |x| association(x, a, state));
                }
            })
        });
        shown.await
    }

    pub(super) async fn associate(&self, mut form: Form) -> Result<String, Failure> {
        let instance = form.need("InstanceId")?;
        let profile = needed_profile(&mut form)?;
        form.end()?;
        self.associated(Request::Associate { instance, profile }, "associating").await
    }

    pub(super) async fn replace_association(&self, mut form: Form) -> Result<String, Failure> {
        let association = form.need("AssociationId")?;
        let profile = needed_profile(&mut form)?;
        form.end()?;
        self.associated(Request::ReplaceAssociation { association, profile }, "associating").await
    }

    pub(super) async fn disassociate(&self, mut form: Form) -> Result<String, Failure> {
        let association = form.need("AssociationId")?;
        form.end()?;
        self.associated(Request::Disassociate { association }, "disassociating").await
    }
}

fn needed_profile(form: &mut Form) -> Result<String, Failure> {
    match profile_of(form, "IamInstanceProfile")? {
        Some(profile) => Ok(profile),
        None => refuse("MissingParameter", "The request must contain the parameter IamInstanceProfile"),
    }
}
