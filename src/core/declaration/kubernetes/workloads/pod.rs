//! The pod of a workload: its container, its rights, where it may stand.

use serde_json::{Map, Value as Json, json};

use super::super::super::problems::Problems;
use super::super::super::reader::Reader;
use super::super::super::tree::Val;
use super::{Workload, env, mounts, probes, texts};

/// A pod's template, and the claims that its statefulset makes.
pub struct Pod {
    /// `template`.
    pub template: Json,
    /// `volumeClaimTemplates`.
    pub claims: Vec<Json>,
}

/// Puts a list where it is not empty: an empty one says nothing.
fn put(map: &mut Json, key: &str, list: Vec<Json>) {
    if !list.is_empty() {
        map[key] = list.into();
    }
}

/// Makes the template.
pub fn read(w: &Workload<'_>, problems: &mut Problems<'_>) -> Pod {
    let r = w.r;
    let mounts = mounts::read(r, w.path, problems);
    let mut container = container(w, problems);
    put(&mut container, "volumeMounts", mounts.mounts);
    let grace = r.seconds("grace").unwrap_or(30);
    let mut spec = json!({
        "containers": [container],
        // Variables for each service of the namespace break programs whose own settings have such names.
        "enableServiceLinks": false,
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        "terminationGracePeriodSeconds": grace,
    });
    if matches!(w.kind, "job" | "cronjob") {
        spec["restartPolicy"] = "Never".into();
    }
    let account = r.text("service-account");
    spec["automountServiceAccountToken"] = account.is_some().into();
    if let Some(account) = account {
        spec["serviceAccountName"] = account.into();
    }
    if let Some(class) = r.text("priority-class") {
        spec["priorityClassName"] = class.into();
    }
    if let Some(selector) = texts(r, "node-selector") {
        spec["nodeSelector"] = selector;
    }
    put(
        &mut spec,
        "imagePullSecrets",
        r.texts("pull-secrets").into_iter().map(|name| json!({ "name": name })).collect(),
    );
    put(&mut spec, "tolerations", r.tables("tolerations").iter().map(toleration).collect());
    put(&mut spec, "topologySpreadConstraints", spread(w, problems));
    put(&mut spec, "volumes", mounts.volumes);
    rights(r, &mut spec);
    if let Some(drain) = r.seconds("drain").filter(|d| *d >= grace) {
        let says = format!("`{}` drains for {drain}s, and has {grace}s to end", w.path);
        problems.error("E1206", r.at("drain"), says, "make `grace` longer than `drain`");
    }
    let mut metadata = json!({ "labels": w.labels });
    if let Some(annotations) = texts(r, "pod-annotations") {
        metadata["annotations"] = annotations;
    }
    Pod { template: json!({ "metadata": metadata, "spec": spec }), claims: mounts.claims }
}

fn container(w: &Workload<'_>, problems: &mut Problems<'_>) -> Json {
    let r = w.r;
    let image = r.text("image").unwrap_or_default();
    let pull = match r.text("pull").as_deref() {
        Some("always") => "Always",
        Some("never") => "Never",
        Some("if-not-present") => "IfNotPresent",
        // As Kubernetes itself chooses.
        Some(_) | None => {
            if moves(&image) {
                "Always"
            } else {
                "IfNotPresent"
            }
        }
    };
    if moves(&image) && r.has("image") {
        problems.warn(
            "W1201",
            r.at("image"),
            format!("the image of `{}` may become another without a change here", w.path),
            "name a version or a digest: registry.example/shop:1.4",
        );
    }
    let mut container = json!({
        "name": w.name,
        "image": image,
        "imagePullPolicy": pull,
        "resources": resources(r, w.path, problems),
        "securityContext": { "allowPrivilegeEscalation": false },
        // So that the reason of a crash can be told.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let list = |key: &str| r.texts(key).into_iter().map(Json::from).collect::<Vec<_>>();
    put(&mut container, "command", list("command"));
    put(&mut container, "args", list("args"));
    if let Some(dir) = r.text("working-dir") {
        container["workingDir"] = dir.into();
    }
    put(&mut container, "env", env::read(r, w.path, problems));
    put(&mut container, "envFrom", env::read_from(r, w.path, problems));
    let ports = w.ports.iter().map(|p| json!({ "name": p.name, "containerPort": p.number, "protocol": p.protocol }));
    put(&mut container, "ports", ports.collect());
    for (name, probe) in probes::read(r, w.path, w.ports, problems) {
        container[name] = probe;
    }
    if let Some(drain) = r.seconds("drain").filter(|d| *d > 0) {
        container["lifecycle"] = json!({ "preStop": { "sleep": { "seconds": drain } } });
    }
    container
}

/// Whether an image's name may stand for another image tomorrow.
fn moves(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// A quantity of CPU; a whole number may stand without quotes.
fn cpu(r: &Reader<'_>, key: &str) -> Option<String> {
    match &r.node(key)?.val {
        Val::Text(s) => Some(s.clone()),
        Val::Int(n) => Some(n.to_string()),
        Val::Float(_) | Val::Bool(_) | Val::Date | Val::List(_) | Val::Table(_) | Val::Bad => None,
    }
}

/// What is set aside and what is the most. A CPU limit only slows down, so there is none unless it is asked for; a
/// pod that takes more memory than is set aside for it takes it from others, so what is asked for is the limit too.
fn resources(r: &Reader<'_>, path: &str, problems: &mut Problems<'_>) -> Json {
    let (mut requests, mut limits) = (Map::new(), Map::new());
    let (cpu_table, memory_table) = (r.table("cpu"), r.table("memory"));
    let cpus = match &cpu_table {
        Some(t) => (cpu(t, "request"), cpu(t, "limit")),
        None => (cpu(r, "cpu"), None),
    };
    let memory = match &memory_table {
        Some(t) => (t.text("request").or_else(|| t.text("limit")), t.text("limit")),
        None => (r.text("memory"), r.text("memory")),
    };
    for (name, (request, limit), default) in [("cpu", cpus, "100m"), ("memory", memory, "128Mi")] {
        let nano =
            |text: &Option<String>| text.as_ref().and_then(|t| crate::objects::quantity::nano(&Json::from(t.as_str())));
        if let (Some(asked), Some(most)) = (nano(&request), nano(&limit))
            && asked > most
        {
            let says = format!("`{path}` asks for more {name} than its limit");
            problems.error("E1206", r.at(name), says, "make `limit` at least `request`");
        }
        // What is set aside by default is never more than the limit.
        let low = nano(&limit).zip(nano(&Some(default.to_owned()))).is_some_and(|(most, usual)| most < usual);
        let request = request.or_else(|| limit.clone().filter(|_| low)).unwrap_or_else(|| default.to_owned());
        requests.insert(name.to_owned(), request.into());
        if let Some(limit) = limit {
            limits.insert(name.to_owned(), limit.into());
        }
    }
    let mut all = json!({ "requests": requests });
    if !limits.is_empty() {
        all["limits"] = limits.into();
    }
    all
}

fn rights(r: &Reader<'_>, spec: &mut Json) {
    let Some(t) = r.table("security") else { return };
    let pod = &mut spec["securityContext"];
    for (key, name) in [("user", "runAsUser"), ("group", "runAsGroup"), ("fs-group", "fsGroup")] {
        if let Some(id) = t.int(key) {
            pod[name] = id.into();
        }
    }
    if let Some(non_root) = t.bool("non-root").or_else(|| t.int("user").filter(|u| *u > 0).map(|_| true)) {
        pod["runAsNonRoot"] = non_root.into();
    }
    let own = &mut spec["containers"][0]["securityContext"];
    if let Some(read_only) = t.bool("read-only") {
        own["readOnlyRootFilesystem"] = read_only.into();
    }
    if let Some(escalation) = t.bool("escalation") {
        own["allowPrivilegeEscalation"] = escalation.into();
    }
    if let Some(privileged) = t.bool("privileged") {
        own["privileged"] = privileged.into();
        if privileged {
            // The server takes nothing else together with it.
            own["allowPrivilegeEscalation"] = true.into();
        }
    }
    if t.has("capabilities") {
        own["capabilities"] = json!({ "drop": ["ALL"], "add": t.texts("capabilities") });
    }
}

fn toleration(t: &Reader<'_>) -> Json {
    let mut all = json!({ "operator": if t.has("value") { "Equal" } else { "Exists" } });
    for key in ["key", "value"] {
        if let Some(text) = t.text(key) {
            all[key] = text.into();
        }
    }
    let effect = match t.text("effect").as_deref() {
        Some("no-schedule") => Some("NoSchedule"),
        Some("prefer-no-schedule") => Some("PreferNoSchedule"),
        Some("no-execute") => Some("NoExecute"),
        Some(_) | None => None,
    };
    if let Some(effect) = effect {
        all["effect"] = effect.into();
    }
    if let Some(seconds) = t.seconds("for") {
        all["tolerationSeconds"] = seconds.into();
    }
    all
}

/// Zones and hosts. Without a word it is soft: not every cluster says in which zone its nodes stand.
fn spread(w: &Workload<'_>, problems: &mut Problems<'_>) -> Vec<Json> {
    if w.r.bool("spread") == Some(false) {
        return Vec::new();
    }
    let table = w.r.table("spread");
    let (zone, host, soft) = match &table {
        Some(t) => (t.int("zone"), t.int("host"), t.bool("soft").unwrap_or(false)),
        None => (w.replicas.filter(|n| *n > 1).map(|_| 1), None, true),
    };
    if let (Some(t), None, None) = (&table, zone, host) {
        let says = format!("`{}.spread` says neither zone nor host", w.path);
        problems.error("E1203", t.here(), says, "write { zone = 1 }, { host = 1 }, or both");
    }
    let each = [("topology.kubernetes.io/zone", zone), ("kubernetes.io/hostname", host)];
    let each = each.into_iter().filter_map(|(key, skew)| Some((key, skew?)));
    each.map(|(key, skew)| {
        let mut constraint = json!({
            "labelSelector": w.selector(),
            "maxSkew": skew,
            "nodeAffinityPolicy": "Honor",
            "nodeTaintsPolicy": "Honor",
            "topologyKey": key,
            "whenUnsatisfiable": if soft { "ScheduleAnyway" } else { "DoNotSchedule" },
        });
        if w.kind == "deployment" {
            // The pods of an older revision do not count: they go.
            constraint["matchLabelKeys"] = json!(["pod-template-hash"]);
        }
        constraint
    })
    .collect()
}
