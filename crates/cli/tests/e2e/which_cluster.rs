//! Which cluster is asked, and what happens when it cannot be.

use std::net::TcpListener;

use crate::home::{Home, finish};

/// A kubeconfig of one context.
fn kubeconfig(name: &str, server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\n\
         clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: u, user: {{token: x}}}}]\n\
         contexts: [{{name: {name}, context: {{cluster: c, user: u}}}}]\n"
    )
}

#[test]
fn a_cluster_that_does_not_answer_is_named_and_nothing_else_is_taken() {
    let home = Home::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = home.write("config", &kubeconfig("lab", &format!("https://{closed}")));
    let mut command = home.command(&["run", "--", "true"]);
    command.env("KUBECONFIG", &file);
    let ended = finish(command);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("lab"), "{}", ended.stderr);
    assert!(!home.state().join("lock").exists(), "an engine was started instead");
}

#[test]
fn an_unreadable_kubeconfig_is_an_error() {
    let home = Home::new();
    let mut command = home.command(&["list"]);
    command.env("KUBECONFIG", "/nowhere/config");
    let ended = finish(command);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("/nowhere/config"), "{}", ended.stderr);
    let file = home.write("config", "not: [a kubeconfig");
    let ended = home.windlass(&["list", "--kubeconfig", file.to_str().unwrap()]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("config"), "{}", ended.stderr);
}

#[test]
fn a_wrong_token_is_refused_and_says_so() {
    let home = Home::new();
    let text = home.ok(&["kubeconfig"]);
    let spoiled: String = text
        .lines()
        .map(|line| match line.split_once("token:") {
            Some((before, _)) => format!("{before}token: wrong\n"),
            None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(spoiled, text, "the kubeconfig has a token");
    let file = home.write("config", &spoiled);
    let ended = home.windlass(&["list", "--kubeconfig", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
    assert!(ended.stderr.contains("credentials"), "{}", ended.stderr);
}

#[test]
fn use_remembers_checks_and_forgets() {
    let home = Home::new();
    let file = home.write("config", &kubeconfig("lab", "https://127.0.0.1:9"));
    let file = file.to_str().unwrap();
    assert_eq!(home.ok(&["use"]), "local\n");
    assert_eq!(home.windlass(&["use", "typo", "--kubeconfig", file]).code, Some(125));
    assert_eq!(home.ok(&["use"]), "local\n");
    home.ok(&["use", "lab", "--kubeconfig", file]);
    assert_eq!(home.ok(&["use"]), "lab\n");
    let ended = home.windlass(&["list"]);
    assert_eq!(ended.code, Some(125));
    assert!(ended.stderr.contains("lab"), "{}", ended.stderr);
    home.ok(&["list", "--local"]);
    home.ok(&["use", "--reset"]);
    home.ok(&["list"]);
}
