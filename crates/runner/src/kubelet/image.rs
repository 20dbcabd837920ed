//! What is told of a container whose image is not there.
//!
//! Source: upstream pkg/kubelet/images/image_manager.go (what each pull tells) and
//! pkg/kubelet/kuberuntime/kuberuntime_container.go (`Error: ...`).

use super::News;

/// Whether a waiting state's reason is about an image.
pub(super) fn is_about(reason: &str) -> bool {
    matches!(reason, "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName")
}

/// The events when a container begins to wait for such a reason.
pub(super) fn events(reason: &str, image: &str, message: &str) -> Vec<News> {
    let mut events = match reason {
        "ErrImagePull" => vec![
            News::normal("Pulling", format!("Pulling image {image:?}")),
            News::warning("Failed", format!("Failed to pull image {image:?}: {message}")),
        ],
        "ImagePullBackOff" => {
            vec![News::normal("BackOff", format!("Back-off pulling image {image:?}"))]
        }
        "ErrImageNeverPull" => vec![News::warning("ErrImageNeverPull", message)],
        _ => vec![News::warning("InspectFailed", message)],
    };
    events.push(News::warning("Failed", format!("Error: {reason}")));
    events
}
