//! What is told of a container whose image is not there.
//!
//! Source: upstream pkg/kubelet/images/image_manager.go (what each pull tells) and
//! pkg/kubelet/kuberuntime/kuberuntime_container.go (`Error: ...`).

use super::EventType;

/// Whether a waiting state's reason is about an image.
pub(super) fn is_about(reason: &str) -> bool {
    matches!(reason, "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName")
}

/// The events when a container begins to wait for such a reason.
pub(super) fn events(reason: &str, image: &str, message: &str) -> Vec<(EventType, &'static str, String)> {
    let mut events = match reason {
        "ErrImagePull" => vec![
            (EventType::Normal, "Pulling", format!("Pulling image {image:?}")),
            (EventType::Warning, "Failed", format!("Failed to pull image {image:?}: {message}")),
        ],
        "ImagePullBackOff" => {
            vec![(EventType::Normal, "BackOff", format!("Back-off pulling image {image:?}"))]
        }
        "ErrImageNeverPull" => vec![(EventType::Warning, "ErrImageNeverPull", message.to_owned())],
        _ => vec![(EventType::Warning, "InspectFailed", message.to_owned())],
    };
    events.push((EventType::Warning, "Failed", format!("Error: {reason}")));
    events
}
