//! A listener on the wire: writes down every call and, where it is told to, answers in EC2's place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use async_trait::async_trait;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_ec2::api::{
    Caller, CreateVolume, Ec2, Ec2Read, HeldProfile, Image, Instance, InstanceChange, InstanceStatus, ModifyVolume,
    Page, ProfileChange, Query, Rehearsal, RunInstances, SecurityGroup, Subnet, Tags, Volume, Zone,
};
use evenkeel_sim::Sim;

/// Says whether a call with these words is refused, and how.
type Refuse = Box<dyn FnMut(&str) -> Option<Failure> + Send>;

pub struct Wiretap {
    sim: Sim,
    heard: Mutex<Vec<String>>,
    refuse: Mutex<VecDeque<Refuse>>,
    /// Caps the size of pages.
    page: Mutex<Option<i32>>,
    /// After the last page, the first again, for ever.
    round: Mutex<bool>,
    /// Turns each page around.
    backwards: Mutex<bool>,
    /// Ids that no answer shows.
    hidden: Mutex<BTreeSet<String>>,
}

impl Wiretap {
    pub fn new(sim: Sim) -> Self {
        Self {
            sim,
            heard: Mutex::default(),
            refuse: Mutex::default(),
            page: Mutex::default(),
            round: Mutex::default(),
            backwards: Mutex::default(),
            hidden: Mutex::default(),
        }
    }

    /// Every call whose words begin with `start`.
    pub fn heard(&self, start: &str) -> Vec<String> {
        self.heard.lock().unwrap().iter().filter(|w| w.starts_with(start)).cloned().collect()
    }

    pub fn forget(&self) {
        self.heard.lock().unwrap().clear();
    }

    /// Refuses calls whose words begin with `start`, always.
    pub fn refuse(&self, start: &'static str, class: Class, code: &'static str) {
        self.refuse_if(move |words| words.starts_with(start).then(|| Failure::new(class, code, "refused")));
    }

    pub fn refuse_if(&self, when: impl FnMut(&str) -> Option<Failure> + Send + 'static) {
        self.refuse.lock().unwrap().push_back(Box::new(when));
    }

    /// Refuses nothing any more.
    pub fn allow(&self) {
        self.refuse.lock().unwrap().clear();
    }

    pub fn pages_of(&self, n: i32) {
        *self.page.lock().unwrap() = Some(n);
    }

    pub fn pages_go_round(&self) {
        *self.round.lock().unwrap() = true;
    }

    pub fn turn_pages(&self) {
        *self.backwards.lock().unwrap() = true;
    }

    /// No list and no read by id shows this from now on, and none refuses it.
    pub fn hide(&self, id: &str) {
        self.hidden.lock().unwrap().insert(id.to_owned());
    }

    fn hear(&self, words: String) -> Result<(), Failure> {
        let refused = self.refuse.lock().unwrap().iter_mut().find_map(|r| r(&words));
        self.heard.lock().unwrap().push(words);
        refused.map_or(Ok(()), Err)
    }

    fn list(&self, action: &str, q: &Query) -> Result<Query, Failure> {
        let filters: Vec<_> = q.filters.iter().map(|f| format!("{}={}", f.name, f.values.join(","))).collect();
        self.hear(format!("{action} [{}] [{}]", q.ids.join(","), filters.join(";")))?;
        let max_results = q.max_results.map(|n| self.page.lock().unwrap().map_or(n, |p| n.min(p)));
        // A list that goes round knows but one place.
        let next_token = q.next_token.clone().filter(|_| !*self.round.lock().unwrap());
        Ok(Query { max_results, next_token, ..q.clone() })
    }

    fn turned<T>(&self, mut page: Page<T>, id: fn(&T) -> &String) -> Page<T> {
        let hidden = self.hidden.lock().unwrap();
        page.items.retain(|item| !hidden.contains(id(item)));
        if *self.backwards.lock().unwrap() {
            page.items.reverse();
        }
        page
    }
}

#[async_trait]
impl Ec2Read for Wiretap {
    async fn caller(&self) -> Result<Caller, Failure> {
        self.hear("GetCallerIdentity".into())?;
        self.sim.caller().await
    }
    async fn zones(&self) -> Result<Vec<Zone>, Failure> {
        self.hear("DescribeAvailabilityZones".into())?;
        self.sim.zones().await
    }
    async fn instances(&self, q: &Query) -> Result<Page<Instance>, Failure> {
        let q = self.list("DescribeInstances", q)?;
        self.sim.instances(&q).await.map(|p| self.turned(p, |one| &one.id))
    }
    async fn statuses(&self, q: &Query) -> Result<Page<InstanceStatus>, Failure> {
        let q = self.list("DescribeInstanceStatus", q)?;
        self.sim.statuses(&q).await.map(|p| self.turned(p, |one| &one.id))
    }
    async fn volumes(&self, q: &Query) -> Result<Page<Volume>, Failure> {
        let q = self.list("DescribeVolumes", q)?;
        self.sim.volumes(&q).await.map(|p| self.turned(p, |one| &one.id))
    }
    async fn images(&self, owners: &[String], q: &Query) -> Result<Page<Image>, Failure> {
        let q = self.list("DescribeImages", q)?;
        self.sim.images(owners, &q).await.map(|p| self.turned(p, |one| &one.id))
    }
    async fn subnets(&self, q: &Query) -> Result<Page<Subnet>, Failure> {
        let q = self.list("DescribeSubnets", q)?;
        self.sim.subnets(&q).await.map(|p| self.turned(p, |one| &one.id))
    }
    async fn security_groups(&self, q: &Query) -> Result<Page<SecurityGroup>, Failure> {
        let q = self.list("DescribeSecurityGroups", q)?;
        self.sim.security_groups(&q).await.map(|p| self.turned(p, |one| &one.id))
    }
    async fn parameter(&self, name: &str) -> Result<String, Failure> {
        self.hear(format!("GetParameter {name}"))?;
        self.sim.parameter(name).await
    }
    async fn vcpus(&self, types: &[String]) -> Result<BTreeMap<String, u32>, Failure> {
        self.hear(format!("DescribeInstanceTypes {}", types.join(",")))?;
        self.sim.vcpus(types).await
    }
    async fn quota(&self, code: &str) -> Result<f64, Failure> {
        self.hear(format!("GetServiceQuota {code}"))?;
        self.sim.quota(code).await
    }
    async fn user_data(&self, instance: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.hear(format!("DescribeInstanceAttribute {instance} userData"))?;
        self.sim.user_data(instance).await
    }
    async fn protected(&self, instance: &str) -> Result<bool, Failure> {
        self.hear(format!("DescribeInstanceAttribute {instance} disableApiTermination"))?;
        self.sim.protected(instance).await
    }
    async fn held_profile(&self, instance: &str) -> Result<Option<HeldProfile>, Failure> {
        self.hear(format!("DescribeIamInstanceProfileAssociations {instance}"))?;
        self.sim.held_profile(instance).await
    }
}

#[async_trait]
impl Ec2 for Wiretap {
    async fn run_instances(&self, r: &RunInstances) -> Result<Vec<Instance>, Failure> {
        let zone = r.zone.as_deref().or(r.subnet.as_deref()).unwrap_or("?");
        self.hear(format!("RunInstances {} {zone} {}", r.count, r.instance_type))?;
        self.sim.run_instances(r).await
    }
    async fn terminate(&self, ids: &[String]) -> Result<(), Failure> {
        self.hear(format!("TerminateInstances {}", ids.join(",")))?;
        self.sim.terminate(ids).await
    }
    async fn stop(&self, ids: &[String]) -> Result<(), Failure> {
        self.hear(format!("StopInstances {}", ids.join(",")))?;
        self.sim.stop(ids).await
    }
    async fn start(&self, ids: &[String]) -> Result<(), Failure> {
        self.hear(format!("StartInstances {}", ids.join(",")))?;
        self.sim.start(ids).await
    }
    async fn reboot(&self, ids: &[String]) -> Result<(), Failure> {
        self.hear(format!("RebootInstances {}", ids.join(",")))?;
        self.sim.reboot(ids).await
    }
    async fn change_instance(&self, id: &str, change: &InstanceChange) -> Result<(), Failure> {
        self.hear(format!("Change {id} {change:?}"))?;
        self.sim.change_instance(id, change).await
    }
    async fn change_profile(&self, change: &ProfileChange) -> Result<(), Failure> {
        self.hear(format!("{} {change:?}", change.action()))?;
        self.sim.change_profile(change).await
    }
    async fn set_tags(&self, ids: &[String], tags: &Tags) -> Result<(), Failure> {
        self.hear(format!("CreateTags {} {tags:?}", ids.join(",")))?;
        self.sim.set_tags(ids, tags).await
    }
    async fn unset_tags(&self, ids: &[String], keys: &[String]) -> Result<(), Failure> {
        self.hear(format!("DeleteTags {} {}", ids.join(","), keys.join(",")))?;
        self.sim.unset_tags(ids, keys).await
    }
    async fn create_volume(&self, r: &CreateVolume) -> Result<Volume, Failure> {
        self.hear(format!("CreateVolume {}", r.zone))?;
        self.sim.create_volume(r).await
    }
    async fn modify_volume(&self, id: &str, change: &ModifyVolume) -> Result<(), Failure> {
        self.hear(format!("ModifyVolume {id} {change:?}"))?;
        self.sim.modify_volume(id, change).await
    }
    async fn attach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        self.hear(format!("AttachVolume {volume} {instance} {device}"))?;
        self.sim.attach(volume, instance, device).await
    }
    async fn detach(&self, volume: &str, instance: &str, device: &str) -> Result<(), Failure> {
        self.hear(format!("DetachVolume {volume} {instance} {device}"))?;
        self.sim.detach(volume, instance, device).await
    }
    async fn rehearse(&self, what: &Rehearsal) -> Result<(), Failure> {
        self.hear(format!("DryRun {what:?}"))?;
        Ec2::rehearse(&self.sim, what).await
    }
    async fn delete_volume(&self, id: &str) -> Result<(), Failure> {
        self.hear(format!("DeleteVolume {id}"))?;
        self.sim.delete_volume(id).await
    }
}
