//! Workloads: what a few lines become, and what is said of those that do not fit.

use serde_json::{Value as Json, json};

use super::*;

fn workload(lines: &str) -> Inputs {
    main(&format!("{HEAD}[workloads.shop]\nimage = \"registry.example/shop:1.4\"\n{lines}\n"))
}

/// The objects that it becomes, without the stack's marks.
fn objects(inputs: &Inputs) -> Vec<Json> {
    let desired = desired(inputs);
    let bundle = desired.bundles.into_values().next().expect("a workload");
    let strip = |o: crate::desired::ObjectWish| {
        let mut body = o.body.json().clone();
        let metadata = body["metadata"].as_object_mut().unwrap();
        let labels = metadata["labels"].as_object_mut().unwrap();
        assert!(
            labels.remove("evenkeel.dev/stack").is_some() && labels.remove("applyset.kubernetes.io/part-of").is_some()
        );
        let annotations = metadata["annotations"].as_object_mut().unwrap();
        assert_eq!(annotations["evenkeel.dev/address"], "workloads.shop");
        annotations.retain(|key, _| !key.starts_with("evenkeel.dev/"));
        if metadata["annotations"].as_object().unwrap().is_empty() {
            metadata.remove("annotations");
        }
        assert_eq!((o.file.as_str(), o.line), ("", 0));
        body
    };
    bundle.objects.into_iter().map(strip).collect()
}

fn names(inputs: &Inputs) -> Vec<String> {
    let bundle = desired(inputs).bundles.into_values().next().expect("a workload");
    bundle.objects.iter().map(|o| o.object.to_string()).collect()
}

/// The object of a kind.
fn the(kind: &str, lines: &str) -> Json {
    objects(&workload(lines)).into_iter().find(|o| o["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn container(lines: &str) -> Json {
    the("Deployment", lines)["spec"]["template"]["spec"]["containers"][0].clone()
}

#[test]
fn six_lines_become_a_deployment_a_service_and_a_budget_with_every_default_written_out() {
    let lines = "kind = \"deployment\"\nreplicas = 6\nspread = { zone = 1 }\nport = 8080";
    let labels = json!({ "app.kubernetes.io/name": "shop", "app.kubernetes.io/managed-by": "evenkeel" });
    let metadata = json!({ "name": "shop", "namespace": "default", "labels": labels });
    let selector = json!({ "matchLabels": { "app.kubernetes.io/name": "shop" } });
    let container = json!({
        "name": "shop",
        "image": "registry.example/shop:1.4",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{ "name": "main", "containerPort": 8080, "protocol": "TCP" }],
        "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
        "securityContext": { "allowPrivilegeEscalation": false },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let pod = json!({
        "metadata": { "labels": labels },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [container],
            "enableServiceLinks": false,
            "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
            "terminationGracePeriodSeconds": 30,
            "topologySpreadConstraints": [{
                "labelSelector": selector,
                "matchLabelKeys": ["pod-template-hash"],
                "maxSkew": 1,
                "nodeAffinityPolicy": "Honor",
                "nodeTaintsPolicy": "Honor",
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
            }],
        },
    });
    let expected = [
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "type": "ClusterIP",
                "selector": { "app.kubernetes.io/name": "shop" },
                "ports": [{ "name": "main", "port": 8080, "targetPort": "main", "protocol": "TCP" }],
            },
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "minReadySeconds": 0,
                "progressDeadlineSeconds": 600,
                "replicas": 6,
                "revisionHistoryLimit": 10,
                "selector": selector,
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": 0 } },
                "template": pod,
            },
        }),
        json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": { "maxUnavailable": 1, "selector": selector, "unhealthyPodEvictionPolicy": "AlwaysAllow" },
        }),
    ];
    assert_eq!(objects(&workload(lines)), expected);
    let whole = desired(&shop());
    let group = crate::address::Group { kind: Kind::Workloads, name: "shop".into() };
    assert_eq!(whole.bundles[&group].objects.len(), 3, "and in the example as it stands");
    assert_eq!(fmt(SHOP).unwrap(), SHOP, "which is formatted");
}

#[test]
fn each_kind_brings_what_belongs_to_it() {
    for (lines, expected) in [
        ("", &["Deployment.apps/default/shop"][..]),
        ("port = 80\nservice = false", &["Deployment.apps/default/shop"]),
        ("max-unavailable = 1", &["Deployment.apps/default/shop", "PodDisruptionBudget.policy/default/shop"]),
        (
            "kind = \"statefulset\"\nport = 80\nreplicas = 3\nname = \"db\"\nnamespace = \"data\"",
            &[
                "Service/data/db-headless",
                "Service/data/db",
                "StatefulSet.apps/data/db",
                "PodDisruptionBudget.policy/data/db",
            ],
        ),
        ("kind = \"daemonset\"\nport = 80", &["Service/default/shop", "DaemonSet.apps/default/shop"]),
        ("kind = \"job\"", &["Job.batch/default/shop"]),
        ("kind = \"cronjob\"\nschedule = \"@daily\"", &["CronJob.batch/default/shop"]),
    ] {
        assert_eq!(names(&workload(lines)), expected, "{lines}");
    }
}

#[test]
fn roll_outs_put_new_pods_first_unless_told_otherwise() {
    let strategy = |lines: &str| the("Deployment", lines)["spec"]["strategy"].clone();
    assert_eq!(strategy("roll-out = \"recreate\""), json!({ "type": "Recreate" }));
    let own = strategy("roll-out = { surge = 2, unavailable = \"10%\", min-ready = \"5s\" }");
    assert_eq!(own["rollingUpdate"], json!({ "maxSurge": 2, "maxUnavailable": "10%" }));
    let daemon = |lines: &str| {
        the("DaemonSet", &format!("kind = \"daemonset\"\n{lines}"))["spec"]["updateStrategy"]["rollingUpdate"].clone()
    };
    assert_eq!(daemon(""), json!({ "maxSurge": 0, "maxUnavailable": 1 }));
    assert_eq!(daemon("roll-out = { surge = 1 }"), json!({ "maxSurge": 1, "maxUnavailable": 0 }));
}

#[test]
fn pods_are_spread_over_zones_softly_unless_told_how() {
    let spread = |lines: &str| {
        let spec = the("Deployment", lines)["spec"]["template"]["spec"].clone();
        let all = spec["topologySpreadConstraints"].as_array().cloned().unwrap_or_default();
        let text = |c: &Json, key: &str| c[key].as_str().unwrap().to_owned();
        all.iter()
            .map(|c| (text(c, "topologyKey"), c["maxSkew"].as_u64().unwrap(), text(c, "whenUnsatisfiable")))
            .collect::<Vec<_>>()
    };
    let zone = |skew, when: &str| ("topology.kubernetes.io/zone".to_owned(), skew, when.to_owned());
    assert_eq!(spread(""), []);
    assert_eq!(spread("replicas = 2"), [zone(1, "ScheduleAnyway")]);
    assert_eq!(spread("replicas = 2\nspread = false"), []);
    let both = spread("replicas = 2\nspread = { zone = 2, host = 3 }");
    assert_eq!(both, [zone(2, "DoNotSchedule"), ("kubernetes.io/hostname".into(), 3, "DoNotSchedule".into())]);
}

#[test]
fn a_path_asks_three_times_with_growing_patience() {
    let c = container("port = 8080\nhealth = \"/healthz\"");
    let asks = json!({ "path": "/healthz", "port": "main", "scheme": "HTTP" });
    for (probe, failures, every) in [("readinessProbe", 3, 10), ("livenessProbe", 6, 10), ("startupProbe", 60, 5)] {
        let expected = json!({ "httpGet": asks, "periodSeconds": every, "timeoutSeconds": 3, "failureThreshold": failures, "successThreshold": 1 });
        assert_eq!(c[probe], expected, "{probe}");
    }
    let c = container(
        "ports = { http = 80, admin = 81 }\nhealth = { tcp = true, port = \"admin\", every = \"20s\", readiness = { http = \"/ready\", failures = 1 }, startup = false }",
    );
    assert_eq!(c["readinessProbe"]["httpGet"]["path"], "/ready");
    assert_eq!(
        (&c["readinessProbe"]["failureThreshold"], &c["readinessProbe"]["periodSeconds"]),
        (&json!(1), &json!(20))
    );
    assert_eq!(c["livenessProbe"]["tcpSocket"], json!({ "port": "admin" }));
    assert_eq!(c["startupProbe"], Json::Null);
    let c = container("health = { exec = [\"/bin/ok\", \"-q\"], delay = \"5s\" }");
    assert_eq!(c["livenessProbe"]["exec"], json!({ "command": ["/bin/ok", "-q"] }));
    assert_eq!(c["livenessProbe"]["initialDelaySeconds"], 5);
    let c = container("port = 9000\nhealth = { grpc = true }");
    assert_eq!(c["readinessProbe"]["grpc"], json!({ "port": 9000, "service": "" }));
}

#[test]
fn environment_and_mounts_name_what_they_are_from() {
    let c = container(
        "env = { A = \"x\", N = 7, ON = true, URL = \"http://$(HOST)\", HOST = { field = \"status.hostIP\" }, \
         PW = { secret = \"db/password\" }, MODE = { config = \"app/mode\", optional = true }, CPUS = { field = \"limits.cpu\" } }\n\
         env-from = [{ config = \"app\" }, { secret = \"db\", prefix = \"DB_\" }]",
    );
    let env: Vec<(&str, Json)> = c["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["name"].as_str().unwrap(), e.get("value").or(e.get("valueFrom")).unwrap().clone()))
        .collect();
    let expected = [
        ("A", json!("x")),
        ("CPUS", json!({ "resourceFieldRef": { "resource": "limits.cpu" } })),
        ("HOST", json!({ "fieldRef": { "fieldPath": "status.hostIP" } })),
        ("MODE", json!({ "configMapKeyRef": { "name": "app", "key": "mode", "optional": true } })),
        ("N", json!("7")),
        ("ON", json!("true")),
        ("PW", json!({ "secretKeyRef": { "name": "db", "key": "password" } })),
        ("URL", json!("http://$(HOST)")),
    ];
    assert_eq!(env, expected, "what names others comes last");
    assert_eq!(
        c["envFrom"],
        json!([{ "configMapRef": { "name": "app" } }, { "secretRef": { "name": "db" }, "prefix": "DB_" }])
    );
    let set = the(
        "StatefulSet",
        "kind = \"statefulset\"\nvolumes = { \"/etc/app.conf\" = { config = \"app\", key = \"app.conf\" }, \"/tmp\" = { empty = \"1Gi\", in-memory = true }, \"/etc/app-conf\" = { secret = \"x\", optional = true }, \"/data\" = { claim = \"d\" } }\nstorage = { \"/var/lib/db\" = { size = \"10Gi\", class = \"fast\" } }",
    );
    let spec = &set["spec"]["template"]["spec"];
    assert_eq!(
        spec["volumes"],
        json!([
            { "name": "data", "persistentVolumeClaim": { "claimName": "d" } },
            { "name": "etc-app-conf", "secret": { "secretName": "x", "optional": true } },
            { "name": "2-etc-app-conf", "configMap": { "name": "app" } },
            { "name": "tmp", "emptyDir": { "sizeLimit": "1Gi", "medium": "Memory" } },
        ])
    );
    assert_eq!(
        spec["containers"][0]["volumeMounts"],
        json!([
            { "name": "data", "mountPath": "/data" },
            { "name": "etc-app-conf", "mountPath": "/etc/app-conf", "readOnly": true },
            { "name": "2-etc-app-conf", "mountPath": "/etc/app.conf", "subPath": "app.conf", "readOnly": true },
            { "name": "tmp", "mountPath": "/tmp" },
            { "name": "var-lib-db", "mountPath": "/var/lib/db" },
        ])
    );
    let claim = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(
        claim["spec"],
        json!({ "accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": { "requests": { "storage": "10Gi" } } })
    );
    assert_eq!(set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
    assert_eq!(set["spec"]["serviceName"], "shop-headless");
}

#[test]
fn requests_and_limits_are_what_a_careful_operator_would_write() {
    let resources = |lines: &str| container(lines)["resources"].clone();
    assert_eq!(
        resources("cpu = 2\nmemory = \"1Gi\""),
        json!({ "requests": { "cpu": "2", "memory": "1Gi" }, "limits": { "memory": "1Gi" } })
    );
    assert_eq!(
        resources("cpu = { limit = \"50m\" }\nmemory = { request = \"64Mi\", limit = \"1Gi\" }"),
        json!({ "requests": { "cpu": "50m", "memory": "64Mi" }, "limits": { "cpu": "50m", "memory": "1Gi" } })
    );
}

#[test]
fn rights_are_few_and_said() {
    let spec = the(
        "Deployment",
        "service-account = \"shop\"\nsecurity = { user = 1000, fs-group = 7, read-only = true, capabilities = [] }",
    )["spec"]["template"]["spec"]
        .clone();
    assert_eq!(
        spec["securityContext"],
        json!({ "fsGroup": 7, "runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": { "type": "RuntimeDefault" } })
    );
    let own = json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "add": [], "drop": ["ALL"] } });
    assert_eq!(spec["containers"][0]["securityContext"], own);
    assert_eq!((&spec["serviceAccountName"], &spec["automountServiceAccountToken"]), (&json!("shop"), &json!(true)));
    let privileged = container("security = { privileged = true }");
    assert_eq!(privileged["securityContext"], json!({ "allowPrivilegeEscalation": true, "privileged": true }));
}

#[test]
fn runs_by_the_clock_do_not_overlap_and_a_service_maps_its_ports() {
    let cron = the(
        "CronJob",
        "kind = \"cronjob\"\nschedule = \"15 3 * * *\"\nretries = 0\ndeadline = \"1h\"\nhistory = { failed = 1 }",
    );
    let spec = &cron["spec"];
    assert_eq!(
        (&spec["concurrencyPolicy"], &spec["timeZone"], &spec["suspend"]),
        (&json!("Forbid"), &json!("Etc/UTC"), &json!(false))
    );
    assert_eq!((&spec["successfulJobsHistoryLimit"], &spec["failedJobsHistoryLimit"]), (&json!(3), &json!(1)));
    let job = &spec["jobTemplate"]["spec"];
    assert_eq!((&job["backoffLimit"], &job["activeDeadlineSeconds"]), (&json!(0), &json!(3600)));
    assert_eq!(job["template"]["spec"]["restartPolicy"], "Never");
    let service =
        the("Service", "port = 8080\nservice = { type = \"load-balancer\", port = 80, annotations = { a = \"b\" } }");
    assert_eq!(
        service["spec"]["ports"],
        json!([{ "name": "main", "port": 80, "targetPort": "main", "protocol": "TCP" }])
    );
    assert_eq!(
        (&service["spec"]["type"], &service["metadata"]["annotations"]),
        (&json!("LoadBalancer"), &json!({ "a": "b" }))
    );
    let some = the(
        "Service",
        "ports = { http = 8080, admin = 9000, dns = { port = 53, protocol = \"udp\" } }\nservice = { ports = { http = 80, dns = 53 } }",
    );
    assert_eq!(some["spec"]["ports"].as_array().unwrap().len(), 2);
    assert_eq!(some["spec"]["ports"][0]["protocol"], "UDP");
}

#[test]
fn each_mistake_of_a_workload_has_a_code_and_a_way_out() {
    for (lines, code, way_out) in [
        ("kind = \"daemonset\"\nreplicas = 3", "E1202", "take `replicas` away"),
        ("storage = { \"/d\" = \"1Gi\" }", "E1202", "change `kind`"),
        ("kind = \"job\"\nport = 80\nservice = true", "E1202", "take `service` away"),
        ("kind = \"statefulset\"\nroll-out = { surge = 1 }", "E1202", "take `surge` away"),
        ("kind = \"statefulset\"\nroll-out = \"recreate\"", "E1202", "take `roll-out` away"),
        ("kind = \"cronjob\"", "E0104", "15 3 * * *"),
        ("kind = \"cronjob\"\nschedule = \"3 * *\"", "E0111", "15 3 * * *"),
        ("kind = \"replicaset\"", "E0105", "\"deployment\""),
        ("memory = \"1GB\"", "E1201", "write \"1Gi\""),
        ("memory = 512", "E0103", "256Mi"),
        ("cpu = \"half\"", "E1201", "250m"),
        ("cpu = { request = \"2\", limit = \"500m\" }", "E1206", "at least"),
        ("memory = { request = \"2Gi\", limit = \"1024Mi\" }", "E1206", "at least"),
        ("drain = \"30s\"", "E1206", "longer"),
        ("health = \"/x\"", "E1204", "port = 8080"),
        ("port = 80\nhealth = { port = \"admin\", tcp = true }", "E1204", "main"),
        ("port = 80\nhealth = { every = \"5s\" }", "E1203", "http ="),
        ("port = 80\nhealth = { tcp = true, http = \"/x\" }", "E1203", "keep one"),
        ("port = 80\nhealth = \"healthz\"", "E0111", "/etc/shop"),
        ("service = true", "E1204", "add `port"),
        ("port = 80\nservice = { ports = { http = 80 } }", "E1204", "main"),
        ("ports = { a = 1, b = 2 }\nservice = { port = 80 }", "E1204", "name them"),
        ("ports = { a = 1, b = 1 }", "E1205", "of its own"),
        ("port = 80\nports = { a = 1 }", "E1203", "keep one"),
        ("env = { A = { optional = true } }", "E1203", "`secret`"),
        ("env = { A = { secret = \"a/b\", config = \"a/b\" } }", "E1203", "keep one"),
        ("env = { A = { secret = \"password\" } }", "E0111", "shop/password"),
        ("env = { \"1A\" = \"x\" }", "E0111", "DATABASE_URL"),
        ("env-from = [{ prefix = \"A\" }]", "E1203", "`secret`"),
        ("volumes = { \"/a\" = { empty = false } }", "E1203", "empty = true"),
        ("volumes = { \"/a\" = { claim = \"x\", key = \"y\" } }", "E1202", "take `key` away"),
        ("volumes = { \"/a\" = { claim = \"x\" }, \"/a/\" = { claim = \"y\" } }", "E1205", "of its own"),
        ("volumes = { \"a\" = { claim = \"x\" } }", "E0111", "/etc/shop"),
        ("spread = { soft = true }", "E1203", "zone = 1"),
        ("labels = { \"app.kubernetes.io/name\" = \"x\" }", "E1106", "another key"),
        ("labels = { a = \"b c\" }", "E1106", "payments"),
        ("name = \"My_Shop\"", "E1103", "write \"my-shop\""),
        ("cluster = \"west\"", "E1001", "[kubernetes.west]"),
        ("image = \"a b\"", "E0002", ""),
        ("replicas = 10001", "E0106", "10000"),
        ("node_selector = {}", "E0101", "write `node-selector`"),
        ("env = { A = \"{{ vars.pw }}\" }", "E0206", "Secret"),
    ] {
        let mut inputs = workload(lines);
        inputs.main.text = inputs.main.text.replace("[workloads", "[vars]\npw = { secret = true }\n[workloads");
        inputs.vars.insert("pw".into(), "hunter2".into());
        let declared = declare(&inputs);
        let found: Vec<_> = declared.diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(found, [code], "{lines}\n{:#?}", declared.diagnostics);
        assert!(declared.diagnostics[0].way_out.contains(way_out), "{lines}\n{:#?}", declared.diagnostics);
        assert!(!declared.diagnostics[0].places.is_empty() && declared.desired.is_none(), "{lines}");
    }
    let long = "a".repeat(30);
    let text = format!(
        "{HEAD}[workloads.{long}]\nimage = \"a:1\"\nkind = \"cronjob\"\nschedule = \"@daily\"\nname = \"{long}-{long}\"\n"
    );
    assert_eq!(codes(&main(&text)), ["E1103"]);
    assert_eq!(codes(&main(&format!("{HEAD}[workloads.a-]\nimage = \"a:1\"\n"))), ["E1103"]);
    let two = format!("{HEAD}[workloads.a]\nimage = \"a:1\"\n[workloads.b]\nname = \"a\"\nimage = \"a:1\"\n");
    assert_eq!(codes(&main(&two)), ["E1104"]);
}

#[test]
fn warnings_name_what_will_hurt_later() {
    for (lines, code) in [("max-unavailable = 0", "W1202"), ("max-unavailable = \"0%\"", "W1202")] {
        assert_eq!(codes(&workload(lines)), [code], "{lines}");
    }
    for image in ["nginx", "nginx:latest", "registry:5000/nginx"] {
        let inputs = main(&format!("{HEAD}[workloads.a]\nimage = \"{image}\"\n"));
        assert_eq!(codes(&inputs), ["W1201"], "{image}");
        let desired = declare(&inputs).desired.unwrap();
        let body = desired.bundles.values().next().unwrap().objects[0].body.json();
        assert_eq!(body["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
    }
    for image in ["nginx:1", "registry:5000/nginx:1", "nginx@sha256:0123", "nginx:latest@sha256:0123"] {
        assert_eq!(codes(&main(&format!("{HEAD}[workloads.a]\nimage = \"{image}\"\n"))), Vec::<&str>::new(), "{image}");
    }
}
