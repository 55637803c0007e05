//! Trials of the engine on a small world in memory. The sim is a better world, but it stands on the engine.

mod calling;
mod crash;
mod fake;
mod looking;
mod running;
mod saving;
mod waiting;
