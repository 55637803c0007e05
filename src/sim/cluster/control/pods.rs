//! Pods: bound to a node, their images pulled, their containers started, ready, ended.

use evenkeel_core::address::ObjectName;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::object::{at, finalizers, flag, is_leaving, items, number, put, stamp, text, time};
use super::super::{Kube, Moment, named};
use super::{is_true, set_condition};
use crate::clock::later;

const KUBELET: &str = "kubelet";
/// How long pods stay on a silent node.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// What a pod's containers will come to.
enum Fate {
    /// An image cannot be pulled: which container, which image.
    NoImage(String, String),
    /// Something it refers to is not there.
    NoConfig(String, String),
    /// A container ends at once.
    Crash(String),
    Runs,
}

impl Kube {
    pub(super) fn look_after_pods(&mut self, m: Moment) {
        // Most pods have nothing to do at most times.
        let silent: Vec<&str> =
            self.of_kind("", "Node").filter(|(_, n)| !is_true(n, "Ready")).map(|(n, _)| n.name.as_str()).collect();
        let there: Vec<&str> = self.of_kind("", "Node").map(|(n, _)| n.name.as_str()).collect();
        let has_news = |name: &ObjectName, pod: &Json| {
            let node = text(pod, &["spec", "nodeName"]);
            is_leaving(pod) || silent.contains(&node) || !there.contains(&node) || self.is_due(name, m.now)
        };
        let news: Vec<ObjectName> =
            self.of_kind("", "Pod").filter(|(name, pod)| has_news(name, pod)).map(|(name, _)| name.clone()).collect();
        for name in news {
            let Some(pod) = self.get(&name).cloned() else { continue };
            let node = text(&pod, &["spec", "nodeName"]).to_owned();
            if is_leaving(&pod) {
                self.end(&name, &pod, &node, m);
            } else if node.is_empty() {
                self.place(&name, &pod, m);
            } else if self.is_silent(&node) {
                self.lose_touch(&name, &node, m);
            } else if self.is_due(&name, m.now) {
                self.set_due(&name, None);
                self.step(&name, &pod, m);
            }
        }
    }

    /// A leaving pod goes when its time has come and its node can do it.
    fn end(&mut self, name: &ObjectName, pod: &Json, node: &str, m: Moment) {
        let gone = self.get(&named("", "Node", "", node)).is_none();
        let in_time = self.objects.get(name).and_then(|o| o.due).is_none_or(|due| due <= m.now);
        let done = in_time && !self.is_silent(node);
        if (gone || done) && finalizers(pod).is_empty() {
            self.objects.remove(name);
            self.next_revision();
            self.stir(m);
        }
    }

    fn is_silent(&self, node: &str) -> bool {
        self.get(&named("", "Node", "", node)).is_none_or(|n| !is_true(n, "Ready"))
    }

    /// A pod on a silent node does not serve, and after a while another is to take its place.
    fn lose_touch(&mut self, name: &ObjectName, node: &str, m: Moment) {
        self.report(name, super::MANAGER, m, |pod| {
            if is_true(pod, "Ready") {
                set_condition(pod, m.now, "Ready", false, "NodeNotReady", "Node is not ready");
            }
        });
        let Some(n) = self.get(&named("", "Node", "", node)) else {
            return self.dismiss(name, m);
        };
        let since = super::condition(n, "Ready").and_then(|c| time(c, &["lastTransitionTime"])).unwrap_or(m.now);
        if m.now >= later(since, PATIENCE) {
            self.dismiss(name, m);
        } else {
            self.set_due(name, Some(later(since, PATIENCE)));
        }
    }

    /// The scheduler.
    fn place(&mut self, name: &ObjectName, pod: &Json, m: Moment) {
        let seat = match self.unbound_claim(pod) {
            Some(why) => Err(why),
            None => self.seat_for(pod),
        };
        match seat {
            Ok(node) => {
                self.report(name, "kube-scheduler", m, |pod| {
                    put(pod, &["spec", "nodeName"], node);
                    set_condition(pod, m.now, "PodScheduled", true, "", "");
                    put(pod, &["status", "startTime"], stamp(m.now));
                    put(pod, &["status", "hostIP"], "172.31.0.10");
                    waiting(pod, "ContainerCreating", "", None);
                });
                let pulled = self.timing.pull.draw(m.seed, "pull", text(pod, &["metadata", "uid"]));
                self.set_due(name, Some(later(m.now, pulled)));
            }
            Err(why) => self.report(name, "kube-scheduler", m, |pod| {
                set_condition(pod, m.now, "PodScheduled", false, "Unschedulable", &why);
            }),
        }
    }

    /// Why a pod's claims keep it from being placed.
    fn unbound_claim(&self, pod: &Json) -> Option<String> {
        let namespace = text(pod, &["metadata", "namespace"]);
        items(pod, &["spec", "volumes"]).iter().find_map(|v| {
            let claim = text(v, &["persistentVolumeClaim", "claimName"]);
            if claim.is_empty() {
                return None;
            }
            let Some(found) = self.get(&named("", "PersistentVolumeClaim", namespace, claim)) else {
                return Some(format!("persistentvolumeclaim {claim:?} not found"));
            };
            let bound = text(found, &["status", "phase"]) == "Bound";
            (!bound && !self.waits_for_pod(found))
                .then(|| "pod has unbound immediate PersistentVolumeClaims".to_owned())
        })
    }

    fn fate(&self, pod: &Json) -> Fate {
        let namespace = text(pod, &["metadata", "namespace"]);
        let there = |kind: &str, name: &str| self.get(&named("", kind, namespace, name)).is_some();
        for c in items(pod, &["spec", "containers"]) {
            let (name, image) = (text(c, &["name"]).to_owned(), text(c, &["image"]).to_owned());
            if self.is_bad_image(&image) {
                return Fate::NoImage(name, image);
            }
            let from_env = items(c, &["env"]).iter().filter_map(|e| at(e, &["valueFrom"]));
            let whole = items(c, &["envFrom"]).iter();
            for source in from_env.chain(whole) {
                for (part, kind) in [
                    ("configMapKeyRef", "ConfigMap"),
                    ("secretKeyRef", "Secret"),
                    ("configMapRef", "ConfigMap"),
                    ("secretRef", "Secret"),
                ] {
                    let Some(wanted) = at(source, &[part]) else { continue };
                    let which = text(wanted, &["name"]);
                    if !flag(wanted, &["optional"]) && !there(kind, which) {
                        return Fate::NoConfig(name, format!("{} {which:?} not found", kind.to_lowercase()));
                    }
                }
            }
            if self.crash_log(&image).is_some() {
                return Fate::Crash(name);
            }
        }
        Fate::Runs
    }

    /// Whether a pod waits for a config map or a secret that it mounts.
    fn waits_for_mount(&self, pod: &Json) -> bool {
        let namespace = text(pod, &["metadata", "namespace"]);
        items(pod, &["spec", "volumes"]).iter().any(|v| {
            let missing = |kind: &str, name: &str, optional: bool| {
                !name.is_empty() && !optional && self.get(&named("", kind, namespace, name)).is_none()
            };
            missing("ConfigMap", text(v, &["configMap", "name"]), flag(v, &["configMap", "optional"]))
                || missing("Secret", text(v, &["secret", "secretName"]), flag(v, &["secret", "optional"]))
        })
    }

    /// Whether an image cannot be pulled.
    fn is_bad_image(&self, image: &str) -> bool {
        self.bad_images.iter().any(|bad| bad == image) || tag_of(image).contains("broken")
    }

    /// The last lines of a container that ends at once; `None` for one that runs.
    pub(in super::super) fn crash_log(&self, image: &str) -> Option<&str> {
        let listed = self.crashing_images.get(image).map(String::as_str);
        listed.or_else(|| tag_of(image).contains("crash").then_some("starting\nfatal: cannot start\n"))
    }

    /// A pod's own next step on its node.
    fn step(&mut self, name: &ObjectName, pod: &Json, m: Moment) {
        let phase = text(pod, &["status", "phase"]);
        if matches!(phase, "Succeeded" | "Failed") {
            return;
        }
        let uid = text(pod, &["metadata", "uid"]).to_owned();
        let again = |seconds: u64| Some(later(m.now, std::time::Duration::from_secs(seconds)));
        let status = items(pod, &["status", "containerStatuses"]).to_vec();
        let started = status.first().is_some_and(|s| at(s, &["state", "running"]).is_some());
        if !started && self.waits_for_mount(pod) {
            return self.set_due(name, again(10));
        }
        match self.fate(pod) {
            Fate::NoImage(container, image) => {
                let first = text(&status.first().cloned().unwrap_or_default(), &["state", "waiting", "reason"])
                    == "ContainerCreating";
                let (reason, says) = if first {
                    ("ErrImagePull", format!("failed to pull image {image:?}: not found"))
                } else {
                    ("ImagePullBackOff", format!("Back-off pulling image {image:?}: ErrImagePull: not found"))
                };
                self.report(name, KUBELET, m, |pod| waiting(pod, reason, &says, Some(&container)));
                // The kubelet's back-off, which ends at five minutes.
                self.set_due(name, again(if first { 10 } else { 300 }));
            }
            Fate::NoConfig(container, says) => {
                self.report(name, KUBELET, m, |pod| {
                    waiting(pod, "CreateContainerConfigError", &says, Some(&container));
                });
                self.set_due(name, again(10));
            }
            Fate::Crash(container) if started => self.crash(name, pod, &container, m),
            fate if started => {
                let job = text(pod, &["spec", "restartPolicy"]) != "Always";
                if is_true(pod, "Ready") && job && matches!(fate, Fate::Runs) {
                    self.report(name, KUBELET, m, |pod| finished(pod, m.now, 0, "Completed", "Succeeded"));
                } else {
                    self.report(name, KUBELET, m, |pod| ready(pod, m.now));
                    if job {
                        let run = self.timing.run.draw(m.seed, "run", &uid);
                        self.set_due(name, Some(later(m.now, run)));
                    }
                }
            }
            fate => {
                self.next_revision();
                let address = format!("10.244.{}.{}", self.revision / 250 % 250, self.revision % 250 + 1);
                self.report(name, KUBELET, m, |pod| running(pod, m.now, &address));
                let wait = match fate {
                    Fate::Crash(_) => self.timing.crash.draw(m.seed, "crash", &uid),
                    _ => self.timing.ready.draw(m.seed, "ready", &uid) + probe_delay(pod),
                };
                self.set_due(name, Some(later(m.now, wait)));
            }
        }
    }

    fn crash(&mut self, name: &ObjectName, pod: &Json, container: &str, m: Moment) {
        if text(pod, &["spec", "restartPolicy"]) == "Never" {
            return self.report(name, KUBELET, m, |pod| finished(pod, m.now, 1, "Error", "Failed"));
        }
        let mut restarts = 0;
        self.report(name, KUBELET, m, |pod| {
            for s in pod.pointer_mut("/status/containerStatuses").and_then(Json::as_array_mut).into_iter().flatten() {
                if text(s, &["name"]) != container {
                    continue;
                }
                let began = text(s, &["state", "running", "startedAt"]).to_owned();
                let ended = json!({ "exitCode": 1, "reason": "Error", "startedAt": began, "finishedAt": stamp(m.now) });
                restarts = number(s, &["restartCount"]).unwrap_or(0) + 1;
                put(s, &["restartCount"], restarts);
                put(s, &["lastState"], json!({ "terminated": ended }));
                let says = format!("back-off restarting failed container={container}");
                put(s, &["state"], json!({ "waiting": { "reason": "CrashLoopBackOff", "message": says } }));
                put(s, &["started"], false);
                put(s, &["ready"], false);
            }
            unready(pod, m.now, container);
        });
        let pause = 10_u64.saturating_mul(1 << restarts.clamp(1, 6)) / 2;
        self.set_due(name, Some(later(m.now, std::time::Duration::from_secs(pause.min(300)))));
    }
}

fn tag_of(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').map_or("", |(_, tag)| tag)
}

/// What a readiness probe waits before it asks.
fn probe_delay(pod: &Json) -> std::time::Duration {
    let delay = |c: &Json| number(c, &["readinessProbe", "initialDelaySeconds"]).unwrap_or(0).unsigned_abs();
    std::time::Duration::from_secs(items(pod, &["spec", "containers"]).iter().map(delay).max().unwrap_or(0))
}

fn statuses(pod: &Json, make: impl Fn(&str, &str, i64) -> Json) -> Vec<Json> {
    let old = items(pod, &["status", "containerStatuses"]);
    items(pod, &["spec", "containers"])
        .iter()
        .map(|c| {
            let name = text(c, &["name"]);
            let before = old.iter().find(|s| text(s, &["name"]) == name);
            let restarts = before.and_then(|s| number(s, &["restartCount"])).unwrap_or(0);
            let mut status = make(name, text(c, &["image"]), restarts);
            if let Some(last) = before.and_then(|b| at(b, &["lastState"])) {
                put(&mut status, &["lastState"], last.clone());
            }
            status
        })
        .collect()
}

/// All containers wait; the named one (or all) for a reason.
fn waiting(pod: &mut Json, reason: &str, says: &str, only: Option<&str>) {
    let all = statuses(pod, |name, image, restarts| {
        let mine = only.is_none_or(|o| o == name);
        let mut state = json!({ "waiting": { "reason": if mine { reason } else { "ContainerCreating" } } });
        if mine && !says.is_empty() {
            put(&mut state, &["waiting", "message"], says);
        }
        json!({ "name": name, "image": image, "restartCount": restarts, "ready": false, "started": false, "state": state })
    });
    put(pod, &["status", "containerStatuses"], all);
}

fn running(pod: &mut Json, now: Timestamp, address: &str) {
    let all = statuses(pod, |name, image, restarts| {
        json!({
            "name": name, "image": image, "restartCount": restarts, "ready": false, "started": true,
            "state": { "running": { "startedAt": stamp(now) } },
        })
    });
    put(pod, &["status", "containerStatuses"], all);
    put(pod, &["status", "phase"], "Running");
    super::super::object::put_default(pod, &["status", "podIP"], address);
    set_condition(pod, now, "Initialized", true, "", "");
    let names: Vec<String> =
        items(pod, &["spec", "containers"]).iter().map(|c| text(c, &["name"]).to_owned()).collect();
    unready(pod, now, &names.join(" "));
}

fn unready(pod: &mut Json, now: Timestamp, containers: &str) {
    let says = format!("containers with unready status: [{containers}]");
    for kind in ["Ready", "ContainersReady"] {
        set_condition(pod, now, kind, false, "ContainersNotReady", &says);
    }
}

fn ready(pod: &mut Json, now: Timestamp) {
    for s in pod.pointer_mut("/status/containerStatuses").and_then(Json::as_array_mut).into_iter().flatten() {
        put(s, &["ready"], true);
    }
    for kind in ["Ready", "ContainersReady"] {
        set_condition(pod, now, kind, true, "", "");
    }
}

fn finished(pod: &mut Json, now: Timestamp, code: i64, reason: &str, phase: &str) {
    for s in pod.pointer_mut("/status/containerStatuses").and_then(Json::as_array_mut).into_iter().flatten() {
        let began = text(s, &["state", "running", "startedAt"]).to_owned();
        let ended = json!({ "exitCode": code, "reason": reason, "startedAt": began, "finishedAt": stamp(now) });
        put(s, &["state"], json!({ "terminated": ended }));
        put(s, &["ready"], false);
        put(s, &["started"], false);
    }
    put(pod, &["status", "phase"], phase);
    for kind in ["Ready", "ContainersReady"] {
        set_condition(pod, now, kind, false, if code == 0 { "PodCompleted" } else { "PodFailed" }, "");
    }
}
