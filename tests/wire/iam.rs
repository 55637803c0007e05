//! As much of IAM as the printed policies use: what one EC2 call asks to be allowed, and whether a document allows it.
//!
//! What a call asks is AWS's word (the Service Authorization Reference, by action), written here a second time and not
//! taken from the program: the two must agree.

use std::collections::BTreeMap;

use evenkeel_sim::World;
use globset::Glob;
use serde_json::Value;

use super::proxy::Call;

/// One thing that a call must be allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// `ec2:RunInstances`.
    pub action: String,
    /// An ARN, or `*`.
    pub resource: String,
    /// Condition keys and what they are in this request.
    pub context: BTreeMap<String, String>,
}

/// Whether a document allows it: some statement does.
pub fn allows(document: &Value, asked: &Asked) -> bool {
    let any = |list: &Value, text: &str| {
        let all = list.as_array().expect("a list");
        all.iter().any(|p| Glob::new(p.as_str().expect("text")).expect("a pattern").compile_matcher().is_match(text))
    };
    let holds = |(operator, keys): (&String, &Value)| {
        let mut keys = keys.as_object().expect("keys").iter();
        keys.all(|(key, values)| {
            let is = asked.context.get(key);
            let mut values = values.as_array().expect("values").iter();
            match operator.as_str() {
                "StringEquals" | "Bool" | "ForAnyValue:StringEquals" => values.any(|v| is.is_some_and(|is| v == is)),
                "Null" => values.any(|v| v.as_str() == Some(if is.is_none() { "true" } else { "false" })),
                _ => panic!("{operator} is not known here"),
            }
        })
    };
    let mut statements = document["Statement"].as_array().expect("statements").iter();
    statements.any(|s| {
        s["Effect"] == "Allow"
            && any(&s["Action"], &asked.action)
            && any(&s["Resource"], &asked.resource)
            && s.get("Condition").is_none_or(|c| c.as_object().expect("operators").iter().all(holds))
    })
}

/// Reads calls in one world.
struct Reader<'a> {
    world: &'a World,
    out: Vec<Asked>,
}

/// All that this call asks. `None`: nobody has said here what it asks.
pub fn asks(call: &Call, body: &str, world: &World) -> Option<Vec<Asked>> {
    let mut reader = Reader { world, out: Vec::new() };
    reader.read(call, body)?;
    Some(reader.out)
}

type Keys = Vec<(String, String)>;

impl Reader<'_> {
    fn own(&self, what: &str) -> String {
        format!("arn:aws:ec2:{}:{}:{what}", self.world.region, self.world.account)
    }

    fn common(&self, what: &str) -> String {
        format!("arn:aws:ec2:{}::{what}", self.world.region)
    }

    fn ask(&mut self, action: &str, resource: String, keys: Keys) {
        let service_keys = action.starts_with("ec2:").then(|| ("ec2:Region".to_owned(), self.world.region.clone()));
        let context = keys.into_iter().chain(service_keys).collect();
        self.out.push(Asked { action: action.to_owned(), resource, context });
    }

    /// An instance or volume that exists, with its tags.
    fn live(&mut self, action: &str, id: &str, more: &[(String, String)]) {
        let tags = self.world.instances.get(id).map(|m| &m.tags);
        // Of what is not there, the server says that it is not.
        let Some(tags) = tags.or_else(|| self.world.volumes.get(id).map(|v| &v.tags)).cloned() else { return };
        let keys = tags.into_iter().map(|(k, v)| (format!("ec2:ResourceTag/{k}"), v)).chain(more.iter().cloned());
        let kind = if id.starts_with("vol-") { "volume" } else { "instance" };
        self.ask(action, self.own(&format!("{kind}/{id}")), keys.collect());
    }

    fn read(&mut self, call: &Call, body: &str) -> Option<()> {
        let action = format!("ec2:{}", call.action);
        let one = |name: &str| call.form.get(name).cloned().unwrap_or_default();
        match call.action.as_str() {
            "GetCallerIdentity" => self.ask("sts:GetCallerIdentity", "*".into(), vec![]),
            "GetParameter" => {
                let asked: Value = serde_json::from_str(body).ok()?;
                let name = asked["Name"].as_str()?.trim_start_matches('/').to_owned();
                let account = if name.starts_with("aws/") { "" } else { &self.world.account };
                let arn = format!("arn:aws:ssm:{}:{account}:parameter/{name}", self.world.region);
                self.ask("ssm:GetParameter", arn, vec![]);
            }
            "GetServiceQuota" => self.ask("servicequotas:GetServiceQuota", "*".into(), vec![]),
            "DescribeInstanceAttribute" => self.live(&action, &one("InstanceId"), &[]),
            list if list.starts_with("Describe") => self.ask(&action, "*".into(), vec![]),
            "RunInstances" => self.run(call),
            "CreateVolume" => {
                let marks = request_tags(&call.tags("volume"));
                self.ask(&action, self.own("volume/vol-new"), marks.clone());
                if let Some(id) = call.form.get("SnapshotId") {
                    self.ask(&action, self.common(&format!("snapshot/{id}")), vec![]);
                }
                self.key(call.form.get("KmsKeyId"));
                self.mark("CreateVolume", "volume/vol-new", marks);
            }
            "TerminateInstances" | "StopInstances" | "StartInstances" | "MonitorInstances" | "UnmonitorInstances" => {
                listed(call, "InstanceId").iter().for_each(|id| self.live(&action, id, &[]));
            }
            "ModifyInstanceAttribute" => {
                self.live(&action, &one("InstanceId"), &[]);
                for id in listed(call, "GroupId") {
                    self.ask(&action, self.own(&format!("security-group/{id}")), vec![]);
                }
            }
            "ModifyInstanceMetadataOptions" => self.live(&action, &one("InstanceId"), &[]),
            "AssociateIamInstanceProfile" => {
                self.live(&action, &one("InstanceId"), &[]);
                self.role(call.form.get("IamInstanceProfile.Name"));
            }
            "ReplaceIamInstanceProfileAssociation" | "DisassociateIamInstanceProfile" => {
                // Which instance an association is of, the request does not say; here all have the same mark.
                let held = self.world.instances.iter().find(|(_, m)| m.instance_profile.is_some() && !is_dead(m));
                let id = held.map(|(id, _)| id.clone()).unwrap_or_default();
                self.live(&action, &id, &[]);
                self.role(call.form.get("IamInstanceProfile.Name"));
            }
            "CreateTags" | "DeleteTags" => {
                let key = |n: usize| call.form.get(&format!("Tag.{n}.Key"));
                let value = |n: usize| call.form.get(&format!("Tag.{n}.Value")).cloned().unwrap_or_default();
                let tags = (1..).map_while(|n| Some((format!("aws:RequestTag/{}", key(n)?), value(n))));
                let tags: Keys = tags.collect();
                listed(call, "ResourceId").iter().for_each(|id| self.live(&action, id, &tags));
            }
            "AttachVolume" | "DetachVolume" => {
                self.live(&action, &one("VolumeId"), &[]);
                self.live(&action, &one("InstanceId"), &[]);
            }
            "DeleteVolume" | "ModifyVolume" => self.live(&action, &one("VolumeId"), &[]),
            _ => return None,
        }
        Some(())
    }

    fn run(&mut self, call: &Call) {
        let action = "ec2:RunInstances";
        let one = |name: &str| call.form.get(name).cloned();
        let marks = request_tags(&call.tags("instance"));
        let mut of_instance = marks.clone();
        of_instance.extend(one("InstanceType").map(|t| ("ec2:InstanceType".to_owned(), t)));
        self.ask(action, self.own("instance/i-new"), of_instance);
        let of_volumes = request_tags(&call.tags("volume"));
        self.ask(action, self.own("volume/vol-new"), of_volumes.clone());
        self.ask(action, self.own("network-interface/eni-new"), vec![]);
        self.ask(action, self.common(&format!("image/{}", one("ImageId").unwrap_or_default())), vec![]);
        let subnet = one("SubnetId").or_else(|| one("NetworkInterface.1.SubnetId"));
        self.ask(action, self.own(&format!("subnet/{}", subnet.as_deref().unwrap_or("subnet-default"))), vec![]);
        let mut groups = listed(call, "SecurityGroupId");
        groups.extend(listed(call, "NetworkInterface.1.SecurityGroupId"));
        if groups.is_empty() {
            groups.push("sg-default".into());
        }
        for id in groups {
            self.ask(action, self.own(&format!("security-group/{id}")), vec![]);
        }
        for (parameter, kind) in [("KeyName", "key-pair"), ("Placement.GroupName", "placement-group")] {
            if let Some(name) = one(parameter) {
                self.ask(action, self.own(&format!("{kind}/{name}")), vec![]);
            }
        }
        if one("InstanceMarketOptions.MarketType").is_some() {
            self.ask(action, self.own("spot-instances-request/sir-new"), vec![]);
        }
        self.role(call.form.get("IamInstanceProfile.Name"));
        for (name, key) in &call.form {
            if name.starts_with("BlockDeviceMapping.") && name.ends_with(".Ebs.KmsKeyId") {
                self.key(Some(key));
            }
        }
        self.mark("RunInstances", "instance/i-new", marks);
        self.mark("RunInstances", "volume/vol-new", of_volumes);
    }

    /// Tags in a creating call ask for `CreateTags`, too.
    fn mark(&mut self, by: &str, what: &str, mut tags: Keys) {
        if !tags.is_empty() {
            tags.push(("ec2:CreateAction".into(), by.into()));
            self.ask("ec2:CreateTags", self.own(what), tags);
        }
    }

    /// Who gives a machine a profile passes its role.
    fn role(&mut self, profile: Option<&String>) {
        if let Some(name) = profile {
            let arn = format!("arn:aws:iam::{}:role/{name}", self.world.account);
            self.ask("iam:PassRole", arn, vec![("iam:PassedToService".into(), "ec2.amazonaws.com".into())]);
        }
    }

    /// EC2 uses the key in the caller's name.
    fn key(&mut self, key: Option<&String>) {
        let Some(alias) = key else { return };
        let arn = format!("arn:aws:kms:{}:{}:key/of-that-alias", self.world.region, self.world.account);
        let named = ("kms:ResourceAliases".to_owned(), alias.clone());
        for action in ["Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"] {
            self.ask(&format!("kms:{action}"), arn.clone(), vec![named.clone()]);
        }
        let granted = ("kms:GrantIsForAWSResource".to_owned(), "true".to_owned());
        self.ask("kms:CreateGrant", arn, vec![named, granted]);
    }
}

fn is_dead(m: &evenkeel_sim::world::Machine) -> bool {
    use evenkeel_ec2::api::InstanceState::{ShuttingDown, Terminated};
    matches!(m.state, ShuttingDown | Terminated)
}

fn request_tags(tags: &BTreeMap<String, String>) -> Keys {
    tags.iter().map(|(k, v)| (format!("aws:RequestTag/{k}"), v.clone())).collect()
}

/// `name.1`, `name.2` …
fn listed(call: &Call, name: &str) -> Vec<String> {
    (1..).map_while(|n| call.form.get(&format!("{name}.{n}")).cloned()).collect()
}
