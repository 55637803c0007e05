//! Where a group may stand: its zones or subnets, and whether so many fit there.

use std::collections::BTreeMap;

use super::problems::Problems;
use super::reader::Reader;
use super::tree::Node;
use crate::desired::Spread;

/// Reads `zones` and `subnets`.
pub fn read(r: &Reader<'_>, path: &str, region: Option<&str>, problems: &mut Problems<'_>) -> Spread {
    if let (Some(zones), Some(subnets)) = (r.node("zones"), r.node("subnets")) {
        problems
            .error(
                "E0504",
                subnets.key,
                format!("`{path}` has both `zones` and `subnets`"),
                "keep one of the two: a subnet says its zone",
            )
            .also(zones.key, "and here");
    }
    if let Some(t) = r.table("subnets") {
        return Spread::SubnetsTagged(t.text("tag").unwrap_or_default(), t.text("value"));
    }
    if r.has("subnets") {
        return Spread::Subnets(r.texts("subnets"));
    }
    zones(r, region, problems)
}

/// Reads `zones` alone.
pub fn zones(r: &Reader<'_>, region: Option<&str>, problems: &mut Problems<'_>) -> Spread {
    let Some(list) = r.node("zones") else { return Spread::Anywhere };
    for zone in list.items() {
        in_region(zone, region, problems);
    }
    Spread::Zones(r.texts("zones"))
}

fn in_region(node: &Node, region: Option<&str>, problems: &mut Problems<'_>) {
    let (Some(zone), Some(region)) = (node.text(), region) else { return };
    if !belongs(zone, region) && super::format::Format::Zone.check(zone).is_ok() {
        problems.error(
            "E0503",
            node.at,
            format!("{zone} is not a zone of {region}"),
            format!("write a zone such as {region}a, or correct `region` in [aws]"),
        );
    }
}

/// `us-east-1a` and `us-east-1-bos-1a` belong to `us-east-1`; `us-east-11a` does not.
fn belongs(zone: &str, region: &str) -> bool {
    zone.strip_prefix(region).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Checks caps: their zones, and that `count` fits.
#[allow(clippy::too_many_arguments)] // Each is one fact about the group; a struct for one call would only hide them.
pub fn check(
    r: &Reader<'_>,
    path: &str,
    count: u32,
    spread: &Spread,
    caps: &BTreeMap<String, u32>,
    skew: u32,
    region: Option<&str>,
    problems: &mut Problems<'_>,
) {
    let Some(table) = r.table("caps") else { return };
    let zones: Option<&[String]> = match spread {
        Spread::Zones(zones) => Some(zones),
        Spread::Anywhere | Spread::Subnets(_) | Spread::SubnetsTagged(..) => None,
    };
    for (zone, node) in table.others() {
        let foreign = match zones {
            Some(zones) => !zones.iter().any(|z| z == zone),
            None => region.is_some_and(|region| !belongs(zone, region)),
        };
        if foreign && caps.contains_key(zone) {
            problems.error(
                "E0503",
                node.key,
                format!("`{path}` does not stand in {zone}"),
                "name a zone of this group, or take the cap away",
            );
        }
    }
    let Some(zones) = zones else { return };
    let room = |z: &String| caps.get(z).copied().unwrap_or(count).min(count);
    let total: u64 = zones.iter().map(|z| u64::from(room(z))).sum();
    if total < u64::from(count) {
        problems.error(
            "E0502",
            r.at("caps"),
            format!("{count} machines do not fit: the caps of `{path}` leave room for {total}"),
            format!("raise the caps to {count} together, lower `count`, or add a zone"),
        );
        return;
    }
    // Feasible if for some level L every zone can hold between min(L, …) and L + skew of them.
    let even = (0..=count).any(|level| {
        let low_fits = zones.iter().all(|z| room(z) >= level);
        let most: u64 = zones.iter().map(|z| u64::from(room(z).min(level.saturating_add(skew)))).sum();
        let least = u64::from(level) * zones.len() as u64;
        low_fits && least <= u64::from(count) && u64::from(count) <= most
    });
    if !even {
        problems.warn(
            "W0503",
            r.at("caps"),
            format!("the caps of `{path}` force zones to differ by more than {skew}"),
            "raise the caps or `skew` if that is not meant",
        );
    }
}

/// Zones to try templates with: those declared, or one of the region.
pub fn examples(spread: &Spread, region: Option<&str>) -> Vec<String> {
    match spread {
        Spread::Zones(zones) if !zones.is_empty() => zones.clone(),
        Spread::Zones(_) | Spread::Anywhere | Spread::Subnets(_) | Spread::SubnetsTagged(..) => {
            vec![format!("{}a", region.unwrap_or("us-east-1"))]
        }
    }
}
