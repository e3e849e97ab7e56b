//! The door as callers see it.

mod bodies;
mod clients;
mod doors;
mod graph;
mod streams;
mod support;
