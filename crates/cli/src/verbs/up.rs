//! `windlass up`: start the engine of this machine.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use windlass_engine::{Images, Running};

use super::{claims, ephemeral, install, resources};
use crate::args::high::{Service, UpOptions};
use crate::cluster::{self, Call};
use crate::daemon::{self, Boot};
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};

/// Starts it, or finds that it runs as asked for.
pub(crate) async fn run(options: &UpOptions, call: Call<'_>) -> Outcome {
    if let Some(command) = &options.ephemeral {
        return ephemeral::run(options, command, call).await;
    }
    let home = call.home()?;
    let images = options.images.unwrap_or_default();
    let boot = Boot {
        home: home.root().to_owned(),
        listen: options.listen,
        images,
        idle_exit_s: options.idle_exit.map(|after| after.as_secs()),
    };
    match options.service {
        Some(Service::Install) => {
            let exit = install::install(&boot, &home, call).await?;
            resources::ensure(&options.resources, &home, call).await?;
            return Ok(exit);
        }
        Some(Service::Uninstall) => return install::uninstall(&home, call).await,
        None => {}
    }
    if let Some(running) = daemon::find(&home).await?
        && cluster::serves(&home).await
    {
        already(options, &running, call)?;
        resources::ensure(&options.resources, &home, call).await?;
        return claims::ensure(&options.claims, &home, call).await;
    }
    if options.foreground {
        let starter = daemon::starting(&home, true).await?;
        let ready = || {
            drop(starter);
            if let Some(running) = home.running() {
                call.notes().say(&format!("{}; Ctrl-C ends it", ready_words(&running)));
            }
        };
        return daemon::foreground(&boot, call.env, ready).await;
    }
    let running = daemon::start(&home, call.env, &boot).await?;
    if differs(options, &running) {
        return already(options, &running, call);
    }
    call.notes().say(&ready_words(&running));
    resources::ensure(&options.resources, &home, call).await?;
    claims::ensure(&options.claims, &home, call).await
}

/// What is told of an engine that is ready.
pub(super) fn ready_words(running: &Running) -> String {
    let images = match running.images {
        Images::Refuse => "",
        Images::Host => "; commands of images run on this host, nothing is isolated",
    };
    format!("the engine is ready at https://{} (pid {}){images}", running.address, running.pid)
}

/// Whether an engine runs otherwise than asked for.
fn differs(options: &UpOptions, running: &Running) -> bool {
    options.images.is_some_and(|images| images != running.images)
        || options.listen.is_some_and(|listen| listen != running.address)
        || options.idle_exit.is_some_and(|after| running.idle_exit_s != Some(after.as_secs()))
}

/// It runs already: good if it is what was asked for.
fn already(options: &UpOptions, running: &Running, call: Call<'_>) -> Outcome {
    if differs(options, running) || options.foreground {
        let cause = format!("it runs already, at https://{} (pid {})", running.address, running.pid);
        return Err(Failure::new("the engine", cause)
            .way_out("`windlass down` first; `windlass down --leave` keeps its pods running meanwhile"));
    }
    if options.idle_exit.is_none() && running.idle_exit_s.is_some() {
        // Whoever starts it by hand wants it to stay, whoever started it before.
        kill(Pid::from_raw(running.pid), Signal::SIGUSR2)
            .map_err(|error| Failure::new(format!("the engine (pid {})", running.pid), error))?;
    }
    call.notes().say(&ready_words(running));
    Ok(Exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_can_differ() {
        let running = Running {
            pid: 1,
            address: "127.0.0.1:6443".parse().unwrap(),
            version: "0".into(),
            images: Images::Host,
            started: String::new(),
            idle_exit_s: None,
            resting: false,
            notes: Default::default(),
        };
        let asked = |images, listen: Option<&str>| UpOptions {
            images,
            listen: listen.map(|text| text.parse().unwrap()),
            foreground: false,
            idle_exit: None,
            ephemeral: None,
            service: None,
            claims: Vec::new(),
            resources: Default::default(),
        };
        assert!(!differs(&asked(None, None), &running));
        assert!(!differs(&asked(Some(Images::Host), Some("127.0.0.1:6443")), &running));
        assert!(differs(&asked(Some(Images::Refuse), None), &running));
        assert!(differs(&asked(None, Some("127.0.0.1:1")), &running));
    }
}
