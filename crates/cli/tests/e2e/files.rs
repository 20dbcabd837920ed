//! Small files that travel with a job, and go with it.

use serde_json::Value;

use crate::home::Home;

fn config_maps(home: &Home) -> String {
    let script = r#"kubectl --kubeconfig "$("$windlass" kubeconfig --path)" get configmaps -o name"#;
    home.script(script).stdout
}

#[test]
fn a_file_is_seen_at_its_place_and_may_be_executed_as_it_could_here() {
    let home = Home::new();
    home.write("settings.ini", "[fit]\nsteps = 3\n");
    let tool = home.write("tool", "#!/bin/sh\necho tool $1\n");
    assert_eq!(home.script(&format!("chmod +x {}", tool.display())).code, Some(0));
    let words = [
        "run",
        "-q",
        "--file",
        "settings.ini",
        "--file",
        "tool:/opt/windlass-test/run.sh",
        "--",
        "sh",
        "-c",
        "cat /windlass-files/settings.ini; /opt/windlass-test/run.sh x; test -w /windlass-files/settings.ini || echo read-only",
    ];
    let ended = home.windlass(&words);
    let expected = "[fit]\nsteps = 3\ntool x\nread-only\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");
    let name = home.ok(&["list", "-q", "-o", "name"]);
    let job: Value = serde_json::from_str(&home.ok(&["show", "-q", "last", "-o", "json"])).unwrap();
    let volume = &job["job"]["spec"]["template"]["spec"]["volumes"][0];
    assert_eq!(volume["configMap"]["name"], format!("{}-files", name.trim()));
    let ended = home.windlass(&["retry", "last"]);
    assert!(ended.code == Some(125) && ended.stderr.contains("submit it as it was submitted"), "{ended:?}");
    let ended = home.windlass(&["plan", "--file", "settings.ini", "--", "true"]);
    assert!(ended.code == Some(0) && ended.stderr.contains("this manifest alone lacks it"), "{ended:?}");
    if config_maps(&home).contains(name.trim()) {
        home.ok(&["delete", "-q", name.trim()]);
        // The garbage collector takes its turn.
        let gone = format!(
            r#"kubectl --kubeconfig "$("$windlass" kubeconfig --path)" wait --for=delete --timeout=180s configmap/{}-files"#,
            name.trim()
        );
        let ended = home.script(&gone);
        assert_eq!(ended.code, Some(0), "the ConfigMap goes with its job: {ended:?}");
    }
}

#[test]
fn a_file_goes_with_an_array_a_manifest_and_an_id() {
    let home = Home::new();
    home.write("base", "40\n");
    let words = ["run", "-q", "--file", "base", "--matrix", "n=1,2", "--logs", "--"];
    let script = "echo $(( $(cat /windlass-files/base) + $n ))";
    let ended = home.windlass(&[&words[..], &["sh", "-c", script]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("41") && ended.stdout.contains("42"), "{ended:?}");
    home.write("job.yaml", "windlass: v1\nname: one\ncommand: [cat, /windlass-files/base]\n");
    let words = ["submit", "-q", "--wait", "--id", "x", "--file", "base", "-f", "job.yaml"];
    assert_eq!(home.ok(&words), "one\n");
    assert_eq!(home.ok(&["logs", "-q", "one"]), "40\n");
    assert_eq!(home.ok(&words), "one\n", "the same again is the same job");
    home.write("base", "50\n");
    let ended = home.windlass(&words);
    assert!(ended.code == Some(125) && ended.stderr.contains("with other content"), "{ended:?}");
}

#[test]
fn what_cannot_travel_is_refused() {
    let home = Home::new();
    home.write("large", &"x".repeat((700 << 10) + 1));
    home.write("half", &"x".repeat(400 << 10));
    home.write("half2", &"x".repeat(400 << 10));
    for (words, part) in [
        (&["--file", "nowhere"][..], "--file"),
        (&["--file", "."], "is a directory"),
        (&["--file", "large"], "is longer than 700 KiB"),
        (&["--file", "half", "--file", "half2"], "have 800 KiB, and a job takes 700 along"),
    ] {
        let ended = home.windlass(&[&["submit"][..], words, &["--", "true"]].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    let line = ["cron", "create", "n", "--schedule", "@daily", "--file", "half", "--", "true"];
    let ended = home.windlass(&line);
    assert!(ended.code == Some(2) && ended.stderr.contains("--file: belongs to one job"), "{ended:?}");
}
