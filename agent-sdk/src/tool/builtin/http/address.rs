//! Which addresses are somebody's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Public,
    /// Machines of one's own, which may be meant: said in words.
    Private(&'static str),
    /// What a tool has no business with, or what hides an address in another: said in words.
    Special(&'static str),
}

const LOOPBACK: &str = "this machine itself";
const PRIVATE: &str = "a private network";
const SHARED: &str = "a network that a provider shares";
const LINK: &str = "the local link";
const METADATA: &str = "a machine's metadata service";
const THIS: &str = "no machine";
const ASSIGNED: &str = "a range for protocols";
const DOCUMENTS: &str = "a range for documentation";
const BENCHMARKS: &str = "a range for benchmarks";
const MULTICAST: &str = "many machines at once";
const RESERVED: &str = "a reserved range";
const HIDDEN: &str = "an address inside which another stands that is not public";

/// The first range that an address is in decides.
const V4: &[([u8; 4], u32, Reach)] = &[
    ([169, 254, 169, 254], 32, Reach::Special(METADATA)),
    ([169, 254, 170, 2], 32, Reach::Special(METADATA)),
    ([100, 100, 100, 200], 32, Reach::Special(METADATA)),
    ([192, 0, 0, 192], 32, Reach::Special(METADATA)),
    ([168, 63, 129, 16], 32, Reach::Special(METADATA)),
    ([0, 0, 0, 0], 8, Reach::Special(THIS)),
    ([10, 0, 0, 0], 8, Reach::Private(PRIVATE)),
    ([100, 64, 0, 0], 10, Reach::Private(SHARED)),
    ([127, 0, 0, 0], 8, Reach::Private(LOOPBACK)),
    ([169, 254, 0, 0], 16, Reach::Special(LINK)),
    ([172, 16, 0, 0], 12, Reach::Private(PRIVATE)),
    ([192, 0, 0, 0], 24, Reach::Special(ASSIGNED)),
    ([192, 0, 2, 0], 24, Reach::Special(DOCUMENTS)),
    ([192, 88, 99, 0], 24, Reach::Special(ASSIGNED)),
    ([192, 168, 0, 0], 16, Reach::Private(PRIVATE)),
    ([198, 18, 0, 0], 15, Reach::Special(BENCHMARKS)),
    ([198, 51, 100, 0], 24, Reach::Special(DOCUMENTS)),
    ([203, 0, 113, 0], 24, Reach::Special(DOCUMENTS)),
    ([224, 0, 0, 0], 4, Reach::Special(MULTICAST)),
    ([240, 0, 0, 0], 4, Reach::Special(RESERVED)),
];

/// As [`V4`], of the addresses that hold no other.
const V6: &[([u16; 8], u32, Reach)] = &[
    (
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0],
        32,
        Reach::Special(METADATA),
    ),
    (
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0],
        32,
        Reach::Special(METADATA),
    ),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Reach::Private(LOOPBACK)),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Reach::Special(THIS)),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Reach::Private(PRIVATE)),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Reach::Special(LINK)),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Reach::Special(MULTICAST)),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Reach::Special(ASSIGNED)),
    (
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0],
        32,
        Reach::Special(DOCUMENTS),
    ),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Reach::Special(DOCUMENTS)),
    // What is not listed above is public in here and nowhere else.
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Reach::Public),
];

/// Whether an address is one of the public internet.
///
/// It is not where it is in a private, shared, local, reserved or documented range, is multicast or broadcast, or is a cloud's metadata
/// service; nor where such an address is written inside it: mapped to IPv6, or by 6to4, NAT64, ISATAP.
pub fn is_public(address: IpAddr) -> bool {
    reach(address) == Reach::Public
}

fn reach(address: IpAddr) -> Reach {
    let address = match address {
        IpAddr::V4(address) => return reach_v4(address),
        IpAddr::V6(address) => address,
    };
    let of = |range: &&([u16; 8], u32, Reach)| {
        let (start, length, _) = **range;
        let start = Ipv6Addr::from(start).to_bits();
        (address.to_bits() ^ start).leading_zeros() >= length
    };
    let own = V6.iter().find(of).map(|(_, _, reach)| *reach);
    match (inside(address), own) {
        // The system opens a connection to the IPv4 address itself.
        (Some((Form::Mapped, inside)), _) => reach_v4(inside),
        (Some((_, inside)), _) if reach_v4(inside) != Reach::Public => Reach::Special(HIDDEN),
        (Some((Form::Nat64, _)), _) => Reach::Public,
        (_, own) => own.unwrap_or(Reach::Special(RESERVED)),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let of = |range: &&([u8; 4], u32, Reach)| {
        let (start, length, _) = **range;
        let start = Ipv4Addr::from(start).to_bits();
        (address.to_bits() ^ start).leading_zeros() >= length
    };
    V4.iter()
        .find(of)
        .map_or(Reach::Public, |(_, _, reach)| *reach)
}

/// How an IPv4 address stands in one of IPv6.
enum Form {
    Mapped,
    Nat64,
    Other,
}

fn inside(address: Ipv6Addr) -> Option<(Form, Ipv4Addr)> {
    let (form, high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => (Form::Mapped, high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (Form::Nat64, high, low),
        [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low] => (Form::Other, high, low),
        _ => return None,
    };
    let bits = (u32::from(high) << 16) | u32::from(low);
    Some((form, Ipv4Addr::from_bits(bits)))
}

/// The addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    start: IpAddr,
    length: u32,
}

impl Network {
    /// `10.0.0.0/8`, `fd00::/8`, or one address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (start, length) = match text.split_once('/') {
            Some((start, length)) => (start, Some(length)),
            None => (text, None),
        };
        let start: IpAddr = start.trim().parse().ok()?;
        let most = if start.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length
                .trim()
                .parse()
                .ok()
                .filter(|length| *length <= most)?,
            None => most,
        };
        Some(Self { start, length })
    }

    fn holds(self, address: IpAddr) -> bool {
        let alike = match (self.start, address.to_canonical()) {
            (IpAddr::V4(start), IpAddr::V4(address)) => {
                (start.to_bits() ^ address.to_bits()).leading_zeros()
            }
            (IpAddr::V6(start), IpAddr::V6(address)) => {
                (start.to_bits() ^ address.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        alike >= self.length
    }
}

/// Which addresses a connection may be made to.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy {
    pub(super) networks: Vec<Network>,
    /// Whether private ones may be used.
    pub(super) private: bool,
}

impl Policy {
    /// `Err` says in words where the address leads.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        match reach(address) {
            Reach::Public => Ok(()),
            Reach::Private(_) if self.private => Ok(()),
            _ if self.networks.iter().any(|network| network.holds(address)) => Ok(()),
            Reach::Private(what) | Reach::Special(what) => Err(what),
        }
    }
}
