//! Questions about images, subnets and security groups: as few calls as EC2 allows, answers in a fixed order.
//!
//! An answer that could not be had is a gap and no answer; "there is none" is an answer.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::declaration::keys::nearest;
use evenkeel_core::desired::{Image as Wanted, Lookup, Spread};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::{Answer, Found, Gap, Subnet};

use crate::api::{Ec2Read, Filter, Image, Query, SecurityGroup};
use crate::limits;
use crate::pages::{by_ids, walk};
use crate::read::Ec2Eyes;
use crate::wire::Calls;

/// What the lookups brought.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) found: Vec<Answer>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) labels: BTreeMap<String, String>,
}

impl<E: Ec2Read + ?Sized> Ec2Eyes<E> {
    pub(crate) async fn lookups(&self, calls: &Calls, scope: &str, asked: &BTreeSet<Lookup>) -> Answers {
        let (newest, by_id, subnets, groups) = futures::join!(
            futures::future::join_all(asked.iter().filter_map(|l| match l {
                Lookup::Image(Wanted::Newest { owner, name }) => Some(self.newest(calls, l, owner, name)),
                Lookup::Image(Wanted::Id(_) | Wanted::Ssm(_))
                | Lookup::ImageById(_)
                | Lookup::Subnets(_)
                | Lookup::SecurityGroup(_) => None,
            })),
            self.images_by_id(calls, asked),
            futures::future::join_all(asked.iter().filter_map(|l| match l {
                Lookup::Subnets(spread) => Some(self.subnets(calls, l, spread)),
                Lookup::Image(_) | Lookup::ImageById(_) | Lookup::SecurityGroup(_) => None,
            })),
            self.groups(calls, asked),
        );
        let mut out = Answers::default();
        for (lookup, answer) in newest.into_iter().chain(by_id).chain(subnets).chain(groups.answers) {
            match answer {
                Ok(found) => out.found.push(Answer { scope: scope.to_owned(), asked: lookup, found }),
                Err(failure) => out.gaps.push(Gap {
                    scope: scope.to_owned(),
                    kind: None,
                    what: words(&lookup),
                    failure,
                    partial: true,
                }),
            }
        }
        out.found.sort_by(|a, b| a.asked.cmp(&b.asked));
        out.labels = groups.labels;
        out
    }

    async fn newest(&self, calls: &Calls, asked: &Lookup, owner: &str, name: &str) -> Asked {
        let owners = [owner.to_owned()];
        let query =
            Query { filters: vec![Filter::new("name", name), Filter::new("state", "available")], ..Query::default() };
        let action = "DescribeImages";
        let owners = &owners;
        let seen =
            walk(action, query, |q| async move { self.asks(calls, action, || self.ec2().images(owners, &q)).await });
        let found = seen.await.whole().map(|images| {
            images
                .into_iter()
                .filter(|i| i.available)
                .max_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)))
                .map_or_else(|| Found::Nothing(format!("there is no image `{name}` of {owner}")), image)
        });
        (asked.clone(), found)
    }

    /// Images named by id, and by SSM parameters that hold an id: one list for all of them.
    async fn images_by_id(&self, calls: &Calls, asked: &BTreeSet<Lookup>) -> Vec<Asked> {
        let ids = asked.iter().filter_map(|l| match l {
            Lookup::ImageById(id) | Lookup::Image(Wanted::Id(id)) => Some((l, Ok(id.clone()))),
            Lookup::Image(Wanted::Ssm(_) | Wanted::Newest { .. }) | Lookup::Subnets(_) | Lookup::SecurityGroup(_) => {
                None
            }
        });
        let parameters = futures::future::join_all(asked.iter().filter_map(|l| match l {
            Lookup::Image(Wanted::Ssm(name)) => Some(async move { (l, self.parameter(calls, name).await) }),
            Lookup::Image(Wanted::Id(_) | Wanted::Newest { .. })
            | Lookup::ImageById(_)
            | Lookup::Subnets(_)
            | Lookup::SecurityGroup(_) => None,
        }));
        let named: Vec<(&Lookup, Result<String, Missing>)> = ids.chain(parameters.await).collect();
        let wanted: BTreeSet<String> = named.iter().filter_map(|(_, id)| id.as_ref().ok().cloned()).collect();
        let action = "DescribeImages";
        let images = by_ids(wanted, limits::IDS, |ids| async move {
            let query = Query { ids, ..Query::default() };
            walk(action, query, |q| async move { self.asks(calls, action, || self.ec2().images(&[], &q)).await })
                .await
                .whole()
        })
        .await;
        named
            .into_iter()
            .map(|(lookup, id)| {
                let found = match (id, &images) {
                    (Err(Missing::Failed(failure)), _) => Err(failure),
                    (Err(Missing::Nothing(says)), _) => Ok(Found::Nothing(says)),
                    (Ok(_), Err(failure)) => Err(failure.clone()),
                    (Ok(id), Ok(images)) => Ok(images
                        .iter()
                        .find(|i| i.id == id)
                        .map_or_else(|| Found::Nothing(format!("there is no image {id}")), |i| image(i.clone()))),
                };
                (lookup.clone(), found)
            })
            .collect()
    }

    /// The AMI id in an SSM parameter.
    async fn parameter(&self, calls: &Calls, name: &str) -> Result<String, Missing> {
        match self.asks(calls, "GetParameter", || self.ec2().parameter(name)).await {
            Ok(value) if value.trim().starts_with("ami-") => Ok(value.trim().to_owned()),
            Ok(_) => Err(Missing::Nothing(format!("SSM parameter {name} holds no AMI id"))),
            Err(failure) if failure.class == Class::NotFound => {
                Err(Missing::Nothing(format!("there is no SSM parameter {name}")))
            }
            Err(failure) => Err(Missing::Failed(failure)),
        }
    }

    async fn subnets(&self, calls: &Calls, asked: &Lookup, spread: &Spread) -> Asked {
        let filters = match spread {
            // Filters, not ids: an unknown id would fail the whole list.
            Spread::Subnets(ids) => {
                ids.chunks(limits::FILTER_VALUES).map(|c| vec![values("subnet-id", c.to_vec())]).collect()
            }
            Spread::SubnetsTagged(key, Some(value)) => vec![vec![Filter::new(format!("tag:{key}"), value)]],
            Spread::SubnetsTagged(key, None) => vec![vec![Filter::new("tag-key", key)]],
            Spread::Anywhere => vec![vec![Filter::new("default-for-az", "true")]],
            Spread::Zones(zones) => zones
                .chunks(limits::FILTER_VALUES)
                .map(|c| vec![Filter::new("default-for-az", "true"), values("availability-zone", c.to_vec())])
                .collect(),
        };
        let action = "DescribeSubnets";
        let mut all = Vec::new();
        for filters in filters {
            let query = Query { filters, ..Query::default() };
            let page =
                walk(action, query, |q| async move { self.asks(calls, action, || self.ec2().subnets(&q)).await }).await;
            match page.whole() {
                Ok(page) => all.extend(page),
                Err(failure) => return (asked.clone(), Err(failure)),
            }
        }
        if let Spread::Subnets(ids) = spread
            && let Some(missing) = ids.iter().find(|id| !all.iter().any(|s| s.id == **id))
        {
            return (asked.clone(), Ok(Found::Nothing(format!("there is no subnet {missing}"))));
        }
        if all.is_empty() {
            return (asked.clone(), Ok(Found::Nothing(format!("there are no {}", words(asked)))));
        }
        let mut all: Vec<Subnet> =
            all.into_iter().map(|s| Subnet { id: s.id, zone: s.zone, vpc: s.vpc, free: s.free }).collect();
        all.sort_by(|a, b| (&a.zone, &a.id).cmp(&(&b.zone, &b.id)));
        all.dedup();
        (asked.clone(), Ok(Found::Subnets(all)))
    }

    /// Every group that is asked for, by name, in one list.
    async fn groups(&self, calls: &Calls, asked: &BTreeSet<Lookup>) -> Groups {
        let names: Vec<String> = asked
            .iter()
            .filter_map(|l| match l {
                Lookup::SecurityGroup(name) => Some(name.clone()),
                Lookup::Image(_) | Lookup::ImageById(_) | Lookup::Subnets(_) => None,
            })
            .collect();
        let mut out = Groups::default();
        for names in names.chunks(limits::FILTER_VALUES) {
            let seen = self.groups_by(calls, vec![values("group-name", names.to_vec())]).await;
            for name in names {
                let answer = match &seen {
                    Ok(groups) => Ok(named(groups, name)),
                    Err(failure) => Err(failure.clone()),
                };
                out.answers.push((Lookup::SecurityGroup(name.clone()), answer));
            }
            out.labels.extend(seen.into_iter().flatten().map(|g| (g.id, g.name)));
        }
        self.meant(calls, &mut out.answers).await;
        out
    }

    /// Where a name is unknown, one more list says which was meant. That it cannot be had costs the hint alone.
    async fn meant(&self, calls: &Calls, answers: &mut [Asked]) {
        if !answers.iter().any(|(_, found)| matches!(found, Ok(Found::Nothing(_)))) {
            return;
        }
        let Ok(all) = self.groups_by(calls, Vec::new()).await else { return };
        for (asked, found) in answers {
            if let (Lookup::SecurityGroup(name), Ok(Found::Nothing(says))) = (asked, found)
                && let Some(near) = nearest(name, all.iter().map(|g| g.name.as_str()))
            {
                *says = format!("{says}; did you mean `{near}`?");
            }
        }
    }

    async fn groups_by(&self, calls: &Calls, filters: Vec<Filter>) -> Result<Vec<SecurityGroup>, Failure> {
        let action = "DescribeSecurityGroups";
        let query = Query { filters, ..Query::default() };
        walk(action, query, |q| async move { self.asks(calls, action, || self.ec2().security_groups(&q)).await })
            .await
            .whole()
    }
}

/// One question and its answer.
type Asked = (Lookup, Result<Found, Failure>);

/// Why an SSM parameter gave no id.
enum Missing {
    Nothing(String),
    Failed(Failure),
}

#[derive(Default)]
struct Groups {
    answers: Vec<Asked>,
    labels: BTreeMap<String, String>,
}

fn values(name: &str, values: Vec<String>) -> Filter {
    Filter { name: name.to_owned(), values }
}

fn named(groups: &[SecurityGroup], name: &str) -> Found {
    let mut all: Vec<_> = groups.iter().filter(|g| g.name == name).map(|g| (g.vpc.clone(), g.id.clone())).collect();
    all.sort();
    all.dedup();
    if all.is_empty() {
        Found::Nothing(format!("there is no security group `{name}`"))
    } else {
        Found::SecurityGroups(all)
    }
}

fn image(i: Image) -> Found {
    Found::Image { id: i.id, name: i.name, created: i.created, root_device: i.root_device }
}

/// What was asked, for a gap.
fn words(asked: &Lookup) -> String {
    match asked {
        Lookup::Image(Wanted::Newest { name, .. }) => format!("image {name}"),
        Lookup::Image(Wanted::Ssm(name)) => format!("image in {name}"),
        Lookup::Image(Wanted::Id(id)) | Lookup::ImageById(id) => format!("image {id}"),
        Lookup::Subnets(Spread::Subnets(ids)) => format!("subnets {}", ids.join(", ")),
        Lookup::Subnets(Spread::SubnetsTagged(key, Some(value))) => format!("subnets with the tag {key}={value}"),
        Lookup::Subnets(Spread::SubnetsTagged(key, None)) => format!("subnets with the tag {key}"),
        Lookup::Subnets(Spread::Anywhere) => "default subnets".to_owned(),
        Lookup::Subnets(Spread::Zones(zones)) => format!("default subnets in {}", zones.join(", ")),
        Lookup::SecurityGroup(name) => format!("security group {name}"),
    }
}
