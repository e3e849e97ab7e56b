//! Strict stand-ins for the four push services.
