//! Every row of the table in DESIGN "Which cluster".

use super::*;

const OWN: &str = "/home/me/.windlass/kubeconfig";

fn env(vars: &[(&str, &str)]) -> Env {
    Env {
        vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        cwd: Some("/work".into()),
        ..Env::default()
    }
}

fn named(files: &[&str], name: Option<&str>) -> Cluster {
    Cluster::Context { kubeconfig: files.iter().map(PathBuf::from).collect(), name: name.map(str::to_owned) }
}

fn flags(context: Option<&str>, kubeconfig: Option<&str>, local: bool) -> Flags {
    Flags {
        context: context.map(str::to_owned),
        kubeconfig: kubeconfig.map(PathBuf::from),
        local,
        ..Flags::default()
    }
}

#[track_caller]
fn check(flags: &Flags, vars: &[(&str, &str)], saved: Option<&Cluster>, cluster: Cluster, because: Because) {
    assert_eq!(choose(flags, &env(vars), saved, Path::new(OWN)), Choice { cluster, because });
}

#[test]
fn nothing_said_means_the_embedded_engine() {
    check(&Flags::default(), &[], None, Cluster::Local, Because::Default);
}

#[test]
fn local_flag_beats_everything() {
    let vars = [("WINDLASS_CONTEXT", "lab"), ("KUBECONFIG", "/k")];
    let saved = named(&[], Some("prod"));
    check(&flags(None, None, true), &vars, Some(&saved), Cluster::Local, Because::Flag("--local"));
}

#[test]
fn context_flag_beats_the_environment_and_looks_in_its_kubeconfig() {
    let vars = [("WINDLASS_CONTEXT", "lab"), ("KUBECONFIG", "/k")];
    let want = named(&["/k"], Some("prod"));
    check(&flags(Some("prod"), None, false), &vars, None, want, Because::Flag("--context"));
    let want = named(&[], Some("prod"));
    check(&flags(Some("prod"), None, false), &[], None, want, Because::Flag("--context"));
}

#[test]
fn kubeconfig_flag_means_its_current_context_unless_one_is_named() {
    let want = named(&["/f"], None);
    let vars = [("WINDLASS_CONTEXT", "lab")];
    check(&flags(None, Some("/f"), false), &vars, None, want, Because::Flag("--kubeconfig"));
    let want = named(&["/work/f"], Some("prod"));
    check(&flags(Some("prod"), Some("f"), false), &[], None, want, Because::Flag("--kubeconfig"));
}

#[test]
fn context_variable_beats_kubeconfig_and_the_saved_choice() {
    let saved = Cluster::Local;
    let want = named(&["/k"], Some("lab"));
    let vars = [("WINDLASS_CONTEXT", "lab"), ("KUBECONFIG", "/k")];
    check(&Flags::default(), &vars, Some(&saved), want, Because::Variable("WINDLASS_CONTEXT"));
}

#[test]
fn kubeconfig_variable_beats_the_saved_choice_and_may_list_files() {
    let saved = Cluster::Local;
    let want = named(&["/a", "/work/b"], None);
    let vars = [("KUBECONFIG", "/a::b")];
    check(&Flags::default(), &vars, Some(&saved), want, Because::Variable("KUBECONFIG"));
}

#[test]
fn empty_variables_count_as_unset() {
    let vars = [("WINDLASS_CONTEXT", ""), ("KUBECONFIG", "")];
    check(&Flags::default(), &vars, None, Cluster::Local, Because::Default);
}

#[test]
fn saved_choice_beats_the_default() {
    let saved = named(&["/s"], Some("prod"));
    check(&Flags::default(), &[], Some(&saved), saved.clone(), Because::Saved);
}

#[test]
fn the_engines_own_kubeconfig_means_the_engine() {
    let vars = [("KUBECONFIG", OWN)];
    check(&Flags::default(), &vars, None, Cluster::Local, Because::Variable("KUBECONFIG"));
    let want = named(&[OWN], Some("prod"));
    check(&flags(Some("prod"), Some(OWN), false), &[], None, want, Because::Flag("--kubeconfig"));
}

#[test]
fn default_kubeconfig_and_in_cluster_credentials_are_never_taken_by_themselves() {
    let vars = [("HOME", "/home/me"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
    check(&Flags::default(), &vars, None, Cluster::Local, Because::Default);
}

#[test]
fn a_file_names_its_kubeconfig_and_what_is_typed_goes_over_it() {
    let file = Flags { of_file: Some("/lab/config".into()), things: Some("x"), ..Flags::default() };
    let because = Because::Flag("config_path");
    let vars = [("KUBECONFIG", "/other")];
    check(&file, &vars, None, named(&["/lab/config"], None), because);
    let with_context = Flags { context: Some("big".into()), ..file.clone() };
    check(&with_context, &vars, None, named(&["/lab/config"], Some("big")), because);
    let local = Flags { local: true, ..file.clone() };
    check(&local, &vars, None, Cluster::Local, Because::Flag("--local"));
    let typed = Flags { kubeconfig: Some("/typed".into()), ..file };
    check(&typed, &vars, None, named(&["/typed"], None), Because::Flag("--kubeconfig"));
}

#[test]
fn option_that_names_things_of_a_cluster_means_the_usual_kubeconfig_unless_something_else_was_said() {
    let things = Flags { things: Some("--k8s-image"), ..Flags::default() };
    check(&things, &[], None, named(&[], None), Because::Flag("--k8s-image"));
    check(&things, &[("KUBECONFIG", "/k")], None, named(&["/k"], None), Because::Variable("KUBECONFIG"));
    check(&things, &[], Some(&Cluster::Local), Cluster::Local, Because::Saved);
    let local = Flags { local: true, ..things };
    check(&local, &[], None, Cluster::Local, Because::Flag("--local"));
}
