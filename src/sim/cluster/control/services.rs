//! Services: an address from outside for those that ask, and the slices of their pods.

use evenkeel_core::address::ObjectName;
use serde_json::{Value as Json, json};

use super::super::check::meets;
use super::super::object::{at, is_leaving, items, put, text};
use super::super::{Kube, Moment, named};
use super::{MANAGER, is_ready, owner, suffix};
use crate::clock::later;

const OF: &str = "kubernetes.io/service-name";

impl Kube {
    pub(super) fn look_after_services(&mut self, m: Moment) {
        for name in self.all_of("", "Service") {
            let Some(service) = self.get(&name).cloned().filter(|s| !is_leaving(s)) else { continue };
            if text(&service, &["spec", "type"]) == "LoadBalancer" {
                self.balance(&name, &service, m);
            } else if at(&service, &["status", "loadBalancer", "ingress"]).is_some() {
                self.report(&name, MANAGER, m, |s| put(s, &["status", "loadBalancer"], json!({})));
            }
            if at(&service, &["spec", "selector"]).is_some() {
                self.slice(&name, &service, m);
            }
        }
    }

    fn balance(&mut self, name: &ObjectName, service: &Json, m: Moment) {
        if at(service, &["status", "loadBalancer", "ingress"]).is_some() {
            return;
        }
        let uid = text(service, &["metadata", "uid"]);
        match self.objects.get(name).and_then(|o| o.due) {
            None => {
                let takes = self.timing.balancer.draw(m.seed, "balancer", uid);
                self.set_due(name, Some(later(m.now, takes)));
            }
            Some(due) if due <= m.now => {
                self.set_due(name, None);
                let host = format!("a{}.elb.sim.amazonaws.com", uid.replace('-', ""));
                self.report(name, MANAGER, m, |s| {
                    put(s, &["status", "loadBalancer", "ingress"], json!([{ "hostname": host }]));
                });
            }
            Some(_) => {}
        }
    }

    /// The slice of a service. It bears the service's own labels, whoever's they are.
    fn slice(&mut self, name: &ObjectName, service: &Json, m: Moment) {
        let selector = json!({ "matchLabels": at(service, &["spec", "selector"]) });
        let pods = self.in_namespace("", "Pod", &name.namespace);
        let endpoints: Vec<Json> = pods
            .filter(|(_, p)| {
                meets(&selector, at(p, &["metadata", "labels"])) && !text(p, &["status", "podIP"]).is_empty()
            })
            .map(|(pod, p)| {
                json!({
                    "addresses": [text(p, &["status", "podIP"])],
                    "conditions": { "ready": is_ready(p), "serving": is_ready(p), "terminating": is_leaving(p) },
                    "nodeName": text(p, &["spec", "nodeName"]),
                    "targetRef": { "kind": "Pod", "name": pod.name, "namespace": pod.namespace },
                })
            })
            .collect();
        let mut labels = at(service, &["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
        put(&mut labels, &[OF], name.name.as_str());
        put(&mut labels, &["endpointslice.kubernetes.io/managed-by"], "endpointslice-controller.k8s.io");
        let ports: Vec<Json> = items(service, &["spec", "ports"])
            .iter()
            .map(|p| {
                json!({ "name": text(p, &["name"]), "port": at(p, &["targetPort"]).filter(|t| t.is_i64()), "protocol": text(p, &["protocol"]) })
            })
            .collect();
        let slices = self.owned("discovery.k8s.io", "EndpointSlice", service);
        match slices.first() {
            Some((slice, _)) => self.amend(slice, m, |s| {
                put(s, &["metadata", "labels"], labels);
                put(s, &["endpoints"], endpoints);
                put(s, &["ports"], ports);
            }),
            None => {
                let slice = json!({
                    "apiVersion": "discovery.k8s.io/v1",
                    "kind": "EndpointSlice",
                    "metadata": {
                        "name": format!("{}-{}", name.name, suffix(self.made, m.seed)),
                        "namespace": name.namespace,
                        "labels": labels,
                        "ownerReferences": [owner(service)],
                    },
                    "addressType": "IPv4",
                    "endpoints": endpoints,
                    "ports": ports,
                });
                let _ = self.spawn(slice, m);
            }
        }
        self.old_endpoints(name, service, m);
    }

    /// The older kind beside it, which bears the labels too and no owner.
    fn old_endpoints(&mut self, name: &ObjectName, service: &Json, m: Moment) {
        let of = named("", "Endpoints", &name.namespace, &name.name);
        if self.get(&of).is_none() {
            let body = json!({
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {
                    "name": name.name,
                    "namespace": name.namespace,
                    "labels": at(service, &["metadata", "labels"]),
                },
            });
            let _ = self.spawn(body, m);
        }
    }
}
