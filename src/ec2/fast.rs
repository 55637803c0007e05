//! A map that is asked tens of thousands of times a look.
//!
//! Its order means nothing and changes from run to run, so nothing is told in it. Core has none: the same situation gives
//! the same plan there.

use std::collections::HashMap;

/// Hashed quickly, with a seed of the process's own: keys come from the world.
pub type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
