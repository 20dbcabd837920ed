// What every example of the documentation runs on: an engine of its own, in a temporary folder, ended with it. It is
// included into the examples.

/// Runs an example with a manager of the engine's jobs, and a folder for its files.
fn with_engine(
    example: impl AsyncFnOnce(windlass::JobManager, std::path::PathBuf) -> Result<(), Box<dyn std::error::Error>>,
) {
    use windlass_engine::{Config, Engine, Home, StopPods, StoreKind};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config::new(Home::at(folder.path().join("home")), windlass_runner::testing::shim_argv());
    config.store = StoreKind::Memory;
    let path = "/usr/local/bin:/usr/bin:/bin".to_owned();
    config.environment = vec![("PATH".to_owned(), path), ("HOME".to_owned(), folder.path().display().to_string())];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    runtime.expect("a runtime").block_on(async {
        let engine = Engine::start(config).await.expect("the engine starts");
        let jobs = windlass::JobManager::new(engine.client(), "default");
        let result = example(jobs, folder.path().to_owned()).await;
        engine.stop(StopPods::End).await;
        result.expect("the example works");
    });
}
