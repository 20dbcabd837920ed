//! Retention: when a finished Job is deleted (ttlSecondsAfterFinished).
