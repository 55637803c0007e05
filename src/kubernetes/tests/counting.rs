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
        assert_eq!(stage.wire.heard("").len(), 8, "version, discovery and that: {:?}", stage.wire.heard(""));
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
