//! What one program used, as the system counts it when the program is waited for (wait4(2)).
//!
//! The standard library does not ask for that, and no crate that does is needed for anything else: a line of Python
//! waits instead. Its own memory, some 10 MB, is the least that it tells.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Starts its arguments, waits for them, and writes what they used into the file named first.
const WAITER: &str = "
import json, os, sys
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
code = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], 'w') as report:
    json.dump({'cpu': used.ru_utime + used.ru_stime, 'peak': used.ru_maxrss, 'code': code}, report)
";

/// What a program used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Seconds of user and system time.
    pub cpu: f64,
    /// The most resident memory, in MB of 10⁶ bytes.
    pub peak: f64,
    /// Exit code; negative where a signal ended it.
    pub code: i64,
    /// Bytes on stdout and stderr.
    pub said: usize,
}

/// Runs a program in a folder with this environment and nothing else of ours but where programs are.
///
/// # Panics
/// When it cannot be started.
pub fn measure(folder: &Path, environment: &[(String, String)], program: &[String]) -> Usage {
    let report = folder.with_extension("usage");
    // One that another program left says nothing of this one.
    let _ = std::fs::remove_file(&report);
    let mut command = Command::new("python3");
    command.args(["-I", "-S", "-c", WAITER]).arg(&report).args(program).current_dir(folder).env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs(environment.iter().map(|(key, value)| (key, value))).stdin(Stdio::null());
    let output = command.output().expect("python3 is there (Debian: apt-get install python3)");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&report).unwrap_or_else(|e| panic!("{program:?}: {e}: {said}"));
    let read: Value = serde_json::from_str(&text).expect("it was written as JSON");
    let number = |name: &str| read[name].as_f64().expect("a number");
    let code = read["code"].as_i64().expect("a number");
    if code != 0 {
        eprint!("{said}");
    }
    // Linux counts it in kB of 1,024 bytes.
    Usage { cpu: number("cpu"), peak: number("peak") * 1.024e-3, code, said: said.len() }
}
