//! Tests of the whole way from text to [`super::Desired`].

use super::*;

fn main(text: &str) -> Inputs {
    Inputs { main: Source { name: "evenkeel.toml".into(), text: text.into() }, ..Inputs::default() }
}

const SHOP: &str = r#"
[stack]
name = "shop"
id = "7f3kq2x9"

[vars]
team = "payments"

[aws]
region = "us-east-1"

[machines.web]
count = 6
image = { owner = "amazon", name = "al2023-ami-2023.*-x86_64" }
type = ["t3.small", "t3a.small"]
zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
security-groups = ["web"]
user-data = "boot.sh.j2"
disks = [{ device = "/dev/sdf", size = "20GiB" }]
tags = { team = "{{ vars.team }}" }
wait = "healthy"

[volumes.data]
for = "machines.web"
size = "50GiB"
type = "gp3"

[policy]
max-unavailable = 0
max-deletes = "10%"
"#;

fn shop() -> Inputs {
    let mut inputs = main(SHOP);
    inputs.files.insert("boot.sh.j2".into(), b"#!/bin/sh\necho {{ slot }} {{ zone }} {{ vars.team }}\n".to_vec());
    inputs
}

#[test]
fn the_example_of_the_design_book_is_read_whole() {
    assert_eq!(files_wanted(&shop()), BTreeSet::from(["boot.sh.j2".to_owned()]));
    let declared = declare(&shop());
    assert_eq!(declared.diagnostics, vec![]);
    let desired = declared.desired.unwrap();
    let web = &desired.machines["web"];
    assert_eq!((web.count, web.types.len(), web.tags["team"].as_str()), (6, 2, "payments"));
    assert_eq!(desired.volumes["data"].device, "/dev/sdg", "sdf is a disk's");
    assert_eq!(web.disks["/dev/sdf"].volume_type.as_deref(), Some("gp3"));
}
