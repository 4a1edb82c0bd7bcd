//! Routes: lanes of a queue that one process at a time owns, by a lease.
//!
//! A job with a route runs only where the route is owned: the claim looks at this table. The owner runs the route's relay,
//! so a route that nobody owns keeps its jobs in SQL and fills nobody's window.

use std::time::Duration;

use db::{DbBackend, DbErr};
use sea_orm::{ConnectionTrait, Value};

use crate::{Lane, Ledger};

impl Ledger {
    /// `worker` owns `lane` for `lease` from now: newly, when its owner's lease is over, or still. The epoch, which rises with
    /// each new owner; `None` when somebody else owns it.
    ///
    /// # Errors
    /// The database's.
    pub async fn own_route(&self, lane: &Lane, worker: &str, lease: Duration) -> Result<Option<i64>, DbErr> {
        let (now, until) = match self.db().backend() {
            DbBackend::Sqlite => {
                ("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')", "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', printf('%.3f seconds', $4))")
            }
            _ => ("now()", "now() + $4 * interval '1 s'"),
        };
        let own = format!(
            "insert into job_routes (queue, route, owner, lease_until, epoch) values ($1, $2, $3, {until}, 1)
             on conflict (queue, route) do update set
                epoch = job_routes.epoch + case when job_routes.owner = $3 and job_routes.lease_until > {now} then 0 else 1 end,
                owner = $3, lease_until = {until}
             where job_routes.owner = $3 or job_routes.owner is null or job_routes.lease_until <= {now}
             returning epoch"
        );
        let values: [Value; 4] = [lane.queue.clone().into(), lane.route.clone().into(), worker.into(), lease.as_secs_f64().into()];
        let row = self.db().write.query_one_raw(self.sql().statement(&own, values)).await?;
        row.map(|row| row.try_get("", "epoch")).transpose()
    }

    /// `worker` lets go of `lane`, if it owns it.
    ///
    /// # Errors
    /// The database's.
    pub async fn release_route(&self, lane: &Lane, worker: &str) -> Result<(), DbErr> {
        let release = "update job_routes set owner = null, lease_until = null where queue = $1 and route = $2 and owner = $3";
        let values: [Value; 3] = [lane.queue.clone().into(), lane.route.clone().into(), worker.into()];
        self.db().write.execute_raw(self.sql().statement(release, values)).await.map(|_| ())
    }
}
