//! Looking: everything of a stack in a few paginated lists, or some objects by id.
//!
//! What a read costs, for N of our objects among M of the account's: caller 1, zones 1, instances ⌈N/1000⌉, statuses
//! ⌈M/1000⌉ (EC2 takes no tag filter there), volumes ⌈N/1000⌉, one a lookup; and one more where the statuses show
//! instances that our list does not (one of ours may have lost its tags, or the list is short), one where something
//! hangs at our machines that our list of volumes does not show, and one a kind where something is gone that an earlier
//! look saw. A volume without tags that hangs nowhere cannot be found: EC2 does not tell volumes' client tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use evenkeel_core::address::Kind;
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::launch::token_prefix;
use evenkeel_core::observed::{Gap, Object};
use evenkeel_core::stamp::tag;
use evenkeel_core::value::Value;
use evenkeel_engine::caller::{Ask, Caller};
use evenkeel_engine::provider::{Eyes, Looked, Reading, Wants};
use futures::StreamExt;

use crate::api::{Ec2Read, Filter, Instance, InstanceStatus, Query, Tags, Volume};
use crate::by_id::ById;
use crate::kinds::{Alike, machine, volume};
use crate::limits;
use crate::pages::{Shown, Walked, by_ids, shown_by_ids, walk};
use crate::wire::{Calls, call, family};

/// EC2 to look at and not to touch.
pub struct Ec2Eyes<E: ?Sized> {
    ec2: Arc<E>,
    scope: String,
    caller: Arc<Caller>,
    /// How many instances the account had when the statuses were listed last.
    account_has: AtomicUsize,
}

impl<E: Ec2Read + ?Sized> Ec2Eyes<E> {
    /// Looks through `ec2`; `scope` is the alias that objects found by id bear. Every wire call passes through
    /// `caller`, one an account and region.
    pub fn new(ec2: Arc<E>, scope: impl Into<String>, caller: Arc<Caller>) -> Self {
        Self { ec2, scope: scope.into(), caller, account_has: AtomicUsize::new(0) }
    }

    /// Where every wire call passes.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    pub(crate) fn ec2(&self) -> &E {
        &self.ec2
    }

    /// One reading wire call.
    pub(crate) async fn asks<T, F>(&self, calls: &Calls, action: &str, make: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        call(&self.caller, calls, action, Ask::new(action, family(action)), make).await
    }

    pub(crate) async fn instances(&self, calls: &Calls, query: Query) -> Walked<Instance> {
        let action = "DescribeInstances";
        walk(action, query, |q| async move { self.asks(calls, action, || self.ec2.instances(&q)).await }).await
    }

    pub(crate) async fn volumes(&self, calls: &Calls, query: Query) -> Walked<Volume> {
        let action = "DescribeVolumes";
        walk(action, query, |q| async move { self.asks(calls, action, || self.ec2.volumes(&q)).await }).await
    }

    async fn statuses(&self, calls: &Calls, query: Query) -> Walked<InstanceStatus> {
        let action = "DescribeInstanceStatus";
        walk(action, query, |q| async move { self.asks(calls, action, || self.ec2.statuses(&q)).await }).await
    }

    pub(crate) async fn instances_by_id(
        &self,
        calls: &Calls,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<Shown<Instance>, Failure> {
        shown_by_ids("DescribeInstances", ids, limits::IDS, |ids| async move {
            self.instances(calls, Query { ids, ..Query::default() }).await.whole()
        })
        .await
    }

    pub(crate) async fn volumes_by_id(
        &self,
        calls: &Calls,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<Shown<Volume>, Failure> {
        shown_by_ids("DescribeVolumes", ids, limits::IDS, |ids| async move {
            self.volumes(calls, Query { ids, ..Query::default() }).await.whole()
        })
        .await
    }

    /// The statuses of these machines: by id, or, where that is fewer calls, out of the list of all there are.
    async fn statuses_of(&self, calls: &Calls, ids: Vec<String>) -> Result<Vec<InstanceStatus>, Failure> {
        // Those that are asked about may all be newer than the last list.
        let listed = (self.account_has.load(Ordering::Relaxed) + ids.len()).div_ceil(limits::PAGE as usize);
        if listed < ids.len().div_ceil(limits::STATUS_IDS) {
            let all = self.statuses(calls, Query::default()).await.whole()?;
            self.account_has.store(all.len(), Ordering::Relaxed);
            return Ok(all);
        }
        by_ids(ids, limits::STATUS_IDS, |ids| async move {
            self.statuses(calls, Query { ids, ..Query::default() }).await.whole()
        })
        .await
    }

    /// Instances that our client token made and our tag does not show, or that the list has left out.
    ///
    /// The statuses have listed every instance there is, so where that list is at hand, only the ids that are still
    /// strangers are asked about: none in an account of our own, one call by id otherwise, which every EC2-like
    /// server understands. Very many strangers, or no list, cost one list filtered by token instead; a server that
    /// does not know that filter shows nothing, and the token still keeps a second launch from doing harm.
    async fn stripped(
        &self,
        calls: &Calls,
        stack: &str,
        known: &ById<Instance>,
        statuses: &Walked<InstanceStatus>,
    ) -> Walked<Instance> {
        let prefix = token_prefix(stack);
        let mut walked = Walked { items: Vec::new(), failed: None };
        let strangers: BTreeSet<String> =
            statuses.items.iter().filter(|s| !known.has(&s.id)).map(|s| s.id.clone()).collect();
        if statuses.failed.is_none() && strangers.len() <= limits::IDS {
            if strangers.is_empty() {
                return walked;
            }
            match self.instances_by_id(calls, strangers.clone()).await.and_then(Shown::whole) {
                Ok(found) => walked.items = found,
                Err(failure) => walked.failed = Some(failure),
            }
            // What has a status runs. One that nothing else shows may be ours.
            let unseen = strangers.iter().find(|id| !walked.items.iter().any(|i| i.id == **id));
            if let (Some(id), None) = (unseen, &walked.failed) {
                let says = format!("DescribeInstanceStatus shows {id}, and DescribeInstances does not");
                walked.failed = Some(Failure::new(Class::Transient, "", says));
            }
        } else {
            let by_token = Filter::new("client-token", format!("{prefix}*"));
            match self.instances(calls, Query { filters: vec![by_token], ..Query::default() }).await.whole() {
                Ok(found) => walked.items = found,
                Err(failure) if failure.class == Class::Invalid => {}
                Err(failure) => walked.failed = Some(failure),
            }
        }
        walked.items.retain(|i| is_ours(stack, &i.client_token, &i.tags));
        walked
    }

    /// User data and protection, machine by machine.
    async fn deepen(&self, calls: &Calls, wants: &Wants, objects: &mut [Object]) -> Option<Failure> {
        let ids: Vec<(usize, String)> = objects
            .iter()
            .enumerate()
            .filter(|(_, o)| o.kind == Kind::Machines && o.phase.alive())
            .map(|(at, o)| (at, o.id.clone()))
            .collect();
        let action = "DescribeInstanceAttribute";
        let ask = |(at, id): (usize, String)| async move {
            let script = self.asks(calls, action, || self.ec2.user_data(&id)).await;
            let seen = match script {
                Ok(script) => self.asks(calls, action, || self.ec2.protected(&id)).await.map(|on| (script, on)),
                Err(failure) => Err(failure),
            };
            (at, seen)
        };
        let answers: Vec<(usize, Result<Deep, Failure>)> =
            futures::stream::iter(ids).map(ask).buffer_unordered(limits::DEEP_AT_ONCE).collect().await;
        let mut failed = BTreeMap::new();
        for (at, answer) in answers {
            match answer {
                Ok((script, protect)) => {
                    let script = script.filter(|d| !d.is_empty());
                    let script = script.map(|bytes| Digest::keyed(wants.stack.as_bytes(), &bytes).0);
                    objects[at].fields.insert("user-data".into(), script.into());
                    objects[at].fields.insert("protect".into(), Value::Bool(protect));
                }
                // It went away since the list.
                Err(failure) if failure.class == Class::NotFound => {}
                Err(failure) => {
                    failed.insert(at, failure);
                }
            }
        }
        failed.into_values().next()
    }
}

/// User data and protection of one machine.
type Deep = (Option<Vec<u8>>, bool);

/// Our tag, or our client token where the tags were taken away.
fn is_ours(stack: &str, token: &str, tags: &Tags) -> bool {
    token.starts_with(&token_prefix(stack)) || tags.get(tag::STACK).is_some_and(|s| s == stack)
}

/// What the gaps of one read are filled with.
struct Gaps<'a> {
    scope: &'a str,
    all: Vec<Gap>,
}

impl Gaps<'_> {
    fn add(&mut self, kind: Option<Kind>, what: &str, failure: Option<Failure>, partial: bool) {
        if let Some(failure) = failure {
            self.all.push(Gap { scope: self.scope.to_owned(), kind, what: what.to_owned(), failure, partial });
        }
    }
}

#[async_trait]
impl<E: Ec2Read + ?Sized + 'static> Eyes for Ec2Eyes<E> {
    async fn read(&self, wants: &Wants) -> Reading {
        let calls = &Calls::default();
        let mut reading = Reading::default();
        let mut gaps = Gaps { scope: &wants.scope, all: Vec::new() };
        let mine =
            || Query { filters: vec![Filter::new(format!("tag:{}", tag::STACK), &wants.stack)], ..Query::default() };
        let (caller, zones, instances, statuses, volumes, answers) = futures::join!(
            self.asks(calls, "GetCallerIdentity", || self.ec2.caller()),
            self.asks(calls, "DescribeAvailabilityZones", || self.ec2.zones()),
            self.instances(calls, mine()),
            self.statuses(calls, Query::default()),
            self.volumes(calls, mine()),
            self.lookups(calls, &wants.scope, &wants.lookups),
        );
        match caller {
            Ok(caller) => {
                reading.seen.account = caller.account;
                reading.seen.region = caller.region;
            }
            // Whose world this is must be known before anything in it is made or unmade.
            Err(failure) => gaps.add(None, "account", Some(failure), false),
        }
        match zones {
            Ok(zones) => reading.seen.zones = zones.into_iter().map(|z| (z.name, z.available)).collect(),
            Err(failure) => gaps.add(None, "zones", Some(failure), true),
        }
        reading.answers = answers.found;
        gaps.all.extend(answers.gaps);
        reading.labels = answers.labels;

        let mut machines = ById::of(instances.items);
        if instances.failed.is_none() {
            let found = self.stripped(calls, &wants.stack, &machines, &statuses).await;
            machines.extend(found.items);
            // One of ours may be among them, so what is missing may be there.
            gaps.add(Some(Kind::Machines), "machines without tags", found.failed, false);
            let gone = |id: &&String| id.starts_with("i-") && !machines.has(id);
            let gone: BTreeSet<String> = wants.known.iter().filter(gone).cloned().collect();
            if !gone.is_empty() {
                match self.instances_by_id(calls, gone).await.and_then(Shown::whole) {
                    Ok(found) => {
                        let ours = found.into_iter().filter(|i| is_ours(&wants.stack, &i.client_token, &i.tags));
                        machines.extend(ours);
                    }
                    Err(failure) => gaps.add(Some(Kind::Machines), "machines seen before", Some(failure), false),
                }
            }
        }
        let mut disks = ById::of(volumes.items);
        let mut own: BTreeSet<String> = disks.iter().filter(|v| !volume::is_part(v)).map(|v| v.id.clone()).collect();
        if volumes.failed.is_none() {
            let alive = || machines.iter().filter(|i| machine::phase(i.state).alive());
            let parts: BTreeSet<&str> = alive().flat_map(machine::parts).collect();
            let hanging: BTreeSet<&str> = alive().flat_map(machine::hanging).collect();
            let known = wants.known.iter().map(String::as_str).filter(|id| id.starts_with("vol-"));
            let unseen = hanging.iter().copied().chain(known).filter(|id| !disks.has(id));
            let unseen: BTreeSet<String> = unseen.map(str::to_owned).collect();
            if !unseen.is_empty() {
                let all_parts = unseen.iter().all(|id| parts.contains(id.as_str()));
                match self.volumes_by_id(calls, unseen).await.and_then(Shown::whole) {
                    Ok(found) => {
                        for v in found {
                            // What outlives its machine is no part of it: a volume of ours without its tags, or
                            // somebody's.
                            let stays = hanging.contains(v.id.as_str()) && !parts.contains(v.id.as_str());
                            if stays || (is_ours(&wants.stack, "", &v.tags) && !volume::is_part(&v)) {
                                own.insert(v.id.clone());
                            }
                            disks.insert(v);
                        }
                    }
                    Err(failure) => {
                        gaps.add(Some(Kind::Machines), "disks without tags", Some(failure.clone()), true);
                        // A volume with a slot of its own may be among the others.
                        let failure = Some(failure).filter(|_| !all_parts);
                        gaps.add(Some(Kind::Volumes), "volumes not listed", failure, false);
                    }
                }
            }
        }
        self.account_has.store(statuses.items.len(), Ordering::Relaxed);
        let without = if statuses.failed.is_some() { "not seen" } else { "not listed" };
        let rows = ById::of(statuses.items.into_iter().filter(|s| machines.has(&s.id)).collect());
        gaps.add(Some(Kind::Machines), "instance status", statuses.failed, true);
        gaps.add(Some(Kind::Machines), "instances", instances.failed, false);
        gaps.add(Some(Kind::Volumes), "volumes", volumes.failed, false);

        let mut alike = Alike::default();
        for i in machines.in_order() {
            // Half a list of statuses is as good as its rows.
            let row = rows.get(&i.id).map_or(machine::Status::None(without), machine::Status::Row);
            reading.objects.push(machine::object(&wants.scope, i, row, &disks, &mut alike));
            reading.labels.extend(i.security_groups.iter().cloned());
        }
        let own = own.iter().filter_map(|id| disks.get(id));
        reading.objects.extend(own.map(|v| volume::object(&wants.scope, v, &mut alike)));
        if wants.deep {
            let failed = self.deepen(calls, wants, &mut reading.objects).await;
            gaps.add(Some(Kind::Machines), "user data", failed, true);
        }
        reading.seen.calls = calls.so_far();
        reading.gaps = gaps.all;
        reading
    }

    /// Machines and volumes by id. A machine's disks are not read here: `root-*` and `disks` stay unobserved.
    async fn look(&self, ids: &BTreeSet<String>) -> Result<Looked, Failure> {
        let calls = &Calls::default();
        let of = |start: &str| ids.iter().filter(|id| id.starts_with(start)).cloned().collect::<Vec<_>>();
        let (machines, volumes) = (of("i-"), of("vol-"));
        if let Some(odd) = ids.iter().find(|id| !id.starts_with("i-") && !id.starts_with("vol-")) {
            return Err(Failure::new(Class::Invalid, "", format!("`{odd}` is no id of a machine or volume")));
        }
        let machines = async {
            if machines.is_empty() {
                return Ok(Looked::default());
            }
            let (found, unseen) = self.instances_by_id(calls, machines).await?.each();
            let alive = found.iter().filter(|i| machine::phase(i.state).alive()).map(|i| i.id.clone()).collect();
            let (rows, why) = match self.statuses_of(calls, alive).await {
                Ok(rows) => (rows, "not listed".to_owned()),
                // The phase is what fences need; health is what some waits need, and those see no data.
                Err(failure) => (Vec::new(), format!("not seen: {failure}")),
            };
            let rows = ById::of(rows);
            let (none, mut alike) = (ById::default(), Alike::default());
            let object = |i| {
                let i: &Instance = i;
                let row = rows.get(&i.id).map_or(machine::Status::None(&why), machine::Status::Row);
                machine::object(&self.scope, i, row, &none, &mut alike)
            };
            Ok(Looked { objects: found.iter().map(object).collect(), unseen })
        };
        let volumes = async {
            if volumes.is_empty() {
                return Ok(Looked::default());
            }
            let (found, unseen) = self.volumes_by_id(calls, volumes).await?.each();
            let mut alike = Alike::default();
            let objects = found.iter().map(|v| volume::object(&self.scope, v, &mut alike)).collect();
            Ok(Looked { objects, unseen })
        };
        let (machines, volumes) = futures::join!(machines, volumes);
        let (mut all, volumes): (Looked, Looked) = (machines?, volumes?);
        all.objects.extend(volumes.objects);
        all.unseen.extend(volumes.unseen);
        all.objects.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        Ok(all)
    }
}
