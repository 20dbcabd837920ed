//! Who the engine is and who may speak to it: its own certificate authority, its certificate, the
//! administrator's token, and the kubeconfig that carries them.
