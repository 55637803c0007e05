//! What a look costs: full pages of five hundred, and nothing that is as it was applied is asked about.

use evenkeel_core::address::ObjectName;

use super::*;

fn service(n: u32) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: s{n} }}\nspec: {{ selector: {{ app: a }}, ports: [{{ port: 80 }}] }}\n"
    )
}

impl Stage {
    /// Puts all of these into the world at once, each like the one of its kind that is there already: as many applies
    /// would take minutes.
    fn multiplied(&mut self, all: Desired) {
        let wishes: Vec<_> = all.wishes(&cluster_scope("")).cloned().collect();
        let put = |world: &mut World| {
            let kube = world.cluster("sim");
            for wish in &wishes {
                let first = kube.objects.iter().find(|(name, o)| {
                    (&name.kind, &name.namespace) == (&wish.object.kind, &wish.object.namespace)
                        && o.body.0["metadata"]["annotations"]["evenkeel.dev/applied"].is_string()
                });
                let mut object = first.expect("one of its kind is there").1.clone();
                let metadata = &mut object.body.0["metadata"];
                metadata["name"] = wish.object.name.clone().into();
                metadata["uid"] = format!("uid-{}", wish.object.name).into();
                metadata["annotations"] = wish.body.json()["metadata"]["annotations"].clone();
                kube.objects.insert(wish.object.clone(), object);
            }
        };
        self.sim.edit(put).expect("a world in memory");
        self.desired = all;
    }
}

#[test]
fn unchanged_objects_cost_a_list_for_every_five_hundred_of_a_kind_and_no_dry_run() {
    let mut manifests: String = (0..1_200).map(|n| config(&format!("c{n}"))).collect();
    for n in 0..700 {
        manifests.push_str(&service(n));
    }
    story(&manifests, async |mut stage| {
        let all = std::mem::replace(&mut stage.desired, wished(&format!("{}{}", config("c0"), service(0))));
        let mut stage = stage.applied().await;
        stage.multiplied(all);
        let made = stage.plan().await;
        assert!(made.plan.is_empty() && made.plan.held.is_empty());
        // The stack's own mark is one more config map: 1,201 of them are three pages all the same.
        let lists = |kind: &str| stage.wire.heard(&format!("list {kind} ")).len();
        assert_eq!((lists("ConfigMap"), lists("Service")), (3, 2));
        assert_eq!(stage.wire.heard("list").len(), 5, "no other kind");
        assert_eq!(stage.wire.heard("dry-run"), Vec::<String>::new());
        assert_eq!(stage.wire.heard("get"), ["get Namespace /kube-system"], "the cluster's own id");
        assert_eq!(stage.wire.heard("").len(), 7, "version and that: {:?}", stage.wire.heard(""));
    });
}

#[test]
fn one_object_that_moved_costs_one_dry_run() {
    let manifests: String = (0..20).map(|n| config(&format!("c{n}"))).collect();
    story(&manifests, async |mut stage| {
        stage = stage.applied().await;
        stage.desired = wished(&manifests.replacen("k: v", "k: w", 1));
        assert_eq!(stage.plan().await.plan.changes.len(), 1);
        assert_eq!(stage.wire.heard("dry-run"), ["dry-run ConfigMap default/c0"]);
        let wide: Vec<ObjectName> = stage.desired.wishes(&cluster_scope("")).map(|w| w.object.clone()).collect();
        assert_eq!(wide.len(), 20);
    });
}

#[test]
fn what_one_has_been_told_of_the_cluster_another_knows() {
    story(&config("a"), async |stage| {
        let known = Arc::default();
        let to_look = provider(&stage.sim, &stage.wire).knowing(Arc::clone(&known));
        let to_change = provider(&stage.sim, &stage.wire).knowing(known);
        for eyes in [&to_look, &to_change] {
            assert_eq!(eyes.read(&stage.wants()).await.gaps, []);
        }
        assert_eq!(stage.wire.heard("discover").len(), 1);
    });
}

const DEFINITION: &str = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: \
    widgets.example.org }\nspec:\n  group: example.org\n  scope: Namespaced\n  names: { kind: Widget, plural: widgets }\n  \
    versions: [{ name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object } } }]\n";

#[test]
fn what_the_cluster_serves_is_asked_once_until_something_says_that_it_has_changed() {
    story(&config("a"), async |mut stage| {
        let asked = |stage: &Stage| stage.wire.heard("discover").len();
        assert_eq!(stage.plan().await.plan.changes.len(), 1);
        let stage_again = stage.plan().await;
        for step in &stage_again.plan.steps {
            if let evenkeel_core::plan::Do::Call(call) = &step.does {
                stage.provider.perform(call, &stage_again.payloads).await.expect("it is done");
            }
        }
        assert!(stage.plan().await.plan.is_empty());
        stage.look("ConfigMap/default/a").await.expect("a look");
        assert_eq!(asked(&stage), 1, "two plans, an apply, a last look and a wait");
        // A definition changes it: its own wait asks until it is served, and then nobody does.
        stage.desired = wished(&format!("{}{DEFINITION}", config("a")));
        stage = stage.applied().await;
        let id = "CustomResourceDefinition.apiextensions.k8s.io/widgets.example.org";
        let phase = async |stage: &Stage| stage.look(id).await.expect("a look").expect("it is there").phase;
        while phase(&stage).await != evenkeel_core::observed::Phase::Up {
            stage.wait(1).await;
        }
        stage.wire.forget();
        phase(&stage).await;
        stage.read().await;
        assert_eq!(asked(&stage), 0);
        // A kind of the file that it does not tell of may have come since.
        let gadget = "---\napiVersion: example.org/v1\nkind: Gadget\nmetadata: { name: g }\n";
        stage.desired = wished(&format!("{}{gadget}", config("a")));
        stage.read().await;
        assert_eq!(asked(&stage), 1);
    });
}

#[test]
fn one_that_cannot_be_changed_in_place_costs_a_second_dry_run_under_a_name_that_is_free() {
    let web = |app: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  selector: {{ matchLabels: {{ app: {app} \
             }} }}\n  template: {{ metadata: {{ labels: {{ app: {app} }} }}, spec: {{ containers: [{{ name: main, image: \
             \"web:1\" }}] }} }}\n"
        )
    };
    story(&web("old"), async |mut stage| {
        stage = stage.applied().await;
        stage.desired = wished(&web("new"));
        let plan = stage.plan().await.plan;
        assert_eq!(plan.changes[0].action, evenkeel_core::plan::Action::Replace, "{plan:#?}");
        let tried = stage.wire.heard("dry-run");
        assert_eq!(tried.len(), 2, "{tried:?}");
        assert!(tried[1].starts_with("dry-run Deployment.apps default/evenkeel-tries-"), "{tried:?}");
        // A quota has become smaller: there is no room for the new one, although the old one goes.
        let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "few", "namespace": "default" },
            "spec": { "hard": { "count/deployments.apps": "0" } } });
        stage.by_others(quota).await;
        let plan = stage.plan().await.plan;
        assert!(plan.steps.is_empty(), "{plan:#?}");
        assert!(plan.held[0].waits_for.contains("exceeded quota: few"), "{}", plan.held[0].waits_for);
    });
}
