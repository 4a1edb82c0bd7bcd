//! SQLite's wording (3.35 and later). One writer, so nothing is ever locked by somebody else.

use sea_orm::DbBackend;

use super::Dialect;

macro_rules! now {
    () => {
        "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"
    };
    ($seconds:literal) => {
        concat!("strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now', printf('%.3f seconds', ", $seconds, "))")
    };
}

/// The release in steps, inside one immediate transaction: SQLite has no lateral join, and its calls are cheap.
pub(crate) mod steps {
    /// queue, route, window → room. SQLite uses a partial index only for a condition that stands in the statement word for
    /// word; that one of its states follows from another, it doesn't see.
    pub(crate) const ROOM: &str = "
select max(0, ?3 - (select count(*) from jobs where queue = ?1 and route = ?2 and state = 'dispatched'
                    and state in ('dispatched', 'running'))) as n
where not exists (select 1 from job_queues where name = ?1 and paused_at is not null)";
    /// queue, route, level, tenant before → the next tenant with waiting jobs. One bound, not `?4 is null or …`: with that,
    /// SQLite walks over all the jobs of the tenants before.
    pub(crate) const NEXT_TENANT: &str = "
select tenant_id from jobs where queue = ?1 and route = ?2 and state = 'pending' and priority = ?3
and tenant_id > coalesce(?4, x'') order by tenant_id limit 1";
    /// queue, route, level, tenant, how many → seq, order_key, first
    pub(crate) const CANDIDATES: &str = concat!(
        "
select j.seq, j.order_key, j.order_key is null or (
    j.seq = (select k.seq from jobs k where k.queue = ?1 and k.order_key = j.order_key and k.order_key is not null
             and k.state in ('pending', 'held', 'dispatched', 'running') order by k.queue, k.order_key, k.seq limit 1)
    and not exists (select 1 from jobs k where k.queue = ?1 and k.order_key = j.order_key and k.order_key is not null
                    and k.state in ('dispatched', 'running'))) as first
from jobs j where j.queue = ?1 and j.route = ?2 and j.state = 'pending' and j.priority = ?3 and j.tenant_id = ?4
and j.run_at <= ",
        now!(),
        " order by j.run_at, j.seq limit ?5"
    );
    /// list of seq
    pub(crate) const PARK: &str = "update jobs set state = 'held' where seq in (select value from json_each(?1))";
    /// list of seq, seconds
    pub(crate) const RELEASE: &str =
        concat!("update jobs set state = 'dispatched', lease_until = ", now!("?2"), " where seq in (select value from json_each(?1))");
}

pub(super) const DIALECT: Dialect = Dialect {
    backend: DbBackend::Sqlite,
    enqueue: concat!(
        "
insert into jobs (id, tenant_id, queue, route, kind, payload, priority, max_attempts, order_key, unique_key, run_at, cause_id, depth)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, coalesce(?12, ",
        now!("?11"),
        "), ?13, ?14)
on conflict (tenant_id, queue, unique_key)
    where unique_key is not null and state in ('pending', 'held', 'dispatched', 'running') do nothing"
    ),
    due: concat!(
        "
select 1 as due where exists (
    select 1 from jobs where queue = ?1 and route = ?2 and state = 'pending' and run_at <= ",
        now!(),
        ")"
    ),
    wake_lines: "
update jobs set state = 'pending' where state = 'held' and seq in (
    select (select k.seq from jobs k where k.queue = ?1 and k.order_key = f.value and k.order_key is not null
            and k.state in ('pending', 'held', 'dispatched', 'running') order by k.queue, k.order_key, k.seq limit 1)
    from json_each(?2) f)
returning route",
    claim: concat!(
        "
update jobs set state = 'running', attempts = attempts + 1, token = ?4, worker = ?2, started_at = ",
        now!(),
        ", lease_until = ",
        now!("?3"),
        "
where seq in (select value from json_each(?1)) and state = 'dispatched'
and (route = '' or exists (select 1 from job_routes r where r.queue = jobs.queue and r.route = jobs.route
                           and r.owner = ?2 and r.lease_until > ",
        now!(),
        "))
returning seq, id, tenant_id, queue, route, kind, payload, order_key, attempts, max_attempts, token, cause_id, depth"
    ),
    finish: concat!(
        "
update jobs set
    state = case when f.outcome = 'retry' and attempts >= max_attempts then 'dead'
                 when f.outcome in ('retry', 'snooze') then 'pending' else f.outcome end,
    attempts = attempts - (f.outcome = 'snooze'),
    run_at = case when f.outcome in ('retry', 'snooze') then ",
        now!("f.wait"),
        " else run_at end,
    last_error = coalesce(f.error, last_error), lease_until = null,
    finished_at = case when f.outcome in ('done', 'dead') or (f.outcome = 'retry' and attempts >= max_attempts) then ",
        now!(),
        " end
from (select json_extract(value, '$.seq') as seq_, json_extract(value, '$.token') as token_, json_extract(value, '$.outcome') as outcome,
             json_extract(value, '$.wait') as wait, json_extract(value, '$.error') as error from json_each(?1)) f
where seq = f.seq_ and token = f.token_ and state = 'running'
returning seq, queue, route, order_key, state"
    ),
    finish_one: concat!(
        "update jobs set state = 'done', lease_until = null, finished_at = ",
        now!(),
        " where seq = ?1 and token = ?2 and state = 'running' returning seq"
    ),
    hold: "select seq from jobs where seq = ?1 and token = ?2 and state = 'running'",
    take_back: "
update jobs set state = 'pending', lease_until = null where seq in (select value from json_each(?1)) and state = 'dispatched'",
    renew: concat!(
        "update jobs set lease_until = ",
        now!("?2"),
        " from (select json_extract(value, '$.seq') as seq_, json_extract(value, '$.token') as token_ from json_each(?1)) f
where seq = f.seq_ and token = f.token_ and state = 'running'"
    ),
    give_back: "
update jobs set state = 'pending', attempts = attempts - 1, lease_until = null
from (select json_extract(value, '$.seq') as seq_, json_extract(value, '$.token') as token_ from json_each(?1)) f
where seq = f.seq_ and token = f.token_ and state = 'running'
returning queue, route",
    let_go: "
update jobs set state = 'pending', attempts = attempts - 1, lease_until = null where state = 'running' and worker = ?1
returning id, kind, queue, route",
    progress: concat!(
        "update jobs set progress = ?3, lease_until = max(lease_until, ",
        now!("?4"),
        ") where seq = ?1 and token = ?2 and state = 'running' returning seq"
    ),
    reap: concat!(
        "
update jobs set lease_until = null,
    state = case when state = 'running' and attempts >= max_attempts then 'dead' else 'pending' end,
    finished_at = case when state = 'running' and attempts >= max_attempts then ",
        now!(),
        " end,
    last_error = case when state = 'running' then 'the worker was lost: lease expired on ' || coalesce(worker, '?') else last_error end
where seq in (select seq from jobs where state in ('dispatched', 'running') and lease_until < ",
        now!(),
        " limit 1000)
returning queue, route, order_key, state"
    ),
    sleeping: "
select distinct queue, order_key from jobs where state = 'held' and order_key is not null
and state in ('pending', 'held', 'dispatched', 'running')",
    trim: concat!(
        "delete from jobs where seq in (select seq from jobs where id < ?3 and +state in ('done', 'cancelled') and finished_at < ",
        now!("-?1"),
        " order by id limit ?2)"
    ),
};
