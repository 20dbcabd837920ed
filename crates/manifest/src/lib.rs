//! windlass-manifest
