//! The provider on real HTTP: a file planned, applied, damaged, repaired and destroyed on moto.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_aws::AwsEc2;
use evenkeel_core::address::Kind;
use evenkeel_core::declaration::{Inputs, Source, declare};
use evenkeel_core::desired::Desired;
use evenkeel_core::event::{Event, Outcome};
use evenkeel_core::make::{Ask, Intent, Made, make};
use evenkeel_core::observed::{Object, Observed};
use evenkeel_core::plan::{Plan, Why};
use evenkeel_core::policy::Amount;
use evenkeel_core::progress::Progress;
use evenkeel_ec2::Ec2Provider;
use evenkeel_ec2::api::{Ec2, Ec2Read, Filter, InstanceChange, Query};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::clock::{Clock, Wall};
use evenkeel_engine::limits::Limits;
use evenkeel_engine::observe::{observe, wants};
use evenkeel_engine::provider::{Eyes, Provider};
use evenkeel_engine::run::{Job, run};
use evenkeel_engine::stop::Stop;

use crate::lab::Moto;
use crate::{client, lab};

struct Fleet {
    ec2: Arc<AwsEc2>,
    desired: Desired,
    providers: BTreeMap<String, Arc<dyn Provider>>,
}

impl Fleet {
    async fn new(moto: &Moto, file: &str) -> Self {
        let main = Source { name: "evenkeel.toml".into(), text: file.into() };
        let declared = declare(&Inputs { main, ..Inputs::default() });
        let desired = declared.desired.unwrap_or_else(|| panic!("{:#?}", declared.diagnostics));
        let ec2 = Arc::new(client(moto).await);
        let caller = Arc::new(Caller::new(Arc::new(Wall), 7));
        let provider: Arc<dyn Provider> = Arc::new(Ec2Provider::new(ec2.clone(), "", caller));
        Self { ec2, desired, providers: BTreeMap::from([(String::new(), provider)]) }
    }

    async fn look(&self) -> Observed {
        let lookups = self.desired.lookups();
        let scopes = self.desired.scopes.keys().map(String::as_str);
        let wants = wants(&self.desired.stack.id, scopes, &lookups, false);
        let eyes: BTreeMap<String, &dyn Eyes> =
            self.providers.iter().map(|(k, p)| (k.clone(), &**p as &dyn Eyes)).collect();
        let seen = observe(&eyes, &wants, &Wall).await;
        assert!(seen.gaps.is_empty(), "{:?}", seen.gaps);
        seen
    }

    async fn plan(&self, intent: Intent) -> Made {
        let (history, observed, now) = (Default::default(), self.look().await, Wall.now());
        let (desired, observed, intent) = (&self.desired, &observed, &intent);
        make(&Ask { desired, observed, history: &history, intent, now })
    }

    async fn run(&self, made: &Made) -> Vec<Event> {
        let job = Job {
            providers: &self.providers,
            payloads: &made.payloads,
            clock: &Wall,
            refused: &[],
            limits: &Limits::default(),
            stop: Stop::never(),
        };
        let mut journal: Vec<Event> = Vec::new();
        let ran = run(job, Progress::new(made.plan.clone()), &mut journal, &mut |_| {}).await;
        assert_eq!(ran.outcome, Outcome::Complete, "{journal:#?}");
        journal
    }

    /// Plans, applies, and proves that nothing is left; the plan.
    async fn apply(&self) -> Plan {
        let made = self.plan(Intent::default()).await;
        self.run(&made).await;
        let left = self.plan(Intent::default()).await.plan;
        assert!(left.is_empty() && left.held.is_empty(), "{:#?} {:#?}", left.changes, left.held);
        made.plan
    }

    async fn alive(&self, kind: Kind) -> Vec<Object> {
        self.look().await.objects.into_iter().filter(|o| o.kind == kind && o.phase.alive()).collect()
    }
}

fn file(stack: &str, group: &str) -> String {
    format!(
        r#"
[stack]
name = "shop"
id = "{stack}"

[aws]
region = "us-east-1"

[machines.web]
count = 3
image = {{ ssm = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64" }}
type = ["t3.small", "t3a.small"]
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
security-groups = ["{group}"]
tags = {{ team = "a" }}
wait = "running"

[volumes.data]
for = "machines.web"
size = "10GiB"
"#
    )
}

#[tokio::test]
async fn a_fleet_is_planned_applied_damaged_repaired_and_destroyed() {
    let Some(moto) = lab::shared() else { return };
    let ec2 = client(moto).await;
    let default = Query { filters: vec![Filter::new("default-for-az", "true")], ..Query::default() };
    let vpc = &ec2.subnets(&default).await.expect("a list").items[0].vpc;
    let groups = moto.security_groups(&["prov-web", "prov-debug"], vpc);
    let ours = Fleet::new(moto, &file("prov2222", "prov-web")).await;
    let theirs = Fleet::new(moto, &file("prov3333", "prov-web")).await;
    theirs.apply().await;
    let others = theirs.alive(Kind::Machines).await;

    ours.apply().await;
    let machines = ours.alive(Kind::Machines).await;
    assert_eq!(machines.len(), 3);
    let mut zones: Vec<_> = machines.iter().map(|m| m.zone.as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["us-east-1a", "us-east-1b", "us-east-1c"]);
    for volume in ours.alive(Kind::Volumes).await {
        let at = volume.attached.expect("it hangs at its machine");
        assert!(machines.iter().any(|m| m.id == at.to && m.zone == volume.zone));
    }

    ours.ec2
        .change_instance(&machines[0].id, &InstanceChange::SecurityGroups(vec![groups[1].clone()]))
        .await
        .expect("a change by hand");
    let plan = ours.apply().await;
    assert!(plan.changes.iter().all(|c| c.reasons[0].why == Why::Drifted), "{:?}", plan.changes);

    ours.ec2.terminate(std::slice::from_ref(&machines[1].id)).await.expect("a kill by hand");
    ours.apply().await;
    let now = ours.alive(Kind::Machines).await;
    assert!(now.len() == 3 && now.iter().all(|m| m.id != machines[1].id));

    let all = Intent { destroy: true, max_deletes: Some(Amount::Percent(100)), ..Intent::default() };
    let made = ours.plan(all).await;
    ours.run(&made).await;
    assert!(ours.alive(Kind::Machines).await.is_empty());
    let left = theirs.alive(Kind::Machines).await;
    assert_eq!(left.iter().map(|m| &m.id).collect::<Vec<_>>(), others.iter().map(|m| &m.id).collect::<Vec<_>>());
}
