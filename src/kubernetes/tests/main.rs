//! The provider on the sim's cluster, with a listener on the wire between them.

mod acting;
mod counting;
mod looking;
mod reading;
mod wiretap;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_core::address::ObjectName;
use evenkeel_core::declaration::{Inputs, Source, declare};
use evenkeel_core::desired::{Desired, cluster_scope};
use evenkeel_core::failure::Failure;
use evenkeel_core::make::{Ask, Intent, Made, make};
use evenkeel_core::observed::Object;
use evenkeel_core::plan::{Call, ObjectDoes, OnObject};
use evenkeel_engine::caller::Caller;
use evenkeel_engine::clock::Clock;
use evenkeel_engine::observe::observe;
use evenkeel_engine::provider::{Eyes, Payloads, Provider, Reading, Wants};
use evenkeel_kubernetes::KubernetesProvider;
use evenkeel_kubernetes::api::{Cluster, ClusterRead, How};
use evenkeel_sim::{Sim, World, runtime};
use serde_json::{Value as Json, json};

use crate::wiretap::Wiretap;

const STACK: &str = "7f3kq2x9";

/// A fresh world in memory, a file, the provider, and the wire between.
struct Stage {
    sim: Sim,
    wire: Arc<Wiretap>,
    provider: Arc<KubernetesProvider<Wiretap>>,
    desired: Desired,
}

impl Stage {
    /// With these manifests, in the namespace `default`.
    fn new(manifests: &str) -> Self {
        let sim = Sim::new(World::founding(7));
        let wire = Arc::new(Wiretap::new(sim.cluster("sim").expect("a world in memory")));
        let provider = Arc::new(provider(&sim, &wire));
        Self { sim, wire, provider, desired: wished(manifests) }
    }

    /// The next run, which knows nothing of the cluster yet.
    fn next_run(self) -> Self {
        Self { provider: Arc::new(provider(&self.sim, &self.wire)), ..self }
    }

    /// Every object of the file, applied as evenkeel applies it, and the stack's own mark; nothing of it was heard.
    async fn applied(self) -> Self {
        let made = self.plan().await;
        for step in &made.plan.steps {
            if let evenkeel_core::plan::Do::Call(call) = &step.does {
                self.provider.perform(call, &made.payloads).await.unwrap_or_else(|f| panic!("{call:?}: {f}"));
            }
        }
        self.wire.forget();
        self
    }

    async fn read(&self) -> Reading {
        self.provider.read(&self.wants()).await
    }

    fn wants(&self) -> Wants {
        let wishes = self.desired.wishes(&cluster_scope("")).cloned().collect();
        Wants { scope: cluster_scope(""), stack: STACK.into(), wishes, ..Wants::default() }
    }

    /// A plan for what is seen now.
    async fn plan(&self) -> Made {
        let eyes: BTreeMap<String, &dyn Eyes> = BTreeMap::from([(cluster_scope(""), &*self.provider as &dyn Eyes)]);
        let observed = &observe(&eyes, &[self.wants()], &self.sim.clock()).await;
        let (history, intent) = (Default::default(), Intent::default());
        let now = self.sim.clock().now();
        make(&Ask { desired: &self.desired, observed, history: &history, intent: &intent, now })
    }

    async fn look(&self, id: &str) -> Result<Option<Object>, Failure> {
        let mut found = self.provider.look(&BTreeSet::from([id.to_owned()])).await?;
        match found.unseen.remove(id) {
            Some(failure) => Err(failure),
            None => Ok(found.objects.pop()),
        }
    }

    async fn perform(&self, object: &str, api_version: &str, does: ObjectDoes) -> Result<(), Failure> {
        let call = Call::Object(OnObject { object: name(object), api_version: api_version.into(), does });
        self.provider.perform(&call, &Payloads::new()).await.map(drop)
    }

    /// Applied by another tool.
    async fn by_others(&self, body: Json) {
        let which = self.wire.which(&body);
        let how = How { manager: "kubectl".into(), force: true };
        self.wire.apply(&which, &body, &how).await.unwrap_or_else(|r| panic!("{body}: {r:?}"));
        self.wire.forget();
    }

    async fn uid(&self, object: &str) -> String {
        let reading = self.read().await;
        self.wire.forget();
        reading.cluster.expect("it was seen").objects[&name(object)].uid.clone()
    }

    async fn wait(&self, seconds: u64) {
        self.sim.clock().sleep(Duration::from_secs(seconds)).await;
    }
}

fn provider(sim: &Sim, wire: &Arc<Wiretap>) -> KubernetesProvider<Wiretap> {
    let caller = Arc::new(Caller::new(Arc::new(sim.clock()), 7));
    let stack = (STACK.to_owned(), "shop".to_owned());
    KubernetesProvider::new(Arc::clone(wire), cluster_scope(""), "default", stack, caller)
}

/// Runs a story in virtual time.
fn story<F: Future<Output = ()>>(manifests: &str, tell: impl FnOnce(Stage) -> F) {
    runtime().expect("a runtime").block_on(async { tell(Stage::new(manifests)).await });
}

fn wished(manifests: &str) -> Desired {
    let text = format!(
        "[stack]\nname = \"shop\"\nid = \"{STACK}\"\n\n[kubernetes]\n\n[manifests.all]\nfiles = [\"all.yaml\"]\nwait = false\n"
    );
    let main = Source { name: "evenkeel.toml".into(), text };
    let files = BTreeMap::from([("all.yaml".to_owned(), manifests.as_bytes().to_vec())]);
    let declared = declare(&Inputs { main, files, ..Inputs::default() });
    declared.desired.unwrap_or_else(|| panic!("{:#?}", declared.diagnostics))
}

fn name(object: &str) -> ObjectName {
    object.parse().unwrap_or_else(|e| panic!("{object}: {e}"))
}

/// A config map that says `k: v`.
fn config(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ k: v }}\n")
}
