//! `fmt`: comments and meaning kept, one way to write it.

use proptest::prelude::*;

use super::*;

const RAGGED: &str = r##"# head of the file
#:schema ./schema.json

   [policy]   # behind the header
max-unavailable=0
    # about deletes


max-deletes   =    "10%"# close
[machines . web]
count=6
type=["t3.small",
   # cheaper
 "t3a.small" ,  # last
]
zones=[ "us-east-1a","us-east-1b" ]
root={size="20GiB",type="gp3"}
# about disks
[[machines.web.disks]]
device="/dev/sdf"
size="20GiB"
[stack]
# whose
name='shop'

id = "7f3kq2x9"
# the end
"##;

const EVEN: &str = r##"# head of the file
#:schema ./schema.json

[stack]
# whose
name = 'shop'

id = "7f3kq2x9"

[machines.web]
count = 6
type = [
    "t3.small",
    # cheaper
    "t3a.small",  # last
]
zones = ["us-east-1a", "us-east-1b"]
root = { size = "20GiB", type = "gp3" }

# about disks
[[machines.web.disks]]
device = "/dev/sdf"
size = "20GiB"

[policy]   # behind the header
max-unavailable = 0
# about deletes

max-deletes = "10%" # close

# the end
"##;

#[test]
fn blocks_are_put_in_order_and_every_comment_stays() {
    assert_eq!(fmt(RAGGED).unwrap(), EVEN);
    assert_eq!(fmt(EVEN).unwrap(), EVEN);
}

#[test]
fn small_texts_stay_small() {
    for (text, formatted) in [
        ("", ""),
        ("# only a comment", "# only a comment\n"),
        ("\n\n# a\n\n\n# b\n", "# a\n\n# b\n"),
        ("a=1", "a = 1\n"),
        ("a.b . c=1#x", "a.b.c = 1 #x\n"),
        ("x={a=1,b={c=[ ]},}", "x = { a = 1, b = { c = [] } }\n"),
        ("x = {}\n[stack]\n", "x = {}\n\n[stack]\n"),
        ("x = [\n1,2]\n", "x = [\n    1,\n    2,\n]\n"),
        ("x = [ [1,\n2], [3] ]\n", "x = [[\n    1,\n    2,\n], [3]]\n"),
        ("a = 1\r\nb = 2\r\n", "a = 1\nb = 2\n"),
    ] {
        assert_eq!(fmt(text).unwrap(), formatted, "{text:?}");
        assert_eq!(fmt(formatted).unwrap(), formatted, "{text:?}");
    }
    assert_eq!(fmt("a = ").unwrap_err()[0].code, "E0001");
}

fn json(text: &str) -> Option<serde_json::Value> {
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    let at = super::super::tree::At { file: 0, start: 0, end: 0 };
    errors.is_empty().then(|| super::super::tree::tree(0, table.get_ref(), at, &mut |_| {}).json())
}

/// Comments of a text, in any order.
fn comments(text: &str) -> Vec<String> {
    let mut all: Vec<_> = text.lines().filter_map(|l| Some(l[l.find("# c")?..].trim_end().to_owned())).collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4 * ProptestConfig::default().cases))]

    #[test]
    fn formatting_never_changes_the_meaning_nor_loses_a_comment(
        base in prop::sample::select(vec![RAGGED, SHOP, EVEN]),
        hits in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(vec![" ", "\t", "\n", "\n\n\n", "\r\n", " # c1\n", "\n# c2\n", ",", "  "])),
            0..12,
        ),
    ) {
        let mut text = base.to_owned();
        for (at, put) in hits {
            let at = at.index(text.len() + 1);
            if text.is_char_boundary(at) {
                let mut changed = text.clone();
                changed.insert_str(at, put);
                if json(&changed).is_some() {
                    text = changed;
                }
            }
        }
        let once = fmt(&text).unwrap();
        prop_assert_eq!(json(&once), json(&text));
        prop_assert_eq!(fmt(&once).unwrap(), once.clone());
        prop_assert_eq!(comments(&once), comments(&text), "{}\n----\n{}", text, once);
    }
}
