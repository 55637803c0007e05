//! Carries out the safe mends that diagnostics offer (`validate --fix`).

use crate::diagnostic::{Diagnostic, Fix};

/// `text`, the main file's, with every mend of `diagnostics` made. Of two that overlap the first is made; checking
/// again finds the other. A mend that does not fit the text is left out.
pub fn apply_fixes(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut fixes: Vec<&Fix> = diagnostics.iter().filter_map(|d| d.fix.as_ref()).collect();
    fixes.sort_by_key(|f| (f.span.start, f.span.end));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for fix in fixes {
        if fix.span.start >= done
            && let (Some(before), Some(_)) = (text.get(done..fix.span.start), text.get(fix.span.clone()))
        {
            out += before;
            out += &fix.with;
            done = fix.span.end;
        }
    }
    out + text.get(done..).unwrap_or("")
}
