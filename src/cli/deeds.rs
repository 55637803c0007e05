//! The arguments of `sim`: what a hand does in its world.

use clap::{Subcommand, ValueEnum};

use crate::kubectl::Kubectl;

/// `sim`
#[derive(Debug, clap::Args)]
pub struct Sim {
    #[command(subcommand)]
    pub deed: Option<SimDeed>,
}

/// What to do in the sim's world. Machines are named by id, address (machines.web/3, web/3) or Name tag.
#[derive(Debug, Subcommand)]
pub enum SimDeed {
    /// Show the world
    Look {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Let time pass
    Advance {
        /// Such as 5m or 2h30m
        time: String,
    },
    /// Terminate machines behind evenkeel's back
    Kill {
        /// Which
        #[arg(required = true)]
        machines: Vec<String>,
    },
    /// Let a machine die without anybody asking for it
    Die {
        /// Which
        machine: String,
        /// EC2's reason code. The three launch errors need a pending machine, a spot termination a spot one; one that
        /// shuts itself down stops, or ends if it is spot
        #[arg(long, value_enum)]
        reason: Death,
    },
    /// Stop a machine by hand
    Stop {
        /// Which
        machine: String,
    },
    /// Start a stopped machine by hand
    Start {
        /// Which
        machine: String,
    },
    /// Fail a status check of a machine
    Impair {
        /// Which
        machine: String,
        /// Which check
        #[arg(long, value_enum, default_value_t = Check::Instance)]
        check: Check,
        /// It has been so for so long already
        #[arg(long, value_name = "TIME")]
        ago: Option<String>,
    },
    /// All checks of a machine pass again
    Recover {
        /// Which
        machine: String,
    },
    /// Lose a zone: its machines' checks fail, nothing launches there
    LoseZone {
        /// us-east-1a
        zone: String,
        /// EC2 says so, too
        #[arg(long)]
        announced: bool,
    },
    /// Bring a zone back
    RestoreZone {
        /// us-east-1a
        zone: String,
    },
    /// Set a tag by hand
    Tag {
        /// Which machine or volume
        object: String,
        /// KEY=VALUE
        tag: String,
    },
    /// Take a tag away by hand
    Untag {
        /// Which machine or volume
        object: String,
        /// Its key
        key: String,
    },
    /// Give a machine another type by hand
    SetType {
        /// Which
        machine: String,
        /// t3.large
        instance_type: String,
    },
    /// Give a machine other security groups by hand
    SetGroups {
        /// Which
        machine: String,
        /// Names or ids
        #[arg(required = true)]
        groups: Vec<String>,
    },
    /// Announce the retirement of a machine
    Retire {
        /// Which
        machine: String,
        /// In so long
        #[arg(long = "in", value_name = "TIME", default_value = "48h")]
        within: String,
    },
    /// Detach a volume by hand
    Detach {
        /// Which
        volume: String,
    },
    /// Delete a volume by hand
    DeleteVolume {
        /// Which
        volume: String,
    },
    /// Say how many of a type a zone holds
    Capacity {
        /// us-east-1a
        zone: String,
        /// t3.small
        instance_type: String,
        /// So many; without it, any number
        most: Option<u32>,
    },
    /// Make an image bad: what runs it never becomes healthy
    SpoilImage {
        /// ami-…
        image: String,
        /// Good again
        #[arg(long)]
        mend: bool,
    },
    /// Do something to a Kubernetes cluster of the sim, as with kubectl
    Kubectl(Kubectl),
    /// Do any deed, given as JSON (see docs/sim.md)
    Do {
        /// {"add-fault": {…}}
        json: String,
    },
    /// End all faults
    ClearFaults,
    /// Serve the world to other programs: EC2's, SSM's and STS's own protocols over HTTP, on this machine alone
    Serve {
        /// Where; 0 for any free port
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// How fast the world's time runs
        #[arg(long, default_value_t = 1.0, value_name = "TIMES")]
        speed: f64,
    },
}

/// A status check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// The host
    System,
    /// The guest
    Instance,
    /// Its EBS volumes
    Ebs,
}

/// Of what a machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Death {
    /// It does not come up: its disks' key may not be used, as a rule
    #[value(name = "Client.InternalError")]
    Launch,
    /// It does not come up: the account may have no more volumes
    #[value(name = "Client.VolumeLimitExceeded")]
    Volumes,
    /// It does not come up: EC2's own fault
    #[value(name = "Server.InternalError")]
    Internal,
    /// EC2 takes a spot machine back
    #[value(name = "Server.SpotInstanceTermination")]
    Spot,
    /// Its own system shuts down
    #[value(name = "Client.InstanceInitiatedShutdown")]
    Shutdown,
}
