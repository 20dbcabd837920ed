//! `windlass kubeconfig`: how any Kubernetes client reaches the engine of this machine, and as whom.
//!
//! The owner's credential is the engine's own. Those of the other roles are tokens of service accounts, asked for as any
//! Kubernetes client asks for one; they end by themselves, or together when their service account is made anew.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use windlass::Source;
use windlass_engine::{Home, Role};
use windlass_model::duration;

use crate::args::low::{CredentialRole, Kubeconfig};
use crate::cluster::Call;
use crate::daemon;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;

/// How long a credential lasts if nothing is said.
const LASTS: Duration = Duration::from_secs(90 * 86_400);

/// Prints the kubeconfig or its path, or writes it. The engine is started: a kubeconfig that leads nowhere is of no use.
pub(crate) async fn run(options: &Kubeconfig, call: Call<'_>) -> Outcome {
    let home = call.home()?;
    let lasts = match &options.expires_in {
        Some(text) => duration::parse(text).map_err(|problem| Failure::new("--expires-in", problem))?,
        None => LASTS,
    };
    let role = match options.role {
        CredentialRole::Admin => None,
        CredentialRole::Submit => Some(Role::Submit),
        CredentialRole::Read => Some(Role::Read),
    };
    if role.is_none() {
        owners_own(options, &home)?;
    }
    daemon::ensure(&home, call.env, call.notes()).await?;
    let (text, place) = match role {
        None => (read(&home.kubeconfig())?, home.kubeconfig()),
        Some(role) => {
            let (text, until) = issue(&home, role, lasts, options.renew).await?;
            let place = home.root().join(format!("kubeconfig-{}", role.name()));
            write(&place, &text)?;
            call.notes().say(&format!(
                "role {}, good until {until}; to end it and all before it: `windlass kubeconfig --role {} --renew`",
                role.name(),
                role.name()
            ));
            (text, place)
        }
    };
    if let Some(file) = &options.output {
        write(&call.env.absolute(file.clone()), &text)?;
    } else if options.path {
        out::data(&format!("{}\n", place.display()))?;
    } else {
        out::data(&text)?;
    }
    Ok(Exit::OK)
}

/// The owner's credential neither ends nor is made anew while the engine runs.
fn owners_own(options: &Kubeconfig, home: &Home) -> Outcome<()> {
    if options.expires_in.is_some() {
        return Err(Failure::new("--expires-in", "the owner's credential does not expire")
            .way_out("name a role: --role submit, --role read"));
    }
    if options.renew {
        let file = home.root().join("credentials.json");
        return Err(Failure::new("--renew", "the owner's credential is part of the engine's identity")
            .way_out(format!("`windlass down --leave`, remove {}, `windlass up`", file.display())));
    }
    Ok(())
}

/// A new credential of a role: a kubeconfig and when it ends. `renew` ends all that were given before.
async fn issue(home: &Home, role: Role, lasts: Duration, renew: bool) -> Outcome<(String, String)> {
    let place = format!("the credential of the role {}", role.name());
    let fault = |error: kube::Error| match error {
        kube::Error::Api(status) => Failure::new(place.clone(), status.message),
        other => Failure::new(place.clone(), other),
    };
    let owner = read(&home.kubeconfig())?;
    let source = Source::Yaml { text: owner.clone(), context: None };
    let connection = windlass::connect(&source).await.map_err(|error| Failure::new(place.clone(), error))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(connection.client, Role::NAMESPACE);
    let name = role.account();
    if renew {
        // Tokens name their service account by its uid: they end with it.
        match accounts.delete(&name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => _ = other.map_err(fault)?,
        }
    }
    match accounts.create(&PostParams::default(), &account(role)).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        other => _ = other.map_err(fault)?,
    }
    let spec = TokenRequestSpec {
        expiration_seconds: Some(i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX)),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let issued =
        accounts.create_token_request(&name, &PostParams::default(), &request).await.map_err(fault)?;
    let status = issued.status.unwrap_or_default();
    let (Some(token), Some(until)) = (status.token, status.expiration_timestamp) else {
        return Err(Failure::new(place, "the engine's answer holds no token"));
    };
    let text = with_token(&owner, role, &token).ok_or_else(|| {
        Failure::new(home.kubeconfig().display().to_string(), "is not as the engine writes it")
    })?;
    Ok((text, until.0.to_string()))
}

/// The service account of a role.
fn account(role: Role) -> ServiceAccount {
    let labels = [(Role::LABEL.to_owned(), role.name().to_owned())];
    let metadata =
        ObjectMeta { name: Some(role.account()), labels: Some(labels.into()), ..ObjectMeta::default() };
    ServiceAccount { metadata, ..ServiceAccount::default() }
}

/// The owner's kubeconfig with another credential. None if it is no kubeconfig.
fn with_token(owner: &str, role: Role, token: &str) -> Option<String> {
    let mut config: Value = serde_saphyr::from_str(owner).ok()?;
    let name = role.account();
    let cluster = config["clusters"][0]["name"].clone();
    let map = config.as_object_mut()?;
    map.insert("users".to_owned(), json!([{"name": name, "user": {"token": token}}]));
    let context = json!({"cluster": cluster, "user": name, "namespace": "default"});
    map.insert("contexts".to_owned(), json!([{"name": name, "context": context}]));
    map.insert("current-context".to_owned(), name.into());
    serde_saphyr::to_string(&config).ok()
}

fn read(place: &Path) -> Outcome<String> {
    std::fs::read_to_string(place).map_err(|error| Failure::new(place.display().to_string(), error))
}

/// Writes a file that only its owner may read, whole or not at all.
fn write(place: &Path, text: &str) -> Outcome<()> {
    let mut draft = place.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let written = || {
        // A draft that was left behind may have another mode.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
        std::fs::rename(&draft, place)
    };
    written().map_err(|error: std::io::Error| Failure::new(place.display().to_string(), error))
}
