//! `windlass kubeconfig`: how any Kubernetes client reaches the engine of this machine.

use crate::args::low::Kubeconfig;
use crate::cluster::Call;
use crate::daemon;
use crate::exit::Exit;
use crate::fail::{Failure, Outcome};
use crate::out;

/// Prints the kubeconfig or its path. The engine is started: a kubeconfig that leads nowhere is of no use.
pub(crate) async fn run(options: &Kubeconfig, call: Call<'_>) -> Outcome {
    let home = call.home()?;
    daemon::ensure(&home, call.env, call.notes()).await?;
    let place = home.kubeconfig();
    let text = if options.path {
        format!("{}\n", place.display())
    } else {
        std::fs::read_to_string(&place).map_err(|error| Failure::new(place.display().to_string(), error))?
    };
    out::data(&text)?;
    Ok(Exit::OK)
}
