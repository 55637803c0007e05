//! Typed fields out of a table that [`super::conform`] has looked at. Nothing is complained about here: what is
//! wrong reads as absent, and the declaration is refused anyway.

use super::conform::number;
use super::keys::{Block, Shape};
use super::tree::{At, Node, Table, Val};
use super::units;
use crate::policy::Amount;

/// Hands out the fields of one table.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'n> {
    block: &'static Block,
    node: &'n Node,
    table: &'n Table,
}

impl<'n> Reader<'n> {
    /// A reader of `node`, if it is a table.
    pub fn new(node: &'n Node, block: &'static Block) -> Option<Self> {
        Some(Self { block, node, table: node.table()? })
    }

    /// The node at a key. Asking for a key that the table of keys does not have is a programmer's mistake.
    pub fn node(&self, key: &str) -> Option<&'n Node> {
        assert!(self.block.key(key).is_some(), "{} has no key {key}", self.block.title);
        self.table.get(key)
    }

    /// Whether the key stands in the file.
    pub fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// The place of a key's value, or of the table where the key is absent.
    pub fn at(&self, key: &str) -> At {
        self.node(key).map_or(self.node.key, |n| n.at)
    }

    /// The place of the table's name.
    pub fn here(&self) -> At {
        self.node.key
    }

    /// Text.
    pub fn text(&self, key: &str) -> Option<String> {
        self.node(key)?.text().map(str::to_owned)
    }

    /// Truth.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.node(key)?.val {
            Val::Bool(b) => Some(b),
            Val::Text(_) | Val::Int(_) | Val::Float(_) | Val::Date | Val::List(_) | Val::Table(_) | Val::Bad => None,
        }
    }

    /// A whole number.
    pub fn int(&self, key: &str) -> Option<u32> {
        match self.node(key)?.val {
            Val::Int(n) => u32::try_from(n).ok(),
            Val::Text(_) | Val::Bool(_) | Val::Float(_) | Val::Date | Val::List(_) | Val::Table(_) | Val::Bad => None,
        }
    }

    /// A number.
    pub fn number(&self, key: &str) -> Option<f64> {
        Some(number(&self.node(key)?.val))
    }

    /// GiB.
    pub fn size(&self, key: &str) -> Option<u32> {
        units::size(self.node(key)?.text()?).ok()
    }

    /// Seconds.
    pub fn seconds(&self, key: &str) -> Option<u64> {
        units::seconds(self.node(key)?.text()?).ok()
    }

    /// A count or a share.
    pub fn amount(&self, key: &str) -> Option<Amount> {
        let node = self.node(key)?;
        match node.text() {
            Some(text) => units::percent(text).ok(),
            None => self.int(key).map(Amount::Count),
        }
    }

    /// The texts of a list, or of the one text that stands for it.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let items = self.node(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|n| n.text().map(str::to_owned)).collect()
    }

    /// The table at a key.
    pub fn table(&self, key: &str) -> Option<Reader<'n>> {
        let node = self.node(key)?;
        let block = self.block.key(key).and_then(|k| k.shape.block()).expect("only asked for keys that are tables");
        Reader::new(node, block)
    }

    /// The tables of a list at a key.
    pub fn tables(&self, key: &str) -> Vec<Reader<'n>> {
        let block = self.block.key(key).and_then(|k| k.shape.block()).expect("only asked for keys that hold tables");
        let items = self.node(key).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|n| Reader::new(n, block)).collect()
    }

    /// The entries whose names the user chose.
    pub fn others(&self) -> impl Iterator<Item = (&'n str, &'n Node)> + use<'n> {
        let block = self.block;
        let known = move |name: &str| block.key(name).is_some() || block.later.contains(&name);
        self.table.iter().filter(move |(name, _)| !known(name)).map(|(name, node)| (name.as_str(), node))
    }

    /// The tables among them.
    pub fn groups(&self) -> Vec<(&'n str, Reader<'n>)> {
        let block = self.block.others.map(|o| o.shape).as_ref().and_then(Shape::block);
        let Some(block) = block else { return Vec::new() };
        self.others().filter_map(|(name, node)| Some((name, Reader::new(node, block)?))).collect()
    }
}
