//! Connections at the same time: in all, and from one address.
//!
//! Invariant: a connection is counted exactly as long as its [`Seat`] lives.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::addresses::Networks;

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    NotAllowed,
    TooMany,
    TooManyFromThere,
}

/// The connections of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    networks: Arc<Networks>,
    max: usize,
    max_each: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A connection's place.
#[derive(Debug)]
pub(crate) struct Seat {
    address: IpAddr,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    pub(crate) fn new(networks: Arc<Networks>, max: usize, max_each: usize) -> Self {
        Self { networks, max, max_each, open: Arc::default() }
    }

    pub(super) fn admit(&self, address: IpAddr) -> Result<Seat, Closed> {
        let address = address.to_canonical();
        if !self.networks.allow(address) {
            return Err(Closed::NotAllowed);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.max {
            return Err(Closed::TooMany);
        }
        let from_there = open.by_address.entry(address).or_default();
        if *from_there >= self.max_each {
            return Err(Closed::TooManyFromThere);
        }
        *from_there += 1;
        open.all += 1;
        Ok(Seat { address, open: self.open.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_all_and_by_address_and_given_back() {
        let denied = Networks::parse(&[], &["10.0.0.9".to_owned()]).unwrap();
        let connections = Connections::new(Arc::new(denied), 3, 2);
        let [a, b, c, denied] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9"].map(|text| text.parse().unwrap());
        let mut seats = vec![connections.admit(a).unwrap(), connections.admit(a).unwrap()];
        assert_eq!(connections.admit(a).unwrap_err(), Closed::TooManyFromThere);
        assert_eq!(connections.admit("::ffff:10.0.0.1".parse().unwrap()).unwrap_err(), Closed::TooManyFromThere);
        assert_eq!(connections.admit(denied).unwrap_err(), Closed::NotAllowed);
        seats.push(connections.admit(b).unwrap());
        assert_eq!(connections.admit(c).unwrap_err(), Closed::TooMany);
        seats.clear();
        assert!(connections.admit(a).is_ok());
        assert!(connections.open.lock().unwrap().by_address.is_empty());
    }
}
