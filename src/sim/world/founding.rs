//! The world a newcomer finds: one account in us-east-1 with a default VPC, a few images and nothing running.

use std::collections::BTreeMap;

use super::{Image, Limits, MachineType, Next, SecurityGroup, Snapshot, Subnet, Timing, World, Zone};
use crate::faults::Weather;

/// Name, vCPUs, GiB, architecture: <https://aws.amazon.com/ec2/instance-types/>.
const TYPES: &[(&str, u32, f64, &str)] = &[
    ("t3.nano", 2, 0.5, "x86_64"),
    ("t3.micro", 2, 1.0, "x86_64"),
    ("t3.small", 2, 2.0, "x86_64"),
    ("t3.medium", 2, 4.0, "x86_64"),
    ("t3.large", 2, 8.0, "x86_64"),
    ("t3.xlarge", 4, 16.0, "x86_64"),
    ("t3a.micro", 2, 1.0, "x86_64"),
    ("t3a.small", 2, 2.0, "x86_64"),
    ("t3a.medium", 2, 4.0, "x86_64"),
    ("t3a.large", 2, 8.0, "x86_64"),
    ("t4g.micro", 2, 1.0, "arm64"),
    ("t4g.small", 2, 2.0, "arm64"),
    ("t4g.medium", 2, 4.0, "arm64"),
    ("m5.large", 2, 8.0, "x86_64"),
    ("m5.xlarge", 4, 16.0, "x86_64"),
    ("m5.2xlarge", 8, 32.0, "x86_64"),
    ("m6i.large", 2, 8.0, "x86_64"),
    ("m6a.large", 2, 8.0, "x86_64"),
    ("m6i.xlarge", 4, 16.0, "x86_64"),
    ("m6i.2xlarge", 8, 32.0, "x86_64"),
    ("m7i.large", 2, 8.0, "x86_64"),
    ("m7i.xlarge", 4, 16.0, "x86_64"),
    ("m7g.large", 2, 8.0, "arm64"),
    ("c5.large", 2, 4.0, "x86_64"),
    ("c6a.large", 2, 4.0, "x86_64"),
    ("c6i.large", 2, 4.0, "x86_64"),
    ("c6i.xlarge", 4, 8.0, "x86_64"),
    ("c6i.2xlarge", 8, 16.0, "x86_64"),
    ("c6i.4xlarge", 16, 32.0, "x86_64"),
    ("c7i.large", 2, 4.0, "x86_64"),
    ("r5.large", 2, 16.0, "x86_64"),
    ("r6i.large", 2, 16.0, "x86_64"),
    ("r6i.xlarge", 4, 32.0, "x86_64"),
    ("r6i.2xlarge", 8, 64.0, "x86_64"),
];

const AMAZON: &str = "137112412989";
const CANONICAL: &str = "099720109477";

/// Id, name, owner, day, architecture.
const IMAGES: &[(&str, &str, &str, &str, &str)] = &[
    ("ami-00000000000002306", "al2023-ami-2023.6.20241010.0-kernel-6.1-x86_64", AMAZON, "2024-10-10", "x86_64"),
    ("ami-00000000000002307", "al2023-ami-2023.7.20250331.0-kernel-6.1-x86_64", AMAZON, "2025-03-31", "x86_64"),
    ("ami-00000000000002308", "al2023-ami-2023.8.20250818.0-kernel-6.1-x86_64", AMAZON, "2025-08-18", "x86_64"),
    ("ami-00000000000002309", "al2023-ami-2023.9.20251110.1-kernel-6.1-x86_64", AMAZON, "2025-11-10", "x86_64"),
    ("ami-00000000000002409", "al2023-ami-2023.9.20251110.1-kernel-6.1-arm64", AMAZON, "2025-11-10", "arm64"),
    (
        "ami-00000000000002204",
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251015",
        CANONICAL,
        "2025-10-15",
        "x86_64",
    ),
    (
        "ami-00000000000002404",
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251022",
        CANONICAL,
        "2025-10-22",
        "x86_64",
    ),
];

const VPC: &str = "vpc-00000000000000001";

impl World {
    /// A fresh world in us-east-1, at noon of a day in January.
    pub fn founding(seed: u64) -> Self {
        Self::founding_in("us-east-1", seed)
    }

    /// The same in another region.
    pub fn founding_in(region: &str, seed: u64) -> Self {
        let zones = ["a", "b", "c", "d"].map(|letter| format!("{region}{letter}"));
        let subnet = |(n, zone): (usize, &String)| {
            let subnet = Subnet {
                zone: zone.clone(),
                vpc: VPC.to_owned(),
                cidr: format!("172.31.{}.0/20", n * 16),
                default: true,
                public: true,
                tags: BTreeMap::new(),
            };
            (format!("subnet-{:017x}", n + 1), subnet)
        };
        let group = |(n, name): (usize, &str)| {
            let group = SecurityGroup { name: name.to_owned(), vpc: VPC.to_owned(), tags: BTreeMap::new() };
            (format!("sg-{:017x}", n + 1), group)
        };
        Self {
            now: "2026-01-05T12:00:00Z".parse().expect("a date"),
            seed,
            region: region.to_owned(),
            account: "123456789012".to_owned(),
            keys: vec!["ops".to_owned()],
            instance_profiles: ["web", "db", "batch", "ops"].map(str::to_owned).to_vec(),
            placement_groups: vec!["cluster".to_owned(), "spread".to_owned()],
            timing: Timing::default(),
            limits: Limits::default(),
            next: Next::default(),
            types: TYPES
                .iter()
                .map(|&(name, vcpus, memory, arch)| {
                    (name.to_owned(), MachineType { vcpus, memory, architecture: arch.to_owned() })
                })
                .collect(),
            parameters: parameters(),
            images: images(),
            snapshots: BTreeMap::from([(
                "snap-00000000000000001".to_owned(),
                Snapshot { size: 20, state: "completed".to_owned() },
            )]),
            subnets: zones.iter().enumerate().map(subnet).collect(),
            security_groups: ["default", "web", "db", "debug"].into_iter().enumerate().map(group).collect(),
            zones: zones.iter().map(|z| (z.clone(), Zone::default())).collect(),
            instances: BTreeMap::new(),
            volumes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            clusters: BTreeMap::new(),
            buckets: BTreeMap::new(),
            calls: BTreeMap::new(),
            faults: Vec::new(),
            script: Vec::new(),
            floors: Vec::new(),
            violations: Vec::new(),
            weather: Weather::default(),
            frozen: None,
        }
    }
}

fn images() -> BTreeMap<String, Image> {
    let image = |&(id, name, owner, day, arch): &(&str, &str, &str, &str, &str)| {
        let image = Image {
            name: name.to_owned(),
            owner: owner.to_owned(),
            alias: (owner == AMAZON).then(|| "amazon".to_owned()),
            created: format!("{day}T00:00:00Z").parse().expect("a date"),
            architecture: arch.to_owned(),
            root_device: if owner == AMAZON { "/dev/xvda" } else { "/dev/sda1" }.to_owned(),
            root_size: 8,
            available: true,
            bad: false,
            tags: BTreeMap::new(),
        };
        (id.to_owned(), image)
    };
    IMAGES.iter().map(image).collect()
}

fn parameters() -> BTreeMap<String, String> {
    let latest = "/aws/service/ami-amazon-linux-latest";
    BTreeMap::from([
        (format!("{latest}/al2023-ami-kernel-default-x86_64"), "ami-00000000000002309".to_owned()),
        (format!("{latest}/al2023-ami-kernel-default-arm64"), "ami-00000000000002409".to_owned()),
        (
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id".to_owned(),
            "ami-00000000000002404".to_owned(),
        ),
    ])
}
