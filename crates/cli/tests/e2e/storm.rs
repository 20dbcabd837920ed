//! Engine and shim are killed again and again at seeded points in the middle of many jobs: every acknowledged job ends,
//! none that ended runs again, none runs twice at once, and what a dead shim left running is ended and reported as
//! unknown.
//!
//! The jobs record themselves: each run appends its start and its end to a file, and at its start looks for processes
//! that an earlier run of the same job has left. They tell the test through a fifo how far they are, which is what the
//! points of the kills are counted by. `WINDLASS_KILLS`, `WINDLASS_KILL_JOBS` and `WINDLASS_KILL_SEED` make it larger:
//! `.ci/run nightly` kills 50 times in the middle of 300 jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::os::fd::FromRawFd;
use std::sync::mpsc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::home::{Home, Running, lives};

/// The longest that a job may take to go on.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a run does. `$1` is the job, `$2` how long it computes, `$3` whether it leaves something behind.
const JOB: &str = r#"
job=$1
for pid in $(cat "$HERE/pids.$job" 2>/dev/null); do
    case "$( (tr '\0' ' ' < "/proc/$pid/cmdline") 2>/dev/null)" in
    *"$job "*) echo "overlap $job $pid" >> "$HERE/ran" ;;
    esac
done
echo $$ >> "$HERE/pids.$job"
echo "start $job $$" >> "$HERE/ran"
echo "start $job $$" > "$HERE/progress"
if [ "$3" = leave ]; then
    setsid sh "$HERE/idle.sh" "$job" &
fi
n=0
while [ $n -lt "$2" ]; do n=$((n+1)); done
echo "end $job $$" >> "$HERE/ran"
echo "end $job $$" > "$HERE/progress"
"#;
/// What it leaves: out of its session, deaf to a polite end.
const IDLE: &str = "echo $$ >> \"$HERE/pids.$1\"; trap '' TERM HUP; while :; do sleep 1000; done\n";

/// How one of them dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// The engine, while it acknowledges jobs.
    EngineInSubmit,
    /// The engine, when a run has begun.
    Engine,
    /// The engine, between a run's exit and its record in the store.
    EngineBeforeRecord,
    /// The shim, when a run has begun.
    Shim,
    /// The shim, between a run's exit and its record in the ledger.
    ShimBeforeRecord,
    /// Both.
    Both,
}

const DEATHS: [Death; 6] = [
    Death::EngineInSubmit,
    Death::Engine,
    Death::EngineBeforeRecord,
    Death::Shim,
    Death::ShimBeforeRecord,
    Death::Both,
];

/// A sequence that a seed decides (xorshift64*, Vigna 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap() % sides
    }
}

/// A job may run again after a run that was lost.
fn may_restart(n: usize) -> bool {
    n % 4 == 3
}

fn name(n: usize) -> String {
    format!("job-{n:03}")
}

struct Storm {
    home: Home,
    progress: mpsc::Receiver<String>,
    acknowledged: BTreeSet<String>,
    /// The jobs that had not ended when a shim was killed: of no other may the end be unknown.
    exposed: BTreeSet<String>,
}

impl Storm {
    fn new() -> Storm {
        let home = Home::new();
        let here = home.file("");
        let script = |text: &str| format!("HERE={}\n{text}", here.display());
        home.write("job.sh", &script(JOB));
        home.write("idle.sh", &script(IDLE));
        let fifo = home.file("progress");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        // Open for both, so that it never ends and nobody waits for the other.
        let fifo = std::fs::File::options().read(true).write(true).open(fifo).unwrap();
        let (tell, progress) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(fifo).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Storm { home, progress, acknowledged: BTreeSet::new(), exposed: BTreeSet::new() }
    }

    fn manifests(&self, jobs: std::ops::Range<usize>, dice: &mut Dice) -> String {
        let script = self.home.file("job.sh");
        let mut text = String::new();
        for n in jobs {
            let (policy, limit) = if may_restart(n) { ("OnFailure", 6) } else { ("Never", 0) };
            let leave = if n % 3 == 0 { "leave" } else { "clean" };
            let (name, work) = (name(n), dice.below(40) * 2000);
            writeln!(
                text,
                "---\napiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n  backoffLimit: {limit}\n  template:\n    spec:\n      runtimeClassName: windlass-host\n      restartPolicy: {policy}\n      containers: [{{name: main, image: host, command: [sh, {script:?}, {name}, {work:?}, {leave}]}}]",
                work = work.to_string()
            )
            .unwrap();
        }
        text
    }

    /// The next thing that a job of this round says, of the runs that begin or end.
    fn hear(&self, what: &str, jobs: &std::ops::Range<usize>) -> i32 {
        loop {
            let line = self.progress.recv_timeout(PATIENCE).expect("the jobs go on");
            let mut words = line.split(' ');
            let (said, job, pid) = (words.next(), words.next().unwrap(), words.next().unwrap());
            let n: usize = job.strip_prefix("job-").unwrap().parse().unwrap();
            if said == Some(what) && jobs.contains(&n) {
                return pid.parse().unwrap();
            }
        }
    }

    fn round(&mut self, jobs: std::ops::Range<usize>, death: Death, dice: &mut Dice) {
        self.home.ok(&["up"]);
        let file = self.home.write("jobs.yaml", &self.manifests(jobs.clone(), dice));
        let mut submit = Running::start(self.home.command(&["submit", "-f", file.to_str().unwrap()]));
        let engine = self.home.engine().expect("an engine runs");
        if death == Death::EngineInSubmit {
            submit.stdout_has(&name(jobs.start + dice.below(jobs.len())));
            end(engine);
            return self.acknowledge(submit);
        }
        self.acknowledge(submit);
        let mut pid = 0;
        for _ in 0..=dice.below(jobs.len()) {
            pid = self.hear("start", &jobs);
        }
        if matches!(death, Death::Shim | Death::ShimBeforeRecord | Death::Both) {
            let going_on = self.phases().into_iter().filter(|(_, phase)| !has_ended(phase));
            let going_on: Vec<String> = going_on.map(|(job, _)| job).collect();
            self.exposed.extend(going_on);
        }
        match death {
            Death::EngineInSubmit => {}
            Death::Engine => end(engine),
            Death::EngineBeforeRecord => stop_until_gone(engine, pid),
            Death::Shim => end(self.shim().expect("a shim runs")),
            Death::ShimBeforeRecord => stop_until_gone(self.shim().expect("a shim runs"), pid),
            Death::Both => {
                let shim = self.shim().expect("a shim runs");
                end(engine);
                end(shim);
            }
        }
    }

    fn acknowledge(&mut self, submit: Running) {
        let said = submit.end().stdout;
        self.acknowledged.extend(said.lines().map(str::to_owned));
    }

    /// The shim of this home, by its arguments.
    fn shim(&self) -> Option<i32> {
        let wanted = self.home.state().join("shim");
        let wanted = wanted.to_str().unwrap();
        let found = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let is_it = line.strip_suffix(b"\0")?.rsplit(|byte| *byte == 0).next()? == wanted.as_bytes();
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent: i32 = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()?;
            (is_it && lives(pid)).then_some((pid, parent))
        });
        // A child that does not execute yet looks as it does.
        let found: BTreeMap<i32, i32> = found.collect();
        found.iter().find(|(_, parent)| !found.contains_key(parent)).map(|(pid, _)| *pid)
    }

    fn check(&self) {
        self.home.ok(&["up"]);
        let mut wait = vec!["wait".to_owned()];
        wait.extend(self.acknowledged.iter().cloned());
        let ended = self.home.windlass(&wait);
        // A job whose run was lost has no exit code of its own.
        assert!([Some(0), Some(125)].contains(&ended.code), "{ended:?}");
        let ran = std::fs::read_to_string(self.home.file("ran")).unwrap();
        assert!(!ran.contains("overlap"), "{ran}");
        let of = |what: &str, job: &str| ran.matches(&format!("{what} {job} ")).count();
        for (job, succeeded) in self.ends() {
            let (starts, ends) = (of("start", &job), of("end", &job));
            let n: usize = job.strip_prefix("job-").unwrap().parse().unwrap();
            assert!(may_restart(n) || starts <= 1, "{job} ran {starts} times");
            if succeeded {
                assert!(ends >= 1, "{job} is said to have succeeded");
            }
            if !succeeded || starts > 1 {
                assert!(
                    self.exposed.contains(&job),
                    "no shim died while {job} went on, and its end is unknown"
                );
                self.is_unknown(&job);
            }
        }
        let left = std::fs::read_dir(self.home.file("")).unwrap().flatten();
        let left = left.filter(|file| file.file_name().to_string_lossy().starts_with("pids."));
        let pids = left.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect::<String>();
        let alive: Vec<&str> = pids.lines().filter(|pid| self.is_job(pid.parse().unwrap())).collect();
        assert_eq!(alive, [""; 0], "something of the jobs still runs");
    }

    /// How each acknowledged job ended.
    fn ends(&self) -> BTreeMap<String, bool> {
        let end = |(job, phase): (String, String)| {
            assert!(has_ended(&phase), "{job} is {phase}");
            (job, phase == "succeeded")
        };
        let ends: BTreeMap<String, bool> = self.phases().into_iter().map(end).collect();
        for job in &self.acknowledged {
            assert!(ends.contains_key(job), "{job} was acknowledged");
        }
        ends
    }

    /// How far each job is, in small letters.
    fn phases(&self) -> BTreeMap<String, String> {
        let list: serde_json::Value = serde_json::from_str(&self.home.ok(&["list", "-o", "json"])).unwrap();
        let phase = |job: &serde_json::Value| {
            (job["name"].as_str().unwrap().to_owned(), job["phase"].as_str().unwrap().to_lowercase())
        };
        list["jobs"].as_array().unwrap().iter().map(phase).collect()
    }

    /// A run whose end nobody knows is said to be that: as upstream says it of a container that is gone.
    fn is_unknown(&self, job: &str) {
        let story: serde_json::Value =
            serde_json::from_str(&self.home.ok(&["show", job, "-o", "json"])).unwrap();
        let status = &story["pods"][0]["status"]["containerStatuses"][0];
        let ends = [&status["state"]["terminated"], &status["lastState"]["terminated"]];
        let unknown =
            |end: &&serde_json::Value| end["reason"] == "ContainerStatusUnknown" && end["exitCode"] == 137;
        assert!(ends.iter().any(unknown), "{job}: {status}");
    }

    fn is_job(&self, pid: i32) -> bool {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // The number may be another's by now, also the engine's or the shim's, which name the home too.
        let scripts = ["job.sh", "idle.sh"].map(|name| self.home.file(name));
        lives(pid) && scripts.iter().any(|script| line.contains(script.to_str().unwrap()))
    }
}

fn has_ended(phase: &str) -> bool {
    ["succeeded", "failed"].contains(&phase)
}

fn end(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

/// Stops one of ours, waits until a run has ended, which it cannot hear of, and kills it.
fn stop_until_gone(ours: i32, run: i32) {
    kill(Pid::from_raw(ours), Signal::SIGSTOP).unwrap();
    // SAFETY: pidfd_open(2) takes any numbers.
    let handle = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, run, 0) };
    if let Ok(handle) = i32::try_from(handle)
        && handle >= 0
    {
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        let handle = unsafe { std::os::fd::OwnedFd::from_raw_fd(handle) };
        let timeout = PollTimeout::try_from(PATIENCE).unwrap();
        let ended = poll(&mut [PollFd::new(std::os::fd::AsFd::as_fd(&handle), PollFlags::POLLIN)], timeout);
        assert_eq!(ended, Ok(1), "the run ends by itself");
    }
    end(ours);
}

#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by variables")]
fn asked(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |value| value.parse().expect("a number"))
}

#[test]
fn killed_at_seeded_points_every_acknowledged_job_ends_and_none_runs_twice_at_once() {
    let (kills, jobs) = (asked("WINDLASS_KILLS", 10), asked("WINDLASS_KILL_JOBS", 60));
    let seed = asked("WINDLASS_KILL_SEED", 1);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed as u64);
    let mut storm = Storm::new();
    let share = (jobs / kills).max(1);
    // Each kind of death in turn, from where the seed says, so that few kills see most of them.
    let first = dice.below(DEATHS.len());
    for round in 0..kills {
        let death = DEATHS[(first + round) % DEATHS.len()];
        storm.round(round * share..(round + 1) * share, death, &mut dice);
    }
    storm.check();
}

#[test]
fn where_engines_alone_are_killed_no_end_is_unknown() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ asked("WINDLASS_KILL_SEED", 1) as u64);
    let mut storm = Storm::new();
    let deaths = [Death::Engine, Death::EngineBeforeRecord, Death::EngineInSubmit, Death::EngineBeforeRecord];
    for (round, death) in deaths.into_iter().enumerate() {
        storm.round(round * 6..(round + 1) * 6, death, &mut dice);
    }
    assert!(storm.exposed.is_empty());
    storm.check();
}
