//! How many connections a service takes, all together and from one address. Limits may change
//! while connections run.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use angarium_objects::network::Network;
use angarium_objects::spelling::Limit;

use super::Module;

/// Connections from one address to one service at a time when its settings say nothing; this
/// machine itself is not counted.
const PER_ADDRESS: usize = 200;

/// What a service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most connections at a time; 0 is none at all.
    pub(crate) channels: usize,
    /// Most connections from one address at a time.
    pub(crate) per_address: usize,
}

fn number(limit: Option<Limit>, usual: usize) -> usize {
    match limit {
        None => usual,
        Some(Limit::Of(most)) => usize::try_from(most).unwrap_or(usize::MAX),
        Some(Limit::Unlimited) => usize::MAX,
    }
}

impl Limits {
    /// What the settings say, or the built-in values.
    pub(crate) fn of(module: &Module, channels: Option<Limit>, per: Option<Limit>) -> Self {
        Self { channels: number(channels, module.channels), per_address: number(per, PER_ADDRESS) }
    }
}

struct Taken {
    limits: Limits,
    all: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// The counter of one service, shared by its listeners.
pub(crate) struct Gate {
    taken: Mutex<Taken>,
    /// Load balancers.
    trusted: RwLock<Vec<Network>>,
}

/// One connection's place; given back when dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    pub(crate) fn new(module: &Module) -> Self {
        let limits = Limits::of(module, None, None);
        let taken = Taken { limits, all: 0, addresses: HashMap::new() };
        Self { taken: Mutex::new(taken), trusted: RwLock::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other limits from now on; connections that are above them stay.
    pub(crate) fn limit(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    /// Other load balancers from now on.
    pub(crate) fn trust(&self, networks: Vec<Network>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    /// True for an address whose connections begin with the PROXY protocol.
    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        let trusted = self.trusted.read().unwrap_or_else(PoisonError::into_inner);
        trusted.iter().any(|network| network.contains(address))
    }

    /// A place for a connection from this address, or why there is none.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let mut taken = self.lock();
        if taken.all >= taken.limits.channels {
            return Err("all channels are taken");
        }
        if !address.is_loopback() {
            let most = taken.limits.per_address;
            let count = taken.addresses.entry(address).or_insert(0);
            if *count >= most {
                if most == 0 {
                    taken.addresses.remove(&address);
                }
                return Err("too many connections from this address");
            }
            *count += 1;
        }
        taken.all += 1;
        Ok(Place { gate: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.gate.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.addresses.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.addresses.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listeners::MODULES;

    #[test]
    fn abu_30_places_are_bounded_for_all_and_for_one_address() {
        let gate = Arc::new(Gate::new(&MODULES[0]));
        gate.limit(Limits { channels: 3, per_address: 2 });
        let (near, far): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let one = gate.take(near);
        let _two = gate.take(near);
        assert!(one.is_ok() && gate.take(near).is_err());
        let _three = gate.take(far);
        assert!(gate.take(far).is_err());
        drop(one);
        assert!(gate.take(near).is_ok());
        gate.limit(Limits { channels: 0, per_address: 2 });
        assert!(gate.take(far).is_err());
    }
}
