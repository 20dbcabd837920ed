//! Jobs as arrays, and back.

use serde_json::{Value, json};
use windlass_model::{JobRequest, Place, SubmissionId};

use super::{Array, TaskMap, unfold};
use crate::marks::Signature;
use crate::{Base, Edit, JobEdit, Manifest, make};

fn command(words: &[&str]) -> Base {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Base::Request(Box::new(JobRequest::new(words, Place::Image("fit:1".into()))))
}

fn array(lines: &str) -> Edit {
    Edit::Tasks(Array::of_lines(lines.as_bytes()).unwrap().array)
}

fn numbers(text: &str) -> Edit {
    Edit::Tasks(Array::numbered(&super::Numbers::parse(text).unwrap()))
}

fn sealed(manifest: &Manifest) -> Value {
    manifest.sealed(&SubmissionId::parse("golden").unwrap(), Signature::default(), 0)
}

fn words(job: &Value) -> Value {
    job["spec"]["template"]["spec"]["containers"][0]["command"].clone()
}

#[test]
fn indexes_need_no_helper() {
    let base = command(&["fit", "{}", "in/{#}.txt", "$(X)", "$${}", "${x}", "{{}}", "$({}"]);
    let manifest = make(&base, &[numbers("0-9")]).unwrap();
    let job = sealed(&manifest);
    let index = "$(JOB_COMPLETION_INDEX)";
    let expected = json!([
        "fit",
        index,
        format!("in/{index}.txt"),
        "$$(X)",
        "$$${}",
        "${x}",
        "{}",
        format!("$$({index}")
    ]);
    assert_eq!(words(&job), expected);
    let spec = &job["spec"];
    assert_eq!(
        (&spec["completions"], &spec["parallelism"], &spec["completionMode"]),
        (&json!(10), &json!(10), &json!("Indexed"))
    );
    assert_eq!((&spec["backoffLimitPerIndex"], &spec["backoffLimit"]), (&json!(0), &Value::Null));
    assert_eq!(job["metadata"]["annotations"][crate::marks::TASKS], r#"{"numbers":"0-9","count":10}"#);
    assert_eq!(manifest.companion(&SubmissionId::parse("golden").unwrap(), 0), None);
}

#[test]
fn other_numbers_and_values_need_the_helper_and_name_its_config_map() {
    let id = SubmissionId::parse("golden").unwrap();
    for tasks in [numbers("1-9"), array("a b\nc\n")] {
        let manifest = make(&command(&["fit", "{}", "$(X)"]), &[tasks]).unwrap();
        let job = sealed(&manifest);
        assert_eq!(words(&job), json!(["/windlass/task", "fit", "{}", "$$(X)"]));
        let companion = manifest.companion(&id, 0).unwrap();
        let name = companion["metadata"]["name"].as_str().unwrap();
        assert_eq!(name, format!("{}-tasks", job["metadata"]["name"].as_str().unwrap()));
        assert!(name.starts_with("fit-"), "{name}");
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["volumes"][0]["configMap"], json!({ "defaultMode": 0o555, "name": name }));
        assert_eq!(pod["nodeSelector"]["kubernetes.io/arch"], windlass_task::ARCH);
        let map =
            TaskMap::read(job["metadata"]["annotations"][crate::marks::TASKS].as_str().unwrap()).unwrap();
        assert_eq!(map.config_map.as_deref(), Some(name));
        let items = Array::of_items(companion["data"][TaskMap::ITEMS].as_str().unwrap()).unwrap();
        assert_eq!((items.numbers(), items.names), (map.numbers, map.names));
    }
}

fn host(words: &[&str]) -> Base {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Base::Request(Box::new(JobRequest::new(words, Place::Host)))
}

#[test]
fn other_numbers_of_a_host_process_are_counted_by_its_shell() {
    let base = host(&["fit", "in/{}.txt", "", "$(X)", "{{#}}", "it's", "{#}{}"]);
    let manifest = make(&base, &[numbers("5,7,8-20:4")]).unwrap();
    let job = sealed(&manifest);
    let script = "if [ $JOB_COMPLETION_INDEX -lt 1 ]; then WINDLASS_TASK=$$((JOB_COMPLETION_INDEX+5)); \
                  elif [ $JOB_COMPLETION_INDEX -lt 3 ]; then WINDLASS_TASK=$$((JOB_COMPLETION_INDEX+6)); \
                  else WINDLASS_TASK=$$((JOB_COMPLETION_INDEX*4+0)); fi; export WINDLASS_TASK; \
                  exec \"${1}\" \"${2}${WINDLASS_TASK}${3}\" \"\" \"${4}\" \"${5}\" \"${6}\" \
                  \"${WINDLASS_TASK}${WINDLASS_TASK}\"";
    let expected = json!(["/bin/sh", "-c", script, "windlass", "fit", "in/", ".txt", "$$(X)", "{#}", "it's"]);
    assert_eq!(words(&job), expected);
    assert_eq!(manifest.companion(&SubmissionId::parse("golden").unwrap(), 0), None);
    let (plain, array) = unfold(&job, None).unwrap();
    let words = json!(["fit", "in/{#}.txt", "", "$$(X)", "{{#}}", "it's", "{#}{#}"]);
    assert_eq!(plain["spec"]["template"]["spec"]["containers"][0]["command"], words);
    assert_eq!(array.numbers().to_string(), "5,7-8,12-20:4");
    let irregular = (0..100).map(|n| (n * n).to_string()).collect::<Vec<_>>().join(",");
    assert!(
        make(&base, &[numbers(&irregular)])
            .unwrap()
            .companion(&SubmissionId::parse("a").unwrap(), 0)
            .is_some()
    );
}

#[test]
fn other_values_are_another_content() {
    let hash = |lines| make(&command(&["fit", "{}"]), &[array(lines)]).unwrap().content_hash();
    assert_eq!(hash("a\nb"), hash("a\nb\n"));
    assert_ne!(hash("a\nb"), hash("a\nc"));
}

#[test]
fn what_was_said_of_tries_and_room_stays() {
    let edits = [Edit::Job(JobEdit::Retries(2)), Edit::Job(JobEdit::Parallelism(4)), numbers("0-9")];
    let spec = sealed(&make(&command(&["fit"]), &edits).unwrap())["spec"].clone();
    assert_eq!((&spec["backoffLimitPerIndex"], &spec["parallelism"]), (&json!(2), &json!(4)));
    assert_eq!(spec.get("backoffLimit"), None);
}

#[test]
fn arrays_that_cannot_be_are_refused() {
    let wrong = |base: &Base, edits: &[Edit]| make(base, edits).unwrap_err().to_string();
    let matrix = || Edit::Tasks(Array::of_matrix(&["a=1,2", "b=x,y"]).unwrap());
    let error = wrong(&command(&["fit", "{}"]), &[matrix()]);
    assert!(error.contains("command[1]") && error.contains("{a} or {b}"), "{error}");
    assert!(make(&command(&["fit", "{a}", "{{}}"]), &[matrix()]).is_ok());
    assert!(wrong(&command(&["fit"]), &[matrix(), numbers("1-2")]).contains("twice"));
    let manifest = |pod: Value| {
        Base::Manifest(json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}}))
    };
    let no_command = manifest(json!({"containers": [{"name": "a", "image": "b", "args": ["{}"]}]}));
    assert!(wrong(&no_command, &[array("x")]).contains("command: is missing"));
    assert!(make(&no_command, &[numbers("0-1")]).is_ok());
    let restarts =
        manifest(json!({"restartPolicy": "OnFailure", "containers": [{"name": "a", "command": ["b"]}]}));
    assert!(wrong(&restarts, &[numbers("0-1")]).contains("must be Never"));
    let elsewhere = manifest(
        json!({"nodeSelector": {"kubernetes.io/arch": "riscv"}, "containers": [{"name": "a", "command": ["b"]}]}),
    );
    assert!(wrong(&elsewhere, &[array("x")]).contains("riscv"));
    let again = Base::Manifest(sealed(&make(&command(&["fit"]), &[numbers("0-1")]).unwrap()));
    assert!(wrong(&again, &[numbers("0-1")]).contains("already"));
    let long = Array {
        names: vec!["item".into()],
        tasks: vec![super::Task { number: 1, values: vec!["x".repeat(1 << 20)] }],
    };
    assert!(wrong(&command(&["fit"]), &[Edit::Tasks(long)]).contains("900 KiB"));
}

#[test]
fn an_array_comes_apart_and_together_again() {
    let base = command(&["fit", "{}", "{{}}", "$(X)", "{#}{x}"]);
    for tasks in
        [numbers("0-9"), numbers("3-5"), array("a\nb\n"), Edit::Tasks(Array::of_matrix(&["a=1,2"]).unwrap())]
    {
        let manifest = make(&base, &[tasks]).unwrap();
        let job = sealed(&manifest);
        let companion = manifest.companion(&SubmissionId::parse("golden").unwrap(), 0);
        let items = companion.as_ref().and_then(|object| object["data"]["items"].as_str());
        let (plain, array) = unfold(&job, items).unwrap();
        let words = &plain["spec"]["template"]["spec"]["containers"][0]["command"];
        assert_eq!(words[0], "fit");
        let again = make(&Base::Manifest(plain), &[Edit::Tasks(array.clone())]).unwrap();
        let again = again.sealed(&SubmissionId::parse("golden").unwrap(), Signature::default(), 0);
        assert_eq!(again["spec"], job["spec"]);
        assert_eq!(
            again["metadata"]["annotations"][crate::marks::TASKS],
            job["metadata"]["annotations"][crate::marks::TASKS]
        );
        let some = Array { tasks: array.tasks[1..2].to_vec(), ..array };
        let (plain, _) = unfold(&job, items).unwrap();
        let some = make(&Base::Manifest(plain), &[Edit::Tasks(some)]).unwrap();
        assert_eq!(sealed(&some)["spec"]["completions"], 1);
    }
    assert_eq!(unfold(&sealed(&make(&base, &[]).unwrap()), None), None);
}

fn is_helped(base: &Base, tasks: Edit) -> bool {
    words(&sealed(&make(base, &[tasks]).unwrap()))[0] == "/windlass/task"
}

#[test]
fn a_script_that_no_argument_can_be_is_the_helpers() {
    // Each hole is longer in the script than in the word.
    let holes = "{#}".repeat(10_000);
    assert!(is_helped(&host(&["fit", &holes]), numbers("1-9")));
    assert!(is_helped(&host(&["fit", &holes]), array("a\n")));
    assert!(!is_helped(&host(&["fit", &holes[..30]]), numbers("1-9")));
}

#[test]
fn a_program_that_a_shell_could_take_for_an_option_is_the_helpers() {
    for program in ["-c", "--", "{}", "{#}fit"] {
        assert!(is_helped(&host(&[program, "a"]), array("-c\n")), "{program}");
    }
    for program in ["fit", "./{}", "{{}}"] {
        assert!(!is_helped(&host(&[program, "a"]), array("-c\n")), "{program}");
    }
}

#[test]
fn what_a_server_wrote_of_a_plain_job_says_nothing_of_an_array() {
    let served = |more: Value| {
        let spec = json!({ "parallelism": 1, "completions": 1, "backoffLimit": 6, "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "a", "image": "b", "command": ["fit", "{}"] }] } } });
        let mut job =
            json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "fit" }, "spec": spec });
        for (path, value) in more.as_object().unwrap() {
            *job.pointer_mut(path.rsplit_once('/').unwrap().0).unwrap() = value.clone();
        }
        job
    };
    let by_server = [
        json!({ "/metadata/": { "name": "fit", "uid": "u" } }),
        json!({ "/metadata/": { "name": "fit", "creationTimestamp": "2026-01-01T00:00:00Z" } }),
    ];
    let limits = |base: Base, edits: &[Edit]| {
        let spec = sealed(&make(&base, edits).unwrap())["spec"].clone();
        (spec["parallelism"].clone(), spec["backoffLimitPerIndex"].clone())
    };
    for job in by_server.map(served) {
        assert_eq!(limits(Base::Manifest(job.clone()), &[numbers("0-9")]), (json!(10), json!(0)));
        assert_eq!(limits(crate::again(&job).unwrap(), &[numbers("0-9")]), (json!(10), json!(0)));
        let edits = [Edit::Job(JobEdit::Retries(6)), Edit::Job(JobEdit::Parallelism(1)), numbers("0-9")];
        assert_eq!(limits(Base::Manifest(job.clone()), &edits), (json!(1), json!(6)));
        // Of a job that stays plain nothing is changed.
        assert_eq!(make(&Base::Manifest(job.clone()), &[]).unwrap().job()["spec"], job["spec"]);
    }
    let written =
        Base::Manifest(served(json!({ "/metadata/": { "name": "fit", "creationTimestamp": null } })));
    assert_eq!(limits(written, &[numbers("0-9")]), (json!(1), json!(6)));
}
