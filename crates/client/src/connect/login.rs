//! Which login a kubeconfig's credentials come from, in words that say what to renew.

use kube::config::AuthInfo;

/// What to do when these credentials are no longer accepted.
pub(super) fn words(auth: &AuthInfo, place: &str) -> String {
    if let Some(exec) = &auth.exec {
        let command = exec.command.as_deref().unwrap_or("an exec plugin");
        // The words that name what it does; from the first option on there may be secrets.
        let arguments = exec.args.iter().flatten().map(String::as_str);
        let arguments = arguments.take_while(|argument| !argument.starts_with('-'));
        let line: Vec<&str> = std::iter::once(command).chain(arguments).collect();
        return format!("renew the login behind `{}`", line.join(" "));
    }
    if let Some(provider) = &auth.auth_provider {
        return format!("renew the {} login of {place}", provider.name);
    }
    if auth.token.is_some() {
        return format!("put a new token into {place}");
    }
    if let Some(file) = &auth.token_file {
        return format!("renew the token in {file}");
    }
    if auth.client_certificate.is_some() || auth.client_certificate_data.is_some() {
        return format!("renew the client certificate of {place}");
    }
    "log in again".to_owned()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[track_caller]
    fn check(auth: &str, expected: &str) {
        let auth = serde_json::from_str(auth).unwrap();
        assert_eq!(words(&auth, "/k"), expected);
    }

    #[test]
    fn each_kind_of_credentials_names_what_to_renew() {
        check(r#"{"token":"t"}"#, "put a new token into /k");
        check(r#"{"tokenFile":"/run/token"}"#, "renew the token in /run/token");
        check(r#"{"client-certificate-data":"x"}"#, "renew the client certificate of /k");
        check(
            r#"{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"aws","args":["eks","get-token"]}}"#,
            "renew the login behind `aws eks get-token`",
        );
        check("{}", "log in again");
    }

    #[test]
    fn what_may_be_secret_is_not_named() {
        check(
            r#"{"exec":{"command":"kubectl","args":["oidc-login","get-token","--oidc-client-secret=s3cret","-x","s"]}}"#,
            "renew the login behind `kubectl oidc-login get-token`",
        );
    }
}
