//! The life of a namespace: what it is given, and how it empties itself.
