//! What is allowed for which file, statement by statement.

use evenkeel_core::declaration::{Inputs, Source, declare};

use super::*;

const STACK: &str = "[stack]\nname = \"shop\"\nid = \"c33333333\"\n";
const AWS: &str = "[aws]\nregion = \"us-east-1\"\naccount = \"123456789012\"\n";
const WEB: &str = "[machines.web]\ncount = 2\nimage = \"ami-0123456789abcdef0\"\ntype = \"t3.small\"\n\
                   zones = [\"us-east-1a\"]\n";

fn desired(parts: &[&str]) -> Desired {
    let main = Source { name: "evenkeel.toml".into(), text: parts.concat() };
    let declared = declare(&Inputs { main, ..Inputs::default() });
    declared.desired.unwrap_or_else(|| panic!("{:?}", declared.diagnostics))
}

fn of(parts: &[&str], what: For) -> Document {
    document(&desired(parts), [""], what)
}

fn actions(d: &Document) -> BTreeSet<&str> {
    d.statement.iter().flat_map(|s| &s.action).map(String::as_str).collect()
}

fn resources<'a>(d: &'a Document, sid: &str) -> Vec<&'a str> {
    let all = d.statement.iter().filter(|s| s.sid == sid);
    all.flat_map(|s| &s.resource).map(String::as_str).collect()
}

#[test]
fn a_file_with_nothing_in_it_may_only_look() {
    let all = of(&[STACK, AWS], For::Everything);
    assert_eq!(all, of(&[STACK, AWS], For::Looking));
    assert!(actions(&all).iter().all(|a| a.starts_with("ec2:Describe") || *a == "sts:GetCallerIdentity"), "{all:?}");
    assert!(!actions(&all).contains("ec2:DescribeImages"));
}

#[test]
fn without_volumes_nothing_is_allowed_on_volumes_but_to_make_those_of_a_launch() {
    let all = of(&[STACK, AWS, WEB], For::Everything);
    for gone in ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume", "ModifyVolume"] {
        assert!(!actions(&all).contains(format!("ec2:{gone}").as_str()), "{gone}");
    }
    assert_eq!(resources(&all, "MakeVolumes"), ["arn:aws:ec2:us-east-1:123456789012:volume/*"]);
    assert_eq!(resources(&all, "ChangeTags"), ["arn:aws:ec2:us-east-1:123456789012:instance/*"]);
}

#[test]
fn what_the_file_does_not_ask_for_is_not_allowed() {
    let table: [(&[&str], &str, bool); 13] = [
        (&[WEB], "iam:PassRole", false),
        (&[WEB, "instance-profile = \"web\"\n"], "iam:PassRole", true),
        (&[WEB], "ec2:AssociateIamInstanceProfile", false),
        (&[WEB], "ec2:DisassociateIamInstanceProfile", true),
        (&[WEB, "instance-profile = \"web\"\n"], "ec2:DisassociateIamInstanceProfile", false),
        (&[WEB], "ec2:MonitorInstances", false),
        (&[WEB, "monitoring = true\n"], "ec2:MonitorInstances", true),
        (&[WEB], "ec2:DescribeSecurityGroups", false),
        (&[WEB, "security-groups = [\"web\"]\n"], "ec2:DescribeSecurityGroups", true),
        (&[WEB, "root = { size = \"20GiB\" }\n"], "ec2:ModifyVolume", true),
        (&["[volumes.v]\nreplicas = 1\nsize = \"1GiB\"\n"], "ec2:RunInstances", false),
        (&["[volumes.v]\nreplicas = 1\nsize = \"1GiB\"\n"], "ec2:AttachVolume", false),
        (&[WEB, "[volumes.v]\nfor = \"machines.web\"\nsize = \"1GiB\"\n"], "ec2:AttachVolume", true),
    ];
    for (parts, action, wanted) in table {
        let all = of(&[&[STACK, AWS], parts].concat(), For::Everything);
        assert_eq!(actions(&all).contains(action), wanted, "{action} for {parts:?}");
    }
}

#[test]
fn what_the_file_names_is_named_and_what_it_does_not_is_any() {
    let named = "subnets = [\"subnet-0123456789abcdef0\"]\n";
    let web = WEB.replace("zones = [\"us-east-1a\"]\n", named);
    let more = "security-groups = [\"sg-0123456789abcdef0\"]\nkey = \"ops\"\nplacement-group = \"near\"\n";
    let all = of(&[STACK, AWS, &web, more], For::Everything);
    let of_account = "arn:aws:ec2:us-east-1:123456789012:";
    assert_eq!(
        resources(&all, "LaunchWith"),
        [
            &format!("{of_account}key-pair/ops"),
            &format!("{of_account}network-interface/*"),
            &format!("{of_account}placement-group/near"),
            &format!("{of_account}security-group/sg-0123456789abcdef0"),
            &format!("{of_account}subnet/subnet-0123456789abcdef0"),
            "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0",
        ]
    );
    assert_eq!(resources(&all, "ChangeGroups"), [&format!("{of_account}security-group/sg-0123456789abcdef0")]);
    let open = of(&[STACK, WEB], For::Everything);
    assert!(resources(&open, "LaunchWith").contains(&"arn:aws:ec2:*:*:subnet/*"), "{open:?}");
    assert!(open.statement.iter().all(|s| s.sid != "Look" || s.condition.is_empty()), "no region, no condition");
}

#[test]
fn a_parameter_is_allowed_by_its_own_name() {
    for (name, arn) in [
        ("/aws/service/x", "arn:aws:ssm:us-east-1::parameter/aws/service/x"),
        ("/ours/web:3", "arn:aws:ssm:us-east-1:123456789012:parameter/ours/web"),
        ("plain", "arn:aws:ssm:us-east-1:123456789012:parameter/plain"),
        ("arn:aws:ssm:us-east-1:2:parameter/p", "arn:aws:ssm:us-east-1:2:parameter/p"),
    ] {
        let arns = Arns { partition: "aws", region: "us-east-1".into(), account: "123456789012".into() };
        assert_eq!(arns.parameter(name), arn, "{name}");
    }
}

#[test]
fn a_key_by_alias_is_allowed_by_the_alias_and_awss_own_needs_nothing() {
    let volume = |key: &str| format!("[volumes.v]\nreplicas = 1\nsize = \"1GiB\"\nkms-key = \"{key}\"\n");
    for (key, sid, resource) in [
        ("alias/data", "UseNamedKeys", "arn:aws:kms:us-east-1:123456789012:key/*"),
        ("1234-ab", "UseKeys", "arn:aws:kms:us-east-1:123456789012:key/1234-ab"),
        ("arn:aws:kms:us-east-1:2:key/1", "UseKeys", "arn:aws:kms:us-east-1:2:key/1"),
    ] {
        assert_eq!(resources(&of(&[STACK, AWS, &volume(key)], For::Everything), sid), [resource], "{key}");
    }
    let own = of(&[STACK, AWS, &volume("alias/aws/ebs")], For::Everything);
    assert!(actions(&own).iter().all(|a| !a.starts_with("kms:")), "{own:?}");
}

#[test]
fn partitions_have_arns_of_their_own() {
    for (region, start) in
        [("cn-north-1", "arn:aws-cn:"), ("us-gov-west-1", "arn:aws-us-gov:"), ("us-east-1", "arn:aws:")]
    {
        let place = Scope { region: Some(region.into()), ..Scope::default() };
        assert!(Arns::of(&place).own("ec2", "instance/*").starts_with(start), "{region}");
    }
}

#[test]
fn two_scopes_are_one_document_whose_statements_have_ids_of_their_own() {
    let file = "[aws.a-1]\nregion = \"us-east-1\"\n[aws.a1]\nregion = \"eu-west-1\"\n";
    let two = document(&desired(&[STACK, file]), ["a-1", "a1"], For::Looking);
    let ids: Vec<&str> = two.statement.iter().map(|s| s.sid.as_str()).collect();
    assert_eq!(ids, ["Look1", "WhoAmI1", "Look2", "WhoAmI2"]);
}

#[test]
fn every_statement_on_what_exists_asks_for_the_stacks_mark_but_those_on_what_is_only_used() {
    let volumes = "[volumes.v]\nfor = \"machines.web\"\nsize = \"1GiB\"\n";
    let all = of(&[STACK, AWS, WEB, volumes], For::Everything);
    let free = ["Look", "ReadQuotas", "WhoAmI", "LaunchWith", "ChangeGroups", "FindProfiles"];
    for s in &all.statement {
        let keys: Vec<&str> = s.condition.values().flat_map(|keys| keys.keys()).map(String::as_str).collect();
        let marked = keys.iter().any(|k| k.ends_with("Tag/evenkeel:stack"));
        assert_eq!(marked, !free.contains(&s.sid.as_str()), "{}", s.sid);
    }
}
