//! What is told of a pod and its containers, as events. Who writes them down knows how many are too many.

use super::view::{Kind, PodView};

/// Something to be told of a pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct News {
    /// Whether somebody should look.
    pub kind: EventType,
    /// Why, in one word.
    pub reason: &'static str,
    /// What.
    pub message: String,
    /// The container it speaks of, if not of the pod as a whole.
    pub container: Option<String>,
}

/// Normal or Warning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

impl News {
    /// Something that is as it should be.
    #[must_use]
    pub fn normal(reason: &'static str, message: impl Into<String>) -> News {
        News { kind: EventType::Normal, reason, message: message.into(), container: None }
    }

    /// Something that somebody should look at.
    #[must_use]
    pub fn warning(reason: &'static str, message: impl Into<String>) -> News {
        News { kind: EventType::Warning, ..News::normal(reason, message) }
    }

    /// The same of a container.
    #[must_use]
    pub fn of(self, container: &str) -> News {
        News { container: Some(container.to_owned()), ..self }
    }

    /// Where in the pod that is what it speaks of (upstream: `fieldPath` in pkg/kubelet/container/ref.go).
    #[must_use]
    pub fn field_path<'a>(&self, pod: impl Into<PodView<'a>>) -> Option<String> {
        let name = self.container.as_deref()?;
        let containers = pod.into().containers();
        let list = match containers.iter().find(|container| container.name == name)?.kind {
            Kind::App => "containers",
            Kind::Init | Kind::Sidecar => "initContainers",
        };
        Some(format!("spec.{list}{{{name}}}"))
    }
}
