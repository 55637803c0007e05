//! What instances die of without anybody asking EC2 for it.
//!
//! The codes and words are EC2's: `StateReason` in
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_StateReason.html>.

use evenkeel_ec2::api::InstanceState;
use serde::{Deserialize, Serialize};

use crate::clock::later;
use crate::ops::{Refusal, refuse};
use crate::world::World;

/// The code of whatever a person or a program asks EC2 for.
pub const BY_USER: &str = "Client.UserInitiatedShutdown";

/// Of what an instance dies, by EC2's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Death {
    /// It does not come up: its disks' key may not be used, as a rule.
    #[serde(rename = "Client.InternalError")]
    Launch,
    /// It does not come up: the account may have no more volumes.
    #[serde(rename = "Client.VolumeLimitExceeded")]
    Volumes,
    /// It does not come up: EC2's own fault.
    #[serde(rename = "Server.InternalError")]
    Internal,
    /// EC2 takes a spot instance back.
    #[serde(rename = "Server.SpotInstanceTermination")]
    Spot,
    /// Its own system shuts down. What is no spot instance stops.
    #[serde(rename = "Client.InstanceInitiatedShutdown")]
    Shutdown,
}

impl Death {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Launch, Self::Volumes, Self::Internal, Self::Spot, Self::Shutdown];

    /// EC2's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Launch => "Client.InternalError",
            Self::Volumes => "Client.VolumeLimitExceeded",
            Self::Internal => "Server.InternalError",
            Self::Spot => "Server.SpotInstanceTermination",
            Self::Shutdown => "Client.InstanceInitiatedShutdown",
        }
    }
}

/// What EC2 says of a code: why the state changed, and the message.
pub fn words(code: &str) -> (&'static str, &'static str) {
    match Death::ALL.into_iter().find(|death| death.code() == code) {
        None => ("User initiated", "User initiated shutdown"),
        Some(Death::Launch) => ("", "Client error on launch"),
        Some(Death::Volumes) => ("", "Volume limit exceeded"),
        Some(Death::Internal) => ("", "Internal error on launch"),
        Some(Death::Spot) => ("Service initiated", "Spot instance termination"),
        Some(Death::Shutdown) => ("", "Instance initiated shutdown"),
    }
}

impl World {
    /// An instance dies.
    ///
    /// # Errors
    /// When nothing that is in its state dies of that.
    pub(crate) fn die(&mut self, id: &str, of: Death) -> Result<(), Refusal> {
        let m = self.live(id)?;
        let (state, spot) = (m.state, m.spot);
        match of {
            Death::Launch | Death::Volumes | Death::Internal if state != InstanceState::Pending => {
                return refuse(format!("{id} is {state:?}, not pending"), "of this it dies before it runs");
            }
            Death::Launch | Death::Volumes | Death::Internal => self.perish(id, of.code()),
            Death::Spot if !spot => return refuse(format!("{id} is no spot instance"), "name one that is"),
            Death::Spot => self.condemn(id, of.code()),
            Death::Shutdown if state != InstanceState::Running => {
                return refuse(format!("{id} is {state:?}, not running"), "only what runs shuts down");
            }
            Death::Shutdown if spot => self.condemn(id, of.code()),
            Death::Shutdown => self.halt(id, of.code()),
        }
        self.spend_tokens();
        Ok(())
    }

    /// The end of an instance that never ran: no time is left for a shutdown.
    fn perish(&mut self, id: &str, reason: &str) {
        self.condemn(id, reason);
        let ended = later(self.now, self.timing.vanish.draw(self.seed, "vanish", id));
        if let Some(m) = self.instances.get_mut(id) {
            (m.state, m.until) = (InstanceState::Terminated, Some(ended));
        }
        self.bury(id);
    }
}
