//! Verbs of other tools, and the one of ours that does the same.

/// What to type instead of `verb`, if it is another tool's.
pub(crate) fn ours(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "describe" | "inspect" | "info" | "scontrol" | "explain" => "windlass show JOB",
        "resubmit" | "rerun" | "restart" => "windlass retry JOB",
        "get" | "ls" | "jobs" | "squeue" | "qstat" | "top" | "bjobs" | "condor_q" => "windlass list",
        "sacct" | "seff" | "joblog" => "windlass list, or of a job's tasks: windlass results JOB",
        "stop" | "kill" | "scancel" | "qdel" | "bkill" | "abort" | "terminate" | "interrupt" => {
            "windlass cancel JOB"
        }
        "rm" | "remove" | "purge" => "windlass delete JOB",
        "apply" | "create" | "sbatch" | "qsub" | "bsub" | "condor_submit" | "enqueue" | "add" => {
            "windlass submit -f FILE, or: windlass submit -- COMMAND"
        }
        "srun" | "exec" | "start" | "execute" | "docker" | "salloc" => "windlass run -- COMMAND",
        "log" | "tail" | "attach" | "follow" | "watch" | "output" => "windlass logs -f JOB",
        "use-context" | "context" | "login" => "windlass use CONTEXT",
        "serve" | "server" | "daemon" | "init" => "windlass up",
        "shutdown" | "quit" | "exit" => "windlass down",
        "cronjob" | "cronjobs" | "crontab" | "schedule" | "scrontab" => "windlass cron create|list|next",
        "diff" | "validate" | "preview" | "dry-run" => "windlass plan -f FILE",
        "check" | "diagnose" | "troubleshoot" => "windlass doctor",
        "version" => "windlass --version",
        "completion" => "windlass completions SHELL",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::ours;

    #[test]
    fn a_verb_of_another_tool_answers_with_ours() {
        for (theirs, expected) in [
            ("describe", "windlass show JOB"),
            ("squeue", "windlass list"),
            ("stop", "windlass cancel JOB"),
            ("rm", "windlass delete JOB"),
            ("sbatch", "windlass submit -f FILE, or: windlass submit -- COMMAND"),
        ] {
            assert_eq!(ours(theirs), Some(expected));
        }
        assert_eq!(ours("frobnicate"), None);
    }
}
