//! The API as clients see it: a server over a store in memory, asked in the process or over TLS.

#![allow(clippy::needless_pass_by_value, reason = "bodies are written where they are sent")]

mod alike;
mod applies;
mod attach;
mod deletes;
mod discovery;
mod doors;
mod hostile;
mod lists;
mod objects;
mod options;
mod properties;
mod rights;
mod support;
mod tls;
mod unread;
mod watch_sockets;
mod watchers;
mod watches;
mod websocket;
