//! `validate`, `fmt` and `schema`: the file alone, without a look at the world.

use std::path::Path;

use evenkeel_core::declaration::{self, Inputs, Source, declare};
use evenkeel_present::redact::Redactor;
use evenkeel_present::words::count;
use evenkeel_present::{diagnostics, json};

use crate::args::{self, Global, Problems};
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;
use crate::project::{has_errors, inputs, path, problems, sources};

/// `validate`
pub fn validate(global: &Global, args: &args::Validate, out: &Out) -> Ends {
    let mut given = inputs(global)?;
    let mut declared = declare(&given);
    let fixes = declared.diagnostics.iter().filter(|d| d.fix.is_some()).count();
    if args.fix && fixes > 0 {
        given.main.text = declaration::apply_fixes(&given.main.text, &declared.diagnostics);
        write(&path(global), &given.main.text)?;
        out.say(&format!("{fixes} fixed in {}", path(global).display()));
        declared = declare(&given);
    }
    let secrets = Redactor::new(&declared.secrets);
    let all = sources(&declared);
    match args.format {
        Problems::Human => {
            let text = problems(&declared, out);
            if !text.is_empty() {
                out.rendered(&text);
            }
        }
        Problems::Json => out.data(&json::pretty(&diagnostics::json(&declared.diagnostics, &all), &secrets)),
        Problems::Github => out.data(&diagnostics::github(&declared.diagnostics, &all, &secrets)),
    }
    if has_errors(&declared.diagnostics) {
        return Ok(Exit::Error);
    }
    if let (Problems::Human, Some(d)) = (args.format, &declared.desired) {
        let machines: u64 = d.machines.values().map(|g| u64::from(g.count)).sum();
        let objects: usize = d.bundles.values().map(|b| b.objects.len()).sum();
        let mut parts = Vec::new();
        if !d.machines.is_empty() || (d.volumes.is_empty() && d.bundles.is_empty()) {
            let groups = count(d.machines.len() as u64, "machine group", "machine groups");
            parts.push(format!("{groups} with {}", count(machines, "machine", "machines")));
        }
        if !d.volumes.is_empty() {
            parts.push(count(d.volumes.len() as u64, "volume group", "volume groups"));
        }
        if !d.bundles.is_empty() {
            parts.push(count(objects as u64, "Kubernetes object", "Kubernetes objects"));
        }
        out.say(&format!("{} is fine: stack {}, {}.", path(global).display(), d.stack.name, parts.join(", ")));
    }
    Ok(Exit::Fine)
}

/// `fmt`
pub fn fmt(global: &Global, args: &args::Fmt, out: &Out) -> Ends {
    let path = path(global);
    let stream = args.stream.is_some();
    let given = if stream { piped()? } else { inputs(global)? };
    let text = match declaration::fmt_source(&given.main) {
        Ok(text) => text,
        Err(all) => {
            let names = [(given.main.name.clone(), given.main.text.clone())].into();
            let secrets = Redactor::new(&declare(&given).secrets);
            return Err(Halt::rendered(diagnostics::text(&all, &names, &secrets, out.width(), out.stderr_color())));
        }
    };
    let formatted = text == given.main.text;
    if args.check && !formatted {
        let way_out = if stream { String::new() } else { "; `evenkeel fmt` does it".to_owned() };
        out.say(&format!("{} is not formatted{way_out}", given.main.name));
        return Ok(Exit::Error);
    }
    if stream && !args.check {
        out.data(&text);
    }
    if stream || formatted {
        return Ok(Exit::Fine);
    }
    write(&path, &text)?;
    out.say(&format!("formatted {}", path.display()));
    Ok(Exit::Fine)
}

/// A declaration on standard input, without the files beside it.
fn piped() -> Result<Inputs, Halt> {
    let text = std::io::read_to_string(std::io::stdin())
        .map_err(|e| Halt::error(format!("cannot read standard input: {e}; it must be text (UTF-8)")))?;
    Ok(Inputs { main: Source { name: "<stdin>".into(), text }, ..Inputs::default() })
}

/// `schema`
pub fn schema(out: &Out) -> Ends {
    out.data(&json::pretty(&declaration::schema(), &Redactor::none()));
    Ok(Exit::Fine)
}

/// Replaces a file whole or not at all, keeping its permissions.
fn write(path: &Path, text: &str) -> Result<(), Halt> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        if let Ok(old) = std::fs::metadata(path) {
            file.as_file().set_permissions(old.permissions())?;
        }
        file.persist(path).map(drop).map_err(|e| e.error)
    });
    written.map_err(|e| Halt::error(format!("cannot write {}: {e}; it is as it was", path.display())))
}
