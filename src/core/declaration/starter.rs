//! Declarations to start from, for `evenkeel init`. Each is a file under templates/ and is tested to be read without a
//! word of complaint.

use crate::address::is_name;

/// A declaration to start from.
#[derive(Debug, Clone, Copy)]
pub struct Starter {
    /// What `init --template` calls it.
    pub name: &'static str,
    /// What it is, one line.
    pub about: &'static str,
    /// The declaration, with places left open for [`starter`].
    pub text: &'static str,
    /// Files to be written beside it: name and text.
    pub files: &'static [(&'static str, &'static str)],
}

const BOOT: (&str, &str) = ("boot.sh.j2", include_str!("../../../templates/user-data/boot.sh.j2"));

/// All of them; the first is the default.
pub static STARTERS: &[Starter] = &[
    Starter {
        name: "web",
        about: "a web tier: six machines over three zones, replaced one by one",
        text: include_str!("../../../templates/web.toml"),
        files: &[BOOT],
    },
    Starter {
        name: "quorum",
        about: "a quorum of three over three zones, each with a volume that outlives its machine",
        text: include_str!("../../../templates/quorum.toml"),
        files: &[],
    },
    Starter {
        name: "batch",
        about: "a batch pool: spot machines of several types, cheap and replaceable",
        text: include_str!("../../../templates/batch.toml"),
        files: &[],
    },
    Starter {
        name: "shop",
        about: "a shop on Kubernetes: six pods over the zones, their service, budget and settings",
        text: include_str!("../../../templates/shop.toml"),
        files: &[],
    },
];

/// A starter's text with its open places filled in. `name` becomes a valid one ([`stack_name`]); `id` is the fresh
/// stack id; `region` such as `us-east-1`.
pub fn starter(template: &str, name: &str, id: &str, region: &str) -> String {
    template
        .replace("{{ init.name }}", &stack_name(name))
        .replace("{{ init.id }}", id)
        .replace("{{ init.region }}", region)
}

/// The nearest valid stack name: a folder's name may have capitals, spaces and more.
pub fn stack_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let fits = c.is_ascii_lowercase() || (!name.is_empty() && c.is_ascii_digit());
        if fits {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(40);
    let name = name.trim_end_matches('-');
    if is_name(name) { name.to_owned() } else { "stack".to_owned() }
}
