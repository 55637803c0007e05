//! The choices of a launch: place by place, type by type, and the next generation when a token is spent.
//!
//! Pure. How far a launch has gone is in the journal ([`Turns`]), so that the attempt after a crash asks for the very
//! thing that may exist already, with its own token. Whether a launch may fall back at all is the plan's matter.

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::launch::{Launch, NewVolume};
use evenkeel_core::plan::Call;
use evenkeel_core::progress::Turns;

use crate::limits::Limits;

/// The launch of this turn: exactly one place and one type. `None`: the choices are used up.
pub fn choice(launch: &Launch, turns: Turns) -> Option<Launch> {
    let (place, instance_type) = launch.choice(turns.full)?;
    let mut one = launch.clone();
    one.places = vec![place.clone()];
    one.types = vec![instance_type.clone()];
    one.tag.generation = one.tag.generation.saturating_add(turns.spent);
    Some(one)
}

/// The volume of this turn: the generation after those whose token belonged to something deleted.
pub fn volume(volume: &NewVolume, turns: Turns) -> NewVolume {
    let mut one = volume.clone();
    one.tag.generation = one.tag.generation.saturating_add(turns.spent);
    one
}

/// Whether a failed create has another choice: a launch its places, types and generations, a volume its generations.
///
/// # Errors
/// The final failure.
pub fn another(call: &Call, turns: Turns, failure: Failure, limits: &Limits) -> Result<(), Failure> {
    match call {
        Call::Launch(launch) => next(launch, turns, failure, limits),
        // A deleted volume is listed no more, so no look can tell which generations are used up.
        Call::CreateVolume(_) if failure.class == Class::TokenSpent && turns.spent < limits.generations => Ok(()),
        Call::CreateVolume(_)
        | Call::Terminate(_)
        | Call::Stop(_)
        | Call::Start(_)
        | Call::Change { .. }
        | Call::Tag { .. }
        | Call::Attach { .. }
        | Call::Detach { .. }
        | Call::DeleteVolume(_)
        | Call::Object(_) => Err(failure),
    }
}

/// Whether a failed launch has another choice, or the failure as it is final.
///
/// # Errors
/// The final failure.
fn next(launch: &Launch, turns: Turns, failure: Failure, limits: &Limits) -> Result<(), Failure> {
    match failure.class {
        Class::Capacity => match choice(launch, Turns { full: turns.full.saturating_add(1), ..turns }) {
            Some(_) => Ok(()),
            None => Err(failure),
        },
        Class::TokenSpent if turns.spent < limits.generations => Ok(()),
        Class::TokenMismatch => Err(Failure::new(
            Class::TokenMismatch,
            failure.code,
            format!(
                "{} {} was launched before with other parameters: look again ({})",
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
