//! Webhooks by the thousand: deliveries that come at the same time are kept in one transaction, and each is answered after
//! its commit.

use std::sync::Arc;

use domain::{
    Error, Result,
    seal::Sealer,
    whatsapp::webhook::{self, Arrival},
};
use futures::FutureExt;
use jobs::{Coalescer, Ledger};
use tokio::sync::Semaphore;

/// At most so many deliveries in one transaction.
const BATCH: usize = 128;
/// So many are checked at once: until its signature is, one is anybody's, and read it takes many times its size. The others wait.
const CHECKED: usize = 16;

/// Takes deliveries.
pub(crate) struct Intake {
    ledger: Ledger,
    sealer: Sealer,
    checking: Semaphore,
    keeping: Coalescer<Vec<Arrival>, ()>,
}

impl Intake {
    pub(crate) fn new(ledger: Ledger, sealer: Sealer) -> Arc<Self> {
        let keeping = {
            let ledger = ledger.clone();
            Coalescer::new(BATCH, 2, move |deliveries: Vec<Vec<Arrival>>| {
                let ledger = ledger.clone();
                async move {
                    let count = deliveries.len();
                    webhook::keep(&ledger, &deliveries.concat()).await?;
                    Ok(vec![(); count])
                }
                .boxed()
            })
        };
        Arc::new(Self { ledger, sealer, checking: Semaphore::new(CHECKED), keeping })
    }

    /// Checks a delivery and keeps it; answered once it is on disk.
    pub(crate) async fn take(&self, body: &[u8], signature: Option<&str>) -> Result<()> {
        let place = self.checking.acquire().await.map_err(anyhow::Error::from)?;
        let delivery = webhook::check(self.ledger.db(), &self.sealer, body, signature).await?;
        drop(place);
        if delivery.dropped > 0 {
            metrics::counter!("somo_webhook_changes_dropped_total").increment(delivery.dropped as u64);
            tracing::warn!(dropped = delivery.dropped, "a delivery named numbers that are not its signer's");
        }
        if delivery.arrivals.is_empty() {
            return Ok(());
        }
        metrics::counter!("somo_webhook_changes_total").increment(delivery.arrivals.len() as u64);
        self.keeping.ask(delivery.arrivals).await.ok_or(Error::Unavailable("the delivery could not be kept; deliver it again"))
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
