//! The chosen cluster: whether it is there, who is asked for, what may be done. An engine that does not run is not
//! started.

use jiff::Timestamp;
use windlass::{Check, JobManager, Source, Standing};

use super::{Finding, Level};
use crate::cluster::choose::Cluster;
use crate::cluster::{self, Call};
use crate::fail::Outcome;
use crate::{age, clock, daemon};

/// Credentials that end sooner than this, seconds, are worth a word.
const SOON: i64 = 24 * 3600;
/// Clocks that differ by more than this, seconds, make times hard to read; by more than the second, logins fail.
const APART: (i64, i64) = (5, 60);

pub(super) async fn findings(call: Call<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(failure) = look(call, &mut findings).await {
        let text = failure.to_string().replace('\n', " ");
        findings.push(Finding::new(Level::Problem, "cluster", text.trim_start_matches("windlass: ")));
    }
    findings
}

async fn look(call: Call<'_>, findings: &mut Vec<Finding>) -> Outcome<()> {
    const WHAT: &str = "cluster";
    let home = call.home()?;
    let choice = call.choice(&home)?;
    let source = match &choice.cluster {
        Cluster::Local => match daemon::find(&home).await? {
            None => {
                let text =
                    "the engine of this machine does not run; the first command that needs it starts it";
                findings.push(Finding::new(Level::Ok, WHAT, text));
                return Ok(());
            }
            Some(_) => Source::Files { paths: vec![home.kubeconfig()], context: None },
        },
        Cluster::Context { kubeconfig, name } => {
            Source::Files { paths: cluster::present(kubeconfig)?, context: name.clone() }
        }
    };
    findings.push(credentials(&source, clock::now()));
    let connection = windlass::connect(&source).await.map_err(|error| cluster::unusable(&choice, &error))?;
    let mut manager = JobManager::of(&connection);
    if let Some(namespace) = &call.common.namespace {
        manager = manager.in_namespace(namespace);
    }
    let facts = manager.facts().await?;
    let name = match &choice.cluster {
        Cluster::Local => "the engine of this machine".to_owned(),
        Cluster::Context { .. } => format!("context {:?}", connection.context),
    };
    findings.push(Finding::new(Level::Ok, WHAT, format!("{name} answers: Kubernetes {}", facts.version)));
    findings.push(skew(facts.skew_s));
    findings.extend(manager.checkup().await.into_iter().map(finding));
    Ok(())
}

fn credentials(source: &Source, now: Timestamp) -> Finding {
    const WHAT: &str = "credentials";
    let credentials = match windlass::connect::credentials(source) {
        Ok(credentials) => credentials,
        Err(error) => return Finding::new(Level::Problem, WHAT, error.to_string()),
    };
    let kind = credentials.kind;
    let Some(end) = credentials.expires else {
        return Finding::new(Level::Ok, WHAT, format!("{kind}, without an end"));
    };
    match end.as_second() - now.as_second() {
        left if left <= 0 => Finding::new(
            Level::Problem,
            WHAT,
            format!("{kind} ended {} ago; log in again", age::human(-left)),
        ),
        left if left < SOON => Finding::new(
            Level::Warning,
            WHAT,
            format!("{kind} ends in {}; log in again before a long run", age::human(left)),
        ),
        left => Finding::new(Level::Ok, WHAT, format!("{kind}, good for {}", age::human(left))),
    }
}

fn skew(seconds: Option<i64>) -> Finding {
    const WHAT: &str = "clock";
    let Some(seconds) = seconds else {
        return Finding::new(Level::Ok, WHAT, "the cluster does not tell its time");
    };
    let way_out = "set this machine's clock (timedatectl set-ntp true)";
    let side = if seconds > 0 { "behind" } else { "before" };
    match seconds.abs() {
        apart if apart >= APART.1 => Finding::new(
            Level::Problem,
            WHAT,
            format!(
                "is {} {side} the cluster's: logins and certificates may fail; {way_out}",
                age::human(apart)
            ),
        ),
        apart if apart >= APART.0 => Finding::new(
            Level::Warning,
            WHAT,
            format!("is {} {side} the cluster's; {way_out}", age::human(apart)),
        ),
        _ => Finding::new(Level::Ok, WHAT, "goes as the cluster's"),
    }
}

fn finding(check: Check) -> Finding {
    let level = match check.standing {
        Standing::Ok => Level::Ok,
        Standing::Problem => Level::Problem,
        Standing::Unknown => Level::Warning,
    };
    Finding { level, what: check.what, text: check.text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_by_how_much_it_matters() {
        assert_eq!(skew(Some(1)).level, Level::Ok);
        assert!(skew(Some(10)).text.starts_with("is 10s behind"));
        assert_eq!(skew(Some(-3600)).level, Level::Problem);
        assert_eq!(skew(None).level, Level::Ok);
    }

    #[test]
    fn credentials_that_end_soon_are_told() {
        let at = |exp: i64| {
            let text = format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
                 users: [{{name: u, user: {{token: 'x.{}.y'}}}}]\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n",
                // {"exp":N} in base64url without padding, by hand: the client's own tests have the rest.
                encode(&format!("{{\"exp\":{exp}}}"))
            );
            credentials(&Source::Yaml { text, context: None }, Timestamp::from_second(1_000_000).unwrap())
        };
        assert_eq!(at(999_000).level, Level::Problem);
        assert_eq!(at(1_003_600).level, Level::Warning);
        assert!(at(9_000_000).text.contains("good for 92d"), "{:?}", at(9_000_000));
    }

    fn encode(text: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let letters = |chunk: &[u8]| {
            let bits =
                chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..=chunk.len())
                .map(move |place| char::from(LETTERS[(bits >> (18 - 6 * place)) as usize & 63]))
                .collect::<String>()
        };
        text.as_bytes().chunks(3).map(letters).collect()
    }
}
