//! Takes records into the text index that were there before it. A long job, done in parts: each leaves the next one behind.

use std::time::{Duration, Instant};

use domain::{
    payloads::RebuildSearch,
    resource::search::rebuild::{self, Place},
};
use jobs::{NewJob, Outcome, Run};
use serde_json::json;

use crate::Context;

/// How long a part may take.
const PART: Duration = Duration::from_secs(60);

pub(crate) async fn run(context: Context, run: Run, RebuildSearch { topic, after }: RebuildSearch) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let mut place = Place::kept(topic.as_deref(), after);
    let mut records = 0;
    loop {
        let (next, done) = rebuild::step(&context.ledger, place).await?;
        records += done;
        let Some(next) = next else {
            tracing::info!(records, "the text index is whole");
            return Ok(Outcome::Done);
        };
        place = next;
        run.progress(&json!({ "topic": place.topic, "records": records })).await?;
        if begun.elapsed() > PART {
            let tx = run.begin().await?;
            let rest = RebuildSearch { topic: Some(place.topic.to_owned()), after: Some(place.after) };
            tx.enqueue(NewJob::new(run.tenant, &rest).cause(run.id, run.depth)).await?;
            return run.settle(tx).await;
        }
    }
}
