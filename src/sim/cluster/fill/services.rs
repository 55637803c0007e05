//! What services get: defaults, and addresses of their own.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::super::object::{items, number, put, put_default, table, take, text};
use super::super::{Kube, Moment};
use super::set;

pub(super) fn fill(kube: &Kube, object: &mut Json, live: Option<&Json>, _: Moment) {
    let spec = table(object, &["spec"]);
    set(spec, "type", "ClusterIP");
    set(spec, "sessionAffinity", "None");
    for port in spec.get_mut("ports").and_then(Json::as_array_mut).into_iter().flatten() {
        put_default(port, &["protocol"], "TCP");
        if let Some(number) = port.get("port").cloned() {
            put_default(port, &["targetPort"], number);
        }
    }
    if text(object, &["spec", "sessionAffinity"]) == "ClientIP" {
        put_default(object, &["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"], 10800);
    }
    let kind = text(object, &["spec", "type"]).to_owned();
    if kind == "ExternalName" {
        for gone in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            take(object, &["spec", gone]);
        }
        return;
    }
    put_default(object, &["spec", "internalTrafficPolicy"], "Cluster");
    put_default(object, &["spec", "ipFamilies"], json!(["IPv4"]));
    put_default(object, &["spec", "ipFamilyPolicy"], "SingleStack");
    if text(object, &["spec", "clusterIP"]).is_empty() {
        let had = live.map(|l| text(l, &["spec", "clusterIP"])).filter(|ip| !ip.is_empty());
        let ip = had.map_or_else(|| free_address(kube), str::to_owned);
        put(object, &["spec", "clusterIP"], ip);
    }
    let ip = text(object, &["spec", "clusterIP"]).to_owned();
    put_default(object, &["spec", "clusterIPs"], json!([ip]));
    let balancer = kind == "LoadBalancer";
    if balancer {
        put_default(object, &["spec", "allocateLoadBalancerNodePorts"], true);
    }
    if balancer || kind == "NodePort" {
        put_default(object, &["spec", "externalTrafficPolicy"], "Cluster");
        node_ports(kube, object);
    } else if live.is_some_and(|l| text(l, &["spec", "type"]) != kind) {
        // What another type needed goes with it.
        for gone in ["externalTrafficPolicy", "allocateLoadBalancerNodePorts", "healthCheckNodePort"] {
            take(object, &["spec", gone]);
        }
        for port in table(object, &["spec"]).get_mut("ports").and_then(Json::as_array_mut).into_iter().flatten() {
            take(port, &["nodePort"]);
        }
    }
}

fn free_address(kube: &Kube) -> String {
    let taken: BTreeSet<&str> = kube.of_kind("", "Service").map(|(_, s)| text(s, &["spec", "clusterIP"])).collect();
    let address = |n: u32| format!("10.96.{}.{}", n / 250, n % 250 + 1);
    (10..62_500).map(address).find(|a| !taken.contains(a.as_str())).unwrap_or_else(|| "None".to_owned())
}

fn node_ports(kube: &Kube, object: &mut Json) {
    let mut taken: BTreeSet<i64> = kube
        .of_kind("", "Service")
        .flat_map(|(_, s)| items(s, &["spec", "ports"]))
        .filter_map(|p| number(p, &["nodePort"]))
        .collect();
    taken.extend(items(object, &["spec", "ports"]).iter().filter_map(|p| number(p, &["nodePort"])));
    for port in table(object, &["spec"]).get_mut("ports").and_then(Json::as_array_mut).into_iter().flatten() {
        if number(port, &["nodePort"]).unwrap_or(0) == 0
            && let Some(free) = (30_000..32_768).find(|n| !taken.contains(n))
        {
            taken.insert(free);
            put(port, &["nodePort"], free);
        }
    }
}
