//! The rules that judge, shield and pace, each with a short id that evidence carries and `why` cites.
//!
//! Only names and one sentence each stand here, so that a reader can go from a screen to `docs/rules.md` to the
//! code. The rules themselves are in [`crate::health`], [`crate::situation`], [`crate::place`] and
//! [`crate::repair`].

use std::fmt;

use serde::Serialize;

macro_rules! rules {
    ($($name:ident $id:literal $says:literal)*) => {
        /// A rule. Its text is its id: `H1`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $says] $name,)*
        }

        impl Rule {
            /// Every rule, in the order of the list in `docs/rules.md`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `H1`: stable, never used again for another rule.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What it says, in one sentence.
            pub fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }
        }
    };
}

rules! {
    Well "H0" "Everything that reports says well."
    Dead "H1" "A machine that is stopping, stopped, shutting down or broken while it should run is dead: no dwell."
    Gone "H2" "What the provider lists as terminated or deleted is gone."
    Starting "H3" "From launch until its startup deadline a machine is starting: neither healthy nor unhealthy."
    Overdue "H4" "A machine that is not running by its deadline is unhealthy."
    Ripening "H5" "A signal that is bad, but not for long enough, makes a machine suspect."
    TwoWitnesses "H6" "Two ripe bad signals from different reporters make a machine unhealthy."
    SingleSource "H7" "One ripe bad signal makes a machine unhealthy after `health.single-source`."
    Storage "H8" "The attached-EBS check is the volume's matter: reported, never a reason against the machine."
    Blind "H9" "Without any usable data a machine is blind: nothing is done about it."
    Recovering "H10" "What was not well is healthy again only after `health.recover` of nothing bad."
    Flapping "H11" "Suspect `health.flap-count` times within `health.flap-window` is flapping."
    Event "H12" "A scheduled event makes a machine planned: retirement and stop vacate it, reboot and maintenance report."
    EventOver "H13" "A scheduled event that is completed or canceled is ignored."
    FirstSeen "H14" "Without the provider's own time a signal ripens only over two looks at least 60 seconds apart."
    NotYet "H15" "A check that is still initialising after the startup deadline counts as bad from when it was first seen so."
    Cluster "H16" "A Kubernetes object is as its own status says: rolled out, bound, established, complete, or not yet."
    Blindness "S1" "More than half of the machines blind: all repair and rebalancing is frozen."
    Global "S2" "Most machines unwell in two zones or more and nothing in common: all repair and rebalancing is frozen."
    ZoneDeclared "S3" "A zone that its provider calls unavailable is impaired."
    ZoneStatistical "S4" "A zone in which machines fail far more often than outside is impaired."
    ZoneSuspected "S5" "A zone whose only two machines are both unwell is held for one more dwell, then impaired."
    Configuration "S6" "A value (image, type, subnet …) whose machines fail far more often than others is not launched."
    BestExplanation "S7" "Of several explanations the one with the highest F1 stands; ties stand together."
    ZoneRecovering "S8" "A zone leaves its impairment only after `outage.recover` without a sign of it. Signs count for four times as long after it was last found."
    Storm "S9" "For `repair.storm-cooldown` after a freeze or an impairment ends, no new soft repairs."
    Balance "B1" "Zones hold equal numbers within the allowed skew, reached with the fewest terminations."
    Relaxed "B2" "Where pins or caps forbid the asked skew, the smallest possible skew is used and they are named."
    Short "B3" "Where pins or caps forbid the asked number, the nearest possible number is placed."
    Slots "B4" "Vacant slots are given out in ascending order, each to the least loaded zone that has room."
    Breaker "R1" "More unhealthy than `repair.breaker` opens the breaker."
    Probe "R2" "An open breaker lets one replacement through at a time and doubles while they succeed."
    Canary "R3" "A launch specification without a healthy machine starts with one."
    ProbeFailed "R4" "After a failed probe the next waits 10, 20, then 40 minutes."
    Backoff "R5" "Retries of a lineage wait longer each time."
    Suspended "R6" "A lineage that needed `repair.retries` replacements within an hour is suspended."
    Order "R7" "Dead machines first, then planned by date, unhealthy newest first, flapping, drift."
    Surge "R8" "Never more alive than the declared count and the surge."
    Floor "R9" "Nothing that is ready goes while fewer than the floor would be left."
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.id())
    }
}

/// A rule that spoke, and its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Evidence {
    /// Which rule.
    pub rule: Rule,
    /// In words, without a full stop: `instance status impaired 14m (ripe at 15m)`.
    pub says: String,
}

impl Evidence {
    /// A rule's words.
    pub fn new(rule: Rule, says: impl Into<String>) -> Self {
        Self { rule, says: says.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_an_id_of_its_own_and_stands_in_the_list() {
        let ids: BTreeSet<_> = Rule::ALL.iter().map(|r| r.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        let list = include_str!("../../docs/rules.md");
        for rule in Rule::ALL {
            let line = format!("| {} | {} |", rule.id(), rule.says());
            assert!(list.contains(&line), "docs/rules.md lacks this line:\n{line}");
        }
        let rows = list.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| id")).count();
        assert_eq!(rows, Rule::ALL.len(), "docs/rules.md lists a rule that does not exist");
    }
}
