//! Stories that every EC2 must tell alike, and what they ask of it by hand.

use super::hand;
use super::place::{Place, file};
use super::proxy::Proxy;

/// An EC2 to tell a story on.
pub trait Lab {
    /// Where it is.
    fn url(&self) -> &str;
    /// Where whoever has this declaration calls instead; the same, where nothing stands before it.
    fn door(&self, declaration: &str) -> String {
        let _ = declaration;
        self.url().to_owned()
    }
    /// The program in a folder with this declaration, pointed at `url`, which is the lab's or leads there.
    fn place(&self, url: &str, declaration: &str) -> Place;
}

/// EC2 asked by hand, so that evenkeel is not its own witness.
pub fn ec2(lab: &dyn Lab, query: &str) -> String {
    hand::fine(lab.url(), "ec2", &format!("{query}&Version=2016-11-15"))
}

/// What stands in every `<tag>…</tag>`.
pub fn texts(xml: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text.to_owned()).collect()
}

/// Ids of the live machines of a stack.
pub fn machines(lab: &dyn Lab, stack: &str) -> Vec<String> {
    let live =
        "Filter.2.Name=instance-state-name&Filter.2.Value.1=running&Filter.2.Value.2=pending&Filter.2.Value.3=stopped";
    let of = format!("Filter.1.Name=tag%3Aevenkeel%3Astack&Filter.1.Value.1={stack}");
    let mut ids = texts(&ec2(lab, &format!("Action=DescribeInstances&{of}&{live}")), "instanceId");
    ids.sort();
    ids.dedup();
    ids
}

/// Ids of the volumes of a stack that have a slot of their own.
pub fn volumes(lab: &dyn Lab, stack: &str) -> Vec<String> {
    let of = format!("Filter.1.Name=tag%3Aevenkeel%3Astack&Filter.1.Value.1={stack}");
    let slot = "Filter.2.Name=tag%3Aevenkeel%3Aaddress&Filter.2.Value.1=volumes.*";
    let answer = ec2(lab, &format!("Action=DescribeVolumes&{of}&{slot}"));
    let mut ids = texts(&answer, "volumeId");
    ids.sort();
    ids.dedup();
    ids
}

/// A fleet is created, drifted, damaged, repaired and destroyed beside another of its name. `groups` are the ids of the
/// security groups `cli-web` and `cli-debug`.
pub fn whole_journey(lab: &dyn Lab, groups: &[String]) {
    let (their_file, our_file) = (file("shop", "c22222222", "cli-web"), file("shop", "c33333333", "cli-web"));
    let proxy = Proxy::before(&lab.door(&our_file));
    let theirs = lab.place(&lab.door(&their_file), &their_file);
    theirs.run("apply --yes").ends(0);
    let others = (machines(lab, "c22222222"), volumes(lab, "c22222222"));
    assert_eq!((others.0.len(), others.1.len()), (3, 3));

    // Created: three zones, every tag in the create call.
    let ours = lab.place(&proxy.url, &our_file);
    ours.run("plan --exit-code").ends(2).tells("6 to add");
    proxy.forget();
    ours.run("apply --yes").ends(0).tells("Converged");
    let calls = proxy.calls();
    let of = |action: &str| calls.iter().filter(|c| c.action == action).collect::<Vec<_>>();
    assert_eq!((of("RunInstances").len(), of("CreateVolume").len(), of("CreateTags").len()), (3, 3, 0));
    for call in of("RunInstances") {
        let tags = call.tags("instance");
        for key in ["evenkeel:stack", "evenkeel:address", "evenkeel:spec", "evenkeel:launch", "Name", "team"] {
            assert!(tags.contains_key(key), "{key} is not in the launch: {tags:?}");
        }
        assert_eq!((tags["evenkeel:stack"].as_str(), tags["team"].as_str()), ("c33333333", "payments"));
        assert!(call.form.contains_key("ClientToken"));
    }
    for call in of("CreateVolume") {
        let tags = call.tags("volume");
        for key in ["evenkeel:stack", "evenkeel:address", "evenkeel:spec"] {
            assert!(tags.contains_key(key), "{key} is not in the create call: {tags:?}");
        }
    }
    let zones = |action: &str, key: &str| {
        let mut all: Vec<String> = of(action).iter().map(|c| c.form[key].clone()).collect();
        all.sort();
        all
    };
    let three = ["us-east-1a", "us-east-1b", "us-east-1c"];
    assert_eq!(zones("RunInstances", "Placement.AvailabilityZone"), three);
    assert_eq!(zones("CreateVolume", "AvailabilityZone"), three);

    // Again: nothing to do, and looking changes nothing.
    proxy.forget();
    ours.run("plan --exit-code").ends(0).tells("No changes");
    ours.run("drift").ends(0);
    ours.run("status").ends(0);
    let changing = proxy.calls().into_iter().find(|c| !c.reads());
    assert!(changing.is_none(), "{changing:?}");

    // Damaged: a machine terminated by hand comes back in its slot, with its volume.
    let (dead, volume) = (ours.object("machines.web/1"), ours.object("volumes.data/1"));
    ec2(lab, &format!("Action=TerminateInstances&InstanceId.1={dead}"));
    ours.run("status").ends(9).tells("web/1");
    ours.run("plan --exit-code").ends(3).tells("web/1");
    ours.run("apply --yes").ends(0);
    let alive = ours.object("machines.web/1");
    assert!(alive != dead && ours.object("volumes.data/1") == volume);
    let held = ec2(lab, &format!("Action=DescribeVolumes&VolumeId.1={volume}"));
    assert!(held.contains(&alive), "{held}");
    ours.run("plan --exit-code").ends(0);

    // Its marks taken away, a volume is known by where it hangs, and marked again.
    let keys = ["evenkeel:stack", "evenkeel:address", "evenkeel:launch", "evenkeel:spec"];
    let tags: String = keys.iter().zip(1..).map(|(key, n)| format!("&Tag.{n}.Key={key}")).collect();
    ec2(lab, &format!("Action=DeleteTags&ResourceId.1={volume}{tags}"));
    ours.run("drift").ends(3).tells(&volume);
    ours.run("apply --yes").ends(0);
    assert_eq!(ours.object("volumes.data/1"), volume);
    assert_eq!(volumes(lab, "c33333333").len(), 3);
    ours.run("drift").ends(0);

    // Drifted, pending, both.
    let one = ours.object("machines.web/2");
    let set = |group: &str| ec2(lab, &format!("Action=ModifyInstanceAttribute&InstanceId={one}&GroupId.1={group}"));
    set(&groups[1]);
    ours.run("drift").ends(3).tells("cli-debug");
    ours.edit("payments", "billing");
    ours.run("drift").ends(4);
    set(&groups[0]);
    ours.run("drift").ends(2).tells("billing");
    set(&groups[1]);
    ours.run("apply --yes").ends(0);
    ours.run("drift").ends(0);
    let shown = ec2(lab, &format!("Action=DescribeInstances&InstanceId.1={one}"));
    assert!(shown.contains("cli-web") && !shown.contains("cli-debug") && shown.contains("billing"), "{shown}");

    // A saved plan whose machine changed since: refused for that one, done for the rest.
    ours.edit("billing", "treasury");
    ours.run("plan -o p").ends(0);
    set(&groups[1]);
    ours.run("apply p").ends(7).tells("refused web/2");
    ours.run("apply --yes").ends(0);

    // Destroyed: nothing of ours, everything of others.
    ours.run("destroy --yes").ends(0);
    assert_eq!((machines(lab, "c33333333"), volumes(lab, "c33333333")), (vec![], vec![]));
    assert_eq!((machines(lab, "c22222222"), volumes(lab, "c22222222")), others);
    theirs.run("plan --exit-code").ends(0);
}
