//! How much is answered at once. When it gets too much, the least urgent is asked to come again in a moment, so that the rest stays
//! quick: chats first, then people at the panel, then programs, then work on many records.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// How urgent a request is, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Messages, and what WhatsApp says.
    Chat,
    /// People at the panel, and who signs in.
    Panel,
    /// Programs.
    Program,
    /// Work on many records.
    Bulk,
}

impl Urgency {
    /// Its share of the room, in percent.
    fn share(self) -> usize {
        match self {
            Self::Chat => 100,
            Self::Panel => 85,
            Self::Program => 70,
            Self::Bulk => 40,
        }
    }

    /// As figures name it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Panel => "panel",
            Self::Program => "program",
            Self::Bulk => "bulk",
        }
    }
}

/// The room for requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Load {
    room: usize,
    busy: Arc<AtomicUsize>,
}

/// A request that is answered; dropped, it makes room.
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Load {
    /// Room for so many requests at once; 0: for any number.
    pub(crate) fn new(room: usize) -> Self {
        let most = usize::MAX / 100; // shares are in percent
        Self { room: if room == 0 { most } else { room.min(most) }, busy: Arc::default() }
    }

    /// Lets a request in, if there is room for one that urgent.
    pub(crate) fn enter(&self, urgency: Urgency) -> Option<Busy> {
        let most = (self.room * urgency.share() / 100).max(1);
        let entered = self.busy.fetch_update(Relaxed, Relaxed, |busy| (busy < most).then_some(busy + 1));
        entered.ok().map(|_| Busy(self.busy.clone()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_urgent_waits_first_and_room_comes_back() {
        let load = Load::new(20);
        let mut busy: Vec<Busy> = (0..8).filter_map(|_| load.enter(Urgency::Bulk)).collect();
        assert!(load.enter(Urgency::Bulk).is_none());
        busy.extend((0..6).filter_map(|_| load.enter(Urgency::Program)));
        assert!(load.enter(Urgency::Program).is_none());
        busy.extend((0..3).filter_map(|_| load.enter(Urgency::Panel)));
        assert!(load.enter(Urgency::Panel).is_none());
        busy.extend((0..9).filter_map(|_| load.enter(Urgency::Chat)));
        assert_eq!(busy.len(), 20);
        busy.truncate(7);
        assert!(load.enter(Urgency::Bulk).is_some());
        let any = Load::new(0);
        let busy: Vec<Busy> = (0..1000).filter_map(|_| any.enter(Urgency::Bulk)).collect();
        assert_eq!(busy.len(), 1000);
    }
}
