//! The doubles from outside: every request is made by hand, signed and encrypted by other code than checks it.

mod api;
mod apns;
mod certificates;
mod drafts;
mod faults;
mod fcm;
mod frames;
mod known;
mod life;
mod strikes;
mod support;
mod transport;
mod vectors;
mod web_push;
mod wns;
