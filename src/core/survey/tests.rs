//! What a look leaves for the next one.

use super::*;
use crate::testing::World;

fn unseen(kind: Option<Kind>, partial: bool) -> Gap {
    let failure = Failure::new(Class::Transient, "", "no");
    Gap { scope: String::new(), kind, what: "instances".into(), failure, partial }
}

#[test]
fn a_blind_look_forgets_nothing_and_one_that_sees_all_forgets_what_is_gone() {
    let mut w = World::new(3);
    w.settle();
    w.remember();
    let ids: BTreeSet<String> = w.seen.objects.iter().map(|o| o.id.clone()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| w.past.objects.contains_key(id)));
    w.seen.objects.clear();
    for kind in [None, Some(Kind::Machines), Some(Kind::Volumes)] {
        w.seen.gaps = vec![unseen(kind, false)];
        w.remember();
        assert_eq!(w.past.objects.len(), 3, "{kind:?}");
    }
    let past = w.past.clone();
    for gap in [unseen(Some(Kind::Manifests), false), unseen(Some(Kind::Machines), true)] {
        w.past = past.clone();
        w.seen.gaps = vec![gap];
        w.remember();
        assert!(w.past.objects.is_empty(), "{:?}", w.seen.gaps);
    }
}

#[test]
fn what_is_seen_dead_is_forgotten_however_blind_the_look_is() {
    let mut w = World::new(3);
    w.settle();
    w.remember();
    w.seen.objects[0].phase = crate::observed::Phase::Gone;
    w.seen.gaps = vec![unseen(None, false)];
    w.remember();
    assert_eq!(w.past.objects.len(), 2);
}
