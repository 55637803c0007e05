//! No text panics, and every problem has a place inside its text and a way out.

use proptest::prelude::*;

use super::*;
use crate::diagnostic::Diagnostic;

fn sound(diagnostics: &[Diagnostic], sources: &[Source]) -> Result<(), TestCaseError> {
    for d in diagnostics {
        prop_assert!(!d.way_out.is_empty() && !d.says.is_empty(), "{d:?}");
        prop_assert!(super::super::codes::code(d.code).is_some(), "{d:?}");
        for place in &d.places {
            let source = sources.iter().find(|s| s.name == place.file);
            let inside = source.is_some_and(|s| s.text.get(place.span.clone()).is_some());
            prop_assert!(inside, "{d:?}");
        }
        if let Some(fix) = &d.fix {
            prop_assert!(sources[0].text.get(fix.span.clone()).is_some(), "{d:?}");
        }
    }
    Ok(())
}

fn hold(text: &str) -> Result<(), TestCaseError> {
    let mut inputs = shop();
    inputs.main.text = text.to_owned();
    let wanted = files_wanted(&inputs);
    let inside = |path: &str| !path.starts_with('/') && path.split('/').all(|p| p != "..");
    let fine = |w: &Wanted| match w {
        Wanted::File(path) => inside(path),
        Wanted::Files(pattern) => inside(pattern.text()) && inside(pattern.folder()),
    };
    prop_assert!(wanted.iter().all(fine), "{wanted:?}");
    let declared = declare(&inputs);
    sound(&declared.diagnostics, &declared.sources)?;
    let errors = declared.diagnostics.iter().any(|d| d.severity == Severity::Error);
    prop_assert_eq!(declared.desired.is_none(), errors);
    let again = declare(&inputs);
    prop_assert_eq!(&again.diagnostics, &declared.diagnostics, "the same text, the same words");
    apply_fixes(text, &declared.diagnostics);
    match fmt(text) {
        Ok(once) => prop_assert_eq!(fmt(&once), Ok(once.clone()), "formatting twice is formatting once\n{}", text),
        Err(said) => sound(&said, std::slice::from_ref(&inputs.main))?,
    }
    Ok(())
}

#[test]
fn no_beginning_of_the_example_panics() {
    for (end, _) in SHOP.char_indices() {
        hold(&SHOP[..end]).unwrap();
    }
}

/// A bit of text that is likely to matter in TOML.
fn bits() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "\"",
            "'",
            "\"\"\"",
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            ",",
            "=",
            ".",
            "#",
            "# c\n",
            "\n",
            "\r\n",
            "\t",
            " ",
            "\\",
            "{{ vars.team }}",
            "{{",
            "}}",
            "{%",
            "é",
            "\u{feff}",
            "\u{202e}",
            "\u{0}",
            "-1",
            "1e9",
            "nan",
            "true",
            "1979-05-27",
            "[machines.web]",
            "[vars]",
            "count = 3\n",
            "\n\n\n",
            "machines.web.count = 1\n",
            "zones",
            "99999999999999999999",
            "\"\\u0000\"",
            "[[volumes]]\n",
            "[]\n",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

/// A bit of text that is likely to matter in YAML.
fn yaml() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "a: ",
            "- ",
            "  ",
            "\n",
            "\n  ",
            "\n---\n",
            "\n...\n",
            "? ",
            ": ",
            "&a ",
            "*a",
            "<<: *a\n",
            "!!str ",
            "!!int ",
            "!x ",
            "| \n",
            ">-\n",
            "\"",
            "'",
            "[",
            "]",
            "{",
            "}",
            ",",
            "#",
            "%YAML 1.1\n",
            "0x",
            "1e9",
            "-",
            "~",
            "yes",
            "\t",
            "é",
            "\u{feff}",
            "\u{0}",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: b }\n",
            "kind: List\nitems:\n",
            "data: { x: eA== }\n",
            "{{ vars.pw }}",
            "{% if vars.pw %}",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        hold(&text)?;
    }

    #[test]
    fn no_heap_of_bits_panics(bits in prop::collection::vec(bits(), 0..40)) {
        hold(&bits.concat())?;
    }

    #[test]
    fn no_damaged_example_panics(
        hits in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, bits()), 1..5),
    ) {
        let mut chars: Vec<char> = SHOP.chars().collect();
        for (at, gone, put) in hits {
            let at = at.index(chars.len() + 1);
            let end = (at + gone).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        hold(&chars.into_iter().collect::<String>())?;
    }

    #[test]
    fn no_manifest_panics(
        bits in prop::collection::vec(yaml(), 0..40),
        head in prop::bool::ANY,
        template in prop::bool::ANY,
    ) {
        let head = if head { "apiVersion: v1\nkind: Secret\nmetadata: { name: a }\nstringData:\n" } else { "" };
        let text = head.to_owned() + &bits.concat();
        let lines = format!("template = {template}\n");
        let mut inputs = main(&format!("{HEAD}[vars]\npw = {{ secret = true, default = \"canary-1\" }}\n[manifests.m]\nfiles = [\"a.yaml\"]\n{lines}"));
        inputs.files.insert("a.yaml".into(), text.clone().into_bytes());
        let declared = declare(&inputs);
        sound(&declared.diagnostics, &declared.sources)?;
        let errors = declared.diagnostics.iter().any(|d| d.severity == Severity::Error);
        prop_assert_eq!(declared.desired.is_none(), errors);
        prop_assert_eq!(&declare(&inputs).diagnostics, &declared.diagnostics, "the same text, the same words");
        for bundle in declared.desired.iter().flat_map(|d| d.bundles.values()) {
            for object in &bundle.objects {
                let says = crate::applyset::name_of(object.body.json());
                prop_assert_eq!(Some(&object.object), says.as_ref());
            }
        }
    }

    #[test]
    fn no_variable_panics(value in any::<String>(), secret in any::<bool>(), kind in prop::sample::select(vec!["string", "int", "bool", "list"])) {
        let lines = "count = \"{{ vars.x }}\"\nzones = \"{{ vars.x }}\"\nkey = \"{{ vars.x }}\"\ntags = { a = \"a{{ vars.x }}\" }\n";
        let mut inputs = main(&format!("{HEAD}[vars]\nx = {{ type = \"{kind}\", secret = {secret} }}\n{WEB}{lines}"));
        inputs.vars.insert("x".into(), value.clone());
        let declared = declare(&inputs);
        sound(&declared.diagnostics, &declared.sources)?;
        if secret && kind == "string" && value.chars().count() >= 12 {
            let said = format!("{:?}", declared.diagnostics);
            prop_assert!(!said.contains(&value), "{}", said);
        }
    }
}
