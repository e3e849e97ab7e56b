//! From a host to its addresses.

use std::{fmt, io, net::IpAddr, sync::Arc};

/// Who answers look-ups of names.
#[derive(Clone, Default)]
pub enum Resolver {
    /// The machine's own resolver, asked anew for every connection.
    #[default]
    System,
    /// A function in its place: a test that moves a name from one address to another.
    Function(Arc<LookUp>),
}

/// Answers a name (never an address) with its addresses.
pub type LookUp = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

impl Resolver {
    /// The addresses of `host` as a URL writes it: a name, an IPv4 address, or an IPv6 address in brackets. Addresses
    /// are taken as they are.
    ///
    /// # Errors
    /// The machine's own, when the name cannot be looked up; an empty answer is none.
    pub async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        match self {
            Self::System => {
                let found = tokio::net::lookup_host((bare, 0)).await?;
                Ok(found.map(|socket| socket.ip()).collect())
            }
            Self::Function(look_up) => Ok(look_up(bare)),
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Function(_) => "Function(…)",
        })
    }
}
