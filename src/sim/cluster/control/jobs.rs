//! Jobs: pods that end, until enough have ended well or too many have not. Cron jobs are kept and never run.

use evenkeel_core::address::ObjectName;
use serde_json::Value as Json;

use super::super::object::{at, flag, is_leaving, number, put, put_default, stamp, take, text};
use super::super::{Kube, Moment};
use super::replicas::is_alive;
use super::{MANAGER, is_ready, is_true, pod_of, set_condition, suffix};

impl Kube {
    pub(super) fn look_after_jobs(&mut self, m: Moment) {
        for name in self.all_of("batch", "Job") {
            if let Some(job) = self.get(&name).cloned().filter(|j| !is_leaving(j)) {
                self.keep_job(&name, &job, m);
            }
        }
    }

    fn keep_job(&mut self, name: &ObjectName, job: &Json, m: Moment) {
        if is_true(job, "Complete") || is_true(job, "Failed") {
            return;
        }
        let pods = self.owned("", "Pod", job);
        let count = |phase: &str| {
            i64::try_from(pods.iter().filter(|(_, p)| text(p, &["status", "phase"]) == phase).count()).unwrap_or(0)
        };
        let (done, failed) = (count("Succeeded"), count("Failed"));
        let mut active: Vec<ObjectName> = pods.iter().filter(|(_, p)| is_alive(p)).map(|(n, _)| n.clone()).collect();
        let parallel = number(job, &["spec", "parallelism"]).unwrap_or(1);
        let wanted = number(job, &["spec", "completions"]).unwrap_or(parallel);
        let over = failed > number(job, &["spec", "backoffLimit"]).unwrap_or(6);
        let suspended = flag(job, &["spec", "suspend"]);
        let complete = done >= wanted;
        let room = if suspended || over || complete { 0 } else { parallel.min(wanted - done) };
        while i64::try_from(active.len()).unwrap_or(i64::MAX) > room {
            if let Some(gone) = active.pop() {
                self.dismiss(&gone, m);
            }
        }
        let mut trouble = false;
        while !trouble && i64::try_from(active.len()).unwrap_or(i64::MAX) < room {
            let template = at(job, &["spec", "template"]).cloned().unwrap_or_default();
            let pod = format!("{}-{}", name.name, suffix(self.made, m.seed));
            if self.pod_for(name, job, pod_of(job, &template, &pod), m) {
                active.push(super::super::named("", "Pod", &name.namespace, &pod));
            } else {
                trouble = true;
            }
        }
        let ready = active.iter().filter(|n| self.get(n).is_some_and(is_ready)).count();
        self.report(name, MANAGER, m, |j| {
            put_default(j, &["status", "startTime"], stamp(m.now));
            for (field, n) in [("succeeded", done), ("failed", failed), ("active", active.len() as i64)] {
                if n == 0 {
                    take(j, &["status", field]);
                } else {
                    put(j, &["status", field], n);
                }
            }
            put(j, &["status", "ready"], ready);
            if suspended {
                set_condition(j, m.now, "Suspended", true, "JobSuspended", "Job suspended");
            } else if super::condition(j, "Suspended").is_some() {
                set_condition(j, m.now, "Suspended", false, "JobResumed", "Job resumed");
            }
            if complete {
                let says = "Reached expected number of succeeded pods";
                for kind in ["SuccessCriteriaMet", "Complete"] {
                    set_condition(j, m.now, kind, true, "CompletionsReached", says);
                }
                put_default(j, &["status", "completionTime"], stamp(m.now));
            } else if over {
                let says = "Job has reached the specified backoff limit";
                for kind in ["FailureTarget", "Failed"] {
                    set_condition(j, m.now, kind, true, "BackoffLimitExceeded", says);
                }
            }
        });
    }
}
