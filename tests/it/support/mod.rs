//! What tests share: a real hub with doubles at the other end, devices that behave, a client, and the only wait.

pub mod child;
pub mod device;
pub mod http;
pub mod hub;
pub mod people;
pub mod random;
pub mod raw;
pub mod sse;
pub mod wait;

pub use child::ChildHub;
pub use device::TestDevice;
pub use http::{Answer, Client};
pub use hub::TestHub;
pub use random::Random;
pub use sse::Sse;
pub use wait::eventually;
