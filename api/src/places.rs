//! Room for files that come at once, shared fairly between tenants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use domain::entities::TenantId;

/// How many places are taken, by whom. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    all: usize,
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// A taken place; dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    tenant: TenantId,
}

impl Places {
    /// So many.
    pub(crate) fn new(all: usize) -> Self {
        Self { all, taken: Arc::default() }
    }

    /// A place, while the tenant has fewer than are free: one alone gets half of them, several share, and whoever has none
    /// gets the last one.
    pub(crate) fn take(&self, tenant: TenantId) -> Option<Place> {
        let mut taken = self.taken();
        let free = self.all - taken.values().sum::<usize>();
        let own = taken.get(&tenant).copied().unwrap_or(0);
        if own >= free {
            return None;
        }
        taken.insert(tenant, own + 1);
        drop(taken);
        Some(Place { places: self.clone(), tenant })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.taken.lock().expect("nothing panics while holding it")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => _ = taken.remove(&self.tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places() {
        let places = Places::new(8);
        let tenants: Vec<TenantId> = (0..5).map(|_| TenantId::new()).collect();
        let mut own: Vec<Place> = std::iter::from_fn(|| places.take(tenants[0])).collect();
        assert_eq!(own.len(), 4, "one alone gets half");
        let others: Vec<Place> = tenants[1..].iter().filter_map(|tenant| places.take(*tenant)).collect();
        assert_eq!(others.len(), 4, "each of the others gets one");
        assert!(places.take(TenantId::new()).is_none(), "all are taken");
        own.truncate(1);
        assert!(places.take(tenants[0]).is_some() && places.take(TenantId::new()).is_some());
        drop((own, others));
        assert!(places.taken().is_empty());
    }
}
