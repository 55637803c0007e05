//! The table of the file's keys: the one source for reading, the JSON Schema and docs/declaration.md.
//!
//! Each block's own keys stand in that block's module (`machines`, `volumes` …).

use super::format::Format;

/// A table of the file.
#[derive(Debug)]
pub struct Block {
    /// As a person writes it: `[machines.<name>]`.
    pub title: &'static str,
    /// What it is for, one sentence or two.
    pub about: &'static str,
    /// Its keys, in the order in which a person writes them.
    pub keys: &'static [Key],
    /// Names of the user's own choosing beside the keys.
    pub others: Option<Others>,
    /// Keys that a later version will know.
    pub later: &'static [&'static str],
}

/// Entries whose keys the user chooses.
#[derive(Debug, Clone, Copy)]
pub struct Others {
    /// What a key is called in the docs: `<name>`.
    pub name: &'static str,
    /// What a key may look like.
    pub format: Format,
    /// What stands there.
    pub shape: Shape,
    /// What it is.
    pub about: &'static str,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What may stand there.
    pub shape: Shape,
    /// Whether the file is wrong without it.
    pub required: bool,
    /// What holds without it, in words or as TOML; empty for required keys.
    pub default: &'static str,
    /// A value as TOML.
    pub example: &'static str,
    /// Unit and range in words; empty for none.
    pub unit: &'static str,
    /// What it does, one sentence.
    pub about: &'static str,
    /// What other tools call it, for "did you mean".
    pub aka: &'static [&'static str],
}

/// What may stand at a key.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text of a form.
    Text(Format),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number from … to ….
    Int(i64, i64),
    /// A number from … to ….
    Number(f64, f64),
    /// `"20GiB"`, from … to … GiB.
    Size(u32, u32),
    /// `"5m"`.
    Time,
    /// `2` or `"10%"`.
    Amount,
    /// At least … items.
    List(&'static Shape, usize),
    /// A list in which nothing stands twice, at least … items.
    Set(&'static Shape, usize),
    /// A table of ours.
    Table(&'static Block),
    /// A table of whatever its owner wants: a Kubernetes object.
    Free,
    /// The first of these that takes the value's TOML type.
    Either(&'static [Shape]),
}

/// A key with nothing but its meaning; the rest is added by the methods below.
pub const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, required: false, default: "", example: "", unit: "", about, aka: &[] }
}

impl Key {
    /// The file is wrong without it.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// What holds without it.
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
    /// A value as TOML.
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }
    /// Unit and range in words.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
    /// What other tools call it.
    pub const fn aka(mut self, aka: &'static [&'static str]) -> Self {
        self.aka = aka;
        self
    }
}

impl Block {
    /// A key of this block.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    /// The known key nearest to `unknown`, if one is near: another tool's name for it, `_` for `-`, a slip of the hand.
    pub fn nearest(&self, unknown: &str) -> Option<&'static str> {
        let kebab = unknown.to_ascii_lowercase().replace('_', "-");
        let same = |k: &&Key| k.name == kebab || k.aka.iter().any(|a| a.replace('_', "-") == kebab);
        if let Some(key) = self.keys.iter().find(same) {
            return Some(key.name);
        }
        nearest(&kebab, self.keys.iter().map(|k| k.name))
    }
}

/// The block below `top` whose key `name` is, for keys that stand in the wrong place; blocks of their own header only.
pub fn home(top: &'static Block, name: &str) -> Option<&'static Block> {
    if top.title.starts_with('[') && top.key(name).is_some() {
        return Some(top);
    }
    let below = top.keys.iter().map(|k| &k.shape).chain(top.others.iter().map(|o| &o.shape));
    below.filter_map(Shape::block).find_map(|b| home(b, name))
}

/// The candidate nearest to `word`, if it is near enough to be meant: at most a third of its letters differ.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // A hostile file has thousands of wrong names and thousands to compare each with.
    candidates
        .into_iter()
        .take(200)
        .map(|c| (strsim::damerau_levenshtein(word, c), c))
        .filter(|(distance, c)| *distance <= (c.chars().count() / 3).max(1) && *distance < c.chars().count())
        .min()
        .map(|(_, c)| c)
}

impl Shape {
    /// What it wants, in words that end "must be …".
    pub fn words(&self) -> String {
        match self {
            Self::Text(f) => format!("text: {}", f.words()),
            Self::Word(words) => one_of(words),
            Self::Bool => "true or false".to_owned(),
            Self::Int(min, max) => format!("a whole number from {min} to {max}"),
            Self::Number(min, max) => format!("a number from {min} to {max}"),
            Self::Size(..) => "a size such as \"20GiB\" or \"1TiB\"".to_owned(),
            Self::Time => "a length of time such as \"30s\", \"5m\" or \"2h30m\"".to_owned(),
            Self::Amount => "a whole number such as 2, or a share such as \"10%\"".to_owned(),
            Self::List(of, _) | Self::Set(of, _) => format!("a list, each item {}", of.words()),
            Self::Table(b) => match b.keys.first() {
                Some(first) => format!("a table such as {{ {} = {} }}", first.name, first.example),
                None => "a table".to_owned(),
            },
            Self::Free => "a table".to_owned(),
            Self::Either(shapes) => {
                let all: Vec<_> = shapes.iter().map(Self::words).collect();
                all.join("; or ")
            }
        }
    }

    /// The table inside, if one may stand there.
    pub fn block(&self) -> Option<&'static Block> {
        match self {
            Self::Table(b) => Some(b),
            Self::Either(shapes) => shapes.iter().find_map(Self::block),
            Self::List(of, _) | Self::Set(of, _) => of.block(),
            Self::Text(_)
            | Self::Word(_)
            | Self::Bool
            | Self::Int(..)
            | Self::Number(..)
            | Self::Size(..)
            | Self::Time
            | Self::Amount
            | Self::Free => None,
        }
    }
}

/// `"a", "b" or "c"`.
pub fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|w| format!("\"{w}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
