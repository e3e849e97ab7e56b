//! Which addresses are this machine's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether an address is one of this machine's, or leads there through a translator of addresses (NAT64, RFC 6052; 6to4,
/// RFC 3056). One that a router maps to this machine is not known here.
pub(super) fn is_ours(address: IpAddr) -> bool {
    let address = address.to_canonical();
    is_local(address) || within(address).is_some_and(is_local)
}

/// The system lets a socket be bound to an address of its own alone, unless it was set up for any: then what goes to its
/// own leaves from that very address, though not from a second one of the same network.
fn is_local(address: IpAddr) -> bool {
    let nowhere: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    match can_bind(address) && !can_bind(nowhere) {
        true => true,
        false => leaves_from(address) == Some(address),
    }
}

fn can_bind(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// Where a datagram to an address would leave from; nothing is sent, so any port would do.
fn leaves_from(address: IpAddr) -> Option<IpAddr> {
    const PORT: u16 = 9;
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    // Where there is no way to it, it is not here.
    socket.connect(SocketAddr::new(address, PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The IPv4 address that an address of a translator holds.
fn within(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else {
        return None;
    };
    let bytes = v6.octets();
    let from = match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => 12,
        [0x2002, ..] => 2,
        _ => return None,
    };
    let inner: [u8; 4] = bytes.get(from..from + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(inner).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_addresses_are_known_and_no_others() {
        for ours in [
            "127.0.0.1",
            // Not the address that what goes to it leaves from, as with a second one of a network.
            "127.8.8.8",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(is_ours(ours.parse().unwrap()), "{ours}");
        }
        for not_ours in ["192.0.2.1", "2001:db8::1", "1.1.1.1", "64:ff9b::101:101"] {
            assert!(!is_ours(not_ours.parse().unwrap()), "{not_ours}");
        }
    }
}
