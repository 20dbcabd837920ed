//! Words that people write for small things: spans of time, names, mounts, tolerations.

use windlass_model::{JobName, SubmissionId, duration, label};

use crate::edit::{EnvObject, EnvSource, Mount, Toleration, VolumeSource};
use crate::tasks::Indexes;

/// What is read can be written and means the same then; what is nearest to a text is allowed; sets of indexes have what
/// they list.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(span) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::format(span)), Ok(span), "{text:?}");
    }
    if let Some(near) = JobName::near(text) {
        assert_eq!(JobName::parse(near.as_str()).as_ref(), Ok(&near), "{text:?}");
    }
    assert!(JobName::parse(text).is_err() || JobName::near(text).is_some(), "{text:?}");
    if let Ok(id) = SubmissionId::parse(text) {
        assert_eq!(id.numbered(1).as_ref(), Ok(&id));
        assert!(id.numbered(usize::MAX).is_err() || text.len() < 60);
    }
    assert!(label::is_value(&label::nearest_value(text)), "{text:?}");
    if let Ok(Toleration { key, operator, value, .. }) = Toleration::parse(text) {
        assert_eq!(value.is_none(), operator.as_deref() == Some("Exists"));
        assert!(key.is_some() || value.is_none(), "every key has no value: {text:?}");
    }
    if let Ok(EnvObject::Secret(name) | EnvObject::ConfigMap(name)) = EnvObject::parse(text) {
        assert!(label::is_subdomain(&name), "{text:?}");
    }
    assert_eq!(EnvSource::secret(text).is_ok(), EnvSource::config_map(text).is_ok());
    if let Ok(mount) = Mount::parse(text) {
        assert!(mount.path.starts_with('/'), "{text:?}");
        if let VolumeSource::Claim(name) | VolumeSource::ConfigMap(name) | VolumeSource::Secret(name) =
            &mount.source
        {
            assert!(label::is_subdomain(name), "{text:?}");
        }
    }
    let indexes = Indexes::parse(text);
    let mut listed = 0;
    for index in indexes.iter().take(1000) {
        assert!(indexes.contains(index), "{index} of {text:?}");
        listed += 1;
    }
    assert!(indexes.count() >= listed && (listed == 1000 || indexes.count() == listed), "{text:?}");
}
