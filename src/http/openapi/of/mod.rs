//! What describes each operation, by the door that it is behind.

pub(in crate::http) mod anyone;
pub(in crate::http) mod app_client;
pub(in crate::http) mod app_server;
