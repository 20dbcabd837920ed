//! Command lines and what they mean, and those that mean nothing.

use std::time::Duration;

use clap::CommandFactory;
use windlass_engine::Images;
use windlass_manifest::{Base, ContainerEdit, Edit, JobEdit, Payload, PodEdit};
use windlass_model::{CompletionMode, JobRequest, Place};

use super::high::{Act, Request, Source, Work};
use super::low::{Cli, OnInterrupt};
use super::*;
use crate::exit::Exit;

fn env() -> Env {
    let vars = [("PATH", "/bin"), ("HOME", "/me"), ("SECRET", "s"), ("_", "/bin/windlass")];
    Env {
        vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        cwd: Some("/work".into()),
        ..Env::default()
    }
}

fn read(line: &[&str]) -> Result<Request, Usage> {
    let argv: Vec<_> = std::iter::once("windlass").chain(line.iter().copied()).map(OsString::from).collect();
    parse(&argv, &env())
}

#[track_caller]
fn refused(line: &[&str]) -> Usage {
    read(line).expect_err("this line has a mistake")
}

#[track_caller]
fn run(line: &[&str]) -> (JobRequest, super::high::RunOptions) {
    match read(line).expect("a good line").act {
        Act::Run(options) => match options.work.clone() {
            Work::Command(Base::Request(request), _) => (*request, options),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_parser_has_no_contradictions() {
    Cli::command().debug_assert();
}

#[test]
fn the_verbs_that_are_typed_most_are_read_as_by_the_whole_parser_or_left_to_it() {
    for line in [
        "run -- make -j all",
        "run -q --name x --image a -e A=b --on-interrupt detach -- make",
        "list",
        "list -A -o wide -l a=b --context c",
        "list --local -n here -q",
        "list --help",
        "list --local --context c",
        "list too many",
        "run --no-such-option",
    ] {
        let argv: Vec<_> = std::iter::once("windlass").chain(line.split(' ')).map(OsString::from).collect();
        let whole = Cli::try_parse_from(&argv).ok().map(|cli| format!("{cli:?}"));
        assert_eq!(quick(&argv).map(|cli| format!("{cli:?}")), whole, "{line}");
    }
}

#[test]
fn a_private_engine_is_not_started_for_a_command_that_is_empty() {
    let usage = refused(&["up", "--ephemeral", "--"]);
    assert_eq!(usage.exit, Exit::USAGE);
    assert!(usage.text.starts_with("windlass: up: no command comes after `--`\n"), "{}", usage.text);
    assert!(refused(&["up", "--ephemeral", "--", ""]).text.contains("after `--`"));
    assert!(refused(&["up", "--ephemeral", "--images=host", "--"]).text.contains("after `--`"));
    for good in [["up", "--ephemeral"].as_slice(), &["up", "--ephemeral", "--", "sh", "--"]] {
        assert!(read(good).is_ok(), "{good:?}");
    }
}

#[test]
fn a_command_runs_here_with_the_callers_directory_and_listed_variables() {
    let (job, options) = run(&["run", "--", "make", "-j", "--", "all"]);
    assert_eq!(job.command, ["make", "-j", "--", "all"]);
    assert_eq!(job.place, Place::Host);
    assert_eq!(job.working_dir.as_deref(), Some("/work"));
    assert_eq!(job.env.keys().collect::<Vec<_>>(), ["HOME", "PATH"]);
    assert_eq!((job.retries, job.deadline, job.name), (0, None, None));
    assert_eq!(options.on_interrupt, OnInterrupt::Cancel);
    assert!(options.fail_fast);
}

#[test]
fn an_image_gets_nothing_of_the_caller() {
    let (job, _) = run(&["run", "--image", "busybox", "--", "true"]);
    assert_eq!(job.place, Place::Image("busybox".into()));
    assert_eq!(job.working_dir, None);
    assert!(job.env.is_empty());
}

#[test]
fn export_takes_all_none_or_a_list_and_env_wins() {
    let keys =
        |line: &[&str]| run(line).0.env.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    assert_eq!(keys(&["run", "--export", "ALL", "--", "x"]), ["HOME=/me", "PATH=/bin", "SECRET=s"]);
    assert_eq!(keys(&["run", "--export", "NONE", "--", "x"]), Vec::<String>::new());
    assert_eq!(keys(&["run", "--export", "SECRET,HOME", "--", "x"]), ["HOME=/me", "SECRET=s"]);
    let line = ["run", "--export=NONE", "-e", "SECRET", "-e", "A=b=c", "-e", "E=", "--", "x"];
    assert_eq!(keys(&line), ["A=b=c", "E=", "SECRET=s"]);
    assert_eq!(keys(&["run", "--image=i", "--export=HOME", "-eHOME=/you", "--", "x"]), ["HOME=/you"]);
}

#[test]
fn job_options_reach_the_request() {
    let line = "run --name n --retries 3 --deadline 1h30m --ttl 60 --parallelism 2 --completions 4 --indexed \
                --label a=b --cpu 500m --memory 1Gi -w sub --on-interrupt detach --no-fail-fast -- x";
    let (job, options) = run(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(job.name.as_deref(), Some("n"));
    assert_eq!(job.retries, 3);
    assert_eq!(job.deadline, Some(Duration::from_secs(5400)));
    assert_eq!(job.ttl, Some(Duration::from_secs(60)));
    assert_eq!((job.parallelism, job.completions), (Some(2), Some(4)));
    assert_eq!(job.completion_mode, Some(CompletionMode::Indexed));
    assert_eq!(job.labels.get("a").map(String::as_str), Some("b"));
    assert_eq!((job.cpu.as_deref(), job.memory.as_deref()), (Some("500m"), Some("1Gi")));
    assert_eq!(job.working_dir.as_deref(), Some("/work/sub"));
    assert_eq!((options.on_interrupt, options.fail_fast), (OnInterrupt::Detach, false));
}

#[test]
fn every_mistake_in_the_options_is_told_at_once() {
    let line =
        ["run", "--deadline", "soon", "--label", "x", "-e", "MISSING", "--export", "NOT_SET", "--", "x"];
    let usage = refused(&line);
    for part in ["--deadline", "--label", "MISSING", "NOT_SET"] {
        assert!(usage.text.contains(part), "{part} in {}", usage.text);
    }
}

fn file(file: &str, payload: Payload, edits: Vec<Edit>) -> Work {
    let run_id = edits.iter().find_map(|edit| match edit {
        Edit::Job(JobEdit::Name(name)) => Some(name.clone()),
        _ => None,
    });
    Work::File(Box::new(Source { file: file.into(), payload, edits, run_id, prefect: None }))
}

#[test]
fn options_of_a_file_are_edits_and_only_those_that_were_typed() {
    let line = ["submit", "-f", "job.yaml", "--name", "n", "--label", "a=b", "--image", "i", "-e", "K=v"];
    let Act::Submit(options) = read(&line).unwrap().act else { panic!() };
    let text = str::to_owned;
    let edits = vec![
        Edit::Job(JobEdit::Name(text("n"))),
        Edit::Job(JobEdit::Label(text("a"), text("b"))),
        Edit::Pod(PodEdit::Label(text("a"), text("b"))),
        Edit::FirstContainer(ContainerEdit::Image(text("i"))),
        Edit::AllContainers(ContainerEdit::Env(text("K"), text("v"))),
    ];
    assert_eq!(options.work, file("job.yaml", Payload::Own, edits));
    let Act::Submit(options) = read(&["submit", "-f", "job.yaml", "--", "fit", "1"]).unwrap().act else {
        panic!()
    };
    let payload = Payload::Command(vec![text("fit"), text("1")]);
    assert_eq!(options.work, file("job.yaml", payload, vec![]));
    let Act::Submit(options) = read(&["submit", "-f", "-"]).unwrap().act else { panic!() };
    assert_eq!(options.work, file("-", Payload::Own, vec![]));
}

#[test]
fn a_missing_command_is_a_usage_error_with_the_code_that_no_job_has() {
    for line in [&["run"][..], &["run", "--"], &["run", "--name", "x"]] {
        let usage = refused(line);
        assert_eq!(usage.exit, Exit::FAILED, "{line:?}");
        assert!(usage.text.contains("windlass run [OPTIONS] -- COMMAND..."), "{}", usage.text);
    }
}

#[test]
fn a_command_without_dashes_is_shown_where_they_belong() {
    let usage = refused(&["run", "echo", "hello"]);
    assert_eq!(usage.exit, Exit::FAILED);
    insta::assert_snapshot!(usage.text, @r"
    windlass: run: the command comes after `--`
      windlass run [OPTIONS] -- echo ...
    ");
}

#[test]
fn run_that_shall_only_be_tried_is_shown_who_tries() {
    let usage = refused(&["run", "--dry-run", "--", "true"]);
    assert_eq!(usage.exit, Exit::FAILED);
    assert!(usage.text.contains("windlass submit --dry-run -- COMMAND"), "{}", usage.text);
}

#[test]
fn verbs_of_other_tools_answer_with_ours() {
    let usage = refused(&["describe", "x"]);
    assert_eq!((usage.exit, usage.asked), (Exit::USAGE, false));
    insta::assert_snapshot!(usage.text, @r"
    windlass: describe: no such command here
      windlass show JOB
    ");
    assert!(refused(&["lst"]).text.contains("list"), "{}", refused(&["lst"]).text);
}

#[test]
fn codes_of_mistakes_depend_on_whether_the_verbs_codes_are_jobs() {
    assert_eq!(refused(&["run", "--nonsense"]).exit, Exit::FAILED);
    assert_eq!(refused(&["-n", "x", "wait", "--timeout", "soon", "j"]).exit, Exit::FAILED);
    assert_eq!(refused(&["list", "--nonsense"]).exit, Exit::USAGE);
    assert_eq!(refused(&["cancel"]).exit, Exit::USAGE);
    assert_eq!(refused(&[]).exit, Exit::USAGE);
}

#[test]
fn help_and_version_go_to_stdout() {
    for line in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let usage = refused(line);
        assert_eq!((usage.asked, usage.exit), (true, Exit::OK));
    }
}

#[test]
fn contradictions_are_refused() {
    for line in [
        &["list", "--local", "--context", "x"][..],
        &["list", "-A", "-n", "x"],
        &["wait", "a", "-l", "b=c"],
        &["down", "--force", "--leave"],
        &["use", "a", "--local"],
    ] {
        refused(line);
    }
}

#[test]
fn the_engine_listens_on_loopback_only() {
    assert!(refused(&["up", "--listen", "0.0.0.0:80"]).text.contains("not a loopback address"));
    assert!(refused(&["up", "--listen", "6443"]).text.contains("ADDRESS:PORT"));
    let Act::Up(options) = read(&["up", "--listen", "127.0.0.1:0", "--images=host"]).unwrap().act else {
        panic!()
    };
    assert_eq!((options.listen, options.images), (Some("127.0.0.1:0".parse().unwrap()), Some(Images::Host)));
}

#[test]
fn ps_is_list_and_global_options_come_anywhere() {
    let request = read(&["ps", "-q", "--context", "lab", "-n", "team"]).unwrap();
    assert!(matches!(request.act, Act::List(_)));
    assert_eq!(request.common.flags.context.as_deref(), Some("lab"));
    assert_eq!((request.common.namespace.as_deref(), request.common.quiet), (Some("team"), true));
}

/// The help of every verb, as it is seen.
#[test]
fn help_texts() {
    let mut command = Cli::command().term_width(100);
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    insta::assert_snapshot!("help", command.render_help());
    for verb in verbs {
        let usage = refused(&[&verb, "--help"]);
        insta::assert_snapshot!(format!("help_{verb}"), usage.text);
    }
}

#[test]
fn a_batch_has_no_other_source() {
    for source in [["--from", "job/x"], ["-f", "x.yaml"]] {
        let line = ["submit", "--k8s-image", "i", source[0], source[1], "--task-file", "t.yaml"];
        let usage = refused(&line);
        assert!(usage.text.contains("jobs of their own"), "{}", usage.text);
    }
}
