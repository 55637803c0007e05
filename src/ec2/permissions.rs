//! What a declaration needs to be allowed: the least IAM policy that lets evenkeel look at it, and carry it out.
//!
//! Pure. It stands beside the mapping because both know EC2's calls: who adds a call in `perform.rs` or `read.rs` adds
//! it here, and the journey in `tests/policy.rs` fails until it is. Which action checks which resources under which
//! keys is the Service Authorization Reference's word, looked up 2026-11:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::desired::{Desired, Image, Layout, MachineGroup, Scope, Spread, VolumeGroup};
use evenkeel_core::stamp::tag;
use serde::Serialize;

/// A policy document, as IAM writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    /// The language's version; IAM knows no later one.
    pub version: &'static str,
    /// What is allowed. Nothing is denied.
    pub statement: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// What it is for: letters and digits, unique in the document.
    pub sid: String,
    /// Always `Allow`.
    pub effect: &'static str,
    /// Sorted.
    pub action: BTreeSet<String>,
    /// Sorted.
    pub resource: BTreeSet<String>,
    /// Operator → key → any of these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub condition: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// For what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// `plan`, `drift`, `status`, `output`.
    Looking,
    /// Every command.
    Everything,
    /// Every command, and marks put back on what lost the stack's own.
    EverythingAndLostMarks,
}

impl For {
    fn changes(self) -> bool {
        match self {
            Self::Looking => false,
            Self::Everything | Self::EverythingAndLostMarks => true,
        }
    }
}

/// The policy of these scopes of a declaration, in the order of their aliases.
pub fn document<'a>(desired: &Desired, scopes: impl IntoIterator<Item = &'a str>, what: For) -> Document {
    let scopes: Vec<&str> = scopes.into_iter().collect();
    let mut statement = Vec::new();
    for (n, alias) in scopes.iter().enumerate() {
        let place = desired.scopes.get(*alias).cloned().unwrap_or_default();
        let writer = Writer {
            stack: &desired.stack.id,
            arns: Arns::of(&place),
            machines: desired.machines.values().filter(|g| g.scope == **alias).collect(),
            volumes: desired.volumes.values().filter(|g| g.scope == **alias).collect(),
            // A number, since two aliases may be alike but for what a statement's id cannot hold.
            suffix: if scopes.len() > 1 { (n + 1).to_string() } else { String::new() },
            out: &mut statement,
        };
        writer.write(what);
    }
    Document { version: "2012-10-17", statement }
}

/// How things are called in one account and region.
struct Arns {
    partition: &'static str,
    /// `*` where the file names none.
    region: String,
    /// `*` where the file names none.
    account: String,
}

impl Arns {
    fn of(place: &Scope) -> Self {
        let any = || "*".to_owned();
        let region = place.region.clone().unwrap_or_else(any);
        let partition = match region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
            Some(_) | None => "aws",
        };
        Self { partition, region, account: place.account.clone().unwrap_or_else(any) }
    }

    /// Something of the account.
    fn own(&self, service: &str, what: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{what}", self.partition, self.region, self.account)
    }

    /// Something that every account can name: an image, a snapshot, a parameter of AWS's.
    fn common(&self, service: &str, what: &str) -> String {
        format!("arn:{}:{service}:{}::{what}", self.partition, self.region)
    }

    /// An SSM parameter by name, with its version or label left out, or by ARN.
    fn parameter(&self, name: &str) -> String {
        if name.starts_with("arn:") {
            return name.to_owned();
        }
        let name = name.split(':').next().unwrap_or(name).trim_start_matches('/');
        let what = format!("parameter/{name}");
        if name.starts_with("aws/") { self.common("ssm", &what) } else { self.own("ssm", &what) }
    }

    /// The role of an instance profile: as the console makes them, both have one name. Roles belong to no region.
    fn role(&self, profile: &str) -> String {
        let name = profile.rsplit('/').next().unwrap_or(profile);
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    fn ec2_itself(&self) -> &'static str {
        if self.partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" }
    }
}

/// A condition under way.
type Condition = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn set<T: Into<String>>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(Into::into).collect()
}

/// `key` is one of `values`.
fn is<T: Into<String>>(key: impl Into<String>, values: impl IntoIterator<Item = T>) -> Condition {
    Condition::from([("StringEquals".to_owned(), BTreeMap::from([(key.into(), set(values))]))])
}

/// Both conditions.
fn and(mut one: Condition, other: Condition) -> Condition {
    for (operator, keys) in other {
        one.entry(operator).or_default().extend(keys);
    }
    one
}

/// Writes the statements of one scope.
struct Writer<'a> {
    stack: &'a str,
    arns: Arns,
    machines: Vec<&'a MachineGroup>,
    volumes: Vec<&'a VolumeGroup>,
    suffix: String,
    out: &'a mut Vec<Statement>,
}

impl Writer<'_> {
    fn write(mut self, what: For) {
        self.look(what);
        if what.changes() {
            self.launch();
            self.change(what);
            self.keys();
        }
    }

    /// Allows it, unless there is nothing to allow.
    fn allow<A: Into<String>>(
        &mut self,
        sid: &str,
        actions: impl IntoIterator<Item = A>,
        resources: BTreeSet<String>,
        condition: Condition,
    ) {
        let action = set(actions);
        if !action.is_empty() && !resources.is_empty() {
            let sid = format!("{sid}{}", self.suffix);
            self.out.push(Statement { sid, effect: "Allow", action, resource: resources, condition });
        }
    }

    fn all(&self, kinds: &[&str]) -> BTreeSet<String> {
        kinds.iter().map(|kind| self.arns.own("ec2", &format!("{kind}/*"))).collect()
    }

    /// The object is of this stack already.
    fn ours(&self) -> Condition {
        is(format!("ec2:ResourceTag/{}", tag::STACK), [self.stack])
    }

    /// The call itself marks what it makes as of this stack.
    fn marked(&self) -> Condition {
        is(format!("aws:RequestTag/{}", tag::STACK), [self.stack])
    }

    /// The object bears no stack's mark.
    fn unmarked(&self) -> (String, BTreeMap<String, BTreeSet<String>>) {
        let no_mark = BTreeMap::from([(format!("ec2:ResourceTag/{}", tag::STACK), set(["true"]))]);
        ("Null".to_owned(), no_mark)
    }

    /// In the file's region, where it names one.
    fn here(&self) -> Condition {
        if self.arns.region == "*" { Condition::new() } else { is("ec2:Region", [&self.arns.region]) }
    }

    /// Lists know no resources: all that can be said is the region.
    fn look(&mut self, what: For) {
        let subnets = |s: &Spread| matches!(s, Spread::Subnets(_) | Spread::SubnetsTagged(..));
        let volumes_ask = self.volumes.iter().any(|g| match &g.layout {
            Layout::Replicas { spread, .. } => subnets(spread),
            Layout::For(_) => false,
        });
        let machines_ask = self.machines.iter().any(|g| subnets(&g.spread));
        let by_name = self.machines.iter().flat_map(|g| &g.security_groups).any(|s| !s.starts_with("sg-"));
        let lists = [
            ("ec2:DescribeAvailabilityZones", true),
            ("ec2:DescribeInstances", true),
            ("ec2:DescribeInstanceStatus", true),
            ("ec2:DescribeVolumes", true),
            ("ec2:DescribeImages", !self.machines.is_empty()),
            // A rehearsal counts the free addresses of whatever subnet a launch goes to.
            ("ec2:DescribeSubnets", machines_ask || volumes_ask || (what.changes() && !self.machines.is_empty())),
            ("ec2:DescribeSecurityGroups", by_name),
            // A rehearsal holds launches against the account's limit on vCPUs.
            ("ec2:DescribeInstanceTypes", what.changes() && !self.machines.is_empty()),
        ];
        let here = self.here();
        let lists = lists.into_iter().filter(|(_, wanted)| *wanted).map(|(action, _)| action);
        self.allow("Look", lists, set(["*"]), here);
        self.allow("WhoAmI", ["sts:GetCallerIdentity"], set(["*"]), Condition::new());
        let parameters = self.machines.iter().filter_map(|g| match &g.image {
            Image::Ssm(name) => Some(self.arns.parameter(name)),
            Image::Id(_) | Image::Newest { .. } => None,
        });
        let parameters = parameters.collect();
        self.allow("ReadParameters", ["ssm:GetParameter"], parameters, Condition::new());
        if what.changes() && !self.machines.is_empty() {
            self.allow("ReadQuotas", ["servicequotas:GetServiceQuota"], set(["*"]), Condition::new());
        }
        if !self.machines.is_empty() {
            let instances = self.all(&["instance"]);
            self.allow("LookDeep", ["ec2:DescribeInstanceAttribute"], instances, self.ours());
        }
    }

    /// `RunInstances` is checked once for each thing it makes and once for each thing it uses.
    fn launch(&mut self) {
        if !self.machines.is_empty() {
            let types = set(self.machines.iter().flat_map(|g| g.types.iter().cloned()));
            let of_types = and(self.marked(), is("ec2:InstanceType", types));
            let instances = self.all(&["instance"]);
            self.allow("LaunchMachines", ["ec2:RunInstances"], instances, of_types);
            let used = self.used();
            self.allow("LaunchWith", ["ec2:RunInstances"], used, Condition::new());
        }
        let mut make = BTreeSet::new();
        let mut made = BTreeSet::new();
        if !self.machines.is_empty() {
            make.insert("ec2:RunInstances");
            made.extend(self.all(&["instance", "volume"]));
        }
        if !self.volumes.is_empty() {
            make.insert("ec2:CreateVolume");
            made.extend(self.all(&["volume"]));
        }
        let volumes = if make.is_empty() { BTreeSet::new() } else { self.all(&["volume"]) };
        self.allow("MakeVolumes", make.iter().copied(), volumes, self.marked());
        let snapshots = self.volumes.iter().filter_map(|g| g.from_snapshot.as_ref());
        let snapshots = snapshots.map(|id| self.arns.common("ec2", &format!("snapshot/{id}"))).collect();
        self.allow("MakeFromSnapshots", ["ec2:CreateVolume"], snapshots, Condition::new());
        // Only together with the call that makes the thing.
        let calls = make.iter().filter_map(|action| action.strip_prefix("ec2:"));
        let with = and(self.marked(), is("ec2:CreateAction", calls));
        self.allow("MarkNew", ["ec2:CreateTags"], made, with);
        self.roles();
    }

    /// What a launch uses and does not make.
    fn used(&self) -> BTreeSet<String> {
        // Every new machine gets an interface, which bears no tag of ours.
        let mut used = self.all(&["network-interface"]);
        for g in &self.machines {
            used.insert(match &g.image {
                Image::Id(id) => self.arns.common("ec2", &format!("image/{id}")),
                Image::Ssm(_) | Image::Newest { .. } => self.arns.common("ec2", "image/*"),
            });
            match &g.spread {
                Spread::Subnets(ids) => used.extend(ids.iter().map(|id| self.arns.own("ec2", &format!("subnet/{id}")))),
                Spread::Anywhere | Spread::Zones(_) | Spread::SubnetsTagged(..) => used.extend(self.all(&["subnet"])),
            }
            used.extend(self.groups(g));
            used.extend(g.key.iter().map(|key| self.arns.own("ec2", &format!("key-pair/{key}"))));
            let group = g.placement_group.iter();
            used.extend(group.map(|name| self.arns.own("ec2", &format!("placement-group/{name}"))));
            // The reference does not list it for RunInstances, the User Guide's page on spot requests does.
            if g.spot {
                used.extend(self.all(&["spot-instances-request"]));
            }
        }
        narrowed(used)
    }

    /// A machine group's security groups; without any, it is the VPC's default one, whose id the file does not tell.
    fn groups(&self, g: &MachineGroup) -> BTreeSet<String> {
        if g.security_groups.is_empty() || g.security_groups.iter().any(|s| !s.starts_with("sg-")) {
            return self.all(&["security-group"]);
        }
        g.security_groups.iter().map(|id| self.arns.own("ec2", &format!("security-group/{id}"))).collect()
    }

    fn roles(&mut self) {
        let roles = self.machines.iter().filter_map(|g| g.instance_profile.as_deref());
        let roles = roles.map(|profile| self.arns.role(profile)).collect();
        let to_ec2 = is("iam:PassedToService", [self.arns.ec2_itself()]);
        self.allow("PassRoles", ["iam:PassRole"], roles, to_ec2);
    }

    /// What is of this stack may be changed and ended.
    fn change(&mut self, what: For) {
        let (machines, volumes) = (!self.machines.is_empty(), !self.volumes.is_empty());
        let with_profile = self.machines.iter().any(|g| g.instance_profile.is_some());
        let without_profile = self.machines.iter().any(|g| g.instance_profile.is_none());
        let attaches = self.volumes.iter().any(|g| matches!(g.layout, Layout::For(_)));
        let grows = self.machines.iter().any(|g| {
            let root = &g.root;
            let of_root = root.size.is_some() || root.volume_type.is_some();
            of_root || root.iops.is_some() || root.throughput.is_some() || !g.disks.is_empty()
        });
        let on_machines = [
            ("ec2:TerminateInstances", machines),
            ("ec2:StopInstances", machines),
            ("ec2:StartInstances", machines),
            ("ec2:ModifyInstanceAttribute", machines),
            ("ec2:ModifyInstanceMetadataOptions", machines),
            ("ec2:MonitorInstances", self.machines.iter().any(|g| g.monitoring)),
            ("ec2:UnmonitorInstances", self.machines.iter().any(|g| !g.monitoring)),
            ("ec2:AssociateIamInstanceProfile", with_profile),
            ("ec2:ReplaceIamInstanceProfileAssociation", with_profile),
            // One that somebody gave to a machine of a group without one is drift.
            ("ec2:DisassociateIamInstanceProfile", without_profile),
            ("ec2:AttachVolume", machines && attaches),
            ("ec2:DetachVolume", machines && volumes),
        ];
        let on_volumes = [
            ("ec2:AttachVolume", attaches),
            ("ec2:DetachVolume", volumes),
            ("ec2:DeleteVolume", volumes),
            ("ec2:ModifyVolume", volumes || grows),
        ];
        let wanted = |list: &[(&'static str, bool)]| -> BTreeSet<&'static str> {
            list.iter().filter(|(_, wanted)| *wanted).map(|(action, _)| *action).collect()
        };
        let (instances, disks) = (self.all(&["instance"]), self.all(&["volume"]));
        self.allow("ChangeMachines", wanted(&on_machines), instances, self.ours());
        self.allow("ChangeVolumes", wanted(&on_volumes), disks, self.ours());
        let kinds: Vec<&str> =
            [("instance", machines), ("volume", volumes)].iter().filter(|(_, is)| *is).map(|(kind, _)| *kind).collect();
        let marked = self.all(&kinds);
        if what == For::EverythingAndLostMarks {
            let lost = and(self.marked(), Condition::from([self.unmarked()]));
            self.allow("MarkAgain", ["ec2:CreateTags"], marked.clone(), lost);
        }
        self.allow("ChangeTags", ["ec2:CreateTags", "ec2:DeleteTags"], marked, self.ours());
        if machines {
            // The groups that a machine is put into are checked too, and are nobody's.
            let groups = narrowed(self.machines.iter().flat_map(|g| self.groups(g)).collect());
            self.allow("ChangeGroups", ["ec2:ModifyInstanceAttribute"], groups, Condition::new());
            let here = self.here();
            self.allow("FindProfiles", ["ec2:DescribeIamInstanceProfileAssociations"], set(["*"]), here);
        }
    }

    /// EC2 uses a key on the caller's behalf, so the caller must be allowed to:
    /// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>. AWS's own key (`aws/ebs`)
    /// needs nothing.
    fn keys(&mut self) {
        let disks = self.machines.iter().flat_map(|g| g.disks.values().chain([&g.root]));
        let disks = disks.filter_map(|d| d.kms_key.as_deref());
        let named: BTreeSet<&str> = disks.chain(self.volumes.iter().filter_map(|g| g.kms_key.as_deref())).collect();
        let (aliases, keys): (Vec<&str>, Vec<&str>) =
            named.into_iter().filter(|k| !k.ends_with("alias/aws/ebs")).partition(|k| k.contains("alias/"));
        let keys: BTreeSet<String> = keys
            .into_iter()
            .map(|k| if k.starts_with("arn:") { k.to_owned() } else { self.arns.own("kms", &format!("key/{k}")) })
            .collect();
        // An alias is no resource of these actions; the key's condition names it.
        let aliases = set(aliases.into_iter().map(|k| k.find("alias/").map_or(k, |at| &k[at..])));
        let use_it = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
        let granted = Condition::from([(
            "Bool".to_owned(),
            BTreeMap::from([("kms:GrantIsForAWSResource".to_owned(), set(["true"]))]),
        )]);
        self.allow("UseKeys", use_it, keys.clone(), Condition::new());
        self.allow("GrantKeys", ["kms:CreateGrant"], keys, granted.clone());
        if !aliases.is_empty() {
            let called = Condition::from([(
                "ForAnyValue:StringEquals".to_owned(),
                BTreeMap::from([("kms:ResourceAliases".to_owned(), aliases)]),
            )]);
            let any = set([self.arns.own("kms", "key/*")]);
            self.allow("UseNamedKeys", use_it, any.clone(), called.clone());
            self.allow("GrantNamedKeys", ["kms:CreateGrant"], any, and(granted, called));
        }
    }
}

/// Without those that a `…/*` beside them holds already.
fn narrowed(all: BTreeSet<String>) -> BTreeSet<String> {
    let open: Vec<String> = all.iter().filter_map(|arn| arn.strip_suffix('*').map(str::to_owned)).collect();
    all.into_iter().filter(|arn| arn.ends_with('*') || !open.iter().any(|start| arn.starts_with(start))).collect()
}

#[cfg(test)]
mod tests;
