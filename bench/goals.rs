//! What was measured, row by row, and the goals that are held against it.

use std::fmt::{self, Write as _};

use crate::usage::Usage;

/// One program that was run.
pub struct Row {
    /// Machines.
    pub n: u32,
    /// Which program, and what it did.
    pub what: String,
    /// What it used.
    pub used: Usage,
    /// Calls that only read, and those that change the world.
    pub calls: (u64, u64),
    /// Bytes of files.
    pub written: u64,
    /// Millions of instructions, where valgrind counted them.
    pub instructions: Option<f64>,
    /// CPU time against the bare program's.
    pub ratio: Option<f64>,
}

/// A promise and what became of it.
struct Goal {
    what: String,
    most: f64,
    is: f64,
    unit: &'static str,
    /// A count is the same on every machine; a time is not.
    counts: bool,
}

/// All of it.
#[derive(Default)]
pub struct Goals {
    rows: Vec<Row>,
    goals: Vec<Goal>,
    notes: Vec<String>,
}

impl Goals {
    /// One more row.
    pub fn row(&mut self, row: Row) {
        eprintln!("  {:>6} {}: {:.2} s", row.n, row.what, row.used.cpu);
        self.rows.push(row);
    }

    /// Something that is not there, in one line.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// A goal that is a count: the same on every machine.
    pub fn count(&mut self, what: impl Into<String>, is: f64, most: f64, unit: &'static str) {
        self.goals.push(Goal { what: what.into(), most, is, unit, counts: true });
    }

    /// A goal that depends on the machine, or a ratio of two that do.
    pub fn measure(&mut self, what: impl Into<String>, is: f64, most: f64, unit: &'static str) {
        self.goals.push(Goal { what: what.into(), most, is, unit, counts: false });
    }

    /// Whether a goal that is a count is missed.
    pub fn a_count_is_missed(&self) -> bool {
        self.goals.iter().any(|goal| goal.counts && goal.is > goal.most)
    }
}

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            "machines  what                            cpu s  × bare  peak MB  reads  changes  written kB  M instr.";
        writeln!(f, "{head}")?;
        for row in &self.rows {
            let or_none = |value: Option<f64>, digits| value.map_or("–".to_owned(), |v| format!("{v:.digits$}"));
            let mut line = format!("{:>8}  {:<30} {:>6.3}", row.n, row.what, row.used.cpu);
            let _ = write!(line, " {:>7} {:>8.1}", or_none(row.ratio, 2), row.used.peak);
            let _ = write!(line, " {:>6} {:>8}", row.calls.0, row.calls.1);
            let _ = write!(line, " {:>11.1} {:>9}", row.written as f64 / 1e3, or_none(row.instructions, 1));
            writeln!(f, "{line}")?;
        }
        writeln!(f)?;
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        for Goal { what, most, is, unit, counts } in &self.goals {
            let word = match (is <= most, counts) {
                (true, _) => "met",
                (false, true) => "MISSED",
                (false, false) => "not met",
            };
            writeln!(f, "{word:<8} {what}: {is:.2} {unit}, at most {most}")?;
        }
        Ok(())
    }
}
