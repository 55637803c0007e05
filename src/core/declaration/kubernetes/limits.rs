//! How much of Kubernetes a declaration may hold. Each limit is far above what a person writes, and keeps a hostile
//! file from eating the machine.

/// Files of manifests of one declaration.
pub const FILES: usize = 5_000;
/// Bytes of all of them together.
pub const BYTES: usize = 64 << 20;
/// Bytes of one. A bundle of definitions has some megabytes.
pub const FILE: usize = 16 << 20;
/// Entries of folders that are looked through to find them.
pub const ENTRIES: usize = 50_000;
/// How deep a value may be nested.
pub const DEPTH: usize = 100;
/// Values of one file, those that aliases repeat counted each time; a long text counts as several.
pub const WEIGHT: usize = 1_000_000;
/// Objects of one declaration.
pub const OBJECTS: usize = 50_000;
