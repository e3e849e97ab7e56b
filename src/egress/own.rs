//! Which addresses are this machine's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Any port would do: nothing is sent.
const PORT: u16 = 9;

/// Whether an address is one of this machine's. What goes to one of its own, the system sends from that very address, so
/// it is asked where a datagram would leave from. One that a router maps to this machine is not known here.
pub(super) fn is_ours(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, PORT))?;
        socket.local_addr()
    });
    // Where there is no way to it, it is not here.
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_addresses_are_known_and_no_others() {
        for ours in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(is_ours(ours.parse().unwrap()), "{ours}");
        }
        for not_ours in ["192.0.2.1", "2001:db8::1", "1.1.1.1"] {
            assert!(!is_ours(not_ours.parse().unwrap()), "{not_ours}");
        }
    }
}
