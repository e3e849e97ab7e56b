//! The description of the API, held against the contract and against the hub itself.

mod answers;
mod description;
mod page;
mod routes;
mod shapes;
