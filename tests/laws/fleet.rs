//! Random fleets as a user writes them down, and the edits a user makes.

use evenkeel_sim::dice::draw;

/// The stack of all stories.
pub const STACK: &str = "7f3kq2x9";

/// Chance that replays: one number after another from a seed.
#[derive(Debug, Clone)]
pub struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    /// The dice of a seed, for one purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self { seed: draw(seed, "story", purpose), thrown: 0 }
    }

    /// 0 to `sides` − 1.
    pub fn roll(&mut self, sides: u32) -> u32 {
        self.thrown += 1;
        u32::try_from(draw(self.seed, "throw", self.thrown) % u64::from(sides.max(1))).expect("less than its sides")
    }
}

/// A number of machines, or hundredths of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    Count(u32),
    Percent(u32),
}

impl Share {
    /// The most machines that are no more than this of `n` (P16: what must not be exceeded rounds down). Found by
    /// trying, so that it shares no arithmetic with what it holds to account.
    pub fn of(self, n: u32) -> u32 {
        let is_within = |k: &u32| match self {
            Self::Count(most) => *k <= most,
            Self::Percent(p) => k * 100 <= p * n,
        };
        (0..=n).rev().find(is_within).unwrap_or(0)
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "\"{p}%\""),
        }
    }
}

/// A group of machines.
#[derive(Debug, Clone)]
pub struct Web {
    pub name: String,
    pub count: u32,
    pub image: usize,
    pub debug: bool,
    pub team: u32,
    pub data: bool,
    pub wait: bool,
    pub types: usize,
    /// Its root disk's size in GiB, if the file says one.
    pub root: Option<u32>,
    /// The size in GiB of a disk that dies with it.
    pub disk: Option<u32>,
}

/// A declaration.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub groups: Vec<Web>,
    /// Volumes without machines.
    pub replicas: Option<u32>,
    pub zones: Vec<&'static str>,
    pub unavailable: Share,
    pub surge: u32,
    pub parallel: u32,
    pub size: u32,
}

const IMAGES: [&str; 3] = ["ami-00000000000002309", "ami-00000000000002308", "ami-00000000000002307"];
const TYPES: [&str; 3] = ["\"t3.small\", \"t3a.small\"", "\"t3.medium\"", "\"t3a.small\", \"t3.large\""];
const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

impl Fleet {
    /// The fleet of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let zones = 1 + dice.roll(3) as usize;
        let groups = (0..1 + dice.roll(3)).map(|n| Web::of(n, &mut dice)).collect();
        Self {
            groups,
            replicas: (dice.roll(3) == 0).then(|| dice.roll(4)),
            zones: ZONES[..zones].to_vec(),
            unavailable: unavailable(&mut dice),
            surge: 1 + dice.roll(2),
            parallel: 1 + dice.roll(2),
            size: 10,
        }
    }

    /// What the user changes; says it in words.
    pub fn edit(&mut self, dice: &mut Dice) -> String {
        let n = dice.roll(u32::try_from(self.groups.len()).unwrap_or(1)) as usize;
        let kind = dice.roll(17);
        let Some(group) = self.groups.get_mut(n) else {
            self.groups.push(Web::of(dice.roll(3), dice));
            return "a group is added".into();
        };
        match kind {
            0..=2 => {
                let old = std::mem::replace(&mut group.count, dice.roll(7));
                format!("{}: count {old} → {}", group.name, group.count)
            }
            3 => {
                group.image = (group.image + 1) % IMAGES.len();
                format!("{}: another image", group.name)
            }
            4 => {
                group.debug = !group.debug;
                format!("{}: other security groups", group.name)
            }
            5 => {
                group.team += 1;
                format!("{}: another tag", group.name)
            }
            6 => {
                group.data = !group.data;
                format!("{}: volumes {}", group.name, group.data)
            }
            7 if self.zones.len() > 1 => {
                let gone = self.zones.remove(dice.roll(self.zones.len() as u32) as usize);
                format!("no longer in {gone}")
            }
            7 | 8 => {
                self.zones = ZONES.to_vec();
                "over all three zones".into()
            }
            9 => {
                let gone = self.groups.remove(n);
                format!("{} is taken out", gone.name)
            }
            10 => {
                self.replicas = Some(dice.roll(4));
                format!("{:?} volumes without machines", self.replicas)
            }
            11 => {
                self.size += 1 + dice.roll(3);
                format!("volumes of {} GiB", self.size)
            }
            12 | 13 => {
                group.disk = match (group.disk, dice.roll(5)) {
                    (Some(size), 0) => Some(size.saturating_sub(1).max(1)),
                    (Some(_), 1) => None,
                    (Some(size), _) => Some(size + 2),
                    (None, _) => Some(5),
                };
                format!("{}: a disk of {:?} GiB", group.name, group.disk)
            }
            14 => {
                group.root = Some(group.root.map_or(20, |size| size + 2));
                format!("{}: a root disk of {:?} GiB", group.name, group.root)
            }
            15 => {
                group.types = (group.types + 1) % TYPES.len();
                format!("{}: another type", group.name)
            }
            _ => {
                self.unavailable = unavailable(dice);
                format!("max-unavailable {}", self.unavailable)
            }
        }
    }

    /// As the user writes it.
    pub fn file(&self) -> String {
        let zones: Vec<String> = self.zones.iter().map(|z| format!("\"{z}\"")).collect();
        let zones = zones.join(", ");
        let mut text = format!(
            "[stack]\nname = \"shop\"\nid = \"{STACK}\"\n[aws]\nregion = \"us-east-1\"\n[policy]\nquarantine = \"1h\"\n\
             max-unavailable = {}\nmax-surge = {}\nmax-parallel = {}\n",
            self.unavailable, self.surge, self.parallel
        );
        for g in &self.groups {
            let groups = if g.debug { "\"web\", \"debug\"" } else { "\"web\"" };
            text += &format!(
                "[machines.{}]\ncount = {}\nimage = \"{}\"\ntype = [{}]\nzones = [{zones}]\n\
                 security-groups = [{groups}]\ntags = {{ team = \"t{}\" }}\nwait = \"{}\"\n",
                g.name,
                g.count,
                IMAGES[g.image],
                TYPES[g.types],
                g.team,
                if g.wait { "healthy" } else { "running" }
            );
            if let Some(size) = g.root {
                text += &format!("root = {{ size = \"{size}GiB\" }}\n");
            }
            if let Some(size) = g.disk {
                text += &format!("disks = [{{ device = \"/dev/sdk\", size = \"{size}GiB\" }}]\n");
            }
            if g.data {
                text +=
                    &format!("[volumes.{}-data]\nfor = \"machines.{}\"\nsize = \"{}GiB\"\n", g.name, g.name, self.size);
            }
        }
        if let Some(n) = self.replicas {
            text += &format!("[volumes.spare]\nreplicas = {n}\nsize = \"{}GiB\"\nzones = [{zones}]\n", self.size);
        }
        text
    }
}

/// None or one of any group, or as many hundredths as cut groups of up to six in every way.
fn unavailable(dice: &mut Dice) -> Share {
    match dice.roll(6) {
        n @ (0 | 1) => Share::Percent([17, 34, 49, 50, 66, 99][dice.roll(6) as usize] * n),
        2 => Share::Percent(dice.roll(101)),
        3..=4 => Share::Count(0),
        _ => Share::Count(1),
    }
}

impl Web {
    fn of(n: u32, dice: &mut Dice) -> Self {
        Self {
            name: ["web", "db", "batch"][n as usize % 3].to_owned(),
            count: dice.roll(7),
            image: 0,
            debug: dice.roll(3) == 0,
            team: 0,
            data: dice.roll(3) == 0,
            wait: dice.roll(4) > 0,
            types: 0,
            root: None,
            disk: None,
        }
    }
}
