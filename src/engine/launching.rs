//! The choices of a launch: place by place, type by type, and the next generation when a token is spent.
//!
//! Pure. How far a launch has gone is in the journal ([`Turns`]), so that the attempt after a crash asks for the very
//! thing that may exist already, with its own token. Whether a launch may fall back at all is the plan's matter.

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::launch::Launch;
use evenkeel_core::progress::Turns;

use crate::limits::Limits;

/// The launch of this turn: exactly one place and one type. `None`: the choices are used up.
pub fn choice(launch: &Launch, turns: Turns) -> Option<Launch> {
    let (turn, types) = (usize::try_from(turns.full).ok()?, launch.types.len());
    let place = launch.places.get(turn.checked_div(types)?)?;
    let instance_type = launch.types.get(turn % types)?;
    let mut one = launch.clone();
    one.places = vec![place.clone()];
    one.types = vec![instance_type.clone()];
    one.tag.generation = one.tag.generation.saturating_add(turns.spent);
    Some(one)
}

/// Whether a failed launch has another choice, or the failure as it is final.
///
/// # Errors
/// The final failure.
pub fn next(launch: &Launch, turns: Turns, failure: Failure, limits: &Limits) -> Result<(), Failure> {
    match failure.class {
        Class::Capacity => match choice(launch, Turns { full: turns.full.saturating_add(1), ..turns }) {
            Some(_) => Ok(()),
            None => Err(failure),
        },
        Class::TokenSpent if turns.spent < limits.generations => Ok(()),
        Class::TokenMismatch => Err(Failure::new(
            Class::Busy,
            failure.code,
            format!(
                "somebody else launched {} {} meanwhile: look again ({})",
                launch.group, launch.tag.slots, failure.says
            ),
        )),
        Class::TokenSpent
        | Class::Throttled
        | Class::Transient
        | Class::Quota
        | Class::Denied
        | Class::Credentials
        | Class::NotFound
        | Class::Busy
        | Class::Protected
        | Class::Invalid => Err(failure),
    }
}
